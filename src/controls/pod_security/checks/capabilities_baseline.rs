//! `capabilities_baseline`: no container gets more capabilities than runtimes give by default.
//!
//! Field: `securityContext.capabilities.add` of every container. Allowed: the names below, as they
//! are spelt there (no `CAP_`, upper case).

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};

const ALLOWED: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "capabilities_baseline",
        summary: "Containers add no capabilities beyond the default set.",
        fix: "Remove the added capabilities.",
        fields: &["spec.containers[*].securityContext.capabilities.add"],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: capabilities_baseline_1_0,
    }],
};

fn capabilities_baseline_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    added_beyond(pod, &ALLOWED).none_or(|offenders| Failure {
        reason: "non-default capabilities",
        detail: added_text(&offenders),
        fields: offenders.fields,
        fix: None,
    })
}

/// The containers that add capabilities other than `allowed`.
pub(super) fn added_beyond<'s>(pod: &PodView<'s, '_>, allowed: &[&str]) -> Offenders<'s> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        let Some(capabilities) = context.and_then(|context| context.capabilities.as_ref()) else {
            continue;
        };
        let added = capabilities.add.iter().enumerate();
        let forbidden = added.filter(|(_, name)| !allowed.contains(&&***name));
        offenders
            .values
            .extend(forbidden.clone().map(|(_, name)| &**name));
        offenders.add_all(
            container,
            forbidden
                .map(|(index, _)| place.field("securityContext.capabilities.add").index(index)),
        );
    }
    offenders
}

/// What upstream says of containers that add capabilities, at both levels.
pub(super) fn added_text(offenders: &Offenders<'_>) -> String {
    format!(
        "{} must not include {} in securityContext.capabilities.add",
        container_text(&offenders.names),
        offenders.values_text()
    )
}
