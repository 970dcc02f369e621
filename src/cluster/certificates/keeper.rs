//! What the leader does: it keeps the Secret as planned and the `caBundle` of every entry.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bundle::Bundle;
use super::content::Content;
use super::plan::{Action, Trust, WithLeaf, plan};
use super::trust::{Lingering, Trusted};
use super::{Keeping, Settings};
use crate::cluster::call::Api;
use crate::cluster::events::{EventType, Events, Notice, Reference};
use crate::cluster::lease::Leadership;
use crate::cluster::one::Seen;
use crate::cluster::wire::{code, explain};
use crate::server::{Metrics, Rotation};

mod ca_bundle;
mod secret;

/// The leader looks at least this often, whatever the watches tell.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(5);
/// A write that somebody else's came before is tried again after this.
const AGAIN: Duration = Duration::from_millis(50);
/// The steps of one round; a plan comes to rest within three.
const STEPS: usize = 6;
/// Why a round did not get to its end.
enum Stop {
    /// Somebody else wrote in between: at once again.
    Conflict,
    /// It failed, in words.
    Failed(String),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        match code(&error) {
            Some(409) => Stop::Conflict,
            _ => Stop::Failed(explain(&error)),
        }
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Stop::Failed(why)
    }
}

/// Keeps Secret and `caBundle` while this replica leads.
pub struct Keeper {
    api: Api,
    settings: Settings,
    leadership: Leadership,
    secret: watch::Receiver<Seen>,
    webhook: watch::Receiver<Seen>,
    events: Events,
    metrics: Arc<Metrics>,
    trusted: Trusted,
    lingering: Lingering,
    /// What the `caBundle` was last made, or found to be.
    kept: Option<Bundle>,
    /// When the `caBundle` was written of late.
    writes: Vec<Instant>,
    said: String,
}

impl Keeper {
    /// `secret` and `webhook` are what the watches on them see.
    pub fn new(
        api: Api,
        settings: Settings,
        leadership: Leadership,
        (secret, webhook): (watch::Receiver<Seen>, watch::Receiver<Seen>),
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Keeper {
            api,
            settings,
            leadership,
            secret,
            webhook,
            events,
            metrics,
            trusted: Trusted::default(),
            lingering: Lingering::default(),
            kept: None,
            writes: Vec::new(),
            said: String::new(),
        }
    }

