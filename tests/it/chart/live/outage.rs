//! Every replica is gone, and unanswered requests are refused.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    POLICIES, QUICK, SHOP, SOON, install, is_denial, judge, pods, privileged_pod, until_denied,
};
use crate::bed::{self, Answer, Call, Cluster, Helm, compliant_pod};

#[test]
fn without_any_replica_the_cluster_lives_on_and_recovers_by_itself() {
    bed::inside(|cluster| {
        cluster.create_namespace("shop", &[]);
        install(
            cluster,
            Helm::Four,
            &["--set", QUICK, "--set", "auditOnly=false"],
        );
        until_denied(cluster, "shop", true);

        let old = pods(cluster);
        cluster.node().pause();
        for pod in &old {
            pod.signal("KILL");
        }
        what_tidegate_judges_is_refused(cluster);
        what_keeps_a_cluster_alive_is_admitted(cluster);
        // Gone for good: the new pods are made by a controller while nobody can judge them.
        for pod in &old {
            let call = Call::new("DELETE", format!("{}?gracePeriodSeconds=0", pod.path()));
            cluster.api().must(&call);
        }
        cluster.until("there are two new pods", SOON, || {
            let new = pods(cluster);
            new.len() == 2
                && new
                    .iter()
                    .all(|new| old.iter().all(|old| old.name != new.name))
        });
        assert!(unanswered(&judge(cluster, "shop", &compliant_pod("good"))));

        let start = Instant::now();
        cluster.node().resume();
        cluster.until("good pods are admitted again", SOON, || {
            judge(cluster, "shop", &compliant_pod("good")).succeeded()
        });
        println!("back after {:.1?}", start.elapsed());
        assert!(is_denial(&judge(cluster, "shop", &privileged_pod("bad"))));
        cluster.wait_until_rolled_out("tidegate", "tidegate", SOON);
    });
}

/// Whether the API server refused since it could not ask.
fn unanswered(answer: &Answer) -> bool {
    answer.status == 500 && answer.message().contains("failed calling webhook")
}

fn what_tidegate_judges_is_refused(cluster: &Cluster) {
    let answer = judge(cluster, "shop", &compliant_pod("good"));
    assert!(unanswered(&answer), "{answer:?}");
    // Both entries for workloads are asked at the same time; the first that fails is named.
    let named = ["\"validate.tidegate.dev\"", "\"images.tidegate.dev\""];
    assert!(
        named.iter().any(|name| answer.message().contains(name)),
        "{answer:?}"
    );
    let policy = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy", "metadata": {"name": "new"},
        "spec": {"mode": "audit", "controls": {"pod-security": {}}},
    });
    let answer = cluster.call(&Call::post(POLICIES, &policy));
    assert!(unanswered(&answer), "{answer:?}");
}

fn what_keeps_a_cluster_alive_is_admitted(cluster: &Cluster) {
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}});
    let leases =
        |namespace: &str| format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let in_namespace = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods");
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "another"}});
    let calls: Vec<Call> = vec![
        Call::post(in_namespace("kube-system"), &privileged_pod("proxy")),
        Call::post(in_namespace("tidegate"), &compliant_pod("beside")).dry_run(),
        Call::post("/api/v1/nodes", &node),
        Call::merge(
            "/api/v1/nodes/another/status",
            &json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ),
        Call::new("DELETE", "/api/v1/nodes/another"),
        Call::post(leases("kube-node-lease"), &lease("another")),
        Call::post(leases("shop"), &lease("leader")),
        Call::new("DELETE", format!("{}/leader", leases("shop"))),
        Call::post(
            "/api/v1/namespaces/shop/configmaps",
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}),
        ),
        Call::new("DELETE", format!("{SHOP}?labelSelector=app=none")),
    ];
    for call in &calls {
        cluster.api().must(call);
    }
    let restarted: Value =
        json!({"spec": {"template": {"metadata": {"annotations": {"bed": "again"}}}}});
    let path = "/apis/apps/v1/namespaces/tidegate/deployments/tidegate";
    cluster.api().must(&Call::patch(path, &restarted).dry_run());
}
