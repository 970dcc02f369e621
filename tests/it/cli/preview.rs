//! `tidegate preview` against an API server that says what a real one says only now and then: a list
//! that expires between two pages, a kind that is not served, definitions that are not installed.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{exit_code, json, run, stderr};

/// A server on loopback that answers GETs from a table, and the times of its requests.
struct Scripted {
    kubeconfig: tempfile::NamedTempFile,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
}

type Answers = fn(&str) -> (u16, Value);

impl Scripted {
    fn start(answers: Answers) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // It ends with the test binary.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let target = read_target(&stream);
                let (status, body) = answers(&target);
                seen.lock().unwrap().push((Instant::now(), target));
                let body = body.to_string();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "scripted",
            "contexts": [{"name": "scripted", "context": {"cluster": "scripted", "user": "nobody"}}],
            "clusters": [{"name": "scripted", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "nobody", "user": {}}],
        });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{kubeconfig}").unwrap();
        Scripted {
            kubeconfig: file,
            requests,
        }
    }

    fn preview(&self, words: &[&str]) -> std::process::Output {
        let kubeconfig = self.kubeconfig.path().to_str().unwrap();
        let base = ["preview", "-o", "json", "--kubeconfig", kubeconfig];
        run(&[&base[..], words].concat())
    }
}

/// The path and query of a request; the rest of its head is read and dropped.
fn read_target(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    for line in lines {
        if line.is_empty() {
            break;
        }
    }
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn list(items: &Value, next: &str) -> (u16, Value) {
    (200, json!({"metadata": {"continue": next}, "items": items}))
}

fn status(code: u16, message: &str, next: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {"continue": next}, "status": "Failure",
        "message": message, "reason": "Expired", "code": code,
    });
    (code, status)
}

fn owned(namespace: &str, name: &str, kind: &str, owner: &str) -> Value {
    json!({
        "namespace": namespace, "name": name,
        "ownerReferences": [{"kind": kind, "name": owner, "uid": "u", "controller": true}],
    })
}

fn pod(metadata: &Value, host_network: bool) -> Value {
    json!({"metadata": metadata, "spec": {"hostNetwork": host_network, "containers": [{"name": "a"}]}})
}

/// Lists as the API server orders them: `shop-eu/` comes before `shop/`.
fn small_cluster(target: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let namespace = |name: &str| json!({"metadata": {"name": name}});
    let web = |namespace: &str, name: &str| owned(namespace, name, "ReplicaSet", "web-1");
    match path {
        "/api/v1/namespaces" => list(&json!([namespace("shop"), namespace("shop-eu")]), ""),
        "/apis/apps/v1/replicasets" => {
            let set =
                |place| json!({"metadata": owned(place, "web-1", "Deployment", "web"), "spec": {}});
            list(&json!([set("shop-eu"), set("shop")]), "")
        }
        "/api/v1/pods" if query.contains("continue=first") => status(410, "too old", "second"),
        "/api/v1/pods" if query.contains("continue=second") => list(
            &json!([
                pod(&web("shop", "web-1-a"), true),
                pod(&web("shop", "web-1-b"), true),
                pod(&owned("shop", "flow-1", "Workflow", "flow"), true),
                pod(&json!({"namespace": "newborn", "name": "a"}), true),
                pod(&owned("shop", "mirror", "Node", "n1"), false),
            ]),
            "",
        ),
        "/api/v1/pods" => list(&json!([pod(&web("shop-eu", "web-1-c"), false)]), "first"),
        "/apis/batch/v1/jobs"
        | "/apis/tidegate.dev/v1alpha1/controlpolicies"
        | "/apis/tidegate.dev/v1alpha1/controlexceptions" => status(404, "not served", ""),
        _ => list(&json!([]), ""),
    }
}

#[test]
fn pages_go_on_where_a_list_expires_and_a_missing_kind_hides_nothing() {
    let server = Scripted::start(small_cluster);
    let output = server.preview(&[]);
    assert_eq!(exit_code(&output), 2);
    let errors = stderr(&output);
    assert!(
        errors.contains("no policy was found in the cluster; judged by the preset recommended"),
        "{errors}"
    );
    assert!(
        errors.contains("jobs cannot be read: the API server answered 404: not served"),
        "{errors}"
    );
    assert!(errors.contains("\"newborn\" was made while"), "{errors}");
    let report = json(&output);
    // Both Namespaces, a Deployment in each, the Workflow of a kind nobody lists, the mirror pod.
    assert_eq!(
        report["summary"],
        json!({"namespaces": 2, "subjects": 6, "pods": 5, "enforced": 2, "wouldEnforce": 2})
    );
    assert_eq!(report["unreadable"].as_array().unwrap().len(), 2);
    let names: Vec<(&str, &str, u64)> = report["offenders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap();
            (text("kind"), text("name"), one["pods"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(names, [("Deployment", "web", 2), ("Workflow", "flow", 1)]);
}

#[test]
fn a_preview_asks_at_most_twenty_times_a_second_and_changes_nothing() {
    let server = Scripted::start(small_cluster);
    server.preview(&[]);
    let requests = server.requests.lock().unwrap();
    assert!(requests.len() > 12, "{requests:?}");
    let took = requests.last().unwrap().0 - requests[0].0;
    let pauses = u32::try_from(requests.len() - 1).unwrap();
    assert!(
        took > Duration::from_millis(45) * pauses,
        "{pauses} pauses in {took:?}"
    );
    let lists = requests
        .iter()
        .filter(|(_, target)| target.contains("limit="));
    assert_eq!(lists.count(), requests.len(), "{requests:?}");
}

#[test]
fn policies_given_by_name_or_file_ask_the_cluster_for_none() {
    let server = Scripted::start(small_cluster);
    let output = server.preview(&["--preset", "restricted"]);
    let report = json(&output);
    // The level restricted wants more than the pods of shop-eu and of the node have.
    assert_eq!(report["summary"]["enforced"], 4, "{report}");
    let requests = server.requests.lock().unwrap();
    let ours = requests
        .iter()
        .filter(|(_, target)| target.contains("tidegate.dev") || target.contains("configmaps"));
    assert_eq!(ours.count(), 0, "{requests:?}");
    assert!(
        stderr(&output).contains("policies: restricted"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_policy_that_cannot_be_read_is_said_before_anything_is_asked() {
    let server = Scripted::start(small_cluster);
    let output = server.preview(&["--policy", "bad-policies"]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("bad-policies/1-names.yaml"));
    assert_eq!(server.requests.lock().unwrap().len(), 0);
}
