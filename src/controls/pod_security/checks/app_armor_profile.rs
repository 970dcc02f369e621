//! `appArmorProfile`: the runtime's `AppArmor` profile stays on.
//!
//! Fields: `securityContext.appArmorProfile.type` of the pod and of every container, and every
//! annotation `container.apparmor.security.beta.kubernetes.io/…`, whether or not there is a container
//! of that name. Allowed types, where the profile is there at all: `RuntimeDefault`, `Localhost`;
//! allowed annotations: empty, `runtime/default`, `localhost/…`.

use std::collections::BTreeMap;

use crate::control::Check;
use crate::objects::AppArmorProfile;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, forbidden_annotations, join_quote, pluralize};

const ANNOTATION_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "appArmorProfile",
        summary: "AppArmor profiles are the default or a local one.",
        fix: "Use RuntimeDefault or Localhost, or remove the profile.",
        fields: &[
            "spec.securityContext.appArmorProfile.type",
            "spec.containers[*].securityContext.appArmorProfile.type",
            "metadata.annotations[\"container.apparmor.security.beta.kubernetes.io/*\"]",
        ],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: app_armor_profile_1_0,
    }],
};

fn is_allowed(profile: &AppArmorProfile<'_>) -> bool {
    matches!(&*profile.type_, "RuntimeDefault" | "Localhost")
}

fn is_allowed_annotation(value: &str) -> bool {
    value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
}

fn app_armor_profile_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    let profile = pod
        .security_context()
        .and_then(|context| context.app_armor_profile.as_ref());
    if let Some(profile) = profile.filter(|profile| !is_allowed(profile)) {
        offenders.add_pod("appArmorProfile.type");
        offenders.values.insert(&profile.type_);
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        let profile = context.and_then(|context| context.app_armor_profile.as_ref());
        if let Some(profile) = profile.filter(|profile| !is_allowed(profile)) {
            offenders.add(
                container,
                place.field("securityContext.appArmorProfile.type"),
            );
            offenders.values.insert(&profile.type_);
        }
    }
    let concern = |key: &str| key.starts_with(ANNOTATION_PREFIX);
    let annotations = forbidden_annotations(pod, concern, is_allowed_annotation);
    offenders.fields.extend(annotations.values().cloned());
    offenders.none_or(|offenders| failure(offenders, &annotations))
}

fn failure(offenders: Offenders<'_>, annotations: &BTreeMap<String, FieldPath>) -> Failure {
    let mut setters = Vec::new();
    if offenders.pod || !offenders.names.is_empty() {
        setters.push(offenders.setters_text());
    }
    if !annotations.is_empty() {
        setters.push(pluralize("annotation", "annotations", annotations.len()).to_owned());
    }
    let types = offenders.values.iter();
    let values = types.chain(annotations.keys().map(String::as_str));
    let count = offenders.values.len() + annotations.len();
    Failure {
        reason: pluralize(
            "forbidden AppArmor profile",
            "forbidden AppArmor profiles",
            count,
        ),
        detail: format!(
            "{} must not set AppArmor profile type to {}",
            setters.join(" and "),
            join_quote(values)
        ),
        fields: offenders.fields,
        fix: None,
    }
}
