//! The chart's own policy.

use serde_json::{Value, json};
use tidegate::policy::preset;

use super::{chart, has, object, objects, release, tidegate, variants, words};

/// The text of the policy of a release.
fn policy_text(made: &[Value]) -> &str {
    object(made, "ConfigMap", "tidegate-policy")["data"]["policy.yaml"]
        .as_str()
        .unwrap()
}

fn policy(words: &[&str]) -> Value {
    let made = release(words);
    objects(policy_text(&made)).remove(0)
}

#[test]
fn the_presets_of_the_chart_are_those_of_the_program() {
    let folder = chart().join("policies");
    for (name, text) in preset::ALL {
        let path = folder.join(format!("{name}.yaml"));
        let copy = std::fs::read_to_string(&path).unwrap();
        assert_eq!(copy, text, "cp policies/{name}.yaml {}", path.display());
    }
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        preset::ALL.len()
    );
}

#[test]
fn every_rendering_is_a_policy_that_tidegate_takes() {
    let mut all: Vec<Vec<String>> = variants().into_iter().map(|(_, values)| values).collect();
    for preset in ["recommended", "restricted", "audit"] {
        for set in [
            "policy.mode=",
            "policy.mode=enforce",
            "policy.controls.pod-security=off",
            "policy.namespaces.shop=warn",
        ] {
            let preset = format!("policy.preset={preset}");
            all.push(["--set", &preset, "--set", set].map(str::to_owned).to_vec());
        }
    }
    let mut seen = 0;
    for values in all {
        let made = release(&words(&values));
        if !has(&made, "Deployment")
            || !made
                .iter()
                .any(|object| object["metadata"]["name"] == "tidegate-policy")
        {
            continue;
        }
        let output = tidegate(&["policy", "lint", "-"], policy_text(&made));
        assert!(
            output.status.success(),
            "{values:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_defaults_are_the_preset_under_the_name_default() {
    let made = policy(&[]);
    let (_, text) = preset::ALL
        .into_iter()
        .find(|(name, _)| *name == preset::DEFAULT)
        .unwrap();
    let mut expected = objects(text).remove(0);
    expected["metadata"]["name"] = json!("default");
    assert_eq!(made, expected);
}

/// Whether a privileged pod in a namespace would be denied, by the program itself.
fn denied(words: &[&str], namespace: &str) -> bool {
    let made = release(words);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), policy_text(&made)).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"hostNetwork": true, "containers": [{"name": "web", "image": "web"}]},
    });
    let output = tidegate(
        &[
            "check",
            "--policy",
            file.path().to_str().unwrap(),
            "-o",
            "json",
            "-",
        ],
        &pod.to_string(),
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["subjects"][0]["allowed"] == json!(false)
}

#[test]
fn one_value_takes_a_namespace_or_a_control_from_audit_to_enforce_and_back() {
    let base = ["--set", "policy.mode=audit"];
    let with = |set: &'static str| [&base[..], &["--set", set]].concat();
    assert!(!denied(&base, "shop"));
    let one = with("policy.namespaces.shop=enforce");
    assert!(denied(&one, "shop") && !denied(&one, "other"));
    let all = with("policy.controls.pod-security=enforce");
    assert!(denied(&all, "shop") && denied(&all, "other"));
    assert!(denied(&[], "shop"));
    let back = ["--set", "policy.namespaces.shop=audit"];
    assert!(!denied(&back, "shop") && denied(&back, "other"));
}

#[test]
fn a_name_wins_over_a_glob_and_a_longer_glob_over_a_shorter_one() {
    let values = [
        "--set",
        "policy.mode=audit,policy.namespaces.prod-*=audit,policy.namespaces.prod-eu-*=enforce",
        "--set",
        "policy.namespaces.*=enforce,policy.namespaces.prod-eu-1=audit,policy.namespaces.a=audit",
    ];
    for (namespace, expected) in [
        ("shop", true),
        ("prod-us", false),
        ("prod-eu-2", true),
        ("prod-eu-1", false),
        ("a", false),
    ] {
        assert_eq!(denied(&values, namespace), expected, "{namespace}");
    }
}

#[test]
fn a_spec_takes_the_place_of_the_preset() {
    let file = chart().join("ci/own-policy-values.yaml");
    let made = policy(&["--values", file.to_str().unwrap()]);
    let control = &made["spec"]["controls"]["pod-security"];
    assert_eq!(control["mode"], "warn");
    assert_eq!(
        control["settings"],
        json!({"default": {"enforce": "restricted"}})
    );
    assert_eq!(control["checks"], json!({"hostPorts": {"mode": "audit"}}));
    let overrides = made["spec"]["overrides"].as_array().unwrap();
    assert_eq!(overrides.len(), 2);
    assert_eq!(overrides[1]["namespaces"]["include"], json!(["dev-1"]));
}
