//! Which of the replicas writes: leader election on one Lease that the chart has made.
//!
//! A replica takes the Lease when nobody holds it, or when the record in it (holder, `renewTime`,
//! `leaseTransitions`) has not changed for the lease's duration by this replica's own monotonic
//! clock. The times in the record are never compared with a clock of ours, so it does not matter how
//! far the clocks of replicas are apart. Writes carry the resource version they are based on.
//!
//! A leader stops leading [`MARGIN`] before others may take over, counted from the moment it sent
//! the last renewal that succeeded; [`Leadership::while_leading`] ends work at that moment too.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::ObjectName;
use super::call::{Api, micro_time};
use super::wire::{code, explain};
use crate::json::tree::{at, set};

/// How long a Lease is good for without a renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long before the end of the Lease its holder stops leading: the time that requests already
/// sent may take.
pub const MARGIN: Duration = Duration::from_secs(3);
const WRITE_TIMEOUT: Duration = Duration::from_secs(4);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest duration of somebody else's Lease that is waited for.
const LONGEST: Duration = Duration::from_mins(10);

/// The times of the election.
#[derive(Clone, Copy, Debug)]
struct Times {
    duration: Duration,
    margin: Duration,
    renew_every: Duration,
    /// How often a replica that does not lead looks.
    look_every: Duration,
    retry: Duration,
}

const TIMES: Times = Times {
    duration: DURATION,
    margin: MARGIN,
    renew_every: Duration::from_secs(5),
    look_every: Duration::from_secs(2),
    retry: Duration::from_secs(1),
};

/// Whether this replica leads. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Leadership {
    since: watch::Receiver<Option<Instant>>,
    term: Arc<Term>,
}

/// Until when leading is safe.
#[derive(Debug)]
struct Term {
    started: Instant,
    /// Milliseconds after `started`; 0: not leading.
    until: AtomicU64,
}

impl Term {
    fn until(&self) -> Instant {
        self.started + Duration::from_millis(self.until.load(Ordering::Acquire))
    }

    fn set(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| {
            u64::try_from((until - self.started).as_millis()).unwrap_or(u64::MAX)
        });
        self.until.store(until, Ordering::Release);
    }
}

impl Leadership {
    /// Since when this replica leads, if it does at this moment.
    pub fn leading_since(&self) -> Option<Instant> {
        let since = *self.since.borrow();
        since.filter(|_| Instant::now() < self.term.until())
    }

    /// Yields at every beginning and end of leading.
    pub fn changes(&self) -> watch::Receiver<Option<Instant>> {
        self.since.clone()
    }

    /// Drives `work` for as long as this replica leads without a break; `None` when it does not, or
    /// stopped before `work` was done. A future that is dropped half-way must leave nothing behind
    /// that the next leader does not cope with.
    pub async fn while_leading<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut changes = self.since.clone();
        let since = self.leading_since()?;
        loop {
            let until = self.term.until();
            tokio::select! {
                biased;
                told = changes.changed() => {
                    if told.is_err() || *changes.borrow() != Some(since) {
                        return None;
                    }
                }
                () = sleep_until(until) => {
                    if self.term.until() <= until {
                        return None;
                    }
                }
                done = &mut work => return Some(done),
            }
        }
    }
}

/// The part of a Lease that tells whether its holder still renews it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Record {
    holder: String,
    renewed: String,
    transitions: i64,
    duration: Duration,
}

impl Record {
    /// A duration below `floor` counts as that.
    fn read(lease: &Value, floor: Duration) -> Self {
        let spec = &lease["spec"];
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or_default();
        Record {
            holder: text("holderIdentity"),
            renewed: text("renewTime"),
            transitions: spec["leaseTransitions"].as_i64().unwrap_or_default(),
            duration: Duration::from_secs(seconds).clamp(floor, LONGEST),
        }
    }
}

/// What a step of the election found.
#[derive(Debug)]
enum Found {
    /// The Lease is ours, written by a request sent at this moment.
    Ours(Instant),
    /// Somebody else's, who may renew it until this moment.
    Theirs(Instant),
    /// Somebody else wrote it between our reading and writing.
    Conflict,
}

/// Takes part in the election on one Lease.
pub struct Elector {
    api: Api,
    path: String,
    name: ObjectName,
    holder: String,
    times: Times,
    leading: watch::Sender<Option<Instant>>,
    term: Arc<Term>,
    /// The record of somebody else as it was when first seen, and when that was.
    seen: Option<(Record, Instant)>,
    /// The Lease as we last wrote it, while leading.
    ours: Option<Value>,
    /// The last thing said about it, so that it is said once.
    said: String,
}

impl Elector {
    /// `holder` is what stands in the Lease while this replica leads. Nothing is sent yet.
    pub fn new(api: Api, lease: ObjectName, holder: String) -> (Self, Leadership) {
        let term = Arc::new(Term {
            started: Instant::now(),
            until: AtomicU64::new(0),
        });
        let (leading, since) = watch::channel(None);
        let elector = Elector {
            api,
            path: format!(
                "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
                lease.namespace
            ),
            name: lease,
            holder,
            times: TIMES,
            leading,
            term: Arc::clone(&term),
            seen: None,
            ours: None,
            said: String::new(),
        };
        (elector, Leadership { since, term })
    }

