//! What the installation's service account may do: what it needs, and nothing that it must not.

use serde_json::{Value, json};

use crate::cluster::Api;

use super::installation::Installation;
use super::{Look, State};

/// One right: group, resource, subresource, verb, name, and whether it is one in the release's
/// namespace. An empty name means any.
type Right = (&'static str, &'static str, &'static str, &'static str, bool);

/// Without these something does not work.
const NEEDED: [Right; 11] = [
    ("", "namespaces", "", "list", false),
    ("", "namespaces", "", "watch", false),
    ("", "pods", "", "list", false),
    ("tidegate.dev", "controlpolicies", "", "list", false),
    ("tidegate.dev", "controlpolicies", "", "watch", false),
    ("tidegate.dev", "controlexceptions", "", "list", false),
    ("tidegate.dev", "controlexceptions", "", "watch", false),
    ("tidegate.dev", "controlpolicies", "status", "patch", false),
    (
        "tidegate.dev",
        "controlexceptions",
        "status",
        "patch",
        false,
    ),
    ("events.k8s.io", "events", "", "create", false),
    ("coordination.k8s.io", "leases", "", "update", true),
];

/// With one of these a stolen token would be worth more than it has to be.
const TOO_MUCH: [Right; 6] = [
    ("", "secrets", "", "list", false),
    ("", "pods", "", "create", false),
    ("", "pods", "exec", "create", false),
    ("tidegate.dev", "controlpolicies", "", "update", false),
    (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        "",
        "create",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "",
        "delete",
        false,
    ),
];

/// Asks the API server about each right.
pub(super) async fn look(api: &Api, installation: &Installation) -> Look {
    const PART: &str = "rights";
    let mut wrong = Vec::new();
    for (rights, wanted) in [(&NEEDED[..], true), (&TOO_MUCH[..], false)] {
        for right in rights {
            match may(api, installation, right).await {
                Ok(may) if may == wanted => {}
                Ok(_) => wrong.push(format!(
                    "{} {}",
                    if wanted { "lacks" } else { "should not have" },
                    words(right)
                )),
                Err(why) => return Look::new(PART, State::Unknown, why),
            }
        }
    }
    if wrong.is_empty() {
        let text = "the service account has what it needs and none of what it must not";
        return Look::new(PART, State::Ok, text);
    }
    Look::new(PART, State::Wrong, wrong.join("; "))
}

fn words((group, resource, subresource, verb, _): &Right) -> String {
    let subresource = if subresource.is_empty() {
        String::new()
    } else {
        format!("/{subresource}")
    };
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(".{group}")
    };
    format!("{verb} on {resource}{group}{subresource}")
}

async fn may(api: &Api, installation: &Installation, right: &Right) -> Result<bool, String> {
    const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let (group, resource, subresource, verb, here) = right;
    let (namespace, name) = if *here {
        (&*installation.namespace, &*installation.name)
    } else {
        ("", "")
    };
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("system:serviceaccount:{}:{}", installation.namespace, installation.name),
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{}", installation.namespace), "system:authenticated"],
            "resourceAttributes": {"group": group, "resource": resource, "subresource": subresource,
                "verb": verb, "namespace": namespace, "name": name},
        },
    });
    let answer: Value = api.ask(PATH, &review).await?;
    Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
}
