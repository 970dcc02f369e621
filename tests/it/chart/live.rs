//! The unmodified chart, installed by Helm in a cluster in which its pods run.

mod doctor;
mod enforce;
mod install;
mod outage;
mod rights;
mod uninstall;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::bed::{Answer, Call, Cluster, Helm, PodHandle, WEBHOOKS, compliant_pod};

/// How long anything may take that is not a rollout.
const SOON: Duration = Duration::from_mins(1);
/// What selects the pods of the release.
const SELECTOR: &str = "app.kubernetes.io/instance=tidegate";
const POLICIES: &str = "/apis/tidegate.dev/v1alpha1/controlpolicies";
/// Pods end sooner than by the chart's default, where that is not what a test is about.
const QUICK: &str = "drain.delaySeconds=2,drain.timeoutSeconds=4";
const SHOP: &str = "/api/v1/namespaces/shop/pods";

/// Calls Helm for the release `tidegate` in the namespace `tidegate` with the image of this source,
/// and waits until its pods are ready.
fn apply(cluster: &Cluster, helm: Helm, verb: &str, chart: &str, words: &[&str]) {
    let mut all = vec![verb, "tidegate", chart, "--namespace", "tidegate"];
    all.extend(["--wait", "--timeout", "2m"]);
    all.extend([
        "--set",
        "image.repository=registry.example/tidegate,image.tag=bed",
    ]);
    all.extend(words);
    helm.must(cluster, &all);
}

fn install(cluster: &Cluster, helm: Helm, words: &[&str]) {
    let words = [&["--create-namespace"][..], words].concat();
    apply(cluster, helm, "install", "charts/tidegate", &words);
}

fn upgrade(cluster: &Cluster, helm: Helm, words: &[&str]) {
    apply(cluster, helm, "upgrade", "charts/tidegate", words);
}

fn pods(cluster: &Cluster) -> Vec<PodHandle> {
    cluster.pods("tidegate", SELECTOR)
}

/// A Pod that no level but privileged admits.
fn privileged_pod(name: &str) -> Value {
    let mut pod = compliant_pod(name);
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    pod
}

/// What becomes of a Pod that is only judged.
fn judge(cluster: &Cluster, namespace: &str, pod: &Value) -> Answer {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    cluster.call(&Call::post(path, pod).dry_run())
}

/// Whether tidegate, and nobody else, has denied it.
fn is_denial(answer: &Answer) -> bool {
    answer.status == 403
        && answer
            .causes()
            .iter()
            .any(|(reason, _)| reason.starts_with("pod-security/"))
}

/// Waits until a bad Pod of a namespace is denied, or is not any more.
fn until_denied(cluster: &Cluster, namespace: &str, denied: bool) {
    let mut last = None;
    let what = format!("bad pods of {namespace} are denied: {denied}");
    cluster.until(&what, SOON, || {
        let answer = judge(cluster, namespace, &privileged_pod("bad"));
        let holds = is_denial(&answer) == denied && (denied || answer.succeeded());
        last = Some(answer);
        holds
    });
}

/// An audit annotation of tidegate's for a call.
fn annotation(cluster: &Cluster, answer: &Answer, key: &str) -> Value {
    let event = cluster.api().audit_event(&answer.audit_id);
    event["annotations"][format!("validate.tidegate.dev/{key}")].clone()
}

/// Waits until a good Pod of shop is judged by tidegate, as the audit log shows.
fn until_judged(cluster: &Cluster) {
    cluster.until("a decision", SOON, || {
        let answer = judge(cluster, "shop", &privileged_pod("first"));
        !answer.audit_id.is_empty() && annotation(cluster, &answer, "verdict").is_string()
    });
}

fn configuration_path() -> String {
    format!("{WEBHOOKS}/tidegate")
}

fn configuration(cluster: &Cluster) -> Value {
    let path = configuration_path();
    cluster.api().must(&Call::new("GET", path)).body
}

/// The `caBundle` of every entry, as text.
fn bundles(cluster: &Cluster) -> Vec<String> {
    let configuration = configuration(cluster);
    let entries = configuration["webhooks"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let bundle = entry["clientConfig"]["caBundle"].clone();
            let bytes: ByteString = serde_json::from_value(bundle).unwrap_or_default();
            String::from_utf8(bytes.0).unwrap()
        })
        .collect()
}

/// Runs tidegate against the cluster with a kubeconfig whose user is changed by `change`.
fn tidegate(cluster: &Cluster, change: impl FnOnce(&mut Value), words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words)
        .arg("--kubeconfig")
        .arg(kubeconfig(cluster, change))
        .env_clear()
        .output()
        .unwrap()
}

/// The administrator's kubeconfig with another user in it.
fn kubeconfig(cluster: &Cluster, change: impl FnOnce(&mut Value)) -> std::path::PathBuf {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    change(&mut config["users"][0]["user"]);
    let path = cluster.folder().join("somebody.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// How long something took, for the report of a test.
fn timed<R>(what: &str, work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    println!("{what}: {took:.1?}");
    (result, took)
}
