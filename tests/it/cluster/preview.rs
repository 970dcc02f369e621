//! `tidegate preview` of namespaces with known objects, by exact numbers.

use serde_json::{Value, json};

use super::people::{code, exception, grant, report, stderr, stdout, tidegate, tidegate_in};
use super::until;
use crate::bed::definitions::exceptions;
use crate::bed::{self, Bed, Call, compliant_pod, deployment, plain_pod};

/// Baseline, only recorded but for ports of the host.
const POLICY: &str = "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: first-steps}
spec:
  mode: audit
  controls:
    pod-security:
      settings: {default: {enforce: baseline, warn: restricted}}
      checks: {hostPorts: {mode: enforce}}
";

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

/// Creates objects of which it is known what blocks them, and waits for the pods of Deployments.
fn set_up(bed: &Bed, namespace: &str) -> std::path::PathBuf {
    bed.create_namespace(namespace, &[]);
    let create = |collection: &str, object: &Value| {
        let (group, resource) = collection.rsplit_once('/').unwrap();
        let path = format!("{group}/namespaces/{namespace}/{resource}");
        bed.api().must(&Call::post(path, object));
    };
    let host_network = with(plain_pod("any"), "/spec/hostNetwork", json!(true));
    let web = with(deployment("web", &host_network), "/spec/replicas", json!(2));
    create("/apis/apps/v1/deployments", &web);
    create(
        "/apis/apps/v1/deployments",
        &deployment("good", &compliant_pod("any")),
    );
    let host_ipc = with(plain_pod("any"), "/spec/hostIPC", json!(true));
    let idle = with(deployment("idle", &host_ipc), "/spec/replicas", json!(0));
    create("/apis/apps/v1/deployments", &idle);
    let job = json!({"spec": {"template": {"spec": with(host_ipc, "/spec/restartPolicy", json!("Never"))["spec"]}}});
    let nightly = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": job},
    });
    create("/apis/batch/v1/cronjobs", &nightly);
    let container = "/spec/containers/0";
    let privileged = with(
        plain_pod("privileged"),
        &format!("{container}/securityContext"),
        json!({"privileged": true}),
    );
    create("/api/v1/pods", &privileged);
    let ports = json!([{"containerPort": 80, "hostPort": 80}]);
    let ported = with(plain_pod("ported"), &format!("{container}/ports"), ports);
    create("/api/v1/pods", &ported);
    // This one has ended and will not be made again.
    let done = with(plain_pod("done"), "/spec/hostPID", json!(true));
    create("/api/v1/pods", &done);
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let ended = json!({"status": {"phase": "Succeeded"}});
    let ended = Call::patch(format!("{pods}/done/status"), &ended);
    bed.api().must(&ended);
    until("all pods are there", || {
        let list = bed.call(&Call::new("GET", &pods)).body;
        list["items"].as_array().unwrap().len() == 6
    });
    let policy = bed.folder().join(format!("{namespace}.yaml"));
    std::fs::write(&policy, POLICY).unwrap();
    policy
}

