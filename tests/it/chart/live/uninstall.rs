//! Going away, in any order, and coming back.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    POLICIES, QUICK, SELECTOR, SHOP, SOON, install, pods, privileged_pod, until_denied,
    until_judged,
};
use crate::bed::{self, Call, Cluster, Helm, compliant_pod, deployment};

#[test]
fn uninstalling_in_any_order_leaves_a_cluster_that_can_be_written_to() {
    bed::inside(|cluster| {
        cluster.create_namespace("shop", &[]);
        let enforcing = ["--set", QUICK, "--set", "auditOnly=false"];

        install(cluster, Helm::Four, &["--set", QUICK]);
        until_judged(cluster);
        let policy = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy", "metadata": {"name": "kept"},
            "spec": {"mode": "audit", "controls": {"pod-security": {}}},
        });
        cluster.api().must(&Call::post(POLICIES, &policy));
        uninstall(cluster, Helm::Four);
        nothing_is_left_but_what_is_documented(cluster, "as it should be");

        // Dead, with nobody to start it again, and every write waits for it.
        install(cluster, Helm::Four, &enforcing);
        until_denied(cluster, "shop", true);
        cluster.node().pause();
        for pod in pods(cluster) {
            pod.signal("KILL");
        }
        let refused = cluster.call(&Call::post(SHOP, &compliant_pod("good")));
        assert_eq!(refused.status, 500, "{refused:?}");
        uninstall(cluster, Helm::Four);
        cluster
            .api()
            .must(&Call::post(SHOP, &compliant_pod("good")).dry_run());
        cluster.node().resume();
        nothing_is_left_but_what_is_documented(cluster, "after a crash");

        install(cluster, Helm::Three, &enforcing);
        until_denied(cluster, "shop", true);
        let path = "/apis/apps/v1/namespaces/tidegate/deployments/tidegate";
        cluster.api().must(&Call::new("DELETE", path));
        cluster.until("the pods are gone", SOON, || pods(cluster).is_empty());
        uninstall(cluster, Helm::Three);
        nothing_is_left_but_what_is_documented(cluster, "the pods first");

        install(cluster, Helm::Four, &enforcing);
        until_denied(cluster, "shop", true);
        let path = super::configuration_path();
        cluster.api().must(&Call::new("DELETE", path));
        until_denied(cluster, "shop", false);
        uninstall(cluster, Helm::Four);
        nothing_is_left_but_what_is_documented(cluster, "the webhook configuration first");

        // The namespace with everything in it, as somebody in a hurry does; then what is not in it.
        install(cluster, Helm::Four, &enforcing);
        until_denied(cluster, "shop", true);
        let path = "/api/v1/namespaces/tidegate";
        cluster.api().must(&Call::new("DELETE", path));
        cluster.until("the namespace is gone", SOON, || {
            cluster.call(&Call::new("GET", path)).status == 404
        });
        let path = super::configuration_path();
        cluster.api().must(&Call::new("DELETE", path));
        cluster
            .api()
            .must(&Call::post(SHOP, &compliant_pod("good")).dry_run());
    });
}

fn uninstall(cluster: &Cluster, helm: Helm) {
    helm.must(
        cluster,
        &["uninstall", "tidegate", "--namespace", "tidegate"],
    );
}

/// The objects of every kind that `words` select, as `resource/name`.
fn found(cluster: &Cluster, words: &[&str]) -> BTreeSet<String> {
    // What has no namespace is not in one.
    let mut list = vec!["api-resources", "--verbs=list", "-o", "name"];
    if words[0] == "--namespace" {
        list.push("--namespaced");
    }
    let kinds = cluster.kubectl(&list, "");
    let kinds = String::from_utf8(kinds.stdout).unwrap();
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("componentstatuses"))
        .collect();
    assert!(kinds.len() > 20, "{kinds:?}");
    let kinds = kinds.join(",");
    let all = [&["get", &kinds, "-o", "name", "--ignore-not-found"], words].concat();
    let output = cluster.kubectl(&all, "");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn nothing_is_left_but_what_is_documented(cluster: &Cluster, what: &str) {
    let expect = |what: &str, words: &[&str], wanted: &[&str]| {
        let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
        let mut left = BTreeSet::new();
        for _ in 0..40 {
            left = found(cluster, words);
            if left == wanted {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        panic!("{what}: left are {left:?}");
    };
    let definition =
        |kind: &str| format!("customresourcedefinition.apiextensions.k8s.io/{kind}.tidegate.dev");
    let definitions = ["controlexceptions", "controlpolicies"].map(definition);
    expect(
        what,
        &["--all-namespaces", "--selector", SELECTOR],
        &definitions.each_ref().map(String::as_str),
    );
    // What every namespace has.
    expect(
        what,
        &["--namespace", "tidegate"],
        &["configmap/kube-root-ca.crt", "serviceaccount/default"],
    );
    let kept = cluster.call(&Call::new("GET", format!("{POLICIES}/kept")));
    assert!(kept.succeeded(), "{what}: {kept:?}");

    let name = what.replace(' ', "-");
    let deployments = "/apis/apps/v1/namespaces/shop/deployments";
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    for call in [
        Call::post(SHOP, &privileged_pod(&name)),
        Call::post(deployments, &deployment(&name, &compliant_pod("pod"))),
        Call::post("/api/v1/namespaces", &namespace),
        Call::merge(
            format!("{POLICIES}/kept"),
            &json!({"spec": {"mode": "audit"}}),
        ),
        Call::new("DELETE", format!("{deployments}/{name}")),
        Call::new("DELETE", format!("/api/v1/namespaces/{name}")),
    ] {
        cluster.api().must(&call);
    }
}
