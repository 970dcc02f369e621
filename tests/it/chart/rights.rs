//! The rights the chart gives, held equal to what `docs/rights.md` says of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{object, release, repository};

/// One right: role, API group, resource, object's name or `any`, verb.
pub(super) type Right = [String; 5];

/// The ways to run it that differ in rights, as values and as the documentation calls them.
const MODES: [(&str, &str); 3] = [
    ("own", "tls.mode=own"),
    ("secret", "tls.mode=secret,tls.secretName=tidegate-tls"),
    ("certManager", "tls.mode=certManager"),
];

/// A table row of the page that gives rights in some mode.
pub(super) fn documented(mode: &str) -> Vec<Right> {
    let page = std::fs::read_to_string(repository().join("docs/rights.md")).unwrap();
    let mut rights = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        let [role, group, resource, name, verbs, when, why] = cells[..] else {
            continue;
        };
        if role == "role" || role.starts_with("---") {
            continue;
        }
        assert!(why.len() > 20, "no reason is given: {line}");
        if when != "always" && !when.split(", ").any(|one| one == mode) {
            continue;
        }
        for verb in verbs.split(", ") {
            rights.push([role, group, resource, name, verb].map(str::to_owned));
        }
    }
    rights
}

/// The rights of every role in a rendering.
fn given(words: &[&str]) -> Vec<Right> {
    let texts = |value: &Value, missing: &str| -> Vec<String> {
        value.as_array().map_or_else(
            || vec![missing.to_owned()],
            |list| {
                let list = list.iter().map(|text| text.as_str().unwrap());
                list.map(|text| if text.is_empty() { "core" } else { text })
                    .map(str::to_owned)
                    .collect()
            },
        )
    };
    let mut rights = Vec::new();
    for role in release(words) {
        let kind = role["kind"].as_str().unwrap();
        if !matches!(kind, "Role" | "ClusterRole") {
            continue;
        }
        let role_name = format!("{kind} {}", role["metadata"]["name"].as_str().unwrap());
        for rule in role["rules"].as_array().unwrap() {
            assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
            for group in texts(&rule["apiGroups"], "") {
                for resource in texts(&rule["resources"], "") {
                    for name in texts(&rule["resourceNames"], "any") {
                        for verb in texts(&rule["verbs"], "") {
                            rights.push([
                                role_name.clone(),
                                group.clone(),
                                resource.clone(),
                                name.clone(),
                                verb,
                            ]);
                        }
                    }
                }
            }
        }
    }
    rights
}

#[test]
fn every_right_is_in_the_documentation_and_nothing_else_is() {
    for (mode, set) in MODES {
        let (given, documented) = (given(&["--set", set]), documented(mode));
        let unique: BTreeSet<&Right> = given.iter().collect();
        assert_eq!(unique.len(), given.len(), "{mode}: a right is given twice");
        let named: BTreeSet<&Right> = documented.iter().collect();
        let missing: Vec<_> = unique.difference(&named).collect();
        assert!(
            missing.is_empty(),
            "{mode}: not in docs/rights.md: {missing:#?}"
        );
        let more: Vec<_> = named.difference(&unique).collect();
        assert!(more.is_empty(), "{mode}: not given by the chart: {more:#?}");
        assert!(unique.len() > 25, "{mode}: {}", unique.len());
    }
}

#[test]
fn no_right_is_a_wildcard_reads_secrets_of_others_or_gives_more_rights() {
    for (mode, set) in MODES {
        for right in given(&["--set", set]) {
            let [role, group, resource, name, verb] = &right;
            assert!(
                ![group, resource, verb]
                    .iter()
                    .any(|text| text.contains('*')),
                "{mode}: {right:?}"
            );
            assert!(
                !matches!(
                    &**verb,
                    "escalate" | "bind" | "impersonate" | "deletecollection"
                ),
                "{right:?}"
            );
            assert!(
                group != "rbac.authorization.k8s.io" && !resource.starts_with("pods/"),
                "{right:?}"
            );
            if resource == "secrets" {
                assert!(role.starts_with("Role "), "{right:?}");
                assert!(name == "tidegate-tls" || verb == "create", "{right:?}");
            }
        }
    }
}

#[test]
fn nobody_may_approve_an_exception_without_being_bound_to_it_on_purpose() {
    let made = release(&[]);
    for role in made.iter().filter(|object| object["kind"] == "ClusterRole") {
        let labels = role["metadata"]["labels"].as_object().unwrap();
        let aggregated = labels
            .keys()
            .any(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"));
        let rules = role["rules"].to_string();
        assert!(
            !(aggregated && rules.contains("controlexceptions/status")),
            "{role}"
        );
    }
    for (name, expected) in [
        ("tidegate-view", &["view", "edit", "admin"][..]),
        ("tidegate-exception-author", &["edit", "admin"]),
        ("tidegate-exception-approver", &[]),
    ] {
        let role = object(&made, "ClusterRole", name);
        for to in ["view", "edit", "admin"] {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
            let there = role["metadata"]["labels"].get(&label).is_some();
            assert_eq!(there, expected.contains(&to), "{name} {to}");
        }
    }
}
