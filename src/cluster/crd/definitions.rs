//! The definitions in the chart: the types' schemas with the rules that types cannot say.

use kube::core::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use crate::controls;

use super::{ControlException, ControlPolicy};

/// The definitions as they stand in the chart: file name and content.
pub fn definitions() -> Vec<(&'static str, Value)> {
    let policy = serde_json::to_value(ControlPolicy::crd()).unwrap_or_default();
    let exception = serde_json::to_value(ControlException::crd()).unwrap_or_default();
    vec![
        (
            "controlpolicies.tidegate.dev.yaml",
            ruled(tidied(policy), &policy_rules()),
        ),
        (
            "controlexceptions.tidegate.dev.yaml",
            ruled(tidied(exception), &exception_rules()),
        ),
    ]
}

/// A place in the schema, and the CEL rules that hold there.
type Rules = Vec<(&'static str, Value)>;

fn policy_rules() -> Rules {
    let ids: Vec<String> = controls::ALL
        .iter()
        .map(|control| format!("'{}'", control.id))
        .collect();
    let known = json!([{
        "rule": format!("self.all(id, id in [{}])", ids.join(", ")),
        "message": format!("unknown control; this version knows {}", ids.join(", ")),
    }]);
    vec![
        ("/properties/spec/properties/controls", known.clone()),
        (
            "/properties/spec/properties/overrides/items/properties/controls",
            known,
        ),
    ]
}

fn exception_rules() -> Rules {
    vec![
        (
            "",
            json!([{
                "rule": "!has(self.status) || !has(self.status.approval) || self.status.approval.approvedBy != self.spec.requestedBy",
                "message": "nobody approves their own exception",
            }]),
        ),
        (
            "/properties/spec/properties/controls",
            json!([{
                "rule": "!self.exists(control, control == '*') || size(self) == 1",
                "message": "\"*\" means every control and stands alone",
            }]),
        ),
    ]
}

/// Writes the rules into the schema.
fn ruled(mut definition: Value, rules: &Rules) -> Value {
    const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";
    for (place, rules) in rules {
        if let Some(schema) = definition.pointer_mut(&format!("{SCHEMA}{place}")) {
            schema["x-kubernetes-validations"] = rules.clone();
        }
    }
    definition
}

/// `null` says that a field is optional in Rust, which `required` says already; an API server that
/// drops `null` needs no `nullable`. What serde fills in must not be filled in by the API server: an
/// approver would write conditions.
fn tidied(mut definition: Value) -> Value {
    tidy(&mut definition);
    definition
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            // A format that API servers do not know: they warn of it.
            let unsigned =
                |format: &Value| format.as_str().is_some_and(|text| text.starts_with("uint"));
            if fields.get("format").is_some_and(unsigned) {
                fields.remove("format");
            }
            fields.retain(|key, value| key != "default" || (*value != json!([]) && *value != 0));
            drop_null(fields);
            fields.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn drop_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = fields.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    if fields
        .get("required")
        .is_some_and(|required| *required == json!([]))
    {
        fields.remove("required");
    }
}
