//! When the API server was last heard from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A time that is set often and by anybody.
#[derive(Debug)]
pub(super) struct Contact {
    started: Instant,
    /// Milliseconds from `started`, plus one; 0: never.
    at: AtomicU64,
}

impl Default for Contact {
    fn default() -> Self {
        Contact {
            started: Instant::now(),
            at: AtomicU64::new(0),
        }
    }
}

impl Contact {
    /// Now.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.at.store(now + 1, Ordering::Relaxed);
    }

    /// The time from the last contact to `now`; `None`: never.
    pub(super) fn age_at(&self, now: Instant) -> Option<Duration> {
        let at = self.at.load(Ordering::Relaxed).checked_sub(1)?;
        Some((now - self.started).saturating_sub(Duration::from_millis(at)))
    }
}
