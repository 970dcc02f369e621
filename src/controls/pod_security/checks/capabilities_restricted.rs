//! `capabilities_restricted`: containers drop all capabilities and take back at most one.
//!
//! Fields: `securityContext.capabilities.drop` of every container, which must hold `ALL` (in upper
//! case), and `securityContext.capabilities.add`, which may hold `NET_BIND_SERVICE` only. Since
//! v1.22, in place of `capabilities_baseline`. Since v1.25 pods for Windows are let alone: there the
//! fields must not be set.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};
use super::capabilities_baseline::{added_beyond, added_text};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "capabilities_restricted",
        summary: "Containers drop ALL capabilities and add only NET_BIND_SERVICE.",
        fix: "Drop ALL; add nothing but NET_BIND_SERVICE.",
        fields: &[
            "spec.containers[*].securityContext.capabilities.drop",
            "spec.containers[*].securityContext.capabilities.add",
        ],
    },
    level: Level::Restricted,
    steps: &[
        Step {
            from: 22,
            overrides: &["capabilities_baseline"],
            run: capabilities_restricted_1_22,
        },
        Step {
            from: 25,
            overrides: &["capabilities_baseline"],
            run: capabilities_restricted_1_25,
        },
    ],
};

fn capabilities_restricted_1_25(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.is_windows() {
        None
    } else {
        capabilities_restricted_1_22(pod)
    }
}

fn capabilities_restricted_1_22(pod: &PodView<'_, '_>) -> Option<Failure> {
    let keeping = keeping_some(pod);
    let adding = added_beyond(pod, &["NET_BIND_SERVICE"]);
    let mut details = Vec::new();
    if !keeping.names.is_empty() {
        let containers = container_text(&keeping.names);
        details.push(format!(
            "{containers} must set securityContext.capabilities.drop=[\"ALL\"]"
        ));
    }
    if !adding.names.is_empty() {
        details.push(added_text(&adding));
    }
    if details.is_empty() {
        return None;
    }
    let mut fields = keeping.fields;
    fields.extend(adding.fields);
    Some(Failure {
        reason: "unrestricted capabilities",
        detail: details.join("; "),
        fields,
        fix: None,
    })
}

/// The containers that do not drop `ALL`.
fn keeping_some<'s>(pod: &PodView<'s, '_>) -> Offenders<'s> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        let capabilities = context.and_then(|context| context.capabilities.as_ref());
        if !capabilities
            .is_some_and(|capabilities| capabilities.drop.iter().any(|name| name == "ALL"))
        {
            offenders.add(container, place.field("securityContext.capabilities.drop"));
        }
    }
    offenders
}
