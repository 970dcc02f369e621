use serde_json::{Value, json};

use super::rules::{Discovered, named, unknown};
use super::*;

fn read(value: &Value) -> Result<BTreeSet<String>, String> {
    match value.as_str() {
        None => Ok(BTreeSet::new()),
        Some("junk") => Err("is not PEM".to_owned()),
        Some(text) => Ok(text.split(',').map(str::to_owned).collect()),
    }
}

/// As a chart renders it: without what the API server fills in.
fn installed() -> Value {
    json!({"webhooks": [{
        "name": "validate.tidegate.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"name": "tidegate", "namespace": "tg", "path": "/validate"}},
        "namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "tg"]},
        ]},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods", "pods/resize"]},
            {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]},
        ],
        "matchConditions": [{"name": "a", "expression": "true"}],
    }]})
}

/// As the API server stores it.
fn stored() -> Value {
    let mut live = installed();
    let entry = &mut live["webhooks"][0];
    entry["failurePolicy"] = json!("Fail");
    entry["matchPolicy"] = json!("Equivalent");
    entry["timeoutSeconds"] = json!(10);
    entry["objectSelector"] = json!({});
    entry["clientConfig"]["service"]["port"] = json!(443);
    entry["clientConfig"]["caBundle"] = json!("one");
    entry["namespaceSelector"]["matchExpressions"][0]["values"] = json!(["tg", "kube-system"]);
    let rules = entry["rules"].as_array_mut().unwrap();
    rules.reverse();
    for rule in rules {
        rule["scope"] = json!("*");
        rule["resources"].as_array_mut().unwrap().reverse();
    }
    live
}

fn expecting(wanted: &[&str], tolerated: &[&str]) -> ExpectedBundle {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    ExpectedBundle {
        wanted: texts(wanted),
        tolerated: texts(tolerated),
    }
}

