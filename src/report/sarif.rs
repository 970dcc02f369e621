//! What `check` found as SARIF 2.1.0, for code scanning.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::control::{Check, Control, Mode};
use crate::controls;
use crate::document::source::{Source, Unreadable};

use super::check::{CheckReport, Entry, Subject};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The report as one SARIF log with one run.
pub fn render(report: &CheckReport) -> String {
    let rules: Vec<(String, Value)> = controls::ALL
        .iter()
        .flat_map(|control| rules(control))
        .collect();
    let index = |rule: &str| rules.iter().position(|(id, _)| id == rule);
    let results: Vec<Value> = report
        .findings()
        .map(|(subject, entry)| result(subject, entry, index(&entry.rule())))
        .collect();
    let notifications: Vec<Value> = report.unreadable.iter().map(notification).collect();
    super::text::json(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tidegate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|(_, rule)| rule).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    }))
}

/// Every check of a control, also those every control has.
fn rules(control: &Control) -> impl Iterator<Item = (String, Value)> {
    let every = Check::EVERY_CONTROL.iter().copied();
    control
        .checks
        .iter()
        .copied()
        .chain(every)
        .map(move |check| {
            let id = format!("{}/{}", control.id, check.id);
            let rule = json!({
                "id": id,
                "name": name(check.id),
                "shortDescription": {"text": check.summary},
                "fullDescription": {"text": format!("{}: {}", control.title, check.summary)},
                "help": {
                    "text": format!("{} Fix: {}", check.summary, check.fix),
                    "markdown": format!("{}\n\n**Fix:** {}", check.summary, check.fix),
                },
                "properties": {
                    "area": control.area.as_str(),
                    "tags": ["security", "kubernetes", control.area.as_str()],
                },
            });
            (id, rule)
        })
}

/// A rule's name, which SARIF wants readable: `runAsNonRoot` as `RunAsNonRoot`.
fn name(check: &str) -> String {
    let mut letters = check.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

fn result(subject: &Subject, entry: &Entry, rule: Option<usize>) -> Value {
    let fields = entry.fields.iter().zip(&entry.lines);
    let locations: Vec<Value> = if entry.fields.is_empty() {
        vec![location(
            &subject.source,
            subject.source.line,
            subject,
            None,
        )]
    } else {
        fields
            .map(|(field, line)| {
                let line = if *line == 0 {
                    subject.source.line
                } else {
                    *line
                };
                location(&subject.source, line, subject, Some(field))
            })
            .collect()
    };
    let mut result = json!({
        "ruleId": entry.rule(),
        "level": level(entry.mode),
        "message": {"text": format!("{}: {}. {}", subject.title(), entry.message.trim_end_matches('.'), entry.fix)},
        // One location is the place to look at; the other fields of the same finding are related.
        "locations": locations.get(..1).unwrap_or_default(),
        "partialFingerprints": {"finding/v1": format!("{} {} {}", subject.api_version, subject.title(), entry.rule())},
        "properties": {"mode": entry.mode.as_str(), "policy": entry.policy, "fields": entry.fields},
    });
    if let Value::Object(result) = &mut result {
        if let Some(rule) = rule {
            result.insert("ruleIndex".into(), rule.into());
        }
        if let Some(exception) = &entry.exception {
            // What an exception lowered is shown as dismissed, with the exception as the reason.
            let why = format!("excepted by ControlException {exception}");
            result.insert(
                "suppressions".into(),
                json!([{"kind": "external", "justification": why}]),
            );
        }
        if let Some(others) = locations.get(1..).filter(|others| !others.is_empty()) {
            result.insert("relatedLocations".into(), others.into());
        }
    }
    result
}

fn level(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "error",
        Mode::Warn => "warning",
        Mode::Audit => "note",
        Mode::Off => "none",
    }
}

fn location(source: &Source, line: u32, subject: &Subject, field: Option<&str>) -> Value {
    let title = subject.title();
    let logical = match field {
        Some(field) => {
            json!({"name": field, "fullyQualifiedName": format!("{title} {field}"), "kind": "member"})
        }
        None => json!({"name": title, "fullyQualifiedName": title, "kind": "object"}),
    };
    json!({"physicalLocation": physical(source, line), "logicalLocations": [logical]})
}

fn physical(source: &Source, line: u32) -> Value {
    let artifact = json!({"uri": uri(&source.path)});
    if line == 0 {
        return json!({"artifactLocation": artifact});
    }
    json!({"artifactLocation": artifact, "region": {"startLine": line}})
}

fn notification(unreadable: &Unreadable) -> Value {
    let source = &unreadable.source;
    json!({
        "level": "error",
        "message": {"text": unreadable.error},
        "locations": [{"physicalLocation": physical(source, source.line)}],
    })
}

/// A path as a URI reference: relative ones stay relative, so that they are found in a repository.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(byte.into());
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("./deploy/my app.yaml"), "deploy/my%20app.yaml");
        assert_eq!(uri("/srv/a#b.yaml"), "file:///srv/a%23b.yaml");
        assert_eq!(uri("c:d.yaml"), "c%3Ad.yaml");
    }
}
