//! What goes on when other parts of the cluster fail. Every test here has the bed for itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::until;
use crate::bed::{self, Call, Tidegate, compliant_pod, plain_pod};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

fn privileged_pod() -> Value {
    let mut pod = compliant_pod("bad");
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    pod
}

/// Asks tidegate itself, past the API server; says whether it allows the Pod, and fails when it is slow.
fn asks_directly(tidegate: &Tidegate<'_>, namespace: &str, pod: &Value) -> bool {
    let start = Instant::now();
    let answer = tidegate.direct().review_pod(namespace, pod).unwrap();
    assert_eq!(answer.status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    answer.review["response"]["allowed"].as_bool().unwrap()
}

#[test]
fn while_the_api_server_is_down_decisions_go_on_and_afterwards_labels_count_again() {
    let bed = bed::exclusive();
    let tidegate = bed
        .tidegate("crash")
        .namespace("shop", &[(ENFORCE, "baseline")])
        .start();
    let name = tidegate.namespace("shop");

    bed.kill_apiserver();
    assert!(asks_directly(&tidegate, &name, &plain_pod("web")));
    assert!(!asks_directly(&tidegate, &name, &privileged_pod()));
    assert!(
        !asks_directly(&tidegate, "never-seen", &plain_pod("web")),
        "a namespace nobody knows was waved through"
    );
    assert_eq!(tidegate.ops(0, "/livez").unwrap().0, 200);
    bed.start_apiserver();

    let labels = json!({"metadata": {"labels": {ENFORCE: "restricted"}}});
    bed.api()
        .must(&Call::patch(format!("/api/v1/namespaces/{name}"), &labels));
    let post = Call::post(format!("/api/v1/namespaces/{name}/pods"), &plain_pod("web")).dry_run();
    until("the watch has found the new label", || {
        bed.call(&post).status == 403
    });
    assert_eq!(tidegate.ops(0, "/readyz").unwrap().0, 200);
}

#[test]
fn while_etcd_is_stalled_decisions_go_on_and_nothing_unknown_is_allowed() {
    let bed = bed::exclusive();
    let tidegate = bed
        .tidegate("stall")
        .namespace("shop", &[(ENFORCE, "baseline")])
        .start();
    let name = tidegate.namespace("shop");
    let post = Call::post(format!("/api/v1/namespaces/{name}/pods"), &plain_pod("web"));

    bed.stall_etcd();
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| bed.call(&post));
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let start = Instant::now();
            assert!(asks_directly(&tidegate, &name, &plain_pod("web")));
            assert!(!asks_directly(&tidegate, &name, &privileged_pod()));
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "two decisions took {:?}",
                start.elapsed()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(!asks_directly(&tidegate, "never-seen", &plain_pod("web")));
        assert_eq!(tidegate.ops(0, "/livez").unwrap().0, 200);
        assert!(!hanging.is_finished(), "the write did not wait for etcd");
        bed.continue_etcd();
        let written = hanging.join().unwrap();
        assert_eq!(written.status, 201, "{}", written.body);
    });
    assert_eq!(
        bed.call(&Call::post(
            format!("/api/v1/namespaces/{name}/pods"),
            &privileged_pod()
        ))
        .status,
        403
    );
}

#[test]
fn without_tidegate_its_namespaces_are_closed_and_the_others_open() {
    let bed = bed::shared();
    let mut tidegate = bed.tidegate("gone").namespace("shop", &[]).start();
    let name = tidegate.namespace("shop");
    let post = |namespace: &str| {
        bed.call(
            &Call::post(
                format!("/api/v1/namespaces/{namespace}/pods"),
                &compliant_pod("web"),
            )
            .dry_run(),
        )
    };
    tidegate.kill(0);
    let refused = post(&name);
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(tidegate.could_not_be_called(&refused), "{}", refused.body);
    for open in ["tg-gone", "kube-system"] {
        until("the namespace has its service account", || {
            bed.call(&Call::new(
                "GET",
                format!("/api/v1/namespaces/{open}/serviceaccounts/default"),
            ))
            .succeeded()
        });
        let answer = post(open);
        assert!(answer.succeeded(), "{open}: {}", answer.body);
    }
    tidegate.restart(0);
    assert!(post(&name).succeeded());
}

#[test]
fn a_tidegate_that_never_answers_holds_up_only_what_it_is_asked_about() {
    let bed = bed::shared();
    let mut tidegate = bed.tidegate("silent").namespace("shop", &[]).start();
    let name = tidegate.namespace("shop");
    let timed = |path: String, object: &Value| {
        let start = Instant::now();
        let answer = bed.call(&Call::post(path, object));
        (answer, start.elapsed())
    };
    tidegate.signal(0, "STOP");
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": {},
    });
    let (leased, took) = timed(
        format!("/apis/coordination.k8s.io/v1/namespaces/{name}/leases"),
        &lease,
    );
    assert!(
        leased.succeeded() && took < Duration::from_secs(1),
        "{took:?} {}",
        leased.body
    );
    let settings =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    let (stored, took) = timed(format!("/api/v1/namespaces/{name}/configmaps"), &settings);
    assert!(
        stored.succeeded() && took < Duration::from_secs(1),
        "{took:?} {}",
        stored.body
    );

    let pods = format!("/api/v1/namespaces/{name}/pods");
    let (refused, took) = timed(pods.clone(), &compliant_pod("web"));
    assert!(tidegate.could_not_be_called(&refused), "{}", refused.body);
    assert!(took < Duration::from_secs(5), "{took:?}");
    tidegate.signal(0, "CONT");
    until("tidegate answers again", || {
        bed.call(&Call::post(&pods, &compliant_pod("web")).dry_run())
            .succeeded()
    });
}