    /// Keeps them for ever.
    pub async fn run(mut self) {
        let mut leading = self.leadership.changes();
        loop {
            leading.mark_unchanged();
            self.observe();
            let next = self.round().await;
            let changed = async {
                tokio::select! {
                    changed = self.secret.changed() => changed,
                    changed = self.webhook.changed() => changed,
                    changed = leading.changed() => changed,
                }
            };
            tokio::select! {
                changed = changed => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Takes in what the watches see, also while another replica leads: its successor must know what
    /// was there before.
    fn observe(&mut self) {
        let now = Instant::now();
        self.trusted.observe(&self.webhook.borrow_and_update(), now);
        let bundle = match &*self.secret.borrow_and_update() {
            Seen::Unknown(_) => return,
            Seen::Missing => Bundle::default(),
            Seen::Present(secret) => Content::of(secret).bundle().unwrap_or_default(),
        };
        self.lingering.observe(&bundle, now);
    }

    /// One round, if this replica leads; when to look again.
    async fn round(&mut self) -> Instant {
        let leadership = self.leadership.clone();
        let done = leadership.while_leading(self.act()).await;
        let now = Instant::now();
        match done {
            None => {
                self.kept = None;
                now + LOOK_EVERY
            }
            Some(Ok(next)) => {
                if !self.said.is_empty() {
                    tracing::info!("certificates and caBundle are kept again");
                    self.said.clear();
                }
                next.min(now + LOOK_EVERY)
            }
            Some(Err(Stop::Conflict)) => now + AGAIN,
            Some(Err(Stop::Failed(why))) => {
                self.metrics.upkeep().upkeep_failed();
                self.failed(why);
                now + RETRY
            }
        }
    }

    fn failed(&mut self, why: String) {
        if self.said == why {
            return;
        }
        tracing::error!(error = %why, "certificates or caBundle cannot be kept; what is in use stays");
        if let Some(lease) = &self.settings.lease {
            self.events.say(Notice {
                regarding: Reference {
                    api_version: "coordination.k8s.io/v1".to_owned(),
                    kind: "Lease".to_owned(),
                    namespace: lease.namespace.clone(),
                    name: lease.name.clone(),
                    uid: String::new(),
                },
                kind: EventType::Warning,
                reason: "CertificatesNotKept",
                action: "KeepCertificates",
                note: why.clone(),
            });
        }
        self.said = why;
    }

    async fn act(&mut self) -> Result<Instant, Stop> {
        let place = self.settings.secret_place();
        let mut secret = self.api.get(&place.path, &place.name).await?;
        if self.settings.keeping == Keeping::Given {
            let content = Content::of(secret.as_ref().unwrap_or(&Value::Null));
            self.keep_bundle(&content).await?;
            return Ok(self.next_change());
        }
        for _ in 0..STEPS {
            let content = Content::of(secret.as_ref().unwrap_or(&Value::Null));
            let next = match self.planned(&content)? {
                Planned::Write(new, made) => {
                    secret = Some(self.store(secret, &new).await?);
                    for what in made {
                        self.metrics.upkeep().rotated(*what);
                    }
                    let bundle = new.bundle()?;
                    self.lingering.observe(&bundle, Instant::now());
                    // A bundle that shrinks can wait until everything else is done.
                    if new.authorities != content.authorities {
                        self.keep_bundle(&new).await?;
                    }
                    continue;
                }
                Planned::Until(next) => next,
            };
            self.keep_bundle(&content).await?;
            return Ok(next.min(self.next_change()));
        }
        Err(Stop::Failed(
            "the plan for the certificates does not come to rest".to_owned(),
        ))
    }

    /// When a CA will have settled, or has lingered long enough.
    fn next_change(&self) -> Instant {
        let now = Instant::now();
        let settled = self.trusted.next(self.settings.settle, now);
        let lingered = self.lingering.next(self.settings.linger, now);
        let next = settled.into_iter().chain(lingered).min();
        next.unwrap_or(now + LOOK_EVERY)
    }

    fn planned(&self, content: &Content) -> Result<Planned, Stop> {
        let (moment, now) = (Instant::now(), self.api.clock().now());
        let Settings { names, lives, .. } = &self.settings;
        let newest = content.bundle().ok();
        let newest = newest
            .as_ref()
            .and_then(|bundle| bundle.certificates().first());
        let settled = self.trusted.settled(self.settings.settle, moment);
        let trust = Trust {
            anything: self.trusted.anything(now),
            // Where nobody calls, there is nobody to be trusted by.
            newest_settled: !self.trusted.known()
                || newest.is_some_and(|newest| settled.certificates().contains(newest)),
        };
        Ok(match plan(&content.held(names, now), trust, *lives, now) {
            Action::Rest(until) => {
                let left = u64::try_from(until.saturating_sub(now)).unwrap_or_default();
                Planned::Until(moment + Duration::from_secs(left).min(LOOK_EVERY))
            }
            Action::Settle(why) => {
                tracing::info!(reason = %why, "a new serving certificate waits until its CA is trusted");
                Planned::Until(moment + LOOK_EVERY)
            }
            Action::Authority { leaf, why } => {
                tracing::info!(reason = %why, ?leaf, "making a CA");
                let new = content.with_authority(leaf, names, *lives, now)?;
                let made: &[Rotation] = match leaf {
                    WithLeaf::Make => &[Rotation::Authority, Rotation::Leaf],
                    WithLeaf::Keep | WithLeaf::Leave => &[Rotation::Authority],
                };
                Planned::Write(new, made)
            }
            Action::Leaf { why } => {
                tracing::info!(reason = %why, "making a serving certificate");
                let new = content.with_leaf(names, *lives, now)?;
                Planned::Write(new, &[Rotation::Leaf])
            }
            Action::Forget => {
                tracing::info!("dropping the CAs that no certificate in use is of");
                Planned::Write(content.forgetting(now)?, &[])
            }
        })
    }
}

/// What the plan comes to.
enum Planned {
    /// This content, which has something in it that was made.
    Write(Content, &'static [Rotation]),
    /// Nothing until then.
    Until(Instant),
}
