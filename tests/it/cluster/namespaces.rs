//! Namespaces and their labels, as facts and as objects that are judged themselves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::until;
use crate::bed::{self, Call, plain_pod};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

#[test]
fn a_changed_label_takes_effect_in_both_directions() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("labels")
        .namespace("shop", &[(ENFORCE, "baseline")])
        .start();
    let name = tidegate.namespace("shop");
    let post = Call::post(format!("/api/v1/namespaces/{name}/pods"), &plain_pod("web")).dry_run();
    assert!(bed.call(&post).succeeded());
    for (level, status) in [("restricted", 403), ("baseline", 201), ("restricted", 403)] {
        let labels = json!({"metadata": {"labels": {ENFORCE: level}}});
        bed.api()
            .must(&Call::patch(format!("/api/v1/namespaces/{name}"), &labels));
        let start = Instant::now();
        until("the level is in force", || bed.call(&post).status == status);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{level} took {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_namespace_made_a_moment_ago_is_judged_by_its_own_labels() {
    let bed = bed::shared();
    let suffixes: Vec<String> = (0..10).map(|number| format!("new{number}")).collect();
    let mut options = bed.tidegate("newborn").namespace("first", &[]);
    for suffix in &suffixes {
        options = options.later_namespace(suffix);
    }
    let tidegate = options.start();
    for suffix in &suffixes {
        let name = tidegate.namespace(suffix);
        bed.api().must(&Call::post(
            "/api/v1/namespaces",
            &namespace(&name, &json!({ENFORCE: "restricted"})),
        ));
        // The API server wants a service account before it asks about a Pod; a controller may be first.
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let account = bed.call(&Call::post(
            format!("/api/v1/namespaces/{name}/serviceaccounts"),
            &account,
        ));
        assert!(matches!(account.status, 201 | 409), "{}", account.body);
        let mut pod = plain_pod("web");
        pod["spec"]["automountServiceAccountToken"] = json!(false);
        let answer = bed.call(&Call::post(format!("/api/v1/namespaces/{name}/pods"), &pod));
        assert_eq!(answer.status, 403, "{}", answer.body);
        let checks: Vec<&str> = answer
            .causes()
            .into_iter()
            .map(|(check, _)| check)
            .collect();
        assert!(checks.contains(&"pod-security/runAsNonRoot"), "{checks:?}");
    }
}

#[test]
fn a_malformed_label_is_refused_with_the_label_named() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("malformed")
        .namespace("first", &[])
        .later_namespace("bad")
        .start();
    let labels = json!({ENFORCE: "strict", "pod-security.kubernetes.io/warn-version": "1.30"});
    let bad = Call::post(
        "/api/v1/namespaces",
        &namespace(&tidegate.namespace("bad"), &labels),
    );
    let answer = bed.call(&bad);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(answer.body["reason"], "Invalid");
    assert_eq!(
        answer.causes(),
        [
            (
                "FieldValueInvalid",
                "metadata.labels[pod-security.kubernetes.io/enforce]"
            ),
            (
                "FieldValueInvalid",
                "metadata.labels[pod-security.kubernetes.io/warn-version]"
            ),
        ]
    );
    assert!(
        answer
            .message()
            .contains("must be one of privileged, baseline, restricted"),
        "{}",
        answer.message()
    );
}

#[test]
fn a_label_below_the_policys_floor_is_a_finding_on_the_namespace() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("floor")
        .policy(
            "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: floor}
spec:
  mode: enforce
  namespaces: {include: ['*']}
  controls:
    pod-security: {settings: {minimum: {enforce: baseline}}}
",
        )
        .namespace("shop", &[(ENFORCE, "baseline")])
        .start();
    let name = tidegate.namespace("shop");
    let lower = json!({"metadata": {"labels": {ENFORCE: "privileged"}}});
    let answer = bed.call(&Call::patch(format!("/api/v1/namespaces/{name}"), &lower));
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(
        answer.causes(),
        [(
            "pod-security/namespaceLevel",
            "metadata.labels[\"pod-security.kubernetes.io/enforce\"]"
        )]
    );
    let stored = bed.call(&Call::new("GET", format!("/api/v1/namespaces/{name}")));
    assert_eq!(stored.body["metadata"]["labels"][ENFORCE], "baseline");
}
