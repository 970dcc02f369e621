//! What the pods are given.

use serde_json::{Value, json};

use super::{object, release, tidegate, variants, words};

#[test]
fn the_pods_pass_what_the_chart_demands_of_others() {
    for (variant, values) in variants() {
        let made = release(&words(&values));
        let deployment = object(&made, "Deployment", "tidegate");
        if deployment["spec"]["template"]["spec"]["hostNetwork"] == json!(true) {
            continue;
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "tidegate", "namespace": "tidegate"},
            "spec": deployment["spec"]["template"]["spec"],
        });
        let output = tidegate(
            &["check", "--preset", "restricted", "--fail-on", "audit", "-"],
            &pod.to_string(),
        );
        assert!(
            output.status.success(),
            "{variant}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn the_pods_hold_a_token_of_an_hour_and_nothing_they_could_write_to() {
    let made = release(&[]);
    let account = object(&made, "ServiceAccount", "tidegate");
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    let spec = &object(&made, "Deployment", "tidegate")["spec"];
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxSurge": 1, "maxUnavailable": 0})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["terminationGracePeriodSeconds"], json!(35));
    assert_eq!(
        pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
        json!(3600)
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"]["readOnlyRootFilesystem"],
        json!(true)
    );
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], json!(true), "{mount}");
    }
    assert_eq!(container["resources"]["limits"], json!({"memory": "192Mi"}));
    let spread: Vec<&Value> = pod["topologySpreadConstraints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|constraint| &constraint["topologyKey"])
        .collect();
    assert_eq!(
        spread,
        ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    );
}

#[test]
fn the_memory_limit_follows_the_byte_budget_unless_it_is_given() {
    for (set, memory) in [
        ("limits.maxInflightBytes=256MiB", "576Mi"),
        ("limits.maxInflightBytes=1GiB", "2112Mi"),
        ("limits.maxInflightBytes=10000KiB", "84Mi"),
        ("resources.limits.memory=1Gi", "1Gi"),
    ] {
        let made = release(&["--set", set]);
        let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
        assert_eq!(
            pod["containers"][0]["resources"]["limits"]["memory"], memory,
            "{set}"
        );
    }
}

/// The flags of `serve` are held by its own tests; here, that what is passed on is what was said.
#[test]
fn the_arguments_follow_the_values() {
    let arguments = |words: &[&str]| -> Vec<String> {
        let made = release(words);
        let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
        let arguments = pod["containers"][0]["args"].as_array().unwrap();
        arguments
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let has = |words: &[&str], argument: &str| {
        let found = arguments(words);
        assert!(
            found.iter().any(|one| one == argument),
            "{argument}: {found:?}"
        );
    };
    has(&[], "--audit-only");
    has(&[], "--tls-mode=own");
    has(&[], "--tls-secret=tidegate/tidegate-tls");
    has(&[], "--dns-name=tidegate.tidegate.svc");
    has(
        &["--set", "limits.maxConnections=5000000"],
        "--max-connections=5000000",
    );
    has(&["--set", "listenAddress=::"], "--listen=[::]:8443");
    has(&["--set", "policy.preset=none"], "--preset=none");
    has(&["--set", "tls.mode=certManager"], "--tls-mode=injected");
    let secret = ["--set", "tls.mode=secret,tls.secretName=mine"];
    has(&secret, "--tls-mode=given");
    has(&secret, "--tls-secret=tidegate/mine");
    assert!(!arguments(&["--set", "auditOnly=false"]).contains(&"--audit-only".to_owned()));
}

#[test]
fn a_changed_policy_rolls_the_pods_and_another_change_of_values_does_not() {
    let checksum = |words: &[&str]| {
        let made = release(words);
        object(&made, "Deployment", "tidegate")["spec"]["template"]["metadata"]["annotations"]
            ["checksum/policy"]
            .clone()
    };
    let plain = checksum(&[]);
    assert_eq!(checksum(&["--set", "replicas=5"]), plain);
    assert_ne!(checksum(&["--set", "policy.namespaces.shop=warn"]), plain);
}
