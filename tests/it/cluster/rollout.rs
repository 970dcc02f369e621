//! Certificates and replicas replaced while requests come in: no call may fail.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{self, Bed, Call, Tally, compliant_pod, during};

/// Between two calls of one thread, to leave the processors to other tests as well.
const PAUSE: Duration = Duration::from_millis(10);

/// One write that must pass and one that must be denied, by tidegate and for the right reason.
fn write_both(bed: &Bed, namespace: &str) -> Result<(), String> {
    std::thread::sleep(PAUSE);
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let good = bed.call(&Call::post(&path, &compliant_pod("good")).dry_run());
    let mut pod = compliant_pod("bad");
    pod["spec"]["hostIPC"] = json!(true);
    let bad = bed.call(&Call::post(&path, &pod).dry_run());
    if good.status != 201 {
        return Err(format!("good: {} {}", good.status, good.message()));
    }
    if bad.causes() != [("pod-security/hostNamespaces", "spec.hostIPC")] {
        return Err(format!("bad: {} {}", bad.status, bad.message()));
    }
    Ok(())
}

/// How often the API server could not call a webhook.
fn failed_calls(bed: &Bed, webhook: &str) -> f64 {
    let labels = [("error_type", "calling_webhook_error"), ("name", webhook)];
    bed.api()
        .metric("apiserver_admission_webhook_rejection_count", &labels)
}

fn assert_none_failed(tally: &Tally, at_least: u64) {
    assert!(
        tally.failures.is_empty(),
        "{} of {} calls failed: {:?}",
        tally.failures.len(),
        tally.calls,
        tally.failures
    );
    assert!(
        tally.calls >= at_least,
        "only {} calls were made",
        tally.calls
    );
}

#[test]
fn a_hundred_certificate_rotations_under_load_fail_no_call() {
    let bed = bed::shared();
    let mut tidegate = bed.tidegate("rotation").namespace("shop", &[]).start();
    let name = tidegate.namespace("shop");
    let failed_before = failed_calls(&bed, tidegate.webhook());
    let direct = tidegate.direct();
    // New connections of a client that verifies the certificate, beside those the API server keeps.
    let connect = || {
        std::thread::sleep(PAUSE);
        let answer = direct
            .review_pod(&name, &compliant_pod("web"))
            .map_err(|error| error.to_string())?;
        match answer.review["response"]["allowed"].as_bool() {
            Some(true) => Ok(answer.certificate),
            _ => Err(answer.review.to_string()),
        }
    };

    let mut seen = HashSet::from([connect().unwrap()]);
    let ((), tally) = during(
        2,
        || write_both(&bed, &name).and_then(|()| connect().map(|_| ())),
        || {
            for rotation in 1..=100 {
                tidegate.rotate_certificate();
                let start = Instant::now();
                while !seen.insert(connect().unwrap()) {
                    assert!(
                        start.elapsed() < Duration::from_secs(10),
                        "rotation {rotation} is not taken into use"
                    );
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        },
    );
    assert_eq!(seen.len(), 101);
    assert_none_failed(&tally, 500);
    assert!((failed_calls(&bed, tidegate.webhook()) - failed_before).abs() < f64::EPSILON);
}

#[test]
fn replacing_every_replica_under_load_fails_no_call() {
    let bed = bed::shared();
    let mut tidegate = bed
        .tidegate("rollout")
        .arguments(&["--drain-delay", "2s", "--drain-timeout", "10s"])
        .namespace("shop", &[])
        .replicas(2)
        .start();
    let name = tidegate.namespace("shop");
    let failed_before = failed_calls(&bed, tidegate.webhook());
    let ((), tally) = during(
        4,
        || write_both(&bed, &name),
        || {
            for replica in [0, 1, 0, 1] {
                std::thread::sleep(Duration::from_millis(500));
                tidegate.signal(replica, "TERM");
                let status = tidegate.wait(replica, Duration::from_secs(20));
                assert_eq!(status.code(), Some(0), "{}", tidegate.log(replica));
                tidegate.restart(replica);
            }
        },
    );
    assert_none_failed(&tally, 200);
    assert!((failed_calls(&bed, tidegate.webhook()) - failed_before).abs() < f64::EPSILON);
}
