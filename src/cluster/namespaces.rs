//! The index of namespaces and the watch that keeps it: only metadata, about 250 bytes each.
//!
//! The watch is opened anew every minute, so that the time the API server was last heard from
//! means something in a cluster where no namespace changes, and so that a connection that died
//! without a word is noticed.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use kube::core::params::GetParams;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{List, Object, code, explain};
use crate::facts::Labels;

/// How long what the index holds is used after the API server was last heard from.
pub const STALE_AFTER: Duration = Duration::from_mins(5);

const PATH: &str = "/api/v1/namespaces";
const PAGE: u32 = 500;
/// How long the API server keeps one watch open, in seconds.
const WATCH_SECONDS: u32 = 60;
/// A watch that outlives its time by this much is dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
const LIST_TIMEOUT: Duration = Duration::from_secs(40);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A watch that failed this often in a row is given up for a new list.
const WATCH_TRIES: u32 = 3;

/// Labels by namespace, and when the API server was last heard from.
#[derive(Debug)]
pub struct NamespaceIndex {
    started: Instant,
    /// Milliseconds from `started` to the last contact, plus one; 0: never.
    contact: AtomicU64,
    labels: RwLock<HashMap<Box<str>, Labels>>,
}

impl Default for NamespaceIndex {
    fn default() -> Self {
        NamespaceIndex {
            started: Instant::now(),
            contact: AtomicU64::new(0),
            labels: RwLock::default(),
        }
    }
}

impl NamespaceIndex {
    /// The labels of a namespace, when the index holds it and is not stale.
    pub fn get(&self, name: &str) -> Option<Labels> {
        self.get_at(name, Instant::now())
    }

    fn get_at(&self, name: &str, now: Instant) -> Option<Labels> {
        if self.age_at(now)? > STALE_AFTER {
            return None;
        }
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        labels.get(name).cloned()
    }

    /// How many namespaces it holds.
    pub fn len(&self) -> usize {
        self.labels
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time since the API server was last heard from; `None` before the first list.
    pub fn age(&self) -> Option<Duration> {
        self.age_at(Instant::now())
    }

    fn age_at(&self, now: Instant) -> Option<Duration> {
        let contact = self.contact.load(Ordering::Relaxed).checked_sub(1)?;
        Some((now - self.started).saturating_sub(Duration::from_millis(contact)))
    }

    fn heard(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.contact.store(now + 1, Ordering::Relaxed);
    }

    fn replace(&self, labels: HashMap<Box<str>, Labels>) {
        *self.labels.write().unwrap_or_else(PoisonError::into_inner) = labels;
        self.heard();
    }

    fn set(&self, mut object: Object) {
        let labels = object.metadata.labels();
        self.labels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object.metadata.name, labels);
    }

    fn remove(&self, name: &str) {
        self.labels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

/// Lists, then watches, then lists again when the watch cannot go on; for ever.
pub(super) async fn watch(client: &Client, index: &NamespaceIndex) {
    let mut pause = Pause::default();
    loop {
        match timeout(LIST_TIMEOUT, list(client, index)).await {
            Ok(Ok(version)) => {
                tracing::info!(namespaces = index.len(), "listed the namespaces");
                pause = Pause::default();
                let why = follow(client, index, version).await;
                tracing::info!(reason = %why, "listing the namespaces again");
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %explain(&error), "cannot list the namespaces");
            }
            Err(_elapsed) => tracing::warn!("listing the namespaces took too long"),
        }
        pause.wait().await;
    }
}

/// Takes all namespaces into the index; their resource version.
async fn list(client: &Client, index: &NamespaceIndex) -> Result<String, kube::Error> {
    let mut all = HashMap::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let request = Request::new(PATH)
            .list_metadata(&parameters)
            .map_err(kube::Error::BuildRequest)?;
        let page: List = client.request(request).await?;
        for mut object in page.items {
            let labels = object.metadata.labels();
            all.insert(object.metadata.name, labels);
        }
        let Some(next) = page.metadata.next() else {
            index.replace(all);
            return Ok(page.metadata.resource_version);
        };
        parameters = parameters.continue_token(next);
    }
}

