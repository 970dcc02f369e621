//! What every replica reads: it serves what the Secret holds, as soon as the API servers trust it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bundle::Validity;
use super::content::Content;
use super::trust::{Trusted, admit};
use super::{Keeping, Settings};
use crate::cluster::call::Clock;
use crate::cluster::events::{EventType, Events, Notice, Reference};
use crate::cluster::one::{NOT_YET, Seen};
use crate::server::{Delivery, Metrics, ServingPem};

/// A warning is repeated this often.
const DAILY: Duration = Duration::from_hours(24);
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// What is worth knowing beside the certificate in use, for readiness.
#[derive(Clone, Debug, Default)]
pub struct FeedState(Arc<Mutex<String>>);

impl FeedState {
    /// In words.
    pub fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, text: String) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != text {
            tracing::info!(state = %text, "certificate in the Secret");
            *now = text;
        }
    }
}

/// Delivers certificates from the Secret to the server.
pub struct Feed {
    settings: Settings,
    clock: Arc<Clock>,
    secret: watch::Receiver<Seen>,
    webhook: watch::Receiver<Seen>,
    deliveries: watch::Sender<Delivery>,
    events: Events,
    metrics: Arc<Metrics>,
    state: FeedState,
    trusted: Trusted,
    in_use: Option<(ServingPem, Vec<CertificateDer<'static>>)>,
    /// When an Event last said that a renewal is overdue.
    warned: Option<Instant>,
}

impl Feed {
    /// `secret` and `webhook` are what the watches on them see; where there is no webhook to watch
    /// it stays unknown.
    pub fn new(
        settings: Settings,
        clock: Arc<Clock>,
        (secret, webhook): (watch::Receiver<Seen>, watch::Receiver<Seen>),
        events: Events,
        metrics: Arc<Metrics>,
    ) -> (Self, watch::Receiver<Delivery>, FeedState) {
        let (deliveries, receiver) = watch::channel(Delivery::Awaited(format!(
            "Secret {}: {NOT_YET}",
            settings.secret
        )));
        let state = FeedState::default();
        let feed = Feed {
            settings,
            clock,
            secret,
            webhook,
            deliveries,
            events,
            metrics,
            state: state.clone(),
            trusted: Trusted::default(),
            in_use: None,
            warned: None,
        };
        (feed, receiver, state)
    }

    /// Delivers for ever.
    pub async fn run(mut self) {
        loop {
            let next = self.look();
            tokio::select! {
                changed = self.secret.changed() => if changed.is_err() { return },
                changed = self.webhook.changed() => if changed.is_err() { return },
                () = sleep_until(next) => {}
            }
        }
    }

    /// Looks at what the watches see; when to look again.
    fn look(&mut self) -> Instant {
        let now = Instant::now();
        self.trusted.observe(&self.webhook.borrow_and_update(), now);
        let secret = self.secret.borrow_and_update().clone();
        let found = match &secret {
            Seen::Unknown(why) => Err(format!("Secret {}: {why}", self.settings.secret)),
            Seen::Missing => Err(self.missing()),
            Seen::Present(secret) => {
                let content = Content::of(secret);
                self.look_at_authority(&content);
                self.take(&content, now)
                    .map_err(|why| format!("Secret {}: {why}", self.settings.secret))
            }
        };
        let overdue = self.overdue(&secret);
        match (&found, &self.in_use) {
            (Ok(()), _) => self.state.set(match &overdue {
                Some(overdue) => format!("in use; WARNING: {overdue}"),
                None => "in use".to_owned(),
            }),
            (Err(why), Some(_)) => {
                self.state
                    .set(format!("the one in use differs and goes on: {why}"));
            }
            (Err(why), None) => {
                self.state.set(why.clone());
                self.deliver(Delivery::Awaited(why.clone()));
            }
        }
        self.warn(overdue, &secret, now);
        let settled = self.trusted.next(self.settings.settle, now);
        settled.map_or(now + LOOK_EVERY, |settled| settled.min(now + LOOK_EVERY))
    }

