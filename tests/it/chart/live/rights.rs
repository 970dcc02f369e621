//! What the server's account can do in the cluster, asked with its own token.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{QUICK, install, kubeconfig};
use crate::bed::{self, Call, Cluster, Helm};
use crate::chart::rights::documented;

/// Group, resource, name (empty for any), verb.
type Right = (String, String, String, String);

/// What a stolen token must not be good for: group, resource with subresource, name, verb, namespace.
const NEVER: [(&str, &str, &str, &str, &str); 22] = [
    ("", "secrets", "", "list", ""),
    ("", "secrets", "", "list", "tidegate"),
    ("", "secrets", "other", "get", "tidegate"),
    ("", "secrets", "tidegate-tls", "get", "shop"),
    ("", "secrets", "", "create", "shop"),
    ("", "secrets", "tidegate-tls", "delete", "tidegate"),
    ("", "pods", "", "create", "tidegate"),
    ("", "pods/exec", "", "create", "tidegate"),
    (
        "",
        "serviceaccounts/token",
        "tidegate",
        "create",
        "tidegate",
    ),
    ("", "serviceaccounts", "default", "impersonate", "tidegate"),
    ("", "users", "admin", "impersonate", ""),
    ("apps", "deployments", "tidegate", "patch", "tidegate"),
    ("tidegate.dev", "controlpolicies", "default", "update", ""),
    ("tidegate.dev", "controlexceptions", "", "create", "shop"),
    (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        "",
        "create",
        "",
    ),
    (
        "rbac.authorization.k8s.io",
        "clusterroles",
        "admin",
        "bind",
        "",
    ),
    (
        "rbac.authorization.k8s.io",
        "clusterroles",
        "tidegate",
        "escalate",
        "",
    ),
    (
        "rbac.authorization.k8s.io",
        "roles",
        "tidegate",
        "update",
        "tidegate",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "tidegate",
        "delete",
        "",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "other",
        "patch",
        "",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "",
        "list",
        "",
    ),
    (
        "coordination.k8s.io",
        "leases",
        "other",
        "update",
        "tidegate",
    ),
];

#[test]
fn the_account_can_do_what_is_documented_and_nothing_else() {
    bed::inside(|cluster| {
        cluster.create_namespace("shop", &[]);
        install(cluster, Helm::Four, &["--set", QUICK]);
        let token = token(cluster);
        let rules = |namespace: &str| {
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": namespace},
            });
            let answers = ask(cluster, &token, &[review]);
            assert_ne!(answers[0]["status"]["incomplete"], true, "{answers:?}");
            given(&answers[0]["status"]["resourceRules"])
        };
        let server: Vec<_> = documented("own")
            .into_iter()
            .filter(|right| matches!(right[0].as_str(), "ClusterRole tidegate" | "Role tidegate"))
            .collect();
        assert!(server.len() > 30, "{}", server.len());
        let listed = |also: &str| -> BTreeSet<Right> {
            let here = server
                .iter()
                .filter(|[role, ..]| role.starts_with("ClusterRole") || role.starts_with(also));
            here.map(|[_, group, resource, name, verb]| {
                let clear = |text: &str, empty: &str| {
                    if text == empty {
                        String::new()
                    } else {
                        text.to_owned()
                    }
                };
                (
                    clear(group, "core"),
                    resource.clone(),
                    clear(name, "any"),
                    verb.clone(),
                )
            })
            .collect()
        };
        assert_eq!(rules("tidegate"), listed("Role"));
        assert_eq!(rules("shop"), listed("ClusterRole"));

        let asked: Vec<Value> = server
            .iter()
            .map(|[role, group, resource, name, verb]| {
                let namespace = if role.starts_with("Role") {
                    "tidegate"
                } else {
                    ""
                };
                let group = if group == "core" { "" } else { group };
                let name = if name == "any" { "" } else { name };
                access(group, resource, name, verb, namespace)
            })
            .collect();
        for review in ask(cluster, &token, &asked) {
            assert_eq!(review["status"]["allowed"], true, "{}", review["spec"]);
        }
        let asked = NEVER.map(|(group, resource, name, verb, namespace)| {
            access(group, resource, name, verb, namespace)
        });
        for review in ask(cluster, &token, &asked) {
            assert_eq!(review["status"]["allowed"], false, "{}", review["spec"]);
        }
    });
}

fn token(cluster: &Cluster) -> String {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
    let path = "/api/v1/namespaces/tidegate/serviceaccounts/tidegate/token";
    let answer = cluster.api().must(&Call::post(path, &request));
    answer.body["status"]["token"].as_str().unwrap().to_owned()
}

fn access(group: &str, resource: &str, name: &str, verb: &str, namespace: &str) -> Value {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "group": group, "resource": resource, "subresource": subresource,
            "name": name, "verb": verb, "namespace": namespace,
        }},
    })
}

/// The API server's answers to reviews that are sent with the token.
fn ask(cluster: &Cluster, token: &str, reviews: &[Value]) -> Vec<Value> {
    let config = kubeconfig(cluster, |user| *user = json!({"token": token}));
    let input: Vec<String> = reviews.iter().map(ToString::to_string).collect();
    let words = [
        "create",
        // The account may not list the definitions that kubectl would compare with.
        "--validate=false",
        "--kubeconfig",
        config.to_str().unwrap(),
        "-o",
        "json",
        "-f",
        "-",
    ];
    let output = cluster.kubectl(&words, &input.join("\n---\n"));
    assert!(output.status.success(), "{output:?}");
    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let answers = match &answers[..] {
        [list] if list["kind"] == "List" => list["items"].as_array().unwrap().clone(),
        _ => answers,
    };
    assert_eq!(answers.len(), reviews.len());
    answers
}

/// The rights of a rules review, without what every account has.
fn given(rules: &Value) -> BTreeSet<Right> {
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        let mut names = texts(&rule["resourceNames"]);
        if names.is_empty() {
            names.push(String::new());
        }
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for name in &names {
                    for verb in texts(&rule["verbs"]) {
                        rights.insert((group.clone(), resource.clone(), name.clone(), verb));
                    }
                }
            }
        }
    }
    // The role system:basic-user, which every account has.
    rights.retain(|(group, resource, ..)| {
        !(resource.starts_with("selfsubject")
            && matches!(
                group.as_str(),
                "authorization.k8s.io" | "authentication.k8s.io"
            ))
    });
    rights
}
