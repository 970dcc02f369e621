//! The bounds of the server: sizes, counts and times. Nothing in it is unbounded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Bodies up to this size may use the whole byte budget; larger ones leave an eighth of it free,
/// so that a few huge reviews never shut out the many small ones.
const SMALL_BODY: usize = 64 * 1024;

/// Sizes, counts and times the server keeps. [`Limits::default`] is what `tidegate serve` uses
/// when no flag says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The largest request body, in bytes. An API server sends at most two objects of 3 MiB.
    pub max_body: usize,
    /// The bytes of all request bodies held at once.
    pub max_inflight_bytes: usize,
    /// The connections to the admission port held open at once.
    pub max_connections: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request head to its last.
    pub header: Duration,
    /// From the request head to the last byte of its body.
    pub body: Duration,
    /// From the answer to its last byte being taken by the client.
    pub write: Duration,
    /// How long a connection may wait for its next request. An API server keeps idle connections
    /// for 90 s and does not send a POST again when one is reset, so this must be longer.
    pub idle: Duration,
    /// The age (plus up to a half of it, by chance) from which an answer asks the client to open
    /// a new connection, so that new replicas get their share.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_body: 7 << 20,
            max_inflight_bytes: 64 << 20,
            max_connections: 4096,
            handshake: Duration::from_secs(15),
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            max_age: Duration::from_mins(5),
        }
    }
}

impl Limits {
    /// What is wrong with these limits, in words for the caller of the command.
    ///
    /// # Errors
    /// When a limit is zero, or when the byte budget could never take the largest body.
    pub fn validate(&self) -> Result<(), String> {
        if self.max_body == 0 || self.max_connections == 0 {
            return Err("--max-body and --max-connections must be above 0".to_owned());
        }
        if large_share(self.max_inflight_bytes) < self.max_body {
            return Err(format!(
                "--max-inflight-bytes ({}) must be at least 8/7 of --max-body ({}), so that one \
                 body of the largest size fits beside the small ones",
                self.max_inflight_bytes, self.max_body
            ));
        }
        Ok(())
    }
}

/// How long the server goes on after it was told to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainTimes {
    /// Unready, but serving as before: until nobody sends new work here.
    pub delay: Duration,
    /// From the signal until the last request in flight is cut.
    pub timeout: Duration,
}

impl Default for DrainTimes {
    fn default() -> Self {
        DrainTimes {
            delay: Duration::from_secs(10),
            timeout: Duration::from_secs(25),
        }
    }
}

/// The bytes of request bodies in flight, over all connections.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
    /// How many charges wait for room; telling them costs a lock that is spared when nobody waits.
    waiting: AtomicUsize,
    freed: Notify,
}

fn large_share(max: usize) -> usize {
    max - max / 8
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Budget {
            max,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// An empty charge, to be grown as bytes are announced or arrive.
    pub(super) fn open(&self) -> Charge<'_> {
        Charge {
            budget: self,
            bytes: 0,
        }
    }
}

/// A part of the [`Budget`], given back when dropped.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Charge<'_> {
    /// Raises this charge to `bytes` in all. False when the budget has no room for it.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            return true;
        };
        let limit = if bytes <= SMALL_BODY {
            self.budget.max
        } else {
            large_share(self.budget.max)
        };
        let before = self.budget.used.fetch_add(more, Ordering::SeqCst);
        if before.saturating_add(more) > limit {
            self.budget.used.fetch_sub(more, Ordering::SeqCst);
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// [`Charge::grow_to`], waiting for room until `deadline`: a burst of large bodies is then
    /// served one after the other, while the bytes stay with their senders.
    pub(super) async fn grow_to_by(&mut self, bytes: usize, deadline: Instant) -> bool {
        if self.grow_to(bytes) {
            return true;
        }
        let _waiting = Waiting::new(self.budget);
        loop {
            let freed = self.budget.freed.notified();
            if self.grow_to(bytes) {
                return true;
            }
            if timeout_at(deadline, freed).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        // Sequentially consistent, as is `Waiting`: a waiter either sees these bytes given back or
        // is seen here.
        self.budget.used.fetch_sub(self.bytes, Ordering::SeqCst);
        if self.budget.waiting.load(Ordering::SeqCst) > 0 {
            self.budget.freed.notify_waiters();
        }
    }
}

/// Counts a charge as waiting for as long as it does.
struct Waiting<'a>(&'a Budget);

impl<'a> Waiting<'a> {
    fn new(budget: &'a Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_given_back_when_it_is_dropped() {
        let budget = Budget::new(1 << 20);
        let mut charge = budget.open();
        assert!(charge.grow_to(1000));
        assert!(charge.grow_to(500), "shrinking is no new charge");
        assert_eq!(budget.used(), 1000);
        drop(charge);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn large_bodies_leave_an_eighth_of_the_budget_to_small_ones() {
        let budget = Budget::new(8 << 20);
        let mut large = budget.open();
        assert!(large.grow_to(7 << 20));
        let mut another = budget.open();
        assert!(!another.grow_to(SMALL_BODY + 1));
        assert_eq!(
            budget.used(),
            7 << 20,
            "a refused charge leaves nothing behind"
        );
        let mut small = budget.open();
        assert!(small.grow_to(SMALL_BODY));
    }

    #[tokio::test]
    async fn a_charge_waits_for_room_and_gives_up_at_its_deadline() {
        let budget = Budget::new(8 << 20);
        let mut first = budget.open();
        assert!(first.grow_to(5 << 20));
        let soon = Instant::now() + Duration::from_millis(50);
        let mut second = budget.open();
        assert!(!second.grow_to_by(5 << 20, soon).await);
        let later = Instant::now() + Duration::from_secs(20);
        let free = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(first);
        };
        let ((), had) = tokio::join!(free, second.grow_to_by(5 << 20, later));
        assert!(had && Instant::now() < later);
        assert_eq!(budget.used(), 5 << 20);
        assert_eq!(budget.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_budget_that_could_never_take_the_largest_body_is_refused() {
        let limits = Limits {
            max_inflight_bytes: 7 << 20,
            ..Limits::default()
        };
        assert!(
            limits
                .validate()
                .unwrap_err()
                .contains("--max-inflight-bytes")
        );
        assert_eq!(Limits::default().validate(), Ok(()));
    }
}
