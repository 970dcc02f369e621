//! `runAsUser`: nothing asks for the user id of root.
//!
//! Fields: `securityContext.runAsUser` of the pod and of every container. Allowed: unset, anything
//! but 0. Since v1.23. Since v1.35 any value in pods with `hostUsers: false`.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::Offenders;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "runAsUser",
        summary: "Neither pod nor containers set the user id of root.",
        fix: "Set runAsUser to another id than 0, or remove it.",
        fields: &[
            "spec.securityContext.runAsUser",
            "spec.containers[*].securityContext.runAsUser",
        ],
    },
    level: Level::Restricted,
    steps: &[
        Step {
            from: 23,
            overrides: &[],
            run: run_as_user_1_23,
        },
        Step {
            from: 35,
            overrides: &[],
            run: run_as_user_1_35,
        },
    ],
};

fn run_as_user_1_35(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.has_own_users() {
        None
    } else {
        run_as_user_1_23(pod)
    }
}

fn run_as_user_1_23(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    if pod
        .security_context()
        .and_then(|context| context.run_as_user)
        == Some(0)
    {
        offenders.add_pod("runAsUser");
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context.and_then(|context| context.run_as_user) == Some(0) {
            offenders.add(container, place.field("securityContext.runAsUser"));
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "runAsUser=0",
        detail: format!("{} must not set runAsUser=0", offenders.setters_text()),
        fields: offenders.fields,
        fix: None,
    })
}
