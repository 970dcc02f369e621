//! What the pods that run in a namespace would make of its new level
//! (`EvaluatePodsInNamespace` in `admission/admission.go`).

use std::collections::{BTreeMap, HashSet};

use crate::facts::{EXISTING_PODS_LIMIT, ExistingPods, Fact};
use crate::json::Raw;
use crate::subject::{Expected, Subject};

use super::level::LevelVersion;
use super::quote::go_quote;
use super::registry;
use super::settings::Settings;

const POD: Expected<'static> = Expected {
    api_version: "v1",
    kind: "Pod",
};

/// What the client is told: how many pods were looked at if not all, and who breaks the level, one
/// line for pods with the same faults.
pub fn warnings(
    settings: &Settings,
    namespace: &str,
    level: LevelVersion,
    pods: &Fact<ExistingPods>,
) -> Vec<String> {
    let Fact::Known(existing) = pods else {
        return vec!["failed to list pods while checking new PodSecurity enforce level".into()];
    };
    let readable = existing
        .pods
        .iter()
        .map(|text| Subject::parse(Raw::assume(text), POD));
    let pods = prioritized(settings, readable.filter_map(Result::ok).collect());
    let unread = existing.total.saturating_sub(existing.pods.len());
    let total = pods.len() + unread;

    let mut faults: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods.iter().take(EXISTING_PODS_LIMIT) {
        let Some(view) = pod.pod() else { continue };
        let failures = registry::evaluate(level, &view);
        if failures.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = failures.iter().map(|(_, failure)| failure.reason).collect();
        let (name, count) = faults
            .entry(reasons.join(", "))
            .or_insert((pod.metadata.name.to_string(), 0));
        if *pod.metadata.name < **name {
            *name = pod.metadata.name.to_string();
        }
        *count += 1;
    }

    let checked = pods.len().min(EXISTING_PODS_LIMIT);
    let mut warnings = Vec::new();
    if checked < total {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"
        ));
    }
    if !faults.is_empty() {
        let namespace = go_quote(namespace);
        warnings.push(format!(
            "existing pods in namespace {namespace} violate the new PodSecurity enforce level \"{level}\""
        ));
    }
    let mut lines: Vec<String> = faults
        .into_iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            _ => format!("{name} (and {} other pods): {reasons}", count - 1),
        })
        .collect();
    lines.sort();
    warnings.append(&mut lines);
    warnings
}

/// The pods that are judged: of each controller the first one before all others.
fn prioritized<'a>(settings: &Settings, pods: Vec<Subject<'a>>) -> Vec<Subject<'a>> {
    let mut controllers = HashSet::new();
    let mut first = Vec::new();
    let mut others = Vec::new();
    for pod in pods {
        if pod
            .pod()
            .is_some_and(|view| settings.exempts_runtime_class(view.spec))
        {
            continue;
        }
        let mut owners = pod.metadata.owner_references.iter();
        let controller = owners.find(|owner| owner.controller == Some(true));
        if controller.is_none_or(|owner| controllers.insert(owner.uid.to_string())) {
            first.push(pod);
        } else {
            others.push(pod);
        }
    }
    first.append(&mut others);
    first
}
