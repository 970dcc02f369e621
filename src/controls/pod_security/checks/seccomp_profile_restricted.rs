//! `seccompProfile_restricted`: every container has a seccomp profile.
//!
//! Fields: `securityContext.seccompProfile.type` of the pod and of every container. Allowed:
//! `RuntimeDefault`, `Localhost`; no profile in containers where the pod has one. Since v1.19, in
//! place of `seccompProfile_baseline`. Since v1.25 pods for Windows are let alone: there the field
//! must not be set.

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text};
use super::seccomp_profile_baseline::seccomp_profile_1_19;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "seccompProfile_restricted",
        summary: "Every container has the default or a local seccomp profile.",
        fix: "Set seccompProfile.type to RuntimeDefault or Localhost.",
        fields: &[
            "spec.securityContext.seccompProfile.type",
            "spec.containers[*].securityContext.seccompProfile.type",
        ],
    },
    level: Level::Restricted,
    steps: &[
        Step {
            from: 19,
            overrides: &["seccompProfile_baseline"],
            run: seccomp_profile_restricted_1_19,
        },
        Step {
            from: 25,
            overrides: &["seccompProfile_baseline"],
            run: seccomp_profile_restricted_1_25,
        },
    ],
};

fn seccomp_profile_restricted_1_25(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod.is_windows() {
        None
    } else {
        seccomp_profile_restricted_1_19(pod)
    }
}

fn seccomp_profile_restricted_1_19(pod: &PodView<'_, '_>) -> Option<Failure> {
    // What is missing is only named when nothing forbidden is there; then a pod's profile is good.
    seccomp_profile_1_19(pod).or_else(|| missing(pod))
}

fn missing(pod: &PodView<'_, '_>) -> Option<Failure> {
    if pod
        .security_context()
        .is_some_and(|context| context.seccomp_profile.is_some())
    {
        return None;
    }
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if context.is_none_or(|context| context.seccomp_profile.is_none()) {
            offenders.add(
                container,
                place.field("securityContext.seccompProfile.type"),
            );
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "seccompProfile",
        detail: format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            container_text(&offenders.names)
        ),
        fields: offenders.fields,
        fix: None,
    })
}
