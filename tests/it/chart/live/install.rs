//! Installing, upgrading and going back, by both Helms.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    POLICIES, SHOP, SOON, annotation, apply, bundles, configuration, install, pods, privileged_pod,
    timed, until_judged, upgrade,
};
use crate::bed::{self, Call, Cluster, Helm, secret_text};

#[test]
fn helm_4_installs_upgrades_and_goes_back() {
    bed::inside(|cluster| life(cluster, Helm::Four));
}

#[test]
fn helm_3_installs_upgrades_and_goes_back() {
    bed::inside(|cluster| life(cluster, Helm::Three));
}

fn life(cluster: &Cluster, helm: Helm) {
    cluster.create_namespace("shop", &[]);
    let ((), took) = timed("from helm install to the first decision", || {
        install(cluster, helm, &[]);
        until_judged(cluster);
    });
    assert!(took < Duration::from_secs(30), "{took:?}");
    two_replicas_serve_with_a_certificate_of_their_own(cluster);
    everything_is_recorded_and_nothing_is_denied(cluster);
    a_policy_is_shown_with_mode_and_readiness(cluster);
    the_bundle_has_one_owner_whatever_helm_does(cluster, helm);
    an_older_chart_is_upgraded(cluster, helm);
    let own = Call::new("GET", format!("{POLICIES}/quiet"));
    assert!(cluster.call(&own).succeeded(), "the policy is still there");
}

fn two_replicas_serve_with_a_certificate_of_their_own(cluster: &Cluster) {
    let pods = pods(cluster);
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(bed::PodHandle::is_ready));
    let path = "/api/v1/namespaces/tidegate/secrets/tidegate-tls";
    let secret = cluster.api().must(&Call::new("GET", path)).body;
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let owner = &secret["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"]),
        (&json!("Lease"), &json!("tidegate"))
    );
    let authority = secret_text(&secret, "ca.crt");
    assert!(authority.contains("BEGIN CERTIFICATE"), "{authority}");
    let bundles = bundles(cluster);
    assert_eq!(bundles.len(), 3);
    for bundle in bundles {
        assert_eq!(bundle.trim(), authority.trim());
    }
}

fn everything_is_recorded_and_nothing_is_denied(cluster: &Cluster) {
    let call = Call::post(SHOP, &privileged_pod("bad"));
    let answer = cluster.api().must(&call);
    assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
    assert_eq!(annotation(cluster, &answer, "verdict"), "audit");
    let would_deny: f64 = pods(cluster)
        .iter()
        .map(|pod| pod.metric("tidegate_findings_total", &[("would", "deny")]))
        .sum();
    assert!(would_deny >= 1.0, "{would_deny}");
    for entry in configuration(cluster)["webhooks"].as_array().unwrap() {
        let own = entry["name"] == "policies.tidegate.dev";
        let policy = if own { "Fail" } else { "Ignore" };
        assert_eq!(entry["failurePolicy"], policy, "{entry}");
    }
}

fn a_policy_is_shown_with_mode_and_readiness(cluster: &Cluster) {
    let policy = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy", "metadata": {"name": "quiet"},
        "spec": {"mode": "warn", "controls": {"pod-security": {}}},
    });
    let applied = cluster.kubectl(&["apply", "-f", "-"], &policy.to_string());
    assert!(applied.status.success(), "{applied:?}");
    let mut shown = String::new();
    cluster.until("the policy is ready", SOON, || {
        let output = cluster.kubectl(&["get", "controlpolicies"], "");
        shown = String::from_utf8(output.stdout).unwrap();
        let mut lines = shown.lines().map(|line| line.split_whitespace().collect());
        let heads: Vec<&str> = lines.next().unwrap_or_default();
        let cells: Vec<&str> = lines.next().unwrap_or_default();
        let cell = |name: &str| {
            let at = heads.iter().position(|head| *head == name)?;
            cells.get(at).copied()
        };
        cell("MODE") == Some("warn") && cell("READY") == Some("True")
    });
    println!("{shown}");
}

/// By whom, and when last, each entry's `caBundle` was written.
fn owners(cluster: &Cluster) -> Vec<(String, String)> {
    let configuration = configuration(cluster);
    let fields = configuration["metadata"]["managedFields"]
        .as_array()
        .unwrap();
    fields
        .iter()
        .filter(|entry| entry["fieldsV1"].to_string().contains("f:caBundle"))
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            (text("manager"), text("time"))
        })
        .collect()
}

fn timeout(cluster: &Cluster) -> Value {
    configuration(cluster)["webhooks"][0]["timeoutSeconds"].clone()
}

fn the_bundle_has_one_owner_whatever_helm_does(cluster: &Cluster, helm: Helm) {
    let (before, owned) = (bundles(cluster), owners(cluster));
    assert_eq!(owned.len(), 1, "{owned:?}");
    assert_eq!(owned[0].0, "tidegate");
    // If anybody took the bundle away, or wrote it, the time would be another one.
    let untouched = |what: &str| {
        assert_eq!(bundles(cluster), before, "{what}");
        assert_eq!(owners(cluster), owned, "{what}");
    };
    upgrade(cluster, helm, &[]);
    untouched("a second time the same");
    let changed =
        "webhook.timeoutSeconds.auditOnly=2,excludedNamespaces={kube-system,kube-node-lease,depot}";
    upgrade(cluster, helm, &["--set", changed]);
    assert_eq!(timeout(cluster), 2);
    let selector = configuration(cluster)["webhooks"][0]["namespaceSelector"].to_string();
    assert!(selector.contains("depot"), "{selector}");
    untouched("other values");
    let mut back = vec!["rollback", "tidegate", "1", "--namespace", "tidegate"];
    back.extend(["--wait", "--timeout", "2m"]);
    helm.must(cluster, &back);
    assert_eq!(timeout(cluster), 1);
    untouched("back");
    until_judged(cluster);
}

/// The chart of this source as an earlier version of it. It differs in its versions, and so in the
/// labels of every object and of the pods: what an upgrade has to get over whatever else changed.
fn older_chart(cluster: &Cluster) -> PathBuf {
    let copy = cluster.folder().join("older");
    let copied = Command::new("cp")
        .args(["-r", "charts/tidegate"])
        .arg(&copy)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(copied.success());
    let file = copy.join("Chart.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let older: Vec<String> = text
        .lines()
        .map(|line| match line.split_once(':') {
            Some(("version", _)) => "version: 0.0.1".to_owned(),
            Some(("appVersion", _)) => "appVersion: \"0.0.1\"".to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(file, older.join("\n")).unwrap();
    copy
}

fn an_older_chart_is_upgraded(cluster: &Cluster, helm: Helm) {
    let before = bundles(cluster);
    let older = older_chart(cluster);
    let version = |pod: &bed::PodHandle| {
        let pod = pod.object();
        pod["metadata"]["labels"]["app.kubernetes.io/version"].clone()
    };
    apply(cluster, helm, "upgrade", older.to_str().unwrap(), &[]);
    cluster.wait_until_rolled_out("tidegate", "tidegate", SOON);
    let old = pods(cluster);
    assert!(old.iter().any(|pod| version(pod) == "0.0.1"));
    upgrade(cluster, helm, &[]);
    cluster.until("the old pods are gone", SOON, || {
        old.iter()
            .filter(|pod| version(pod) == "0.0.1")
            .all(|pod| pod.object().is_null())
    });
    assert_eq!(bundles(cluster), before);
    until_judged(cluster);
}
