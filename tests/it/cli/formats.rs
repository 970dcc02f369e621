//! The outputs for other programs, read as those programs read them.

use serde_json::Value;

use super::{fixtures, json, run, stdout};

fn schema_problems(log: &Value) -> Result<(), String> {
    let path = fixtures().join("sarif/sarif-schema-2.1.0.json");
    let text = std::fs::read_to_string(path).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("file:///sarif.json", schema).unwrap();
    let index = compiler
        .compile("file:///sarif.json", &mut schemas)
        .unwrap();
    schemas
        .validate(log, index)
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn sarif_is_valid_by_the_schema_of_the_standard() {
    for words in [
        &["manifests", "broken", "missing.yaml"][..],
        &["hostile.yaml"],
        &["clean.yaml"],
        &["manifests", "--preset", "audit"],
    ] {
        let words = [&["check", "-o", "sarif"], words].concat();
        let log = json(&run(&words));
        if let Err(problems) = schema_problems(&log) {
            panic!("{words:?}: {problems}");
        }
    }
}

#[test]
fn the_schema_would_notice() {
    let mut log = json(&run(&["check", "-o", "sarif", "manifests"]));
    log["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(schema_problems(&log).is_err());
}

#[test]
fn sarif_results_point_at_their_rules_and_lines() {
    let log = json(&run(&[
        "check",
        "-o",
        "sarif",
        "manifests/02-workloads.yaml",
    ]));
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            place["artifactLocation"]["uri"],
            "manifests/02-workloads.yaml"
        );
        assert!(place["region"]["startLine"].as_u64().unwrap() > 2);
    }
}

#[test]
fn junit_is_well_formed_and_counts_what_it_holds() {
    for (words, fails) in [
        (&["manifests", "broken", "missing.yaml"][..], true),
        (&["hostile.yaml"], true),
        (&["manifests", "--fail-on", "never"], false),
        (&["clean.yaml"], false),
    ] {
        let words = [&["check", "-o", "junit"], words].concat();
        let output = run(&words);
        let document = roxmltree::Document::parse(stdout(&output)).unwrap();
        let suite = document
            .descendants()
            .find(|node| node.has_tag_name("testsuite"))
            .unwrap();
        let count = |name: &str| {
            suite
                .descendants()
                .filter(|node| node.has_tag_name(name))
                .count()
                .to_string()
        };
        for (attribute, tag) in [
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ] {
            assert_eq!(
                suite.attribute(attribute),
                Some(&*count(tag)),
                "{words:?} {attribute}"
            );
        }
        assert_eq!(count("failure") != "0", fails, "{words:?}");
    }
}
