//! `values.yaml` is where every value is described; the schema and the table in the chart's README are
//! made from it: `TIDEGATE_BLESS=1 cargo test --test it chart::values` writes them.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use tidegate::controls;

use super::{chart, objects};

const MODES: [&str; 4] = ["off", "audit", "warn", "enforce"];
const BEGIN: &str = "<!-- values: made from values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

/// One key of `values.yaml`.
#[derive(Debug)]
struct Entry {
    path: Vec<String>,
    description: String,
    annotation: Map<String, Value>,
    default: Value,
    parent: bool,
}

/// Reads the keys and the comments above them. The file keeps to maps in blocks and everything else
/// on the line of its key, so lines are all that needs to be understood.
fn entries(text: &str) -> Vec<Entry> {
    let defaults = objects(text).remove(0);
    let mut entries: Vec<Entry> = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut description = String::new();
    let mut annotation = Map::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if trimmed.is_empty() {
            // A comment that no key follows at once is about the file.
            description.clear();
        } else if let Some(schema) = trimmed.strip_prefix("# @schema ") {
            annotation = serde_json::from_str(schema)
                .unwrap_or_else(|error| panic!("values.yaml:{}: {error}", number + 1));
        } else if let Some(comment) = trimmed.strip_prefix('#') {
            if !description.is_empty() {
                description.push(' ');
            }
            description.push_str(comment.trim());
        } else {
            let (key, rest) = trimmed.split_once(':').unwrap();
            above.retain(|(outer, _)| *outer < indent);
            above.push((indent, key.to_owned()));
            let path: Vec<String> = above.iter().map(|(_, key)| key.clone()).collect();
            let default = path
                .iter()
                .fold(&defaults, |value, key| &value[key])
                .clone();
            entries.push(Entry {
                path,
                description: std::mem::take(&mut description),
                annotation: std::mem::take(&mut annotation),
                default,
                parent: rest.trim().is_empty(),
            });
        }
    }
    entries
}

/// The schema of one key, without what is below it.
fn property(entry: &Entry) -> Value {
    let mut schema = Map::new();
    schema.insert("description".into(), json!(entry.description));
    let kind = match &entry.default {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => panic!("{:?} has no default", entry.path),
    };
    schema.insert("type".into(), json!(kind));
    if entry.parent {
        schema.insert("additionalProperties".into(), json!(false));
        schema.insert("properties".into(), json!({}));
    } else {
        schema.insert("default".into(), entry.default.clone());
    }
    let mut annotation = entry.annotation.clone();
    if annotation.remove("x-controls").is_some() {
        let ids = controls::ALL.iter().map(|control| {
            let description = format!("The mode of {}.", control.id);
            (
                control.id.to_owned(),
                json!({"description": description, "type": "string", "enum": MODES}),
            )
        });
        schema.insert("properties".into(), Value::Object(ids.collect()));
        schema.insert("additionalProperties".into(), json!(false));
    }
    schema.extend(annotation);
    Value::Object(schema)
}

fn schema(entries: &[Entry]) -> Value {
    let mut root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart tidegate",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for entry in entries {
        let (last, above) = entry.path.split_last().unwrap();
        let parent = above
            .iter()
            .fold(&mut root, |schema, key| &mut schema["properties"][key]);
        parent["properties"][last] = property(entry);
    }
    root
}

/// What a value may be, for the table.
fn choices(entry: &Entry) -> String {
    let list = |values: &Value| {
        let values = values.as_array().unwrap().iter();
        let values: Vec<String> = values
            .filter(|value| **value != json!(""))
            .map(|value| format!("`{}`", value.as_str().unwrap()))
            .collect();
        format!(" One of {}.", values.join(", "))
    };
    let bound = |name: &str| entry.annotation.get(name).map(Value::to_string);
    if let Some(values) = entry.annotation.get("enum") {
        return list(values);
    }
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        (Some(least), None) => format!(" At least {least}."),
        _ => String::new(),
    }
}

fn table(entries: &[Entry]) -> String {
    let mut table = String::from("| value | default | what it is |\n|---|---|---|\n");
    for entry in entries {
        let default = if entry.parent {
            String::new()
        } else {
            format!("`{}`", entry.default)
        };
        let _ = writeln!(
            table,
            "| `{}` | {default} | {}{} |",
            entry.path.join("."),
            entry.description.replace('|', "\\|"),
            choices(entry)
        );
    }
    table
}

/// Compares a file with what it should hold, or writes it where that is asked for.
fn same_or_blessed(path: &Path, expected: &str) {
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what values.yaml makes of it; run `TIDEGATE_BLESS=1 cargo test --test it chart::values` and look at the difference",
        path.display()
    );
}

fn read() -> Vec<Entry> {
    entries(&std::fs::read_to_string(chart().join("values.yaml")).unwrap())
}

#[test]
fn every_value_is_described() {
    let entries = read();
    assert!(entries.len() > 60, "{}", entries.len());
    for entry in entries {
        assert!(
            entry.description.len() > 10 && entry.description.ends_with('.'),
            "{}: {:?}",
            entry.path.join("."),
            entry.description
        );
    }
}

#[test]
fn the_schema_is_made_from_the_values() {
    let text = serde_json::to_string_pretty(&schema(&read())).unwrap() + "\n";
    same_or_blessed(&chart().join("values.schema.json"), &text);
}

#[test]
fn the_defaults_and_every_variant_satisfy_the_schema_as_draft_7() {
    let mut compiler = boon::Compiler::new();
    compiler.set_default_draft(boon::Draft::V7);
    let mut schemas = boon::Schemas::new();
    compiler.add_resource("values", schema(&read())).unwrap();
    let validator = compiler.compile("values", &mut schemas).unwrap();
    let mut files = vec![chart().join("values.yaml")];
    files.extend(
        std::fs::read_dir(chart().join("ci"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for file in files {
        let values = objects(&std::fs::read_to_string(&file).unwrap()).remove(0);
        if let Err(error) = schemas.validate(&values, validator) {
            panic!("{}: {error:#}", file.display());
        }
    }
    let unknown = json!({"replica": 2});
    assert!(schemas.validate(&unknown, validator).is_err());
}

/// Where a map may hold anything, the values say so; anywhere else an unknown key is a mistake.
#[test]
fn unknown_keys_are_refused_wherever_a_map_is_not_free_on_purpose() {
    fn walk(path: &str, schema: &Value, free: &mut Vec<String>) {
        if schema["type"] == "object" {
            match &schema["additionalProperties"] {
                Value::Bool(false) => {}
                Value::Null => panic!("{path} says nothing of other keys"),
                _ => free.push(path.to_owned()),
            }
        }
        let properties = schema["properties"].as_object();
        for (key, below) in properties.into_iter().flatten() {
            assert!(below["description"].is_string(), "{path}.{key}");
            walk(&format!("{path}.{key}"), below, free);
        }
    }
    let mut free = Vec::new();
    walk("", &schema(&read()), &mut free);
    assert_eq!(
        free,
        [
            ".affinity",
            ".global",
            ".nodeSelector",
            ".podAnnotations",
            ".podLabels",
            ".policy.namespaces",
            ".policy.spec",
            ".prometheusRule.labels",
            ".resources.limits",
            ".resources.requests",
            ".serviceMonitor.labels",
        ]
    );
}

#[test]
fn the_table_in_the_readme_is_made_from_the_values() {
    let path = chart().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("README.md has no place for the table");
    let (_, after) = rest
        .split_once(END)
        .expect("the table in README.md does not end");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", table(&read()));
    same_or_blessed(&path, &expected);
}
