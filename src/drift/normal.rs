//! Fields as the API server stores them: defaults filled in, sets sorted.
//!
//! The defaults are those of `pkg/apis/admissionregistration/v1/defaults.go` in Kubernetes.

use serde_json::{Value, json};

use super::{Field, part};
use crate::json::tree;

/// A field of an entry in its normal form.
type Normal = fn(&Value) -> Value;

/// Every field that is compared with what was installed.
pub(super) const FIELDS: [(Field, Normal); 10] = [
    (Field::Rules, |entry| {
        sorted(list(&entry["rules"]).iter().map(rule).collect())
    }),
    (Field::NamespaceSelector, |entry| {
        selector(&entry["namespaceSelector"])
    }),
    (Field::ObjectSelector, |entry| {
        selector(&entry["objectSelector"])
    }),
    (Field::MatchConditions, |entry| {
        set(&entry["matchConditions"])
    }),
    (Field::FailurePolicy, |entry| {
        or(&entry["failurePolicy"], json!("Fail"))
    }),
    (Field::MatchPolicy, |entry| {
        or(&entry["matchPolicy"], json!("Equivalent"))
    }),
    (Field::TimeoutSeconds, |entry| {
        or(&entry["timeoutSeconds"], json!(10))
    }),
    (Field::SideEffects, |entry| entry["sideEffects"].clone()),
    // The first that the API server knows is used, so here the order counts.
    (Field::AdmissionReviewVersions, |entry| {
        json!(list(&entry["admissionReviewVersions"]))
    }),
    (Field::Service, |entry| service(&entry["clientConfig"])),
];

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn or(value: &Value, default: Value) -> Value {
    if value.is_null() {
        default
    } else {
        value.clone()
    }
}

/// A list whose order means nothing.
fn set(value: &Value) -> Value {
    sorted(list(value).to_vec())
}

fn sorted(mut list: Vec<Value>) -> Value {
    // serde_json sorts the keys of maps, so equal values have equal texts.
    list.sort_by_cached_key(Value::to_string);
    Value::Array(list)
}

fn rule(rule: &Value) -> Value {
    let mut normal = part(rule, &[]);
    for key in ["apiGroups", "apiVersions", "operations", "resources"] {
        tree::set(&mut normal, &[key], set(&rule[key]));
    }
    tree::set(&mut normal, &["scope"], or(&rule["scope"], json!("*")));
    normal
}

fn selector(selector: &Value) -> Value {
    let mut normal = json!({});
    let labels = &selector["matchLabels"];
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        tree::set(&mut normal, &["matchLabels"], labels.clone());
    }
    let expressions = list(&selector["matchExpressions"]).iter();
    let expressions: Vec<Value> = expressions
        .map(|expression| {
            let mut normal = part(expression, &["key", "operator"]);
            tree::set(&mut normal, &["values"], set(&expression["values"]));
            normal
        })
        .collect();
    if !expressions.is_empty() {
        tree::set(&mut normal, &["matchExpressions"], sorted(expressions));
    }
    normal
}

fn service(client: &Value) -> Value {
    let mut normal = part(client, &["url"]);
    let service = &client["service"];
    if !service.is_null() {
        let mut named = part(service, &["name", "namespace", "path"]);
        tree::set(&mut named, &["port"], or(&service["port"], json!(443)));
        tree::set(&mut normal, &["service"], named);
    }
    normal
}

/// Both values without the elements that are in both lists, or the keys that are equal in both maps.
pub(super) fn differing(one: &Value, other: &Value) -> (Value, Value) {
    match (one, other) {
        (Value::Array(ones), Value::Array(others)) => {
            let only = |these: &[Value], those: &[Value]| {
                let only = these.iter().filter(|value| !those.contains(value));
                match only.cloned().collect::<Vec<_>>() {
                    only if only.is_empty() => json!("nothing more"),
                    only => Value::Array(only),
                }
            };
            // Lists that differ in their order alone are shown whole.
            if ones.len() == others.len() && ones.iter().all(|value| others.contains(value)) {
                return (one.clone(), other.clone());
            }
            (only(ones, others), only(others, ones))
        }
        (Value::Object(ones), Value::Object(others)) => {
            let (mut left, mut right) = (json!({}), json!({}));
            for key in ones.keys().chain(others.keys()) {
                let (before, now) = (ones.get(key), others.get(key));
                if before != now {
                    let null = &Value::Null;
                    let parts = differing(before.unwrap_or(null), now.unwrap_or(null));
                    tree::set(&mut left, &[key], parts.0);
                    tree::set(&mut right, &[key], parts.1);
                }
            }
            (left, right)
        }
        _ => (one.clone(), other.clone()),
    }
}
