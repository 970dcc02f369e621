//! Thousands of policies and exceptions at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::policies::{enforce_baseline, in_force, of, policy};
use super::until;
use crate::bed::definitions::{POLICIES, exceptions};
use crate::bed::{self, Answer, Bed, Call};

/// Makes `count` objects from several threads.
fn make(bed: &Bed, count: usize, call: impl Fn(usize) -> Call + Sync) -> Duration {
    let start = Instant::now();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    bed.api().must(&call(number));
                }
            });
        }
    });
    start.elapsed()
}

fn exception(namespace: &str, number: usize) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException",
        "metadata": {"name": format!("many-{number}"), "namespace": namespace},
        "spec": {
            "controls": ["pod-security/hostPathVolumes"], "match": {"kinds": ["Pod"], "names": [format!("agent-{number}-*")]},
            "reason": "Reads host logs until the collector is replaced.", "owner": "team@shop.example",
            "requestedBy": "bob", "expires": "2099-01-01T00:00:00Z",
        },
    })
}

fn succeeded(answers: &[Answer]) {
    for answer in answers {
        assert!(answer.succeeded(), "{}", answer.body);
    }
}

#[test]
fn with_thousands_of_policies_and_exceptions_it_is_ready_and_a_change_is_in_force_in_time() {
    const EACH: usize = 2_000;
    let bed = bed::exclusive();
    let test = "polmany";
    let mut tidegate = bed
        .tidegate(test)
        .arguments(&["--preset", "none", "--log-level", "warn"])
        .custom_resources()
        .namespace("shop", &[])
        .start();
    let shop = tidegate.namespace("shop");
    bed.create_namespace("crowd", &[]);
    let empty = tidegate.resident_kb(0);
    let there = tidegate.count(0, "tidegate_resources", &[]);
    let policies = make(&bed, EACH, |number| {
        let name = format!("n{number}");
        Call::post(POLICIES, &policy("crowd", &name, &enforce_baseline()))
    });
    let excepted = make(&bed, EACH, |number| {
        Call::post(exceptions("crowd"), &exception("crowd", number))
    });
    until("all are held", || {
        tidegate.count(0, "tidegate_resources", &[]) == there + 2 * EACH
    });
    let held = tidegate.resident_kb(0);
    let started = Instant::now();
    tidegate.kill(0);
    tidegate.restart(0);
    let ready = started.elapsed();
    let fresh = tidegate.resident_kb(0);
    let replicas = [tidegate.direct_to(0)];
    bed.api().must(&Call::post(
        POLICIES,
        &policy(test, "shop", &enforce_baseline()),
    ));
    let made = in_force(&replicas, &shop, "deny");
    bed.api().must(&Call::new("DELETE", of("polmany-shop")));
    let gone = in_force(&replicas, &shop, "allow");
    println!(
        "{EACH} policies made in {policies:?}, {EACH} exceptions in {excepted:?}; started in {ready:?}; \
         a change in force after {made:?} and {gone:?}; resident {empty} kB empty, {held} kB held, {fresh} kB after a start"
    );
    assert!(fresh < 150_000, "{fresh} kB");
    succeeded(&[
        bed.call(&Call::new("DELETE", POLICIES)),
        bed.call(&Call::new("DELETE", exceptions("crowd"))),
    ]);
}
