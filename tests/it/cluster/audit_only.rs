//! `--audit-only` records and never changes an outcome: the same requests are made in a namespace
//! that tidegate judges and in one that it never sees, and must end alike.

use serde_json::{Value, json};

use crate::bed::{self, Answer, Bed, Call, compliant_pod, deployment, plain_pod};

/// What is done, and whether tidegate finds anything in it.
type Deed = (&'static str, Call, bool);

/// What is asked of each namespace, in order.
fn deeds(namespace: &str) -> Vec<Deed> {
    let mut deeds = creations(namespace);
    deeds.extend(changes(namespace));
    deeds
}

fn creations(namespace: &str) -> Vec<Deed> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let pod = |pod: &Value| Call::post(&pods, pod);
    let privileged = |name: &str| {
        let mut pod = plain_pod(name);
        pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        pod["spec"]["hostNetwork"] = json!(true);
        pod
    };
    let empty = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "empty"}, "spec": {"containers": []},
    });
    let template = deployment("privileged", &privileged("privileged"));
    vec![
        ("a compliant pod", pod(&compliant_pod("compliant")), false),
        ("a plain pod", pod(&plain_pod("plain")), true),
        ("a privileged pod", pod(&privileged("privileged")), true),
        ("a dry run", pod(&privileged("dry")).dry_run(), true),
        ("a pod that is invalid", pod(&empty), false),
        ("a deployment", Call::post(deployments, &template), true),
    ]
}

fn changes(namespace: &str) -> Vec<Deed> {
    let own = format!("/api/v1/namespaces/{namespace}");
    let plain = format!("{own}/pods/plain");
    let debuggers = format!("{own}/pods/compliant/ephemeralcontainers");
    let label = json!({"metadata": {"labels": {"team": "shop"}}});
    let image =
        json!({"spec": {"containers": [{"name": "app", "image": "registry.example/app:2"}]}});
    let debugger = json!({"spec": {"ephemeralContainers": [
        {"name": "debugger", "image": "registry.example/debug:1", "securityContext": {"privileged": true}},
    ]}});
    let level = |level: &str| {
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        Call::patch(&own, &json!({"metadata": {"labels": labels}}))
    };
    vec![
        ("a new label", Call::patch(&plain, &label), false),
        ("a new image", Call::patch(&plain, &image), true),
        (
            "a privileged debugger",
            Call::patch(debuggers, &debugger),
            true,
        ),
        ("the level in force, as a label", level("restricted"), false),
        ("a level below the floor", level("privileged"), true),
        ("a malformed level", level("strict"), true),
        ("a deletion", Call::new("DELETE", plain), false),
    ]
}

/// What of an answer must not depend on tidegate.
fn outcome(answer: &Answer, namespace: &str) -> String {
    let mut body = answer.body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "deletionTimestamp",
        ] {
            metadata.remove(key);
        }
    }
    // The token volume that the API server adds has a random name.
    let body = body.to_string();
    let random = body
        .find("kube-api-access-")
        .map(|start| body[start..start + 21].to_owned());
    let body = random.map_or(body.clone(), |name| body.replace(&name, "kube-api-access"));
    format!("{} {:?} {body}", answer.status, answer.warnings).replace(namespace, "NAMESPACE")
}

fn make_free_namespace(bed: &Bed) -> String {
    let name = "auditonly-free".to_owned();
    bed.create_namespace(&name, &[]);
    name
}

#[test]
fn with_audit_only_every_request_ends_as_without_tidegate_and_is_recorded() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("auditonly")
        .arguments(&["--preset", "restricted", "--audit-only"])
        .namespace("judged", &[])
        .ignore_failures()
        .start();
    let judged = tidegate.namespace("judged");
    let free = make_free_namespace(&bed);
    for ((what, with, found), (_, without, _)) in deeds(&judged).into_iter().zip(deeds(&free)) {
        let with = bed.call(&with);
        let without = bed.call(&without);
        assert_eq!(outcome(&with, &judged), outcome(&without, &free), "{what}");
        assert!(!tidegate.could_not_be_called(&with), "{what}");
        let verdict = tidegate
            .annotations(&with)
            .remove("verdict")
            .unwrap_or_default();
        assert_eq!(verdict == "audit", found, "{what}: verdict {verdict:?}");
    }
}
