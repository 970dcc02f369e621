//! `runAsNonRoot`: containers cannot run as root.
//!
//! Fields: `securityContext.runAsNonRoot` of the pod and of every container. Allowed: `true`; unset
//! in containers where the pod says `true`. The pod's `false` is wrong even where every container
//! says `true`. Since v1.35 any value in pods with `hostUsers: false`.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "runAsNonRoot",
        summary: "Containers must run as a user other than root.",
        fix: "Set runAsNonRoot: true on the pod or on every container.",
        fields: &[
            "spec.securityContext.runAsNonRoot",
            "spec.containers[*].securityContext.runAsNonRoot",
        ],
    },
    level: Level::Restricted,
    steps: &[
        Step {
            from: 0,
            overrides: &[],
            run: run_as_non_root_1_0,
        },
        Step {
            from: 35,
            overrides: &[],
            run: run_as_non_root_1_35,
        },
    ],
};

const REASON: &str = "runAsNonRoot != true";

fn run_as_non_root_1_35(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.has_own_users() {
        None
    } else {
        run_as_non_root_1_0(pod)
    }
}

fn run_as_non_root_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    // What is unset is only named when nothing is `false`.
    explicitly_false(pod).or_else(|| unset(pod))
}

fn explicitly_false(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    if pod
        .security_context()
        .and_then(|context| context.run_as_non_root)
        == Some(false)
    {
        offenders.add_pod("runAsNonRoot");
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context.and_then(|context| context.run_as_non_root) == Some(false) {
            offenders.add(container, place.field("securityContext.runAsNonRoot"));
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: REASON,
        detail: format!(
            "{} must not set securityContext.runAsNonRoot=false",
            offenders.setters_text()
        ),
        fields: offenders.fields,
        fix: Some("Set runAsNonRoot: true where it is false.".to_owned()),
    })
}

fn unset(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod
        .security_context()
        .and_then(|context| context.run_as_non_root)
        == Some(true)
    {
        return None;
    }
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context
            .and_then(|context| context.run_as_non_root)
            .is_none()
        {
            offenders.add(container, place.field("securityContext.runAsNonRoot"));
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: REASON,
        detail: format!(
            "pod or {} must set securityContext.runAsNonRoot=true",
            container_text(&offenders.names)
        ),
        fields: offenders.fields,
        fix: None,
    })
}
