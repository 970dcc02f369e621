//! The definitions of tidegate's objects, as the chart brings them, and who may do what with them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Api, Call};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// The plurals of tidegate's kinds.
const KINDS: [&str; 2] = ["controlpolicies", "controlexceptions"];
/// The group of people in tests: all may write policies and exceptions and their status, Pods and
/// Deployments, so that only tidegate stands in their way.
pub const PEOPLE: &str = "people";

static INSTALLING: Mutex<()> = Mutex::new(());

/// Where all policies are.
pub const POLICIES: &str = "/apis/tidegate.dev/v1alpha1/controlpolicies";

/// Where the exceptions of a namespace are.
pub fn exceptions(namespace: &str) -> String {
    format!("/apis/tidegate.dev/v1alpha1/namespaces/{namespace}/controlexceptions")
}

/// Makes the definitions unless they are there, and waits until the API server serves the kinds.
pub fn install(api: &Api) {
    let _guard = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/tidegate/crd-files");
    for kind in KINDS {
        if api.call(&Call::new("GET", path(kind))).succeeded() {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(format!("{kind}.tidegate.dev.yaml")));
        let made = Call::new("POST", DEFINITIONS).body("application/yaml", text.unwrap());
        let made = api.must(&made);
        assert!(made.warnings.is_empty(), "{kind}: {:?}", made.warnings);
    }
    wait("the kinds are served", || {
        KINDS.iter().all(|kind| served(api, kind))
    });
}

/// Deletes the definitions, and waits until they are gone with all their objects.
pub fn remove(api: &Api) {
    for kind in KINDS {
        api.must(&Call::new("DELETE", path(kind)));
    }
    wait("the definitions are gone", || {
        let mut kinds = KINDS.iter();
        kinds
            .all(|kind| api.call(&Call::new("GET", path(kind))).status == 404 && !served(api, kind))
    });
}

/// What the chart grants tidegate of its own kinds.
pub fn rules() -> Vec<Value> {
    let names: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("{kind}.tidegate.dev"))
        .collect();
    vec![
        json!({"apiGroups": ["tidegate.dev"], "resources": KINDS, "verbs": ["get", "list", "watch"]}),
        json!({"apiGroups": ["tidegate.dev"], "resources": KINDS.map(|kind| format!("{kind}/status")),
            "verbs": ["get", "update", "patch"]}),
        json!({"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
            "resourceNames": names, "verbs": ["get"]}),
    ]
}

/// What people may do.
pub fn rules_of_people() -> Vec<Value> {
    let verbs = json!([
        "get", "list", "watch", "create", "update", "patch", "delete"
    ]);
    vec![
        json!({"apiGroups": ["tidegate.dev"], "resources": ["*"], "verbs": verbs}),
        json!({"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": verbs}),
    ]
}

fn path(kind: &str) -> String {
    format!("{DEFINITIONS}/{kind}.tidegate.dev")
}

fn served(api: &Api, kind: &str) -> bool {
    let list = Call::new("GET", format!("/apis/tidegate.dev/v1alpha1/{kind}?limit=1"));
    api.call(&list).succeeded()
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "30 s passed before {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
