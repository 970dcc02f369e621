//! `procMount`: containers see `/proc` masked, as runtimes mount it.
//!
//! Field: `securityContext.procMount` of every container. Allowed: unset, `Default`. Since v1.35 any
//! value in pods with `hostUsers: false`.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "procMount",
        summary: "Containers use the default /proc mount.",
        fix: "Remove procMount.",
        fields: &["spec.containers[*].securityContext.procMount"],
    },
    level: Level::Baseline,
    steps: &[
        Step {
            from: 0,
            overrides: &[],
            run: proc_mount_1_0,
        },
        Step {
            from: 35,
            overrides: &[],
            run: proc_mount_1_35,
        },
    ],
};

fn proc_mount_1_35(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.has_own_users() {
        None
    } else {
        proc_mount_1_0(pod)
    }
}

/// Also what restricted asks for when baseline has become laxer.
pub(super) fn proc_mount_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        let mount = context.and_then(|context| context.proc_mount.as_ref());
        if let Some(mount) = mount.filter(|mount| *mount != "Default") {
            offenders.add(container, place.field("securityContext.procMount"));
            offenders.values.insert(mount);
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "procMount",
        detail: format!(
            "{} must not set securityContext.procMount to {}",
            container_text(&offenders.names),
            offenders.values_text()
        ),
        fields: offenders.fields,
        fix: None,
    })
}
