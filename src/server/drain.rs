//! The way to the end: serving, unready, closing, closed.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How far the server is on its way to the end. The order is the order of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    /// Serving.
    Serving,
    /// Serving as before, but not ready for more.
    Unready,
    /// Every answer asks the client to close its connection.
    Closing,
    /// Nobody is accepted any more, idle connections are closed, what is in flight is finished.
    Closed,
    /// What is still there is cut.
    Cut,
}

/// The stage, shared by everything that has to act on it.
#[derive(Debug, Default)]
pub(super) struct Drain {
    stage: AtomicU8,
    changed: Notify,
}

impl Drain {
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Serving,
            1 => Stage::Unready,
            2 => Stage::Closing,
            3 => Stage::Closed,
            _ => Stage::Cut,
        }
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Resolves at the next change of the stage after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Resolves once the server is at least at `stage`.
    pub(super) async fn reached(&self, stage: Stage) {
        loop {
            let changed = self.changed();
            if self.stage() >= stage {
                return;
            }
            changed.await;
        }
    }
}
