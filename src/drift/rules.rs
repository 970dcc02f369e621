//! Whether the API server has what a rule names. A resource that is misspelt, or that this version
//! does not have, is accepted in a rule and never matched.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Drift, Field};

/// A group and a version, the group empty for the core API.
pub type GroupVersion = (String, String);

/// The resources and subresources of each group and version that was asked for; an empty set where
/// there is no such group or version.
pub type Discovered = BTreeMap<GroupVersion, BTreeSet<String>>;

/// The groups and versions that rules name without a wildcard, at most `most` of them.
pub fn named(configuration: &Value, most: usize) -> BTreeSet<GroupVersion> {
    let mut named = BTreeSet::new();
    for rule in rules(configuration).map(|(_, rule)| rule) {
        for group in texts(&rule["apiGroups"]) {
            for version in texts(&rule["apiVersions"]) {
                if group != "*" && version != "*" && named.len() < most {
                    named.insert((group.to_owned(), version.to_owned()));
                }
            }
        }
    }
    named
}

/// The resources in rules that none of the rule's groups and versions has. A rule with a wildcard
/// for groups or versions, or one that was not asked for, is not judged.
pub fn unknown(configuration: &Value, discovered: &Discovered) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for (entry, rule) in rules(configuration) {
        let pairs: Vec<GroupVersion> = texts(&rule["apiGroups"])
            .flat_map(|group| {
                texts(&rule["apiVersions"])
                    .map(move |version| (group.to_owned(), version.to_owned()))
            })
            .collect();
        let known: Option<Vec<_>> = pairs.iter().map(|pair| discovered.get(pair)).collect();
        let Some(known) = known else { continue };
        for resource in texts(&rule["resources"]) {
            if !known
                .iter()
                .any(|names| names.iter().any(|name| matches(resource, name)))
            {
                let groups: Vec<_> = pairs
                    .iter()
                    .map(|(group, version)| dotted(group, version))
                    .collect();
                drifts.push(Drift {
                    entry: entry.to_owned(),
                    field: Field::Resources,
                    installed: format!("{resource} of {}", groups.join(", ")),
                    live: "unknown to the API server, which never matches it".to_owned(),
                });
            }
        }
    }
    drifts.sort();
    drifts.dedup();
    drifts
}

fn dotted(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// Whether a resource in a rule stands for `name`: `*`, `pods/*` and `*/scale` are wildcards.
fn matches(resource: &str, name: &str) -> bool {
    match (resource.split_once('/'), name.split_once('/')) {
        (None, None) => resource == "*" || resource == name,
        (Some((resource, sub)), Some((name, of))) => {
            (resource == "*" || resource == name) && (sub == "*" || sub == of)
        }
        // `pods/*` and `*/*` stand for the resource itself as well.
        (Some((resource, "*")), None) => resource == "*" || resource == name,
        _ => false,
    }
}

fn rules(configuration: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = configuration["webhooks"].as_array().into_iter().flatten();
    entries.flat_map(|entry| {
        let name = entry["name"].as_str().unwrap_or_default();
        let rules = entry["rules"].as_array().into_iter().flatten();
        rules.map(move |rule| (name, rule))
    })
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
