//! `tidegate check`.

use insta::assert_snapshot;

use super::{exit_code, json, run, run_with, session, stderr, stdout, transcript};

#[test]
fn a_directory_is_judged_in_order_and_read_for_facts() {
    assert_snapshot!(session(&["check", "manifests"]));
}

#[test]
fn the_json_report_is_as_promised() {
    assert_snapshot!(session(&["check", "-o", "json", "manifests"]));
}

#[test]
fn the_junit_report_is_as_promised() {
    assert_snapshot!(session(&["check", "-o", "junit", "manifests", "broken"]));
}

#[test]
fn the_sarif_report_is_as_promised() {
    let output = run(&[
        "check",
        "-o",
        "sarif",
        "manifests/02-workloads.yaml",
        "broken",
    ]);
    let mut log = json(&output);
    // The rules are the catalogue, which has snapshots of its own.
    let rules = log["runs"][0]["tool"]["driver"]["rules"].take();
    assert!(rules.as_array().is_some_and(|rules| rules.len() > 20));
    log["runs"][0]["tool"]["driver"]["semanticVersion"] = "VERSION".into();
    assert_snapshot!(serde_json::to_string_pretty(&log).unwrap());
    assert_snapshot!(
        "sarif_rule",
        serde_json::to_string_pretty(&rules[0]).unwrap()
    );
}

#[test]
fn an_object_without_findings_leaves_only_the_summary() {
    assert_snapshot!(session(&[
        "check",
        "clean.yaml",
        "--cluster",
        "cluster.yaml"
    ]));
}

#[test]
fn what_cannot_be_read_hides_nothing() {
    assert_snapshot!(session(&["check", "broken", "missing.yaml", "clean.yaml"]));
}

#[test]
fn what_cannot_be_read_is_in_the_json_report_too() {
    let output = run(&["check", "-o", "json", "broken", "missing.yaml"]);
    assert_eq!(exit_code(&output), 2);
    let report = json(&output);
    assert_eq!(report["summary"]["subjects"], 3);
    assert_eq!(report["summary"]["unreadable"], 4);
    assert_eq!(report["unreadable"][0]["source"]["path"], "broken/a.yaml");
    assert_eq!(report["unreadable"][0]["source"]["document"], 1);
    assert_eq!(report["unreadable"][3]["source"]["path"], "missing.yaml");
}

#[test]
fn hostile_names_move_no_cursor_in_text_and_stay_as_they_are_in_json() {
    let text = session(&["check", "hostile.yaml"]);
    assert!(
        text.chars()
            .all(|character| character == '\n' || !character.is_control()),
        "{text:?}"
    );
    assert!(!text.contains('\u{202e}'));
    assert_snapshot!(text);
    let report = json(&run(&["check", "-o", "json", "hostile.yaml"]));
    assert_eq!(
        report["subjects"][0]["name"],
        "evil\u{1b}[2Jname\u{202e}<&\">"
    );
}

#[test]
fn fail_on_chooses_the_exit_code_and_nothing_else() {
    let code = |words: &[&str]| exit_code(&run(words));
    // Only namespaces prod-* are in that policy.
    let elsewhere = [
        "check",
        "manifests/03-list.json",
        "--policy",
        "policies/extra.json",
        "--fail-on",
        "audit",
    ];
    assert_eq!(code(&elsewhere), 0);
    let mut report = Vec::new();
    for (mode, expected) in [("enforce", 1), ("warn", 1), ("audit", 1), ("never", 0)] {
        let output = run(&["check", "manifests", "-o", "json", "--fail-on", mode]);
        assert_eq!(exit_code(&output), expected, "{mode}");
        report.push(output.stdout);
    }
    assert!(report.iter().all(|one| *one == report[0]));
    for (mode, expected) in [("enforce", 0), ("warn", 0), ("audit", 1), ("never", 0)] {
        let words = ["check", "manifests", "--preset", "audit", "--fail-on", mode];
        assert_eq!(code(&words), expected, "{mode}");
    }
    for mode in ["enforce", "never"] {
        assert_eq!(code(&["check", "broken", "--fail-on", mode]), 2, "{mode}");
    }
}

