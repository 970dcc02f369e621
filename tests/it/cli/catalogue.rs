//! The catalogue of controls: what it must hold, and its examples through every door.

use std::collections::BTreeSet;
use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tidegate::control::Check;
use tidegate::controls;
use tidegate::document::parse;

use super::{exit_code, json, run, run_with, session, stdout};

fn is_kebab_case(id: &str) -> bool {
    !id.is_empty()
        && id.split('-').all(|part| !part.is_empty())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[test]
fn ids_are_unique_and_kebab_case() {
    let mut seen = BTreeSet::new();
    for control in controls::ALL {
        assert!(is_kebab_case(control.id), "{}", control.id);
        assert!(seen.insert(control.id), "{} comes twice", control.id);
        let mut checks = BTreeSet::new();
        for check in control.checks.iter().chain(&Check::EVERY_CONTROL) {
            assert!(
                checks.insert(check.id),
                "{}/{} comes twice",
                control.id,
                check.id
            );
            assert!(
                check
                    .id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            );
        }
    }
}

#[test]
fn every_control_says_what_it_is_for() {
    for control in controls::ALL {
        let id = control.id;
        assert!(
            !control.title.is_empty() && control.description.len() > 100,
            "{id}"
        );
        assert!(
            !control.responsibilities.is_empty(),
            "{id} serves no row of the responsibility model"
        );
        assert!(!control.area.as_str().is_empty(), "{id}");
        assert!(!control.checks.is_empty(), "{id}");
        for check in control.checks {
            for text in [check.summary, check.fix] {
                assert!(
                    text.ends_with('.') && text.len() > 10,
                    "{id}/{}: {text:?}",
                    check.id
                );
            }
            assert!(!check.fields.is_empty(), "{id}/{} names no field", check.id);
        }
        for setting in control.settings {
            for text in [setting.name, setting.values, setting.default, setting.doc] {
                assert!(!text.is_empty(), "{id} setting {}", setting.name);
            }
        }
        let fails = control
            .examples
            .iter()
            .filter(|example| example.fails.is_some())
            .count();
        assert!(
            fails > 0 && fails < control.examples.len(),
            "{id} needs examples that pass and fail"
        );
    }
}

/// The examples are files, so that a test can hold them to be all there are.
#[test]
fn every_example_is_a_file_and_every_file_an_example() {
    for control in controls::ALL {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/controls")
            .join(control.id);
        let files: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let examples: BTreeSet<String> = control
            .examples
            .iter()
            .map(|example| example.name.to_owned())
            .collect();
        assert_eq!(files, examples, "{}", control.id);
        for example in control.examples {
            let start = if example.fails.is_some() {
                "deny-"
            } else {
                "allow-"
            };
            assert!(example.name.starts_with(start), "{}", example.name);
        }
    }
}

#[test]
fn examples_pass_and_fail_as_they_say() {
    for control in controls::ALL {
        for example in control.examples {
            let output = run_with(&["check", "-o", "json", "-"], example.manifest.as_bytes());
            let report = json(&output);
            let rules = rules(&report["subjects"][0]["findings"]);
            match example.fails {
                None => assert_eq!(
                    (exit_code(&output), rules),
                    (0, Vec::new()),
                    "{}",
                    example.name
                ),
                Some(check) => {
                    assert_eq!(exit_code(&output), 1, "{}", example.name);
                    let expected = (format!("{}/{check}", control.id), "enforce".to_owned());
                    assert!(rules.contains(&expected), "{}: {rules:?}", example.name);
                }
            }
        }
    }
}

#[test]
fn the_same_example_gets_the_same_verdict_as_a_file_and_as_a_review() {
    for control in controls::ALL {
        for example in control.examples {
            let report = json(&run_with(
                &["check", "-o", "json", "-"],
                example.manifest.as_bytes(),
            ));
            let subject = &report["subjects"][0];
            let review = review_of(example.manifest);
            let output = run_with(&["review", "-"], review.to_string().as_bytes());
            let response = json(&output)["response"].take();
            assert_eq!(response["uid"], "example", "{}", example.name);
            assert_eq!(response["allowed"], subject["allowed"], "{}", example.name);
            let found = response["auditAnnotations"]["findings"]
                .as_str()
                .unwrap_or("[]");
            let found: Value = serde_json::from_str(found).unwrap();
            let found: Vec<(String, String)> = found
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| (text(&entry["check"]), text(&entry["mode"])))
                .collect();
            assert_eq!(found, rules(&subject["findings"]), "{}", example.name);
        }
    }
}

fn rules(findings: &Value) -> Vec<(String, String)> {
    let rule = |finding: &Value| {
        let rule = format!("{}/{}", text(&finding["control"]), text(&finding["check"]));
        (rule, text(&finding["mode"]))
    };
    findings.as_array().unwrap().iter().map(rule).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The review an API server would send of a manifest's creation.
fn review_of(manifest: &str) -> Value {
    let document = parse(manifest).remove(0).unwrap();
    let object: Value = serde_json::from_str(&document.node.to_json()).unwrap();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = text(&object["kind"]);
    let resource = match &*kind {
        "Pod" => "pods",
        "Deployment" => "deployments",
        other => panic!("say here what the resource of {other} is"),
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "example",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "name": object["metadata"]["name"],
        "namespace": object["metadata"]["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": "alice"},
        "object": object,
    }})
}

#[test]
fn the_catalogue_can_be_read() {
    assert_snapshot!(session(&["controls"]));
    assert_snapshot!(session(&["controls", "pod-security"]));
    assert_snapshot!(session(&["controls", "pod-securty"]));
    let all = json(&run(&["controls", "-o", "json"]));
    assert_eq!(
        all["controls"].as_array().unwrap().len(),
        controls::ALL.len()
    );
    let mut one = all["controls"][0].clone();
    one["checks"].as_array_mut().unwrap().truncate(2);
    one["examples"].as_array_mut().unwrap().truncate(1);
    assert_snapshot!(serde_json::to_string_pretty(&one).unwrap());
}

#[test]
fn the_page_of_controls_is_what_the_command_prints() {
    let output = run(&["controls", "-o", "markdown"]);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/controls.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == stdout(&output),
        "docs/controls.md is not what the catalogue says: run `make docs`"
    );
}
