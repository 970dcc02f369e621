//! Pod templates: the eight kinds that hold one, and what becomes of the pods they stand for.

use serde_json::{Value, json};

use super::until;
use crate::bed::{self, Call, TEMPLATE_RESOURCES, deployment, plain_pod};

/// An object of a resource that holds a pod template, and the path of the template's pod spec.
fn object(resource: &str, pod: &Value) -> (Value, &'static str) {
    let mut template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod["spec"]});
    let selector = json!({"matchLabels": {"app": "web"}});
    let name = json!({"name": "web"});
    let (group, kind) = match resource {
        "replicationcontrollers" => ("v1", "ReplicationController"),
        "podtemplates" => ("v1", "PodTemplate"),
        "deployments" => ("apps/v1", "Deployment"),
        "replicasets" => ("apps/v1", "ReplicaSet"),
        "statefulsets" => ("apps/v1", "StatefulSet"),
        "daemonsets" => ("apps/v1", "DaemonSet"),
        "jobs" => ("batch/v1", "Job"),
        "cronjobs" => ("batch/v1", "CronJob"),
        other => panic!("{other} holds no template"),
    };
    let typed = |rest: Value| {
        let mut object = json!({"apiVersion": group, "kind": kind, "metadata": name});
        object
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        object
    };
    match kind {
        "PodTemplate" => (typed(json!({"template": template})), "template.spec"),
        "ReplicationController" => (
            typed(json!({"spec": {"template": template}})),
            "spec.template.spec",
        ),
        "Job" | "CronJob" => {
            template["spec"]["restartPolicy"] = json!("Never");
            let job = json!({"template": template});
            if kind == "Job" {
                (typed(json!({"spec": job})), "spec.template.spec")
            } else {
                let spec = json!({"schedule": "0 4 * * *", "jobTemplate": {"spec": job}});
                (
                    typed(json!({"spec": spec})),
                    "spec.jobTemplate.spec.template.spec",
                )
            }
        }
        "StatefulSet" => {
            let spec = json!({"serviceName": "web", "selector": selector, "template": template});
            (typed(json!({"spec": spec})), "spec.template.spec")
        }
        _ => (
            typed(json!({"spec": {"selector": selector, "template": template}})),
            "spec.template.spec",
        ),
    }
}

fn host_network() -> Value {
    let mut pod = plain_pod("web");
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

#[test]
fn every_kind_with_a_template_is_warned_of_and_stored() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("templates").namespace("shop", &[]).start();
    for (api, resource) in TEMPLATE_RESOURCES {
        let (object, spec) = object(resource, &host_network());
        let path = format!("{api}/namespaces/{}/{resource}", tidegate.namespace("shop"));
        let answer = bed.call(&Call::post(path, &object).dry_run());
        assert_eq!(answer.status, 201, "{resource}: {}", answer.body);
        let expected = "pod-security/hostNamespaces: host namespaces (hostNetwork=true)";
        assert!(
            answer.warnings.iter().any(|text| text == expected),
            "{resource}: {:?}",
            answer.warnings
        );
        let findings: Value =
            serde_json::from_str(&tidegate.annotations(&answer)["findings"]).unwrap();
        let all = findings.as_array().unwrap();
        let found = all
            .iter()
            .find(|one| one["check"] == "pod-security/hostNamespaces");
        assert_eq!(
            found.unwrap()["fields"],
            json!([format!("{spec}.hostNetwork")]),
            "{resource}"
        );
    }
}

#[test]
fn a_policy_may_deny_templates() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("strict")
        .policy(
            "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: templates}
spec:
  mode: enforce
  controls:
    pod-security: {settings: {default: {enforce: baseline}, templates: enforce}}
",
        )
        .namespace("shop", &[])
        .start();
    for (api, resource) in TEMPLATE_RESOURCES {
        let (object, spec) = object(resource, &host_network());
        let path = format!("{api}/namespaces/{}/{resource}", tidegate.namespace("shop"));
        let answer = bed.call(&Call::post(path, &object).dry_run());
        assert_eq!(answer.status, 403, "{resource}: {}", answer.body);
        let field = format!("{spec}.hostNetwork");
        assert_eq!(
            answer.causes(),
            [("pod-security/hostNamespaces", field.as_str())],
            "{resource}"
        );
    }
}

#[test]
fn a_replica_set_is_told_why_its_pods_do_not_come() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("replicas").namespace("shop", &[]).start();
    let namespace = tidegate.namespace("shop");
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    bed.api()
        .must(&Call::post(&path, &deployment("web", &host_network())));
    let mut reason = String::new();
    until("the Deployment says why it has no pods", || {
        let stored = bed.call(&Call::new("GET", format!("{path}/web"))).body;
        let conditions = stored["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let failure = conditions
            .iter()
            .find(|condition| condition["type"] == "ReplicaFailure");
        reason = failure
            .and_then(|condition| condition["message"].as_str())
            .unwrap_or_default()
            .to_owned();
        !reason.is_empty()
    });
    assert!(reason.contains("tidegate denies Pod"), "{reason}");
    assert!(
        reason.contains("pod-security/hostNamespaces at spec.hostNetwork"),
        "{reason}"
    );
    let pods = bed
        .call(&Call::new(
            "GET",
            format!("/api/v1/namespaces/{namespace}/pods"),
        ))
        .body;
    assert_eq!(pods["items"], json!([]));
}
