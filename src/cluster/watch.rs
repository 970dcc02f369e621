//! List, watch, list again: how the server stays in step with one kind of object.
//!
//! The watch is opened anew every minute, so that the time the API server was last heard from
//! means something where nothing changes, and so that a connection that died without a word is
//! noticed.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{ListMeta, code, explain};

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

/// One kind of object to watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// What the objects are, for the log.
    pub(super) what: &'static str,
    /// The path of the collection.
    pub(super) path: &'static str,
    /// Whether only their metadata is wanted.
    pub(super) metadata_only: bool,
}

/// An object as far as the watch must understand it.
pub(super) trait Versioned: Clone + DeserializeOwned + Send {
    fn resource_version(&self) -> &str;
}

/// Where the objects go.
pub(super) trait Sink {
    type Object: Versioned;

    /// These are all there are.
    fn replace(&self, objects: Vec<Self::Object>);

    /// This one is new or changed.
    fn set(&self, object: Self::Object);

    /// This one is gone.
    fn remove(&self, object: &Self::Object);

    /// The API server was heard from.
    fn heard(&self);

    /// The API server does not serve this kind: its definition is not there.
    fn missing(&self) {}
}

/// Keeps `sink` in step, for ever.
pub(super) async fn watch<S: Sink>(client: &Client, watched: Watched, sink: &S) {
    let mut pause = Pause::default();
    let what = watched.what;
    let mut absent = false;
    loop {
        match timeout(LIST_TIMEOUT, list(client, watched, sink)).await {
            Ok(Ok((version, count))) => {
                tracing::info!(what, count, "listed");
                (pause, absent) = (Pause::default(), false);
                let why = follow(client, watched, sink, version).await;
                tracing::info!(what, reason = %why, "listing again");
            }
            Ok(Err(error)) if code(&error) == Some(404) => {
                if !absent {
                    tracing::warn!(
                        what,
                        "the API server does not serve them; they are picked up when it does"
                    );
                }
                absent = true;
                sink.missing();
            }
            Ok(Err(error)) => tracing::warn!(what, error = %explain(&error), "cannot list"),
            Err(_elapsed) => tracing::warn!(what, "listing took too long"),
        }
        pause.wait().await;
    }
}

#[derive(Deserialize)]
struct Page<T> {
    metadata: ListMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

/// Takes all objects in; their resource version and number.
async fn list<S: Sink>(
    client: &Client,
    watched: Watched,
    sink: &S,
) -> Result<(String, usize), kube::Error> {
    let mut all = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let request = Request::new(watched.path);
        let request = if watched.metadata_only {
            request.list_metadata(&parameters)
        } else {
            request.list(&parameters)
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let page: Page<S::Object> = client.request(request).await?;
        all.extend(page.items);
        let Some(next) = page.metadata.next() else {
            let count = all.len();
            sink.replace(all);
            sink.heard();
            return Ok((page.metadata.resource_version, count));
        };
        parameters = parameters.continue_token(next);
    }
}

/// Watches from `version` on until that is no longer possible, and says why.
async fn follow<S: Sink>(
    client: &Client,
    watched: Watched,
    sink: &S,
    mut version: String,
) -> String {
    let mut failures = 0;
    let mut pause = Pause::default();
    loop {
        let opened = Instant::now();
        match watch_once(client, watched, sink, &mut version).await {
            Ok(()) => failures = 0,
            Err(error) if matches!(code(&error), Some(404 | 410)) => return explain(&error),
            Err(error) => {
                failures += 1;
                tracing::warn!(what = watched.what, error = %explain(&error), "the watch broke");
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
async fn watch_once<S: Sink>(
    client: &Client,
    watched: Watched,
    sink: &S,
    version: &mut String,
) -> Result<(), kube::Error> {
    let parameters = WatchParams::default().timeout(WATCH_SECONDS);
    let request = Request::new(watched.path);
    let request = if watched.metadata_only {
        request.watch_metadata(&parameters, version)
    } else {
        request.watch(&parameters, version)
    };
    let request = request.map_err(kube::Error::BuildRequest)?;
    let silent = |_| kube::Error::Service("the watch fell silent".into());
    let events = timeout(SILENCE, client.request_events::<S::Object>(request)).await;
    let mut events = pin!(events.map_err(silent)??);
    sink.heard();
    while let Some(event) = timeout(SILENCE, events.try_next())
        .await
        .map_err(silent)??
    {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                object.resource_version().clone_into(version);
                sink.set(object);
            }
            WatchEvent::Deleted(object) => {
                object.resource_version().clone_into(version);
                sink.remove(&object);
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
        sink.heard();
    }
    sink.heard();
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
