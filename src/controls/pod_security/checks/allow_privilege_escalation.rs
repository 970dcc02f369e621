//! `allowPrivilegeEscalation`: no process of a container may gain more rights than its parent.
//!
//! Field: `securityContext.allowPrivilegeEscalation` of every container. Allowed: `false`, said
//! explicitly. Since v1.8, when the field came. Since v1.25 pods for Windows are let alone: there the
//! field must not be set.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "allowPrivilegeEscalation",
        summary: "Every container forbids privilege escalation.",
        fix: "Set allowPrivilegeEscalation: false on every container.",
        fields: &["spec.containers[*].securityContext.allowPrivilegeEscalation"],
    },
    level: Level::Restricted,
    steps: &[
        Step {
            from: 8,
            overrides: &[],
            run: allow_privilege_escalation_1_8,
        },
        Step {
            from: 25,
            overrides: &[],
            run: allow_privilege_escalation_1_25,
        },
    ],
};

fn allow_privilege_escalation_1_25(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.is_windows() {
        None
    } else {
        allow_privilege_escalation_1_8(pod)
    }
}

fn allow_privilege_escalation_1_8(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context.and_then(|context| context.allow_privilege_escalation) != Some(false) {
            offenders.add(
                container,
                place.field("securityContext.allowPrivilegeEscalation"),
            );
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "allowPrivilegeEscalation != false",
        detail: format!(
            "{} must set securityContext.allowPrivilegeEscalation=false",
            container_text(&offenders.names)
        ),
        fields: offenders.fields,
        fix: None,
    })
}
