//! The definitions of tidegate's objects in the chart are those of the Rust types, and say no less
//! than the parser.

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
                out.push_str(&format!("{pad}{}:", scalar(&Value::String(key.clone()))));
                below(value, indent, out);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                out.push_str(&format!("{pad}-"));
                below(element, indent, out);
            }
        }
        other => out.push_str(&format!("{pad}{}\n", scalar(other))),
    }
}

fn below(value: &Value, indent: usize, out: &mut String) {
    let empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => true,
    };
    if empty {
        out.push_str(&format!(" {}\n", scalar(value)));
    } else {
        out.push('\n');
        yaml(value, indent + 1, out);
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text)
            if !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
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
