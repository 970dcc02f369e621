//! Steady calls beside something else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What became of the calls made meanwhile.
#[derive(Debug)]
pub struct Tally {
    /// How many calls were made.
    pub calls: u64,
    /// Why calls failed; the first hundred.
    pub failures: Vec<String>,
}

/// Makes `call` over and over from several threads until `work` has returned.
pub fn during<R>(
    threads: usize,
    call: impl Fn() -> Result<(), String> + Sync,
    work: impl FnOnce() -> R,
) -> (R, Tally) {
    let ended = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let result = std::thread::scope(|scope| {
        // Also when `work` panics, so that the scope can end.
        let _ending = Ending(&ended);
        for _ in 0..threads {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    calls.fetch_add(1, Ordering::Relaxed);
                    if let Err(failure) = call() {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        if failures.len() < 100 {
                            failures.push(failure);
                        }
                    }
                }
            });
        }
        work()
    });
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    (
        result,
        Tally {
            calls: calls.into_inner(),
            failures,
        },
    )
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
