//! A long set of writes: every fixture there is, as a Pod and in every kind of template, made,
//! changed and deleted; the same for any namespace.

use std::path::Path;

use serde_json::{Map, Value, json};
use tidegate::document;

use super::fixtures::fixtures;
use crate::bed::{Call, TEMPLATE_RESOURCES};

/// One write, and how long to wait after it so that everybody has seen it.
pub(super) struct Write {
    /// What it is, for messages.
    pub(super) what: String,
    /// The call.
    pub(super) call: Call,
    /// Whether it changes what the namespace's labels say.
    pub(super) labels: bool,
}

/// What one part of the set does in `namespace`; the parts are alike in size.
pub(super) fn part(namespace: &str, part: usize, parts: usize) -> Vec<Write> {
    let mut writes = Vec::new();
    for (number, (name, pod)) in corpus().into_iter().enumerate() {
        if number % parts == part {
            writes.extend(life(namespace, &name, &pod));
        }
        if number % (6 * parts) == part {
            writes.push(relabel(namespace, number / (6 * parts)));
        }
    }
    if part == 0 {
        writes.extend(controls(namespace));
    }
    writes
}

/// Every Pod of upstream's fixtures, good and bad, with a name of its own.
fn corpus() -> Vec<(String, Value)> {
    let mut corpus = Vec::new();
    for level in ["baseline", "restricted"] {
        for outcome in ["pass", "fail"] {
            for fixture in fixtures(level, outcome) {
                let name = fixture.name.replace('_', "-");
                let mut pod = read(&fixture.pod()).remove(0);
                let name = format!("{}{}-{name}", &level[..1], &outcome[..1]);
                pod["metadata"]["name"] = json!(name);
                corpus.push((name, pod));
            }
        }
    }
    corpus
}

fn read(yaml: &str) -> Vec<Value> {
    let documents = document::parse(yaml).into_iter();
    let text = documents.map(|document| document.unwrap().node.to_json());
    text.map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

/// A Pod, and templates of it, from their creation to their end.
fn life(namespace: &str, name: &str, pod: &Value) -> Vec<Write> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let own = format!("{pods}/{name}");
    let write = |what: &str, call: Call| Write {
        what: format!("{what} {name}"),
        call,
        labels: false,
    };
    let mut writes = vec![
        write("dry run of", Call::post(&pods, pod).dry_run()),
        write("create", Call::post(&pods, pod)),
        write(
            "label",
            Call::patch(&own, &json!({"metadata": {"labels": {"team": "shop"}}})),
        ),
        write(
            "new image of",
            Call::json_patch(
                &own,
                &json!([
                    {"op": "replace", "path": "/spec/containers/0/image", "value": "registry.example/app:2"},
                ]),
            ),
        ),
        write(
            "debug",
            Call::patch(
                format!("{own}/ephemeralcontainers"),
                &json!({"spec": {"ephemeralContainers": [
                    {"name": "debugger", "image": "registry.example/debug:1", "securityContext": {"privileged": true}},
                ]}}),
            ),
        ),
    ];
    for (api, resource) in TEMPLATE_RESOURCES {
        let path = format!("{api}/namespaces/{namespace}/{resource}");
        let object = template(resource, name, pod);
        if resource == "deployments" {
            let applied = Call::new("PATCH", format!("{path}/{name}?fieldManager=somebody"))
                .body("application/apply-patch+yaml", object.to_string());
            writes.push(write("apply deployment", applied));
            let label = json!({"spec": {"template": {"metadata": {"labels": {"team": "shop"}}}}});
            writes.push(write(
                "change deployment",
                Call::patch(format!("{path}/{name}"), &label),
            ));
            let scale = json!({"spec": {"replicas": 0}});
            writes.push(write(
                "scale",
                Call::merge(format!("{path}/{name}/scale"), &scale),
            ));
        } else {
            writes.push(write(resource, Call::post(&path, &object)));
        }
    }
    if name.ends_with(['0', '2']) {
        writes.push(write("delete", Call::new("DELETE", own)));
        let path = format!("/apis/apps/v1/namespaces/{namespace}/replicasets/{name}");
        writes.push(write("delete replicaset", Call::new("DELETE", path)));
    }
    writes
}

/// An object of a kind that holds a template, which no controller makes anything of.
fn template(resource: &str, name: &str, pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if ["jobs", "cronjobs"].contains(&resource) {
        spec["restartPolicy"] = json!("Never");
    }
    let labels = json!({"app": format!("template-{name}")});
    let mut metadata = json!({"labels": labels});
    if let Some(annotations) = pod["metadata"].get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let template = json!({"metadata": metadata, "spec": spec});
    let selector = json!({"matchLabels": labels});
    let (api, kind, spec) = match resource {
        "replicationcontrollers" => (
            "v1",
            "ReplicationController",
            json!({"replicas": 0, "selector": labels, "template": template}),
        ),
        "podtemplates" => {
            return json!({"apiVersion": "v1", "kind": "PodTemplate",
            "metadata": {"name": name}, "template": template});
        }
        "deployments" => (
            "apps/v1",
            "Deployment",
            json!({"replicas": 0, "paused": true, "selector": selector, "template": template}),
        ),
        "replicasets" => (
            "apps/v1",
            "ReplicaSet",
            json!({"replicas": 0, "selector": selector, "template": template}),
        ),
        "statefulsets" => (
            "apps/v1",
            "StatefulSet",
            json!({"replicas": 0, "serviceName": "none", "selector": selector, "template": template}),
        ),
        "daemonsets" => (
            "apps/v1",
            "DaemonSet",
            json!({"selector": selector, "template": template}),
        ),
        "jobs" => (
            "batch/v1",
            "Job",
            json!({"suspend": true, "template": template}),
        ),
        _ => (
            "batch/v1",
            "CronJob",
            json!({"suspend": true, "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": template}}}),
        ),
    };
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A change of the namespace's own labels.
fn relabel(namespace: &str, turn: usize) -> Write {
    let levels = [
        json!("baseline"),
        json!("privileged"),
        json!("strict"),
        Value::Null,
        json!("restricted"),
    ];
    let level = &levels[turn % levels.len()];
    let mut labels = Map::new();
    labels.insert(
        "pod-security.kubernetes.io/enforce".to_owned(),
        level.clone(),
    );
    let patch = json!({"metadata": {"labels": labels}});
    Write {
        what: format!("level {level}"),
        call: Call::patch(format!("/api/v1/namespaces/{namespace}"), &patch),
        labels: true,
    }
}

/// The examples of the catalogue.
fn controls(namespace: &str) -> Vec<Write> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controls");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|control| std::fs::read_dir(control.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut writes = Vec::new();
    for file in files {
        for mut object in read(&std::fs::read_to_string(&file).unwrap()) {
            object["metadata"]["namespace"] = json!(namespace);
            let path = match object["kind"].as_str().unwrap() {
                "Pod" => format!("/api/v1/namespaces/{namespace}/pods"),
                "Deployment" => {
                    object["spec"]["paused"] = json!(true);
                    format!("/apis/apps/v1/namespaces/{namespace}/deployments")
                }
                other => panic!("say here where a {other} is posted"),
            };
            writes.push(Write {
                what: file.display().to_string(),
                call: Call::post(path, &object),
                labels: false,
            });
        }
    }
    writes
}
