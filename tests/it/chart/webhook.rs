//! The webhook configuration.

use serde_json::{Value, json};

use super::{object, objects, release, variants, words};

fn configuration(words: &[&str]) -> Value {
    let made = release(words);
    object(&made, "ValidatingWebhookConfiguration", "tidegate").clone()
}

fn entry<'c>(configuration: &'c Value, name: &str) -> &'c Value {
    let entries = configuration["webhooks"].as_array().unwrap();
    entries.iter().find(|entry| entry["name"] == name).unwrap()
}

const LOCAL: &str = "validate.tidegate.dev";
const IMAGES: &str = "images.tidegate.dev";
const POLICIES: &str = "policies.tidegate.dev";

/// Every resource of an entry with its operations, `group/resource`.
fn resources(entry: &Value) -> Vec<(String, Vec<String>)> {
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().unwrap();
        list.iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let mut found = Vec::new();
    for rule in entry["rules"].as_array().unwrap() {
        for resource in texts(&rule["resources"]) {
            for group in texts(&rule["apiGroups"]) {
                found.push((format!("{group}/{resource}"), texts(&rule["operations"])));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_variant_names_a_ca_bundle() {
    for (variant, values) in variants() {
        let made = release(&words(&values));
        let text = serde_json::to_string(&made).unwrap();
        assert!(!text.contains("caBundle"), "{variant}");
        let configuration = object(&made, "ValidatingWebhookConfiguration", "tidegate");
        let injected = &configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
        if variant.starts_with("cert-manager") {
            assert_eq!(injected, "tidegate/tidegate", "{variant}");
        } else {
            assert_eq!(injected, &Value::Null, "{variant}");
        }
    }
}

#[test]
fn what_was_installed_is_kept_as_it_was_rendered() {
    for (variant, values) in variants() {
        let made = release(&words(&values));
        let kept = object(&made, "ConfigMap", "tidegate-installed")["data"]["webhook.yaml"]
            .as_str()
            .unwrap();
        let rendered = object(&made, "ValidatingWebhookConfiguration", "tidegate");
        assert_eq!(&objects(kept)[0], rendered, "{variant}");
    }
}

#[test]
fn audit_only_holds_nothing_up_and_enforcing_lets_nothing_through() {
    for (words, policy, timeouts) in [
        (&[][..], "Ignore", [1, 1]),
        (&["--set", "failurePolicy=Fail"][..], "Ignore", [1, 1]),
        (&["--set", "auditOnly=false"][..], "Fail", [3, 10]),
        (
            &["--set", "auditOnly=false,failurePolicy=Ignore"][..],
            "Ignore",
            [3, 10],
        ),
    ] {
        let configuration = configuration(words);
        for (name, timeout) in [LOCAL, IMAGES].into_iter().zip(timeouts) {
            let entry = entry(&configuration, name);
            assert_eq!(entry["failurePolicy"], policy, "{words:?} {name}");
            assert_eq!(entry["timeoutSeconds"], timeout, "{words:?} {name}");
        }
        let own = entry(&configuration, POLICIES);
        assert_eq!(own["failurePolicy"], "Fail", "{words:?}");
        assert_eq!(own["timeoutSeconds"], 5, "{words:?}");
    }
}

#[test]
fn only_kinds_that_a_control_looks_at_are_sent() {
    let both = ["CREATE", "UPDATE"].map(str::to_owned).to_vec();
    let update = vec!["UPDATE".to_owned()];
    let mut expected: Vec<(String, Vec<String>)> = [
        "/pods",
        "/replicationcontrollers",
        "/podtemplates",
        "apps/deployments",
        "apps/replicasets",
        "apps/daemonsets",
        "apps/statefulsets",
        "batch/jobs",
        "batch/cronjobs",
    ]
    .map(|name| (name.to_owned(), both.clone()))
    .to_vec();
    for name in ["/pods/ephemeralcontainers", "/pods/resize"] {
        expected.push((name.to_owned(), update.clone()));
    }
    expected.sort();
    let configuration = configuration(&[]);
    assert_eq!(resources(entry(&configuration, IMAGES)), expected);
    expected.push(("/namespaces".to_owned(), both.clone()));
    for name in ["/namespaces/status", "/namespaces/finalize"] {
        expected.push((name.to_owned(), update.clone()));
    }
    expected.sort();
    assert_eq!(resources(entry(&configuration, LOCAL)), expected);
    let own = [
        "controlexceptions",
        "controlexceptions/status",
        "controlpolicies",
        "controlpolicies/status",
    ]
    .map(|name| (format!("tidegate.dev/{name}"), both.clone()));
    assert_eq!(resources(entry(&configuration, POLICIES)), own);
}

#[test]
fn namespaces_are_left_out_by_the_label_that_nobody_can_set() {
    let configuration = configuration(&["--set", "excludedNamespaces={kube-system,tidegate}"]);
    for name in [LOCAL, IMAGES] {
        let selector = &entry(&configuration, name)["namespaceSelector"];
        assert_eq!(
            selector,
            &json!({"matchExpressions": [{
                "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "tidegate"],
            }]})
        );
    }
    assert!(
        entry(&configuration, POLICIES)
            .get("namespaceSelector")
            .is_none()
    );
    let text = configuration.to_string();
    assert!(!text.contains("objectSelector"));
}

#[test]
fn what_every_entry_must_say_is_said() {
    for (name, path) in [
        (LOCAL, "/validate"),
        (IMAGES, "/validate/images"),
        (POLICIES, "/validate/policies"),
    ] {
        let configuration = configuration(&[]);
        assert_eq!(
            configuration["metadata"]["annotations"]["admissions.enforcer/disabled"],
            "true"
        );
        let entry = entry(&configuration, name);
        assert_eq!(entry["admissionReviewVersions"], json!(["v1"]));
        assert_eq!(entry["matchPolicy"], "Equivalent");
        assert_eq!(entry["sideEffects"], "None");
        assert_eq!(
            entry["clientConfig"],
            json!({"service": {"namespace": "tidegate", "name": "tidegate", "path": path, "port": 443}})
        );
    }
}
