//! tidegate behind a real API server (the bed of `tests/bed`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod approval;
mod audit_only;
mod audit_only_proof;
mod break_glass;
mod by_hand;
mod crowd;
mod denials;
mod exceptions;
mod exemptions;
mod faults;
mod fixtures;
mod namespaces;
mod people;
mod policies;
mod preview;
mod rollout;
mod templates;
mod updates;
mod writes;

use std::time::{Duration, Instant};

/// Waits for something that other processes bring about; fails after ten seconds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "ten seconds passed before {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
