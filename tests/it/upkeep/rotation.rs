//! A thousand rotations under load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Connecting, SOON, within, write};
use crate::bed::{self, Authority, Tally, secret_text};

/// How many certificates are put into use, how many of those by way of a new CA, and in what time
/// the next may follow at the earliest.
const ROTATIONS: usize = 1000;
const AUTHORITIES: usize = 10;
const EVERY: Duration = Duration::from_millis(100);
/// Calls a second, half of them over new connections.
const RATE: u32 = 200;
const THREADS: u32 = 8;

#[test]
fn a_thousand_rotations_at_two_hundred_calls_a_second_fail_no_handshake_and_no_call() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("thousand")
        .certificates("own")
        .namespace("shop", &[])
        .replicas(2)
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let connecting = Connecting::new(&tidegate);
    let turn = AtomicU64::new(0);
    let start = Instant::now();
    let (served, tally) = bed::during(
        THREADS as usize,
        || {
            let number = turn.fetch_add(1, Ordering::Relaxed);
            let due = start + Duration::from_secs(1) * u32::try_from(number).unwrap() / RATE;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if number.is_multiple_of(2) {
                write(&tidegate, &name)
            } else {
                connecting.call(&name).map(|_| ())
            }
        },
        || rotate(&tidegate, &connecting, &name),
    );
    let took = start.elapsed();
    eprintln!(
        "{ROTATIONS} rotations, {AUTHORITIES} of them with a new CA, in {took:?}: {} calls, {} a second, {} failed",
        tally.calls,
        tally.calls / took.as_secs(),
        tally.failures.len()
    );
    assert_none_failed(&tally);
    assert!(
        tally.calls / took.as_secs() >= u64::from(RATE) * 9 / 10,
        "the load was not reached"
    );
    assert!(
        served >= ROTATIONS / 2,
        "only {served} different certificates were seen"
    );
    for replica in 0..2 {
        let failures = tidegate.metric(
            replica,
            "tidegate_handshake_failures_total",
            &[("reason", "tls")],
        );
        assert!(
            failures.abs() < f64::EPSILON,
            "{failures} handshakes failed"
        );
        let reloads = tidegate.metric(replica, "tidegate_certificate_reloads_total", &[]);
        assert!(
            reloads >= 900.0,
            "replica {replica} took {reloads} into use"
        );
    }
}

/// Puts new certificates into the Secret; how many different ones were met by calls.
fn rotate(tidegate: &bed::Tidegate<'_>, connecting: &Connecting<'_>, namespace: &str) -> usize {
    let mut met = std::collections::HashSet::new();
    for rotation in 0..ROTATIONS {
        let begun = Instant::now();
        if rotation % (ROTATIONS / AUTHORITIES) == ROTATIONS / AUTHORITIES / 2 {
            let before = tidegate.authorities();
            // Its key is gone, so tidegate makes another CA, by overlap.
            tidegate.change_secret(&[("ca.key", None)]);
            let leaf = tidegate.stored_leaf();
            within(SOON, "there is a certificate of another CA", || {
                tidegate.authorities() != before && tidegate.stored_leaf() != leaf
            });
        } else {
            let secret = tidegate.secret().unwrap();
            let bundle = secret_text(&secret, "ca.crt");
            let authority = Authority::of(&bundle, &secret_text(&secret, "ca.key"));
            let leaf = authority.server(&[tidegate.server_name()]);
            tidegate.change_secret(&[
                ("tls.crt", Some(&leaf.certificate)),
                ("tls.key", Some(&leaf.key)),
            ]);
        }
        if let Ok(certificate) = connecting.call(namespace) {
            met.insert(certificate);
        }
        std::thread::sleep(EVERY.saturating_sub(begun.elapsed()));
    }
    met.len()
}

fn assert_none_failed(tally: &Tally) {
    assert!(
        tally.failures.is_empty(),
        "{} of {} calls failed: {:?}",
        tally.failures.len(),
        tally.calls,
        tally.failures
    );
}

#[test]
fn short_lives_are_renewed_at_two_thirds_by_tidegate_itself_and_old_cas_go() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("lives")
        .certificates("own")
        .arguments(&["--tls-leaf-life", "9s", "--tls-ca-life", "27s"])
        .namespace("shop", &[])
        .replicas(2)
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let connecting = Connecting::new(&tidegate);
    let made = |kind| -> f64 {
        let labels = [("kind", kind)];
        (0..2)
            .map(|replica| {
                tidegate.metric(replica, "tidegate_certificate_rotations_total", &labels)
            })
            .sum()
    };
    let first = tidegate.authorities();
    let (most, tally) = bed::during(
        2,
        || {
            std::thread::sleep(Duration::from_millis(20));
            write(&tidegate, &name).and_then(|()| connecting.call(&name).map(|_| ()))
        },
        || {
            let mut most = 0;
            within(
                Duration::from_secs(90),
                "two CAs and their leaves are over",
                || {
                    most = most.max(tidegate.authorities().len());
                    made("ca") >= 3.0 && made("leaf") >= 7.0
                },
            );
            most
        },
    );
    assert_none_failed(&tally);
    assert_eq!(most, 2, "the old one beside the new one, and no more");
    within(SOON, "the first CA is forgotten", || {
        !tidegate.authorities().contains(&first[0])
    });
}
