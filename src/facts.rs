//! Facts: what a check needs to know beside the object, fetched by an adapter before evaluation.
//!
//! Evaluation never fetches. A rule first states its [`Needs`]; the adapter of the door in use
//! (the server's index and live reads, or the files of an offline run) answers with [`Facts`], in
//! which something that could not be had is a value, never a gap.

pub mod declared;

use std::sync::Arc;

use time::OffsetDateTime;

/// The most existing pods looked at when a namespace's level is raised, as upstream
/// (`defaultNamespaceMaxPodsToCheck` in `admission/admission.go`).
pub const EXISTING_PODS_LIMIT: usize = 3_000;

/// What a request's rules want to know before they run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The labels of the request's namespace.
    pub namespace: bool,
    /// The pods that run in the namespace the request is about.
    pub existing_pods: bool,
}

impl Needs {
    /// Both needs together.
    #[must_use]
    pub fn union(self, other: Needs) -> Needs {
        Needs {
            namespace: self.namespace || other.namespace,
            existing_pods: self.existing_pods || other.existing_pods,
        }
    }
}

/// A fact that was asked for, or the reason it could not be had.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Fact<T> {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// It is known.
    Known(T),
    /// It could not be had; the text says why and is for logs, not for the caller.
    Unavailable(String),
}

/// The labels of one object: sorted by key, compact, cheap to clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// Key and value pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    /// Of a key that comes twice the last value stays, as in a Go map.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect::<std::collections::BTreeMap<Box<str>, Box<str>>>()
            .into_iter()
            .collect::<Vec<_>>()
            .into()
    }
}

impl From<Vec<(Box<str>, Box<str>)>> for Labels {
    fn from(pairs: Vec<(Box<str>, Box<str>)>) -> Self {
        Labels(pairs.into())
    }
}

/// The pods that run in a namespace, for the warning when its level is raised.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExistingPods {
    /// The JSON of each `v1` Pod, at most [`EXISTING_PODS_LIMIT`], in the order of the list.
    pub pods: Vec<Box<str>>,
    /// How many pods the namespace holds, including those left out of `pods`.
    pub total: usize,
}

/// Everything a request's rules asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// The time the request is judged at. Without it no exception is active and no policy open.
    pub now: Option<OffsetDateTime>,
    /// The labels of the request's namespace.
    pub namespace: Fact<Labels>,
    /// The pods of the namespace the request is about.
    pub existing_pods: Fact<ExistingPods>,
}
