//! `tidegate doctor` at a working installation, and at one that was tampered with.

use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::{
    QUICK, SOON, configuration, configuration_path, install, pods, tidegate, until_judged,
};
use crate::bed::{self, Authority, Call, Cluster, Helm, WEBHOOKS};

const LOCAL: &str = "validate.tidegate.dev";

#[test]
fn doctor_is_content_with_an_installation_and_names_what_was_changed() {
    bed::inside(|cluster| {
        cluster.create_namespace("shop", &[]);
        install(
            cluster,
            Helm::Four,
            &["--set", QUICK, "--set", "auditOnly=false"],
        );
        until_judged_or_denied(cluster);
        all_is_well(cluster);
        each_change_is_named(cluster);
        what_may_not_be_read_is_unknown(cluster);
        a_bundle_that_nobody_keeps_is_named(cluster);
    });
}

fn until_judged_or_denied(cluster: &Cluster) {
    until_judged(cluster);
    cluster.until("somebody leads", SOON, || {
        let path = "/apis/coordination.k8s.io/v1/namespaces/tidegate/leases/tidegate";
        let lease = cluster.call(&Call::new("GET", path)).body;
        lease["spec"]["holderIdentity"].is_string()
    });
}

/// The exit code, and each look as `(part, state, detail)`.
fn doctor(cluster: &Cluster, user: impl FnOnce(&mut Value)) -> (i32, Vec<[String; 3]>) {
    let output = tidegate(cluster, user, &["doctor", "--output", "json"]);
    let code = output.status.code().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let installations = report["installations"].as_array().unwrap();
    assert_eq!(installations.len(), 1, "{report}");
    assert_eq!(installations[0]["name"], "tidegate");
    let looks = installations[0]["looks"].as_array().unwrap();
    let looks = looks
        .iter()
        .map(|look| ["part", "state", "detail"].map(|key| look[key].as_str().unwrap().to_owned()));
    (code, looks.collect())
}

fn admin(_: &mut Value) {}

fn all_is_well(cluster: &Cluster) {
    let (code, looks) = doctor(cluster, admin);
    assert!(
        looks.iter().all(|[_, state, _]| state == "ok"),
        "{looks:#?}"
    );
    assert_eq!(code, 0, "{looks:#?}");
    for part in [
        "webhook",
        "certificate",
        "replicas",
        "lease",
        "definitions",
        "rights",
        "policies",
    ] {
        assert!(
            looks.iter().any(|[have, ..]| have == part),
            "{part}: {looks:#?}"
        );
    }
    let text = tidegate(cluster, admin, &["doctor"]);
    println!("{}", String::from_utf8_lossy(&text.stdout));
}

/// Puts the entries back as Helm made them, with the `caBundle` that was there.
fn restore(cluster: &Cluster, entries: &Value) {
    let patch = json!([{"op": "replace", "path": "/webhooks", "value": entries}]);
    cluster
        .api()
        .must(&Call::json_patch(configuration_path(), &patch));
}

fn each_change_is_named(cluster: &Cluster) {
    let original = configuration(cluster);
    let entries = &original["webhooks"];
    let replace = |path: &str, value: Value| json!({"op": "replace", "path": format!("/webhooks/0/{path}"), "value": value});
    for (field, patch, told) in [
        (
            "rules",
            replace("rules/0/operations", json!(["CREATE"])),
            format!("{LOCAL}: rules is "),
        ),
        (
            "namespaceSelector",
            replace(
                "namespaceSelector/matchExpressions/0/values/0",
                json!("shop"),
            ),
            format!("{LOCAL}: namespaceSelector is "),
        ),
        (
            "objectSelector",
            replace("objectSelector", json!({"matchLabels": {"judged": "yes"}})),
            format!("{LOCAL}: objectSelector is "),
        ),
        (
            "failurePolicy",
            replace("failurePolicy", json!("Ignore")),
            format!("{LOCAL}: failurePolicy is Ignore, installed was Fail"),
        ),
        (
            "timeoutSeconds",
            replace("timeoutSeconds", json!(30)),
            format!("{LOCAL}: timeoutSeconds is 30, installed was 3"),
        ),
        (
            "entry",
            json!({"op": "remove", "path": "/webhooks/1"}),
            "entry images.tidegate.dev is missing, installed was there".to_owned(),
        ),
    ] {
        cluster
            .api()
            .must(&Call::json_patch(configuration_path(), &json!([patch])));
        let (code, looks) = doctor(cluster, admin);
        let wrong: Vec<_> = looks.iter().filter(|[_, state, _]| state != "ok").collect();
        assert_eq!(wrong.len(), 1, "{field}: {wrong:#?}");
        let [part, state, detail] = wrong[0];
        assert_eq!(
            (part.as_str(), state.as_str(), code),
            ("webhook", "wrong", 1)
        );
        assert!(detail.starts_with(&told), "{field}: {detail}");
        if field == "failurePolicy" {
            every_replica_exports(cluster, field);
        }
        restore(cluster, entries);
    }
    let (code, looks) = doctor(cluster, admin);
    assert_eq!(code, 0, "{looks:#?}");

    cluster
        .api()
        .must(&Call::new("DELETE", configuration_path()));
    let (code, looks) = doctor(cluster, admin);
    assert_eq!(code, 1);
    let told = "the webhook configuration is missing, installed was there";
    assert!(
        looks.iter().any(|[.., detail]| detail == told),
        "{looks:#?}"
    );
    // Made again without a bundle, as Helm or a GitOps tool would; tidegate puts it in.
    let mut again = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"});
    again["metadata"] = json!({"name": "tidegate", "labels": original["metadata"]["labels"], "annotations": original["metadata"]["annotations"]});
    again["webhooks"] = entries.clone();
    for entry in again["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"]
            .as_object_mut()
            .unwrap()
            .remove("caBundle");
    }
    cluster.api().must(&Call::post(WEBHOOKS, &again));
    cluster.until("all is well again", SOON, || doctor(cluster, admin).0 == 0);
    assert_eq!(configuration(cluster)["webhooks"], *entries);
}

