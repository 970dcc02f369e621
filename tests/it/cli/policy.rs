//! `tidegate policy`.

use insta::assert_snapshot;

use super::{exit_code, json, run, run_with, session, stdout};

#[test]
fn valid_policies_are_listed() {
    assert_snapshot!(session(&[
        "policy",
        "lint",
        "policies",
        "../../../../policies"
    ]));
}

#[test]
fn everything_wrong_is_said_with_line_field_and_nearest_name() {
    assert_snapshot!(session(&[
        "policy",
        "lint",
        "bad-policies",
        "empty.yaml",
        "no-such-folder"
    ]));
}

#[test]
fn problems_as_json() {
    assert_snapshot!(session(&[
        "policy",
        "lint",
        "-o",
        "json",
        "policies/base.yaml",
        "bad-policies/3-twice.yaml"
    ]));
}

#[test]
fn a_pod_security_configuration_becomes_the_policy_that_equals_it() {
    assert_snapshot!(session(&[
        "policy",
        "lint",
        "upstream/bare.yaml",
        "upstream/wrapped.yaml",
        "policies/base.yaml"
    ]));
    let output = run(&["policy", "lint", "upstream/bare.yaml"]);
    let again = run_with(&["policy", "lint", "-"], &output.stdout);
    assert_eq!(exit_code(&again), 0);
    assert!(
        stdout(&again).contains("ControlPolicy \"pod-security\" is valid"),
        "{}",
        stdout(&again)
    );
}

#[test]
fn a_pod_security_configuration_is_read_as_strictly_as_upstream_does() {
    assert_snapshot!(session(&["policy", "lint", "upstream/bad.yaml"]));
}

#[test]
fn the_policy_of_a_namespace_names_where_each_part_comes_from() {
    let words = [
        "policy",
        "show",
        "--policy",
        "policies",
        "--cluster",
        "cluster.yaml",
        "--namespace",
    ];
    for namespace in ["default", "prod-eu", "kube-system"] {
        let words = [&words[..], &[namespace]].concat();
        assert_snapshot!(format!("show_{namespace}"), session(&words));
    }
}

#[test]
fn the_policy_of_a_namespace_as_json() {
    let words = [
        "policy",
        "show",
        "--namespace",
        "prod-eu",
        "--policy",
        "policies/base.yaml",
    ];
    let words = [&words[..], &["--cluster", "cluster.yaml", "-o", "json"]].concat();
    assert_snapshot!(session(&words));
    let shown = json(&run(&words));
    assert_eq!(shown["policies"][0]["controls"][0]["modeFrom"]["line"], 18);
}

#[test]
fn without_a_policy_the_preset_is_shown() {
    assert_snapshot!(session(&["policy", "show", "--namespace", "shop"]));
}