fn told(live: &Value) -> Vec<String> {
    let drifts = compare(
        &installed(),
        Some(live),
        Some(&expecting(&["one"], &[])),
        &read,
    );
    drifts.iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_api_server_fills_in_or_reorders_is_no_drift() {
    assert_eq!(told(&stored()), [""; 0]);
}

#[test]
fn each_field_is_told_by_entry_and_name_with_both_values() {
    for (field, value, expected) in [
        (
            "failurePolicy",
            json!("Ignore"),
            "failurePolicy is Ignore, installed was Fail",
        ),
        (
            "matchPolicy",
            json!("Exact"),
            "matchPolicy is Exact, installed was Equivalent",
        ),
        (
            "timeoutSeconds",
            json!(30),
            "timeoutSeconds is 30, installed was 10",
        ),
        (
            "sideEffects",
            json!("NoneOnDryRun"),
            "sideEffects is NoneOnDryRun, installed was None",
        ),
        (
            "admissionReviewVersions",
            json!(["v1", "v1beta1"]),
            r#"admissionReviewVersions is ["v1beta1"], installed was nothing more"#,
        ),
        (
            "objectSelector",
            json!({"matchLabels": {"a": "b"}}),
            r#"objectSelector is {"matchLabels":{"a":"b"}}, installed was {"matchLabels":null}"#,
        ),
        (
            "namespaceSelector",
            json!({}),
            r#"namespaceSelector is {"matchExpressions":null}, installed was {"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","tg"]}]}"#,
        ),
        (
            "matchConditions",
            json!([{"name": "a", "expression": "false"}]),
            r#"matchConditions is [{"expression":"false","name":"a"}], installed was [{"expression":"true","name":"a"}]"#,
        ),
        ("rules", json!([]), "rules is nothing more, installed was"),
    ] {
        let mut live = stored();
        live["webhooks"][0][field] = value;
        let told = told(&live);
        assert_eq!(told.len(), 1, "{field}: {told:?}");
        let expected = format!("validate.tidegate.dev: {expected}");
        assert!(told[0].starts_with(&expected), "{}\n{expected}", told[0]);
    }
    let mut live = stored();
    live["webhooks"][0]["clientConfig"]["service"]["path"] = json!("/elsewhere");
    assert_eq!(
        told(&live),
        [
            r#"validate.tidegate.dev: service is {"service":{"path":"/elsewhere"}}, installed was {"service":{"path":"/validate"}}"#
        ]
    );
}

#[test]
fn an_operation_that_was_taken_out_of_a_rule_is_seen() {
    let mut live = stored();
    let rules = live["webhooks"][0]["rules"].as_array_mut().unwrap();
    rules[1]["operations"] = json!(["CREATE"]);
    let told = told(&live);
    assert!(
        told[0].contains(r#""operations":["CREATE"],"resources":["pods","pods/resize"]"#),
        "{told:?}"
    );
    assert!(told[0].contains(r#"installed was [{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE","UPDATE"]"#), "{told:?}");
}

#[test]
fn entries_that_are_missing_or_too_many_are_told() {
    let mut live = stored();
    live["webhooks"][0]["name"] = json!("other.tidegate.dev");
    assert_eq!(
        told(&live),
        [
            "entry validate.tidegate.dev is missing, installed was there",
            "entry other.tidegate.dev is there, installed was missing",
        ]
    );
    let drifts = compare(&installed(), None, None, &read);
    assert_eq!(
        drifts[0].to_string(),
        "the webhook configuration is missing, installed was there"
    );
}

#[test]
fn a_ca_bundle_is_compared_with_the_one_expected() {
    for (bundle, expected) in [
        (json!("one,two"), None),
        (json!("two,one,past"), None),
        (json!("one"), Some("without 1 of them")),
        (json!("one,two,foreign"), Some("that and 1 unknown")),
        (json!("foreign"), Some("without 2 of them, and 1 unknown")),
        (json!(null), Some("empty")),
        (json!("junk"), Some("unreadable: it is not PEM")),
    ] {
        let mut live = stored();
        live["webhooks"][0]["clientConfig"]["caBundle"] = bundle.clone();
        let expecting = expecting(&["one", "two"], &["past"]);
        let drifts = compare(&installed(), Some(&live), Some(&expecting), &read);
        assert_eq!(
            drifts.first().map(|drift| drift.live.as_str()),
            expected,
            "{bundle}"
        );
        assert!(
            drifts
                .iter()
                .all(|drift| drift.installed == "2 CA certificates")
        );
    }
}

#[test]
fn counts_have_every_field_once() {
    let mut live = stored();
    live["webhooks"][0]["timeoutSeconds"] = json!(30);
    let counts = counts(&compare(&installed(), Some(&live), None, &read));
    let found: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(found, [&(Field::TimeoutSeconds, 1)]);
}

#[test]
fn a_misspelt_resource_is_told_and_a_wildcard_is_not() {
    let rule = |resources: &[&str]| {
        json!({"webhooks": [{"name": "x", "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": resources},
            {"apiGroups": ["*"], "apiVersions": ["v1"], "resources": ["whatever"]},
        ]}]})
    };
    let discovered: Discovered = [(
        (String::new(), "v1".to_owned()),
        ["pods", "pods/resize", "namespaces"]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    )]
    .into();
    let configuration = rule(&[
        "pods",
        "pods/*",
        "*",
        "*/*",
        "*/resize",
        "namespace",
        "pods/resise",
        "*/scale",
    ]);
    assert_eq!(
        named(&configuration, 9).len(),
        1,
        "no wildcard is asked for"
    );
    let told: Vec<_> = unknown(&configuration, &discovered)
        .iter()
        .map(|drift| drift.installed.clone())
        .collect();
    assert_eq!(
        told,
        ["*/scale of v1", "namespace of v1", "pods/resise of v1"]
    );
    assert!(
        unknown(&configuration, &Discovered::new()).is_empty(),
        "what was not asked is not judged"
    );
    let gone: Discovered = [((String::new(), "v1".to_owned()), BTreeSet::new())].into();
    assert!(
        !unknown(&rule(&["pods"]), &gone).is_empty(),
        "a version that does not exist"
    );
}