fn every_replica_exports(cluster: &Cluster, field: &str) {
    for pod in pods(cluster) {
        cluster.until(
            "a replica exports the drift",
            Duration::from_mins(1),
            || pod.metric("tidegate_webhook_drift", &[("field", field)]) > 0.5,
        );
    }
}

/// A person who may read everything but Secrets, and ask about rights.
fn what_may_not_be_read_is_unknown(cluster: &Cluster) {
    let rights = "/apis/rbac.authorization.k8s.io/v1";
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let read = ["get", "list"];
    let reader = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "operator"},
        "rules": [
            rule("", &["configmaps", "pods", "namespaces"], &read),
            rule("apps", &["deployments"], &read),
            rule("coordination.k8s.io", &["leases"], &read),
            rule("tidegate.dev", &["*"], &read),
            rule("admissionregistration.k8s.io", &["*"], &read),
            rule("apiextensions.k8s.io", &["*"], &read),
            rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "olga"}],
    });
    let api = cluster.api();
    api.must(&Call::post(format!("{rights}/clusterroles"), &reader));
    api.must(&Call::post(
        format!("{rights}/clusterrolebindings"),
        &binding,
    ));
    let olga = |user: &mut Value| {
        user["as"] = json!("olga");
        user["as-groups"] = json!(["system:authenticated"]);
    };
    let (code, looks) = doctor(cluster, olga);
    assert_eq!(code, 2, "{looks:#?}");
    assert!(
        looks.iter().all(|[_, state, _]| state != "wrong"),
        "{looks:#?}"
    );
    let unknown: Vec<&str> = looks
        .iter()
        .filter(|[_, state, _]| state == "unknown")
        .map(|[part, ..]| part.as_str())
        .collect();
    // Without the Secret nobody can say whether the caBundle is the right one.
    assert_eq!(unknown, ["webhook", "certificate"], "{looks:#?}");
}

fn a_bundle_that_nobody_keeps_is_named(cluster: &Cluster) {
    let none = json!({"spec": {"replicas": 0}});
    let path = "/apis/apps/v1/namespaces/tidegate/deployments/tidegate";
    cluster.api().must(&Call::patch(path, &none));
    cluster.until("the pods are gone", SOON, || pods(cluster).is_empty());
    let foreign = Authority::new("foreign").pem().to_owned();
    let value = json!(ByteString(foreign.into_bytes()));
    let swap =
        json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": value}]);
    cluster
        .api()
        .must(&Call::json_patch(configuration_path(), &swap));
    let (code, looks) = doctor(cluster, admin);
    assert_eq!(code, 1);
    let told = format!("{LOCAL}: caBundle is without 1 of them, and 1 unknown");
    assert!(
        looks
            .iter()
            .any(|[part, _, detail]| part == "webhook" && detail.starts_with(&told)),
        "{looks:#?}"
    );
    cluster
        .api()
        .must(&Call::patch(path, &json!({"spec": {"replicas": 2}})));
    cluster.until("the new leader has put it right", SOON, || {
        doctor(cluster, admin).0 == 0
    });
}