    fn missing(&self) -> String {
        let secret = &self.settings.secret;
        match self.settings.keeping {
            Keeping::Own => format!("Secret {secret} does not exist yet; the leader makes it"),
            Keeping::Given | Keeping::Injected => format!(
                "Secret {secret} does not exist; create it with tls.crt, tls.key and ca.crt"
            ),
        }
    }

    /// Delivers what the Secret holds, unless it is in use already or has to wait.
    fn take(&mut self, content: &Content, moment: Instant) -> Result<(), String> {
        let now = self.clock.now();
        let chain = serving_chain(content, now)?;
        let pem = ServingPem {
            certificate: content.certificate.clone(),
            key: content.key.clone(),
        };
        if let Some((before, _)) = &self.in_use
            && *before == pem
        {
            return Ok(());
        }
        let in_use = self.in_use.as_ref().map(|(_, chain)| chain.as_slice());
        let settle = self.settings.settle;
        admit(&chain, in_use, &self.trusted, settle, (moment, now))
            .map_err(|why| format!("the API servers do not trust its certificate yet: {why}"))?;
        self.deliver(Delivery::Pem(pem.clone()));
        self.in_use = Some((pem, chain));
        Ok(())
    }

    fn deliver(&self, delivery: Delivery) {
        self.deliveries.send_if_modified(|now| {
            let differs = *now != delivery;
            *now = delivery;
            differs
        });
    }

    fn look_at_authority(&self, content: &Content) {
        let newest = content.bundle().ok();
        let newest = newest
            .as_ref()
            .and_then(|bundle| bundle.certificates().first());
        let expires = newest.and_then(|one| Validity::of(one).ok());
        let expires = expires.map_or(0, |validity| validity.until);
        self.metrics.upkeep().set_authority_expiry(expires);
    }

    /// Which certificate should have been renewed by now, in words that do not change.
    fn overdue(&self, secret: &Seen) -> Option<String> {
        let now = self.clock.now();
        let authorities = secret.object().map(|secret| Content::of(secret).bundle());
        let authorities = authorities.and_then(Result::ok).unwrap_or_default();
        let newest = authorities.certificates().first();
        let leaf = self.in_use.as_ref().and_then(|(_, chain)| chain.first());
        let (what, validity) = [("serving certificate", leaf), ("CA", newest)]
            .into_iter()
            .filter_map(|(what, one)| Some((what, Validity::of(one?).ok()?)))
            .find(|(_, validity)| validity.overdue(now))?;
        let date = OffsetDateTime::from_unix_timestamp(validity.until).ok();
        let date = date.and_then(|date| date.format(&Rfc3339).ok());
        Some(format!(
            "The {what} expires at {} and its renewal is overdue.",
            date.unwrap_or_default()
        ))
    }

    /// Says once a day that a renewal is overdue.
    fn warn(&mut self, overdue: Option<String>, secret: &Seen, moment: Instant) {
        let Some(overdue) = overdue else {
            self.warned = None;
            return;
        };
        if self
            .warned
            .is_some_and(|at| moment.duration_since(at) < DAILY)
        {
            return;
        }
        self.warned = Some(moment);
        let note = format!(
            "{overdue} {}",
            match self.settings.keeping {
                Keeping::Own => "See tidegate's log for what keeps it from writing the Secret.",
                Keeping::Given | Keeping::Injected => "See whoever keeps this Secret.",
            }
        );
        tracing::warn!("{note}");
        let mut regarding = Reference::of("v1", "Secret", secret.object().unwrap_or(&Value::Null));
        self.settings
            .secret
            .namespace
            .clone_into(&mut regarding.namespace);
        self.settings.secret.name.clone_into(&mut regarding.name);
        self.events.say(Notice {
            regarding,
            kind: EventType::Warning,
            reason: "CertificateExpires",
            action: "RenewCertificate",
            note,
        });
    }
}

/// The chain in `tls.crt`, when it could be served at `now`: the server would refuse another and go
/// on with the former, and this must know which one is in use.
fn serving_chain(content: &Content, now: i64) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = content.pair()?;
    let leaf = chain.first().ok_or("tls.crt holds no certificate")?;
    if Validity::of(leaf)?.until <= now {
        return Err("the certificate has expired".to_owned());
    }
    Ok(chain)
}
