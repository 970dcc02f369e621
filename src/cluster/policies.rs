//! The policies and exceptions of the cluster: kept in step by watches, read by the one parser, and
//! put in force together.
//!
//! Whatever does not validate keeps the last good version of it in force. A replica that never saw
//! that version takes it from the object's status, where the replica that leads has recorded it.
//! An object that is gone stops to be in force once the API server says that its kind is still
//! there: when a definition is deleted, all its objects go first, and that is not what anybody
//! means by deleting a policy.

mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::json::tree::at;
use crate::policy::exception::Exception;
use crate::policy::{Policies, Policy};
use crate::server::{PolicyMetrics, Resources};

use super::contact::Contact;
use super::watch::{Sink, Versioned, Watched};
use super::wire::{code, explain};

pub use self::held::{Held, Key, Kind};

/// Changes that come together are put in force together.
const SETTLE: Duration = Duration::from_millis(25);
/// How often it is asked again whether a kind is still there.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The policies in force, swapped as a whole: a request that loads them once never sees a mix.
pub type InForce = ArcSwap<Policies>;

/// An object as the API server sends it, without the record of who wrote which field: the greater
/// part of it, and thousands of objects are held at once while a list comes in.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Value")]
pub struct Custom(Value);

impl From<Value> for Custom {
    fn from(mut object: Value) -> Self {
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        metadata.map(|metadata| metadata.remove("managedFields"));
        Custom(object)
    }
}

impl Versioned for Custom {
    fn resource_version(&self) -> &str {
        at(&self.0, &["metadata", "resourceVersion"])
            .as_str()
            .unwrap_or_default()
    }
}

/// What is known of the cluster's policies and exceptions.
#[derive(Debug)]
pub struct Store {
    /// What files and presets brought; in force always.
    base: Policies,
    base_text: String,
    state: Mutex<State>,
    in_force: Arc<InForce>,
    dirty: Notify,
    /// Counts the states put in force, for those who follow them.
    revision: watch::Sender<u64>,
    contact: [Contact; 2],
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Key, Held>,
    /// Objects that are gone, while it is not yet known whether that was meant.
    leaving: BTreeSet<Key>,
    /// Which kinds were listed, or found not to be served.
    synced: [bool; 2],
    /// Which kinds the API server does not serve.
    missing: [bool; 2],
}

impl Store {
    /// A store over the policies of files and presets, which are in force from the start;
    /// `base_text` is what they were read from.
    pub fn new(base: Policies, base_text: String) -> Self {
        let mut first = base.clone();
        first.generation = held::digest(&base_text, std::iter::empty());
        Store {
            base,
            base_text,
            state: Mutex::default(),
            in_force: Arc::new(InForce::from_pointee(first)),
            dirty: Notify::new(),
            revision: watch::Sender::new(0),
            contact: [Contact::default(), Contact::default()],
        }
    }

