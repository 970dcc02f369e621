//! Log lines that a peer can cause at will come at most once a second each.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets one event a second through and counts the others.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Whole seconds since the process began, plus one, of the last event let through.
    last: AtomicU64,
    held_back: AtomicU64,
}

impl Throttle {
    pub(super) const fn new() -> Self {
        Throttle {
            last: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// The number of events held back since the last one let through, when this one may pass.
    pub(super) fn pass(&self) -> Option<u64> {
        let now = START.elapsed().as_secs() + 1;
        let last = self.last.load(Ordering::Relaxed);
        let won = last != now
            && self
                .last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            Some(self.held_back.swap(0, Ordering::Relaxed))
        } else {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_lets_few_events_through_and_counts_the_rest() {
        let throttle = Throttle::new();
        let passed = (0..1000).filter(|_| throttle.pass().is_some()).count();
        assert!((1..=2).contains(&passed), "{passed}");
        assert!(throttle.held_back.load(Ordering::Relaxed) >= 900);
    }
}
