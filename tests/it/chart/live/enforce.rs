//! From showing to enforcing and back while the cluster is at work.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    POLICIES, QUICK, SOON, install, is_denial, judge, pods, privileged_pod, until_denied, upgrade,
};
use crate::bed::{self, Answer, Call, Cluster, Helm, Tally, compliant_pod, during};

/// Two threads, each with a good and a bad Pod every tenth of a second: forty calls a second.
const THREADS: usize = 2;
const PAUSE: Duration = Duration::from_millis(100);

/// Half of the chart's defaults, to be done sooner.
const DRAIN: &str = "drain.delaySeconds=5,drain.timeoutSeconds=12";

/// Good Pods are admitted, whatever happens; bad ones are admitted or denied, but judged.
fn steadily<R>(cluster: &Cluster, what: &str, work: impl FnOnce() -> R) -> (R, Tally) {
    let start = Instant::now();
    let good = compliant_pod("good");
    let bad = privileged_pod("bad");
    let (result, tally) = during(
        THREADS,
        || {
            std::thread::sleep(PAUSE);
            let failed = |answer: &Answer| Err(format!("{:?} {answer:?}", start.elapsed()));
            let answer = judge(cluster, "shop", &good);
            if !answer.succeeded() {
                return failed(&answer);
            }
            let answer = judge(cluster, "shop", &bad);
            if !answer.succeeded() && !is_denial(&answer) {
                return failed(&answer);
            }
            Ok(())
        },
        work,
    );
    println!(
        "{what}: {:.1?}, {} pairs of calls, {} failed",
        start.elapsed(),
        tally.calls,
        tally.failures.len()
    );
    assert!(tally.calls > 10, "{tally:?}");
    (result, tally)
}

#[test]
fn enforcing_comes_and_goes_without_a_failed_call() {
    bed::inside(|cluster| {
        for namespace in ["shop", "depot"] {
            cluster.create_namespace(namespace, &[]);
        }
        install(cluster, Helm::Four, &["--set", DRAIN]);
        until_denied(cluster, "shop", false);
        let step = |what: &str, words: &[&str], shop: bool, depot: bool| {
            let ((), tally) = steadily(cluster, what, || {
                upgrade(cluster, Helm::Four, &[&["--set", DRAIN], words].concat());
                until_denied(cluster, "shop", shop);
                until_denied(cluster, "depot", depot);
                // Helm does not wait for the pods that go; what is lost would be lost with them.
                cluster.until("the old pods are gone", SOON, || pods(cluster).len() == 2);
            });
            assert!(tally.failures.is_empty(), "{what}: {:#?}", tally.failures);
        };
        let recorded = "auditOnly=false,policy.mode=audit";
        let shop = format!("{recorded},policy.namespaces.shop=enforce");
        let control = format!("{recorded},policy.controls.pod-security=enforce");
        step("one namespace", &["--set", &shop], true, false);
        step("one control", &["--set", &control], true, true);
        step("back to recording", &["--set", recorded], false, false);
        step(
            "all of the preset",
            &["--set", "auditOnly=false"],
            true,
            true,
        );
        step("back to audit-only", &[], false, false);
    });
}

#[test]
fn under_fail_a_killed_replica_costs_only_what_is_sent_to_it_and_policies_come_and_go_unnoticed() {
    bed::inside(|cluster| {
        cluster.create_namespace("shop", &[]);
        install(
            cluster,
            Helm::Four,
            &["--set", QUICK, "--set", "auditOnly=false"],
        );
        until_denied(cluster, "shop", true);
        policies_and_exceptions_come_and_go(cluster);
        a_replica_is_killed(cluster);
        a_replica_is_deleted(cluster);
    });
}

fn a_replica_is_killed(cluster: &Cluster) {
    let victim = &pods(cluster)[0];
    let (took, tally) = steadily(cluster, "a replica killed", || {
        std::thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        victim.signal("KILL");
        cluster.until("it runs again", Duration::from_secs(30), || {
            victim.restarts() == 1 && victim.is_ready()
        });
        let took = start.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        took
    });
    println!("ready again after {took:.1?}; {:#?}", tally.failures);
    // Not only what is in flight: until the API server knows that it is gone, half of the calls go
    // there, find nobody listening, and are not sent again.
    assert!(tally.failures.len() <= 30, "{:#?}", tally.failures);
    for failure in &tally.failures {
        assert!(failure.contains("failed calling webhook"), "{failure}");
    }
    let ((), tally) = steadily(cluster, "afterwards", || {
        std::thread::sleep(Duration::from_secs(2));
    });
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
}

fn a_replica_is_deleted(cluster: &Cluster) {
    let victim = &pods(cluster)[0];
    let ((), tally) = steadily(cluster, "a replica deleted", || {
        victim.delete();
        cluster.until("it is gone", Duration::from_secs(30), || {
            victim.object().is_null()
        });
        cluster.wait_until_rolled_out("tidegate", "tidegate", Duration::from_secs(30));
    });
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
}

/// An exception for bad Pods of shop, asked for by `bob`.
fn exception(reason: &str) -> serde_json::Value {
    let end = time::OffsetDateTime::now_utc() + time::Duration::days(30);
    let end = end.replace_nanosecond(0).unwrap();
    let end = end
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException", "metadata": {"name": "one"},
        "spec": {
            "controls": ["pod-security/privileged"], "match": {"kinds": ["Pod"], "names": ["other*"]},
            "reason": reason, "owner": "team-shop", "requestedBy": "bob", "expires": end,
        },
    })
}

fn policies_and_exceptions_come_and_go(cluster: &Cluster) {
    const EXCEPTIONS: &str = "/apis/tidegate.dev/v1alpha1/namespaces/shop/controlexceptions";
    let policy = |mode: &str| {
        json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy", "metadata": {"name": "more"},
            "spec": {"mode": mode, "controls": {"pod-security": {}}},
        })
    };
    let ((), tally) = steadily(cluster, "policies and exceptions", || {
        let api = cluster.api();
        let (one_policy, one) = (format!("{POLICIES}/more"), format!("{EXCEPTIONS}/one"));
        for _ in 0..12 {
            std::thread::sleep(PAUSE * 2);
            api.must(&Call::post(POLICIES, &policy("audit")));
            api.must(&Call::post(EXCEPTIONS, &exception("Until it is replaced.")).user("bob"));
            api.must(&Call::merge(
                &one_policy,
                &json!({"spec": {"mode": "enforce"}}),
            ));
            let reason = json!({"spec": {"reason": "Until it is replaced, in May."}});
            api.must(&Call::merge(&one, &reason).user("bob"));
            // What is broken is refused, the first by the guard, the second by the definition.
            let unknown = json!({"spec": {"controls": {"no-such-control": {}}}});
            let answer = cluster.call(&Call::merge(&one_policy, &unknown));
            assert!((400..500).contains(&answer.status), "{answer:?}");
            let mode = json!({"spec": {"mode": "never"}});
            let answer = cluster.call(&Call::merge(&one_policy, &mode));
            assert!((400..500).contains(&answer.status), "{answer:?}");
            let approval = json!({"status": {"approval": {"approvedBy": "bob", "approvedAt": "2026-01-01T00:00:00Z"}}});
            let answer = cluster.call(&Call::merge(format!("{one}/status"), &approval).user("bob"));
            assert!((400..500).contains(&answer.status), "{answer:?}");
            api.must(&Call::new("DELETE", &one));
            api.must(&Call::new("DELETE", &one_policy));
        }
    });
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
}
