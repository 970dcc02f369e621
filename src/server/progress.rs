//! What a connection is doing and since when: written by its reader, its writer and its handler,
//! read by the one timer it has.
//!
//! hyper's own header timeout also cuts connections that merely wait for their next request,
//! which an API server would pay for with a failed call. So the two are told apart here.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Waiting for the next request.
    Idle,
    /// Reading a request head.
    Head,
    /// Reading a request body.
    Body,
    /// The request is complete and being answered; the request's own deadline rules.
    Answering,
    /// Writing the answer.
    Writing,
    /// Reading on after the last answer so that a reset does not take it away from the client.
    Lingering,
}

/// How long a client may go on sending what nobody reads after a refusal.
const LINGER: Duration = Duration::from_secs(2);

/// The state of one connection. Only its own task uses it; the atomics are there because the task
/// may move between threads.
#[derive(Debug)]
pub(super) struct Progress {
    opened: Instant,
    phase: AtomicU8,
    /// Nanoseconds from `opened` to the start of the phase.
    since: AtomicU64,
    body_late: AtomicBool,
    unread: AtomicBool,
    served: AtomicBool,
}

impl Progress {
    pub(super) fn new(opened: Instant) -> Self {
        Progress {
            opened,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            body_late: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            served: AtomicBool::new(false),
        }
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Answering,
            4 => Phase::Writing,
            5 => Phase::Lingering,
            _ => Phase::Idle,
        }
    }

    pub(super) fn enter(&self, phase: Phase, now: Instant) {
        let since = now.saturating_duration_since(self.opened).as_nanos();
        self.since
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Changes the phase and keeps its start.
    pub(super) fn rename(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// A first byte of a request has come.
    pub(super) fn bytes_read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head, Instant::now());
        }
    }

    /// Everything written has left. The idle time is counted from the answer, which spares a look
    /// at the clock and differs by the time the write took.
    pub(super) fn flushed(&self) {
        if self.phase() == Phase::Writing {
            self.rename(Phase::Idle);
        }
    }

    /// When the present phase has lasted too long; `None` while answering.
    pub(super) fn due(&self, limits: &Limits, crowded: bool) -> Option<Instant> {
        let limit = match self.phase() {
            // Under pressure a connection that never carried a good request gives way first.
            Phase::Idle if crowded && !self.served.load(Ordering::Relaxed) => limits.header,
            Phase::Idle => limits.idle,
            Phase::Head => limits.header,
            Phase::Body => limits.body,
            Phase::Answering => return None,
            Phase::Writing => limits.write,
            Phase::Lingering => LINGER,
        };
        let since = Duration::from_nanos(self.since.load(Ordering::Relaxed));
        Some(self.opened + since + limit)
    }

    /// Tells the handler that the body took too long.
    pub(super) fn set_body_late(&self) {
        self.body_late.store(true, Ordering::Relaxed);
    }

    pub(super) fn body_late(&self) -> bool {
        self.body_late.load(Ordering::Relaxed)
    }

    /// Part of a request was left unread, so the connection ends and must linger.
    pub(super) fn set_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// A review was answered on this connection.
    pub(super) fn set_served(&self) {
        self.served.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_head_have_limits_of_their_own() {
        let opened = Instant::now();
        let limits = Limits::default();
        let progress = Progress::new(opened);
        assert_eq!(progress.due(&limits, false), Some(opened + limits.idle));
        progress.bytes_read();
        assert_eq!(progress.phase(), Phase::Head);
        assert!(progress.due(&limits, false).unwrap() < opened + limits.idle);
        progress.rename(Phase::Answering);
        assert_eq!(progress.due(&limits, false), None);
        progress.enter(Phase::Writing, opened);
        progress.flushed();
        assert_eq!(progress.phase(), Phase::Idle);
    }

    #[test]
    fn in_a_crowd_only_connections_that_served_may_idle_for_long() {
        let opened = Instant::now();
        let limits = Limits::default();
        let progress = Progress::new(opened);
        assert_eq!(progress.due(&limits, true), Some(opened + limits.header));
        progress.set_served();
        assert_eq!(progress.due(&limits, true), Some(opened + limits.idle));
    }
}
