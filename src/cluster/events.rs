//! Events (`events.k8s.io/v1`) about objects, for whoever looks at them with kubectl.
//!
//! Saying something never waits and never fails: what cannot be written in time is counted and
//! dropped. The same words about the same object are written once in [`AGAIN`], and all events
//! together at most [`BURST`] at once and one every [`EVERY`].

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::call::{Api, micro_time};
use super::wire::explain;
use crate::json::tree::{at, set};

/// How long the same words about the same object are not repeated.
pub const AGAIN: Duration = Duration::from_mins(10);
/// How many events may be written at once.
pub const BURST: u32 = 25;
/// How often one more may be written once the burst is used up.
pub const EVERY: Duration = Duration::from_secs(2);

/// How many events wait to be written.
const QUEUE: usize = 256;
/// How many words are remembered so as not to repeat them.
const REMEMBERED: usize = 4096;
/// The API server's limit on a note, in bytes.
const NOTE: usize = 1024;
/// Who reports; a qualified name, as the API server asks.
const CONTROLLER: &str = "tidegate.dev/tidegate";

/// The object that an event is about.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Reference {
    /// `v1`, `tidegate.dev/v1alpha1`, …
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for a cluster-scoped object, whose events are in `default`.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The uid, where it is known: `kubectl describe` shows only events that have it.
    pub uid: String,
}

impl Reference {
    /// The reference to an object as the API server sent it. Objects in a list or of a watch may
    /// lack kind and version, so they are given.
    pub fn of(api_version: &str, kind: &str, object: &Value) -> Self {
        let text = |key: &str| {
            let value = at(object, &["metadata", key]);
            value.as_str().unwrap_or_default().to_owned()
        };
        Reference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
        }
    }
}

/// How serious an event is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One event.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Notice {
    /// What it is about.
    pub regarding: Reference,
    /// How serious it is.
    pub kind: EventType,
    /// Why, in `CamelCase`, for programs.
    pub reason: &'static str,
    /// What was done or not, in `CamelCase`.
    pub action: &'static str,
    /// What happened, for people; cut at 1,024 bytes. No value of a Secret.
    pub note: String,
}

/// Where to say things. Clones write to the same queue.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Notice>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// `instance` is this replica's name. The writer must be run in a task of its own.
    pub fn new(api: Api, instance: String) -> (Self, EventWriter) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let events = Events {
            queue,
            dropped: Arc::clone(&dropped),
        };
        let writer = EventWriter {
            api,
            instance,
            waiting,
            dropped,
        };
        (events, writer)
    }

    /// Writes an event soon, unless the same was said a moment ago or too much is waiting.
    pub fn say(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events were dropped because too many were waiting, or because the API server did
    /// not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes what was said.
#[derive(Debug)]
pub struct EventWriter {
    api: Api,
    instance: String,
    waiting: mpsc::Receiver<Notice>,
    dropped: Arc<AtomicU64>,
}

impl EventWriter {
    /// Writes until every [`Events`] is gone.
    pub async fn run(mut self) {
        let state = RandomState::new();
        let mut said: HashMap<u64, Instant> = HashMap::new();
        // The moment from which on an event is due; it may lie back by the burst.
        let start = Instant::now();
        let mut due = start.checked_sub(EVERY * BURST).unwrap_or(start);
        while let Some(notice) = self.waiting.recv().await {
            let now = Instant::now();
            let words = state.hash_one(&notice);
            if said.get(&words).is_some_and(|at| now < *at + AGAIN) {
                continue;
            }
            if said.len() >= REMEMBERED {
                said.retain(|_, at| now < *at + AGAIN);
                if said.len() >= REMEMBERED {
                    said.clear();
                }
            }
            said.insert(words, now);
            due = due.max(now.checked_sub(EVERY * BURST).unwrap_or(now)) + EVERY;
            sleep_until(due).await;
            self.write(&notice).await;
        }
    }

    async fn write(&self, notice: &Notice) {
        let body = self.event(notice);
        let namespace = namespace(&notice.regarding);
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        if let Err(error) = self.api.create(&path, &body).await {
            let error = explain(&error);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, reason = notice.reason, "an Event could not be written");
        }
    }

    fn event(&self, notice: &Notice) -> Value {
        let regarding = &notice.regarding;
        let mut reference = json!({
            "apiVersion": regarding.api_version,
            "kind": regarding.kind,
            "name": regarding.name,
        });
        for (key, value) in [("namespace", &regarding.namespace), ("uid", &regarding.uid)] {
            if !value.is_empty() {
                set(&mut reference, &[key], json!(value));
            }
        }
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": format!("{}-", regarding.name),
                "namespace": namespace(regarding),
            },
            "eventTime": micro_time(),
            "type": match notice.kind {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            },
            "reason": notice.reason,
            "action": notice.action,
            "note": cut(&notice.note),
            "regarding": reference,
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance,
        })
    }
}

fn namespace(regarding: &Reference) -> &str {
    match regarding.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

fn cut(note: &str) -> &str {
    note.get(..note.floor_char_boundary(NOTE)).unwrap_or(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_characters() {
        let note = format!("{}\u{e9}\u{e9}", "x".repeat(NOTE - 1));
        assert_eq!(cut(&note).len(), NOTE - 1);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn events_of_cluster_scoped_objects_are_in_the_namespace_default() {
        let object = json!({"metadata": {"name": "shop", "uid": "u"}});
        let reference = Reference::of("tidegate.dev/v1alpha1", "ControlPolicy", &object);
        assert_eq!(namespace(&reference), "default");
        assert_eq!((&*reference.name, &*reference.uid), ("shop", "u"));
    }
}
