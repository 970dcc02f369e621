//! The index of namespaces: only metadata, about 250 bytes each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use kube::Client;
use kube::core::Request;
use kube::core::params::GetParams;
use tokio::time::Instant;

use super::contact::Contact;
use super::watch::{self, Sink, Watched};
use super::wire::{Object, code, explain};
use crate::facts::Labels;

/// How long what the index holds is used after the API server was last heard from.
pub const STALE_AFTER: Duration = Duration::from_mins(5);

const PATH: &str = "/api/v1/namespaces";

/// Labels by namespace, and when the API server was last heard from.
#[derive(Debug, Default)]
pub struct NamespaceIndex {
    contact: Contact,
    labels: RwLock<HashMap<Box<str>, Labels>>,
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
        self.contact.age_at(now)
    }

    /// Calls `each` with every namespace and its labels.
    pub fn each(&self, mut each: impl FnMut(&str, &Labels)) {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        labels.iter().for_each(|(name, labels)| each(name, labels));
    }
}

impl Sink for NamespaceIndex {
    type Object = Object;

    fn replace(&self, objects: Vec<Object>) {
        let labels = objects.into_iter().map(|mut object| {
            let labels = object.metadata.labels();
            (object.metadata.name, labels)
        });
        let labels = labels.collect();
        *self.labels.write().unwrap_or_else(PoisonError::into_inner) = labels;
    }

    fn set(&self, mut object: Object) {
        let labels = object.metadata.labels();
        self.labels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object.metadata.name, labels);
    }

    fn remove(&self, object: &Object) {
        self.labels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&object.metadata.name);
    }

    fn heard(&self) {
        self.contact.touch();
    }
}

/// Keeps the index in step, for ever.
pub(super) async fn watch(client: &Client, index: &NamespaceIndex) {
    let watched = Watched {
        what: "namespaces",
        path: PATH,
        metadata_only: true,
    };
    watch::watch(client, watched, index).await;
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
        index.remove(&object("shop", "null"));
        assert_eq!(index.get("shop"), None);
        assert!(index.is_empty());
    }

    #[test]
    fn null_labels_are_none() {
        assert_eq!(object("a", "null").metadata.labels(), Labels::default());
    }
}