#[test]
fn a_template_is_allowed_and_fails_the_check() {
    let output = run(&["check", "-o", "json", "manifests/02-workloads.yaml"]);
    let report = json(&output);
    let deployment = &report["subjects"][1];
    assert_eq!(deployment["kind"], "Deployment");
    assert_eq!(deployment["allowed"], true);
    assert_eq!(deployment["findings"][0]["mode"], "enforce");
    assert_eq!(
        exit_code(&run(&[
            "check",
            "../../../controls/pod-security/deny-host-network-deployment.yaml"
        ])),
        1
    );
}

#[test]
fn the_namespace_of_documents_that_name_none_can_be_chosen() {
    let pod = b"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostPID: true, containers: [{name: a}]}}";
    let words = |namespace: &'static str| {
        [
            "check",
            "-",
            "-o",
            "json",
            "--cluster",
            "cluster.yaml",
            "--namespace",
            namespace,
        ]
    };
    let report = json(&run_with(&words("default"), pod));
    assert_eq!(report["subjects"][0]["namespace"], "default");
    assert_eq!(
        report["subjects"][0]["allowed"], true,
        "the namespace's label says privileged"
    );
    let report = json(&run_with(&words("shop"), pod));
    assert_eq!(report["subjects"][0]["namespace"], "shop");
    assert_eq!(
        report["subjects"][0]["allowed"], false,
        "the default says baseline"
    );
}

#[test]
fn standard_input_is_read_once_and_by_its_name() {
    let output = run_with(&["check", "-"], b"{\"a\": ");
    assert_snapshot!(transcript(&["check", "-"], &output));
    let output = run_with(&["check", "-", "--policy", "-"], b"");
    assert_eq!(exit_code(&output), 2);
    assert!(
        stderr(&output).contains("named more than once"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn nothing_to_judge_is_said() {
    let output = run(&["check", "empty.yaml"]);
    assert_snapshot!(transcript(&["check", "empty.yaml"], &output));
}

#[test]
fn bad_policies_are_refused_with_everything_wrong_in_them() {
    assert_snapshot!(session(&[
        "check",
        "clean.yaml",
        "--policy",
        "bad-policies",
        "--preset",
        "recomended"
    ]));
}

#[test]
fn an_unreadable_cluster_file_does_not_hide_the_findings() {
    let output = run(&[
        "check",
        "manifests/02-workloads.yaml",
        "--cluster",
        "broken/b.json",
    ]);
    assert_eq!(exit_code(&output), 2);
    assert!(
        stdout(&output).contains("pod-security/"),
        "{}",
        stdout(&output)
    );
    assert!(
        stderr(&output).contains("broken/b.json:1"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn defaults_of_the_api_server_count_where_they_change_a_result() {
    let report = json(&run(&["check", "-o", "json", "manifests/03-list.json"]));
    let findings = report["subjects"][2]["findings"].as_array().unwrap();
    let ports = findings
        .iter()
        .find(|finding| finding["check"] == "hostPorts")
        .unwrap();
    assert_eq!(ports["fields"][0], "spec.containers[0].ports[0].hostPort");
    assert_eq!(report["subjects"][2]["source"]["item"], 2);
}

#[test]
fn a_bad_call_is_exit_code_2() {
    for words in [
        &["check"][..],
        &["check", "clean.yaml", "--fail-on", "sometimes"],
        &["check", "clean.yaml", "--now", "yesterday"],
        &["check", "clean.yaml", "--namespace", "No_Name"],
        &["check", "clean.yaml", "-o", "xml"],
        &["chekc"],
    ] {
        assert_eq!(exit_code(&run(words)), 2, "{words:?}");
    }
    assert_snapshot!(session(&["check", "clean.yaml", "--now", "yesterday"]));
}