/// Kind, name and pods of the offenders.
fn offenders(report: &Value) -> Vec<(&str, &str, u64)> {
    let offenders = report["offenders"].as_array().unwrap().iter();
    offenders
        .map(|offender| {
            let text = |key: &str| offender[key].as_str().unwrap();
            (
                text("kind"),
                text("name"),
                offender["pods"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// Whether there is an offender of this name.
fn is_blocked(report: &Value, name: &str) -> bool {
    offenders(report).iter().any(|(_, one, _)| *one == name)
}

#[test]
fn a_preview_counts_workloads_once_and_both_ways() {
    let bed = bed::shared();
    let namespace = "preview-counts";
    let policy = set_up(&bed, namespace);
    let policy = policy.to_str().unwrap();
    let preview = |words: &[&str]| {
        let base = ["preview", "--namespace", namespace, "--policy", policy];
        let words = [&base[..], words].concat();
        let output = tidegate_in(&bed, "admin", &["system:masters"], &words);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        output
    };
    let json = report(&preview(&["-o", "json"]));
    assert_eq!(json["apiVersion"], "tidegate.dev/v1alpha1");
    assert_eq!(json["kind"], "Preview");
    // The Namespace, three Deployments, the CronJob and two pods; six pods, one of which has ended.
    assert_eq!(
        json["summary"],
        json!({"namespaces": 1, "subjects": 7, "pods": 5, "enforced": 1, "wouldEnforce": 5})
    );
    assert_eq!(
        json["namespaces"],
        json!([{"name": namespace, "controls": [
            {"control": "pod-security", "enforced": 1, "wouldEnforce": 5, "subjects": 7}
        ]}])
    );
    assert_eq!(json["unreadable"], json!([]));
    assert_eq!(
        offenders(&json),
        [
            ("Deployment", "web", 2),
            ("Pod", "ported", 1),
            ("Pod", "privileged", 1),
            ("CronJob", "nightly", 0),
            ("Deployment", "idle", 0),
        ]
    );
    assert_eq!(
        json["offenders"][0]["findings"],
        json!([{
            "control": "pod-security", "check": "hostNamespaces",
            "message": "host namespaces (hostNetwork=true)"
        }])
    );
    assert_eq!(json["offenders"][0]["namespace"], namespace);

    let written = report(&preview(&["-o", "json", "--as", "written"]));
    assert_eq!(written["namespaces"], json["namespaces"]);
    assert_eq!(offenders(&written), [("Pod", "ported", 1)]);

    let output = preview(&[]);
    let text = stdout(&output);
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [namespace, "pod-security", "7", "1", "5"]);
    assert!(
        text.contains(&format!("Deployment {namespace}/web  2 pods")),
        "{text}"
    );
    assert!(
        stderr(&output).contains("policies: first-steps"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_kind_that_may_not_be_read_is_said_and_hides_nothing_else() {
    let bed = bed::shared();
    let namespace = "preview-rights";
    let policy = set_up(&bed, namespace);
    let list = |groups: &[&str], resources: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["list"]});
    let rules = json!([
        list(&[""], &["pods", "replicationcontrollers", "podtemplates"]),
        list(&["apps"], &["deployments", "replicasets", "statefulsets", "daemonsets"]),
        list(&["batch"], &["jobs"]),
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    ]);
    grant(&bed, namespace, "erin", &rules);
    let words = [
        "preview",
        "--namespace",
        namespace,
        "--policy",
        policy.to_str().unwrap(),
        "-o",
        "json",
    ];
    let output = tidegate(&bed, "erin", &words);
    assert_eq!(code(&output), 2);
    let errors = stderr(&output);
    assert!(errors.contains("cronjobs cannot be read"), "{errors}");
    assert!(errors.contains("User \"erin\" cannot list"), "{errors}");
    let json = report(&output);
    assert_eq!(json["summary"]["subjects"], 6);
    assert_eq!(json["summary"]["wouldEnforce"], 4);
    assert_eq!(json["unreadable"].as_array().unwrap().len(), 1);

    // Without the namespace's labels nothing can be judged.
    let output = tidegate(&bed, "nobody", &words);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("namespaces cannot be read"));
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_preview_takes_policies_and_exceptions_from_the_cluster_and_from_the_chart() {
    let bed = bed::shared();
    let namespace = "preview-cluster";
    bed.install_definitions();
    set_up(&bed, namespace);
    let policy = |name: &str, check: &str| {
        json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy", "metadata": {"name": name},
            "spec": {
                "mode": "off", "namespaces": {"include": [namespace]},
                "controls": {"pod-security": {
                    "settings": {"default": {"enforce": "baseline"}}, "checks": {check: {"mode": "enforce"}},
                }},
            },
        })
    };
    let preview = || {
        let words = ["preview", "--namespace", namespace, "-o", "json"];
        let output = tidegate_in(&bed, "admin", &["system:masters"], &words);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let errors = stderr(&output).to_owned();
        (report(&output), errors)
    };
    let policies = "/apis/tidegate.dev/v1alpha1/controlpolicies";
    bed.api().must(&Call::post(
        policies,
        &policy("preview-privileged", "privileged"),
    ));
    let (report, errors) = preview();
    assert!(is_blocked(&report, "privileged"), "{report}");
    assert!(errors.contains("preview-privileged"), "{errors}");

    let chart = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "release-policy", "labels": {"tidegate.dev/config": "policy"}},
        "data": {"policy.yaml": policy("preview-chart", "hostPorts").to_string()},
    });
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    bed.api().must(&Call::post(&maps, &chart));
    let (report, errors) = preview();
    assert!(is_blocked(&report, "ported"), "{report}");
    assert!(errors.contains("preview-chart"), "{errors}");

    // An exception counts once it is approved.
    bed.api()
        .must(&Call::post(exceptions(namespace), &exception("driver")));
    let (report, _) = preview();
    assert!(is_blocked(&report, "privileged"), "{report}");
    let name = format!("{namespace}/driver");
    let words = ["exception", "approve", &name, "--yes"];
    let output = tidegate_in(&bed, "alice", &["system:masters"], &words);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let (report, _) = preview();
    assert!(!is_blocked(&report, "privileged"), "{report}");
    assert!(is_blocked(&report, "ported"), "{report}");

    // What others of the bed would find in a chart's policy is none of ours.
    bed.api()
        .must(&Call::new("DELETE", format!("{maps}/release-policy")));
    bed.api().must(&Call::new(
        "DELETE",
        format!("{policies}/preview-privileged"),
    ));
}
