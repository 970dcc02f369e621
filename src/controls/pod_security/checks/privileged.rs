//! `privileged`: no container runs with all the node's rights.
//!
//! Fields: `securityContext.privileged` of every container. Allowed: unset, `false`.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "privileged",
        summary: "No container is privileged.",
        fix: "Remove privileged: true.",
        fields: &["spec.containers[*].securityContext.privileged"],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: privileged_1_0,
    }],
};

fn privileged_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context.and_then(|context| context.privileged) == Some(true) {
            offenders.add(container, place.field("securityContext.privileged"));
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "privileged",
        detail: format!(
            "{} must not set securityContext.privileged=true",
            container_text(&offenders.names)
        ),
        fields: offenders.fields,
        fix: None,
    })
}
