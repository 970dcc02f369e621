//! `seccompProfile_baseline`: a seccomp profile, where one is named, is the default or a local one.
//!
//! Before v1.19: annotations `seccomp.security.alpha.kubernetes.io/pod` and
//! `container.seccomp.security.alpha.kubernetes.io/NAME` of the containers there are. Allowed: unset,
//! `runtime/default`, `docker/default`, `localhost/…`.
//! Since v1.19: `securityContext.seccompProfile.type` of the pod and of every container. Allowed:
//! no profile, `RuntimeDefault`, `Localhost`.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use crate::control::Check;
use crate::objects::SeccompProfile;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, forbidden_annotations, join, pluralize};

const POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const CONTAINER_ANNOTATION_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "seccompProfile_baseline",
        summary: "Seccomp profiles, where named, are the default or a local one.",
        fix: "Set seccompProfile.type to RuntimeDefault or Localhost.",
        fields: &[
            "spec.securityContext.seccompProfile.type",
            "spec.containers[*].securityContext.seccompProfile.type",
            "metadata.annotations[\"seccomp.security.alpha.kubernetes.io/pod\"]",
            "metadata.annotations[\"container.seccomp.security.alpha.kubernetes.io/*\"]",
        ],
    },
    level: Level::Baseline,
    steps: &[
        Step {
            from: 0,
            overrides: &[],
            run: seccomp_profile_1_0,
        },
        Step {
            from: 19,
            overrides: &[],
            run: seccomp_profile_1_19,
        },
    ],
};

fn seccomp_profile_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let names = LazyCell::new(|| -> BTreeSet<&str> {
        let containers = pod.containers();
        containers.map(|(_, container)| &*container.name).collect()
    });
    let concern = |key: &str| {
        let container = key.strip_prefix(CONTAINER_ANNOTATION_PREFIX);
        key == POD_ANNOTATION || container.is_some_and(|name| names.contains(name))
    };
    let forbidden = forbidden_annotations(pod, concern, is_allowed_annotation);
    if forbidden.is_empty() {
        return None;
    }
    Some(Failure {
        reason: "seccompProfile",
        detail: format!(
            "forbidden {} {}",
            pluralize("annotation", "annotations", forbidden.len()),
            join(forbidden.keys(), ", ")
        ),
        fields: forbidden.into_values().collect(),
        fix: Some("Use runtime/default or localhost/…, or remove the annotation.".to_owned()),
    })
}

fn is_allowed_annotation(value: &str) -> bool {
    matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
}

/// Also the first half of what restricted asks for.
pub(super) fn seccomp_profile_1_19(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    let profile = pod
        .security_context()
        .and_then(|context| context.seccomp_profile.as_ref());
    if let Some(profile) = profile.filter(|profile| !is_allowed(profile)) {
        offenders.add_pod("seccompProfile.type");
        offenders.values.insert(&profile.type_);
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        let profile = context.and_then(|context| context.seccomp_profile.as_ref());
        if let Some(profile) = profile.filter(|profile| !is_allowed(profile)) {
            offenders.add(
                container,
                place.field("securityContext.seccompProfile.type"),
            );
            offenders.values.insert(&profile.type_);
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "seccompProfile",
        detail: format!(
            "{} must not set securityContext.seccompProfile.type to {}",
            offenders.setters_text(),
            offenders.values_text()
        ),
        fields: offenders.fields,
        fix: None,
    })
}

fn is_allowed(profile: &SeccompProfile<'_>) -> bool {
    matches!(&*profile.type_, "RuntimeDefault" | "Localhost")
}