    /// Stands for election until `stop`, then gives the Lease back if it is ours.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let round = async {
                let pause = self.step().await;
                sleep(pause).await;
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = round => {}
            }
        }
        self.release().await;
    }

    /// One look, or one renewal; how long to wait before the next.
    async fn step(&mut self) -> Duration {
        let leading = self.leading.borrow().is_some();
        let left = self.term.until().saturating_duration_since(Instant::now());
        if leading && left.is_zero() {
            self.lose("it could not be renewed in time");
            return Duration::ZERO;
        }
        let limit = if leading {
            left.min(WRITE_TIMEOUT)
        } else {
            WRITE_TIMEOUT
        };
        let found = match timeout(limit, self.stand()).await {
            Ok(found) => found,
            Err(_elapsed) => Err("the API server did not answer in time".to_owned()),
        };
        match found {
            Ok(Found::Ours(sent)) => {
                self.term
                    .set(Some(sent + self.times.duration - self.times.margin));
                self.said.clear();
                if !leading {
                    tracing::info!(lease = %self.name, holder = %self.holder, "leading");
                    self.seen = None;
                    self.leading.send_replace(Some(Instant::now()));
                }
                self.times.renew_every
            }
            Ok(Found::Theirs(until)) => {
                if leading {
                    self.lose("somebody else holds it");
                }
                self.said.clear();
                until
                    .saturating_duration_since(Instant::now())
                    .clamp(Duration::from_millis(10), self.times.look_every)
            }
            Ok(Found::Conflict) => Duration::from_millis(50),
            Err(why) => {
                self.say(why);
                self.times.retry
            }
        }
    }

    /// Renews the Lease while leading, and takes it when that is due.
    async fn stand(&mut self) -> Result<Found, String> {
        if let Some(lease) = self.ours.clone() {
            let acquired = at(&lease, &["spec", "acquireTime"]).clone();
            match self.write(lease, acquired).await? {
                Found::Conflict => {}
                written => return Ok(written),
            }
        }
        let lease = self.api.get(&self.path, &self.name.name).await;
        let lease = lease
            .map_err(|error| explain(&error))?
            .ok_or("it does not exist; the chart makes it: is the release installed in full?")?;
        let record = Record::read(&lease, self.times.duration);
        if self.still_ours(&lease) {
            // Something else in the object was changed.
            let acquired = at(&lease, &["spec", "acquireTime"]).clone();
            return self.write(lease, acquired).await;
        }
        self.ours = None;
        let now = Instant::now();
        if !record.holder.is_empty() {
            let unchanged_since = match &self.seen {
                Some((seen, since)) if *seen == record => *since,
                _ => now,
            };
            let until = unchanged_since + record.duration;
            if now < until {
                self.seen = Some((record, unchanged_since));
                return Ok(Found::Theirs(until));
            }
        }
        self.take(lease, &record).await
    }

    async fn take(&mut self, mut lease: Value, record: &Record) -> Result<Found, String> {
        let transitions = record.transitions.saturating_add(1);
        set(
            &mut lease,
            &["spec", "leaseTransitions"],
            json!(transitions),
        );
        let acquired = json!(micro_time());
        self.write(lease, acquired).await
    }

    /// Whether the holder in `lease` is this very process. A process of the same name that came
    /// before us, or beside us by mistake, has another time of acquisition.
    fn still_ours(&self, lease: &Value) -> bool {
        self.ours.as_ref().is_some_and(|ours| {
            ["holderIdentity", "acquireTime", "leaseTransitions"]
                .iter()
                .all(|key| at(ours, &["spec", key]) == at(lease, &["spec", key]))
        })
    }

    async fn write(&mut self, mut lease: Value, acquired: Value) -> Result<Found, String> {
        for (key, value) in [
            ("holderIdentity", json!(self.holder)),
            ("leaseDurationSeconds", json!(self.times.duration.as_secs())),
            ("acquireTime", acquired),
            ("renewTime", json!(micro_time())),
        ] {
            set(&mut lease, &["spec", key], value);
        }
        // Kept before the answer is there: when it does not come we may hold the Lease all the same.
        self.ours = Some(lease.clone());
        let sent = Instant::now();
        match self.put(&lease).await {
            Ok(written) => {
                self.ours = Some(written);
                Ok(Found::Ours(sent))
            }
            Err(error) if code(&error) == Some(409) => Ok(Found::Conflict),
            Err(error) => Err(explain(&error)),
        }
    }

    async fn put(&self, lease: &Value) -> Result<Value, kube::Error> {
        self.api.replace(&self.path, &self.name.name, lease).await
    }

    fn lose(&mut self, why: &str) {
        tracing::warn!(lease = %self.name, reason = why, "no longer leading");
        self.ours = None;
        self.seen = None;
        self.term.set(None);
        self.leading.send_replace(None);
    }

    fn say(&mut self, why: String) {
        if self.said != why {
            tracing::warn!(lease = %self.name, error = %why, "the Lease can be neither taken nor renewed");
            self.said = why;
        }
    }

    /// Gives the Lease to whoever asks next.
    async fn release(&mut self) {
        let leading = self.leading.send_replace(None).is_some();
        self.term.set(None);
        if !leading {
            return;
        }
        match timeout(RELEASE_TIMEOUT, self.give_back()).await {
            Ok(Ok(())) => tracing::info!(lease = %self.name, "released the Lease"),
            Ok(Err(error)) => {
                tracing::warn!(error = %explain(&error), "the Lease is left to run out");
            }
            Err(_elapsed) => tracing::warn!("the Lease is left to run out: no answer in time"),
        }
    }

    async fn give_back(&mut self) -> Result<(), kube::Error> {
        loop {
            // Read anew: a renewal that was cut off may have been written.
            let lease = self.api.get(&self.path, &self.name.name).await?;
            let Some(mut lease) = lease.filter(|lease| self.still_ours(lease)) else {
                return Ok(());
            };
            set(&mut lease, &["spec", "holderIdentity"], json!(""));
            set(&mut lease, &["spec", "renewTime"], json!(micro_time()));
            match self.put(&lease).await {
                Err(error) if code(&error) == Some(409) => {}
                done => return done.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests;