    /// The policies in force.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force)
    }

    /// Tells of every new state put in force.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Calls `each` with everything held, by kind, namespace and name.
    pub fn each(&self, mut each: impl FnMut(&Held)) {
        self.state().held.values().for_each(&mut each);
    }

    /// Whether an object is held.
    pub fn holds(&self, key: &Key) -> bool {
        self.state().held.contains_key(key)
    }

    /// Keeps everything in step with the API server, for ever.
    pub async fn run(&self, client: &Client) {
        let kind = |kind: Kind| async move {
            let watched = Watched {
                what: kind.plural(),
                path: kind.path(),
                metadata_only: false,
            };
            super::watch::watch(client, watched, &Side { store: self, kind }).await;
        };
        tokio::join!(
            kind(Kind::Policy),
            kind(Kind::Exception),
            self.settle(client)
        );
    }

    /// Whether both kinds were listed once, or are not there; what is held, in words.
    ///
    /// # Errors
    /// In words, before that.
    pub fn condition(&self) -> Result<String, String> {
        let state = self.state();
        if state.synced.contains(&false) {
            return Err("policies and exceptions not listed yet".to_owned());
        }
        let mut text = format!(
            "{} policies and exceptions, generation {}",
            state.held.len(),
            self.in_force.load().generation
        );
        let broken = state.held.values().filter(|held| !held.problems.is_empty());
        let broken = broken.count();
        if broken > 0 {
            let _ = write!(text, ", {broken} of them not valid");
        }
        if state.missing.contains(&true) {
            text.push_str(", a definition is missing");
        }
        Ok(text)
    }

    /// Sets the metrics about policies and exceptions; to be called before a scrape.
    pub fn report(&self, metrics: &PolicyMetrics) {
        let in_force = self.in_force.load_full();
        metrics.set_generation(&in_force.generation);
        let now = Some(OffsetDateTime::now_utc());
        let open = in_force.list.iter().filter(|policy| policy.is_open(now));
        metrics.set_open(open.count());
        let state = self.state();
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let own = || state.held.values().filter(|held| held.key.kind == kind);
            let contact = self.contact.get(index);
            metrics.set_resources(&Resources {
                kind: kind.plural(),
                held: own().count(),
                invalid: own().filter(|held| !held.problems.is_empty()).count(),
                missing: state.missing.get(index).copied().unwrap_or_default(),
                age: contact.and_then(|contact| contact.age_at(Instant::now())),
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts changes in force as they come.
    async fn settle(&self, client: &Client) {
        loop {
            self.dirty.notified().await;
            sleep(SETTLE).await;
            let unsure = self.let_go(client).await;
            self.put_in_force();
            if unsure {
                sleep(ASK_AGAIN).await;
                self.dirty.notify_one();
            }
        }
    }

    /// Forgets what is gone, if that was meant. Whether it has to be asked again.
    async fn let_go(&self, client: &Client) -> bool {
        let mut unsure = false;
        for kind in Kind::ALL {
            let gone = |state: &State| state.leaving.iter().any(|key| key.kind == kind);
            if !gone(&self.state()) {
                continue;
            }
            match is_served(client, kind).await {
                Ok(true) => {
                    let mut state = self.state();
                    let (leaving, staying) = std::mem::take(&mut state.leaving)
                        .into_iter()
                        .partition(|key| key.kind == kind);
                    state.leaving = staying;
                    for key in leaving {
                        state.held.remove(&key);
                    }
                }
                Ok(false) => {
                    // They stay in force until the kind is back and says what there is.
                    self.set_missing(kind, true);
                    unsure = true;
                }
                Err(why) => {
                    tracing::warn!(what = kind.plural(), %why, "deleted objects stay in force until it is known that their definition is not gone with them");
                    unsure = true;
                }
            }
        }
        unsure
    }

    fn set_missing(&self, kind: Kind, missing: bool) {
        let mut state = self.state();
        let Some(known) = state.missing.get_mut(kind as usize) else {
            return;
        };
        if *known != missing {
            *known = missing;
            if missing {
                tracing::error!(
                    what = kind.plural(),
                    "the definition of this kind is gone or going; what was in force of it stays in force until it is back"
                );
            }
        }
    }

    fn put_in_force(&self) {
        let state = self.state();
        let mut policies: Vec<Arc<Policy>> = self.base.list.clone();
        policies.extend(state.held.values().filter_map(|held| held.policy.clone()));
        let exceptions = state
            .held
            .values()
            .filter_map(|held| held.exception.clone());
        let exceptions = exceptions.chain(self.base.exceptions.iter().cloned());
        let exceptions: Vec<Arc<Exception>> = exceptions.collect();
        let mut next = Policies::new(policies, self.base.cap)
            .with_exceptions(exceptions.into_iter().collect());
        next.generation = held::digest(&self.base_text, state.held.values());
        drop(state);
        let before = self.in_force.load();
        if before.generation != next.generation {
            tracing::info!(generation = %next.generation, before = %before.generation,
                policies = next.list.len(), "policies in force");
            held::say_open(&next);
            self.in_force.store(Arc::new(next));
        }
        self.revision.send_modify(|revision| *revision += 1);
    }
}

/// The store as the sink of one kind.
struct Side<'s> {
    store: &'s Store,
    kind: Kind,
}

impl Side<'_> {
    fn synced(&self, state: &mut State) {
        if let Some(synced) = state.synced.get_mut(self.kind as usize) {
            *synced = true;
        }
    }

    fn take(&self, state: &mut State, object: &Custom) {
        let Some(key) = Key::of(self.kind, &object.0) else {
            return;
        };
        state.leaving.remove(&key);
        let before = state.held.remove(&key);
        let held = Held::read(key, &object.0, before);
        state.held.insert(held.key.clone(), held);
    }
}

impl Sink for Side<'_> {
    type Object = Custom;

    fn replace(&self, objects: Vec<Custom>) {
        let mut state = self.store.state();
        let listed: BTreeSet<Key> = objects
            .iter()
            .filter_map(|object| Key::of(self.kind, &object.0))
            .collect();
        let gone: Vec<Key> = state
            .held
            .keys()
            .filter(|key| key.kind == self.kind && !listed.contains(key))
            .cloned()
            .collect();
        state.leaving.extend(gone);
        for object in &objects {
            self.take(&mut state, object);
        }
        let first = !state
            .synced
            .get(self.kind as usize)
            .is_some_and(|synced| *synced);
        self.synced(&mut state);
        drop(state);
        self.store.set_missing(self.kind, false);
        if first {
            // Readiness waits for this: what was listed must be in force by then.
            self.store.put_in_force();
        }
        self.store.dirty.notify_one();
    }

    fn set(&self, object: Custom) {
        self.take(&mut self.store.state(), &object);
        self.store.dirty.notify_one();
    }

    fn remove(&self, object: &Custom) {
        if let Some(key) = Key::of(self.kind, &object.0) {
            self.store.state().leaving.insert(key);
            self.store.dirty.notify_one();
        }
    }

    fn heard(&self) {
        if let Some(contact) = self.store.contact.get(self.kind as usize) {
            contact.touch();
        }
    }

    fn missing(&self) {
        let mut state = self.store.state();
        let held = state.held.keys().any(|key| key.kind == self.kind);
        self.synced(&mut state);
        drop(state);
        if held {
            self.store.set_missing(self.kind, true);
        }
    }
}

/// Whether the definition of a kind is there to stay.
async fn is_served(client: &Client, kind: Kind) -> Result<bool, String> {
    #[derive(Deserialize)]
    struct Definition {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        deletion_timestamp: Option<String>,
    }
    let request =
        kube::core::Request::new("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            .get(kind.definition(), &kube::core::params::GetParams::default())
            .map_err(|error| error.to_string())?;
    match client.request::<Definition>(request).await {
        Ok(definition) => Ok(definition.metadata.deletion_timestamp.is_none()),
        Err(error) if code(&error) == Some(404) => Ok(false),
        Err(error) => Err(explain(&error)),
    }
}

#[cfg(test)]
mod tests;
