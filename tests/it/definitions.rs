//! The definitions of tidegate's objects in the chart are those of the Rust types, and say no less
//! than the parser.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::cluster::crd;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/tidegate/crd-files")
}

/// A value as YAML in block style: short, ordered, and the same with every version of a library.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let _ = write!(out, "{pad}{}:", scalar(&Value::String(key.clone())));
                below(value, indent, out);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                let _ = write!(out, "{pad}-");
                below(element, indent, out);
            }
        }
        other => {
            let _ = writeln!(out, "{pad}{}", scalar(other));
        }
    }
}

fn below(value: &Value, indent: usize, out: &mut String) {
    let empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => true,
    };
    if empty {
        let _ = writeln!(out, " {}", scalar(value));
    } else {
        out.push('\n');
        yaml(value, indent + 1, out);
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text)
            if !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&text.to_lowercase().as_str()) =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}

#[test]
fn the_charts_definitions_are_those_of_the_types() {
    for (file, definition) in crd::definitions() {
        let mut text = "# Generated from src/cluster/crd.rs: TIDEGATE_BLESS=1 cargo test --test it definitions\n".to_owned();
        yaml(&definition, 0, &mut text);
        let path = folder().join(file);
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not what the types say; TIDEGATE_BLESS=1 cargo test --test it definitions writes it",
            path.display()
        );
    }
}

/// One policy and one exception that use every field there is.
const COMPLETE: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: complete}
spec:
  mode: audit
  namespaces: &where
    include: ["*"]
    exclude: [kube-system]
    selector:
      matchLabels: {team: shop}
      matchExpressions: [{key: tier, operator: In, values: [web]}]
  controls: &controls
    pod-security:
      mode: enforce
      settings: {default: {enforce: baseline}}
      checks: {hostPorts: {mode: warn}}
  overrides: [{namespaces: *where, controls: *controls}]
  exceptions: {maxDays: 30, approverGroups: [security], never: [pod-security/privileged], allControls: false}
  breakGlass: {groups: [on-call], maxHours: 2}
---
apiVersion: tidegate.dev/v1alpha1
kind: ControlException
metadata: {name: complete, namespace: shop}
spec:
  controls: [pod-security/hostPathVolumes]
  match:
    kinds: [DaemonSet]
    names: ["node-agent*"]
    selector:
      matchLabels: {app: node-agent}
      matchExpressions: [{key: tier, operator: Exists, values: []}]
  reason: Reads host logs until the collector is replaced.
  owner: team-observability@shop.example
  ticket: OPS-1432
  requestedBy: bob@shop.example
  expires: 2027-03-31T00:00:00Z
"#;

/// Which properties `schema` names that `sample` lacks, and which keys `sample` has that no property
/// and no map allows.
fn differences(schema: &Value, sample: &Value, path: &str, found: &mut Vec<String>) {
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), sample.as_object())
    {
        for (name, property) in properties {
            match fields.get(name) {
                Some(value) => differences(property, value, &format!("{path}.{name}"), found),
                None => found.push(format!("{path}.{name} is only in the schema")),
            }
        }
        for name in fields.keys().filter(|name| !properties.contains_key(*name)) {
            found.push(format!("{path}.{name} is only in the sample"));
        }
    }
    for value in sample.as_array().into_iter().flatten() {
        differences(&schema["items"], value, &format!("{path}[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        for value in sample.as_object().unwrap().values() {
            differences(
                &schema["additionalProperties"],
                value,
                &format!("{path}.*"),
                found,
            );
        }
    }
}

#[test]
fn the_schema_demands_no_more_than_the_parser() {
    let sparse = "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {name: p}\n\
                  spec: {controls: {pod-security: {}}, overrides: [{namespaces: {}}]}";
    let node = tidegate::document::parse(sparse).remove(0).unwrap().node;
    assert!(tidegate::policy::parse::control_policy(&node).is_ok());
    let (_, definition) = crd::definitions().remove(0);
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &schema["properties"]["spec"]["properties"];
    for demanding in [
        &schema["properties"]["spec"],
        &spec["controls"]["additionalProperties"],
        &spec["namespaces"],
        &spec["exceptions"],
    ] {
        assert_eq!(demanding["required"], Value::Null, "{demanding}");
    }
    assert!(
        !definition.to_string().contains("uint"),
        "a format that API servers do not know"
    );
}

#[test]
fn the_schema_and_the_parser_know_the_same_fields() {
    let documents = tidegate::document::parse(COMPLETE);
    for (document, (file, definition)) in documents.into_iter().zip(crd::definitions()) {
        let node = document.unwrap().node;
        let refused = if file.starts_with("controlpolicies") {
            tidegate::policy::parse::control_policy(&node).err()
        } else {
            tidegate::policy::exception::control_exception(&node).err()
        };
        let messages = refused.map(|problems| problems.0);
        // `Exists` with an empty list is what an API server takes, too.
        assert_eq!(messages, None, "the parser refuses what the schema has");
        let sample: Value = serde_json::from_str(&node.to_json()).unwrap();
        let schema =
            &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut found = Vec::new();
        differences(schema, &sample["spec"], "spec", &mut found);
        assert!(found.is_empty(), "{file}: {}", found.join("\n"));
    }
}