/// Watches from `version` on until that is no longer possible, and says why.
async fn follow(client: &Client, index: &NamespaceIndex, mut version: String) -> String {
    let mut failures = 0;
    let mut pause = Pause::default();
    loop {
        let opened = Instant::now();
        match watch_once(client, index, &mut version).await {
            Ok(()) => failures = 0,
            Err(error) if code(&error) == Some(410) => return explain(&error),
            Err(error) => {
                failures += 1;
                tracing::warn!(error = %explain(&error), "the watch on namespaces broke");
                if failures >= WATCH_TRIES {
                    return explain(&error);
                }
            }
        }
        // A watch that went well for a while may be opened again at once.
        if failures == 0 && opened.elapsed() > LONGEST_PAUSE {
            pause = Pause::default();
        } else {
            pause.wait().await;
        }
    }
}

/// One watch from its start to its end.
async fn watch_once(
    client: &Client,
    index: &NamespaceIndex,
    version: &mut String,
) -> Result<(), kube::Error> {
    let parameters = WatchParams::default().timeout(WATCH_SECONDS);
    let request = Request::new(PATH)
        .watch_metadata(&parameters, version)
        .map_err(kube::Error::BuildRequest)?;
    let silent = |_| kube::Error::Service("the watch fell silent".into());
    let events = timeout(SILENCE, client.request_events::<Object>(request)).await;
    let mut events = pin!(events.map_err(silent)??);
    index.heard();
    while let Some(event) = timeout(SILENCE, events.try_next())
        .await
        .map_err(silent)??
    {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                version.clone_from(&object.metadata.resource_version);
                index.set(object);
            }
            WatchEvent::Deleted(object) => {
                version.clone_from(&object.metadata.resource_version);
                index.remove(&object.metadata.name);
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
        index.heard();
    }
    index.heard();
    Ok(())
}

/// Pauses that grow, each up to a quarter longer by chance so that replicas do not come together.
#[derive(Default)]
pub(super) struct Pause(u32);

impl Pause {
    pub(super) async fn wait(&mut self) {
        use std::hash::{BuildHasher, Hasher};
        let pause = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(self.0))
            .min(LONGEST_PAUSE);
        self.0 = self.0.saturating_add(1);
        let chance = std::hash::RandomState::new().build_hasher().finish() % 250;
        sleep(pause + pause * u32::try_from(chance).unwrap_or(0) / 1000).await;
    }
}

/// How live reads went.
#[derive(Debug, Default)]
pub(super) struct LiveReads {
    found: AtomicU64,
    not_found: AtomicU64,
    failed: AtomicU64,
}

impl LiveReads {
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Found, not found, failed.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            count(&self.found),
            count(&self.not_found),
            count(&self.failed),
        )
    }
}

/// The labels of one namespace, read from the API server; the error says why there are none.
pub(super) async fn read_namespace(
    client: &Client,
    name: &str,
    reads: &LiveReads,
) -> Result<Labels, String> {
    let read = async {
        let request = Request::new(PATH)
            .get_metadata(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        client.request::<Object>(request).await
    };
    match read.await {
        Ok(mut object) => {
            reads.found.fetch_add(1, Ordering::Relaxed);
            Ok(object.metadata.labels())
        }
        Err(error) if code(&error) == Some(404) => {
            reads.not_found.fetch_add(1, Ordering::Relaxed);
            Err(format!("namespace \"{name}\" not found"))
        }
        Err(error) => {
            reads.failed();
            Err(format!(
                "namespace \"{name}\" could not be read: {}",
                explain(&error)
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, labels: &str) -> Object {
        serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"{name}","labels":{labels},"managedFields":[{{}}]}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn an_index_answers_only_after_the_first_list_and_while_it_is_fresh() {
        let index = NamespaceIndex::default();
        index.set(object("shop", r#"{"b":"2","a":"1"}"#));
        assert_eq!(index.age(), None);
        assert_eq!(index.get("shop"), None, "never synced");
        index.heard();
        assert_eq!(index.get("shop").unwrap().get("a"), Some("1"));
        let later = Instant::now() + STALE_AFTER + Duration::from_secs(1);
        assert_eq!(index.get_at("shop", later), None, "stale");
        assert!(index.get("shop").is_some());
        index.remove("shop");
        assert_eq!(index.get("shop"), None);
        assert!(index.is_empty());
    }

    #[test]
    fn null_labels_are_none() {
        assert_eq!(object("a", "null").metadata.labels(), Labels::default());
    }
}
