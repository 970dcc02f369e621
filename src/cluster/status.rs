//! The status of policies and exceptions, written by the replica that leads.
//!
//! Serving never waits for any of this: a status that cannot be written is written later. What a
//! status should say is worked out from what is held and compared with what it says, so a round in
//! which nothing changed writes nothing.

mod conditions;
mod exception;
mod policy;
mod usage;

pub use self::usage::Exchange;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::facts::{Fact, Labels};
use crate::policy::selection::Place;
use crate::policy::{API_VERSION, Policies, Policy};
use crate::report::text::visible;
use crate::server::usage::{Counts, Usage, Use};

use super::events::{EventType, Events, Notice, Reference};
use super::lease::Leadership;
use super::namespaces::NamespaceIndex;
use super::policies::{Held, Key, Kind, Store};
use super::wire::{code, explain};

/// How often the counts are written, and what follows from time alone.
const ROUND: Duration = Duration::from_secs(5);
/// Changes that come together are written in one round.
const SETTLE: Duration = Duration::from_millis(100);
/// The pause between two writes: at most fifty a second.
const PAUSE: Duration = Duration::from_millis(20);

/// What the statuses are worked out from, and where they go.
pub struct StatusWriter {
    /// What is held and in force.
    pub store: Arc<Store>,
    /// The API server, and its namespaces.
    pub cluster: Arc<super::Cluster>,
    /// What this replica counted.
    pub usage: Arc<Usage>,
    /// Where the other replicas leave their counts.
    pub exchange: Exchange,
    /// Events about what people should know.
    pub events: Events,
}

/// A status to be written, and what to tell people about it.
struct Change {
    key: Key,
    resource_version: String,
    status: Value,
    notices: Vec<Notice>,
}

/// What a round goes by.
struct Round<'r> {
    policies: &'r Policies,
    namespaces: &'r NamespaceIndex,
    counts: &'r Counts,
    now: OffsetDateTime,
}

impl StatusWriter {
    /// Writes while `leading` says so, and hands the counts over while it does not; for ever.
    pub async fn run(self, leadership: Leadership) {
        let mut revisions = self.store.revisions();
        let mut leading = leadership.changes();
        let mut pending = Counts::default();
        loop {
            pending.merge(self.usage.take());
            leading.borrow_and_update();
            if leadership.leading_since().is_some() {
                pending.merge(self.exchange.collect(self.cluster.api()).await);
                leadership.while_leading(self.round(&mut pending)).await;
            } else {
                self.exchange.leave(self.cluster.api(), &mut pending).await;
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                changed = leading.changed() => if changed.is_err() { return },
                () = sleep(ROUND) => {}
            }
            sleep(SETTLE).await;
        }
    }

    /// Writes every status that should say something else. Counts that were written are taken out
    /// of `pending`.
    async fn round(&self, pending: &mut Counts) {
        let policies = self.store.in_force().load_full();
        let round = Round {
            policies: &policies,
            namespaces: self.cluster.namespaces(),
            counts: pending,
            now: OffsetDateTime::now_utc(),
        };
        let mut changes = Vec::new();
        self.store.each(|held| changes.extend(round.change(held)));
        for change in changes {
            if self.write(&change).await {
                pending.forget(&change.key);
                for notice in change.notices {
                    self.events.say(notice);
                }
            }
            sleep(PAUSE).await;
        }
        pending.keep_only(|key| self.store.holds(key));
    }

    /// Whether it was written. The object must still be what the status was worked out from.
    async fn write(&self, change: &Change) -> bool {
        let change_of_status = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": change.resource_version},
            {"op": "add", "path": "/status", "value": change.status},
        ]);
        let kind = change.key.kind.as_str();
        let name = visible(&change.key.name);
        let api = self.cluster.api();
        match api
            .json_patch(&change.key.path(), "status", &change_of_status)
            .await
        {
            Ok(_) => true,
            // It was changed or deleted meanwhile; the next round sees it as it is then.
            Err(error) if matches!(code(&error), Some(404 | 409 | 422)) => {
                tracing::debug!(kind, %name, error = %explain(&error), "a status is written later");
                false
            }
            Err(error) => {
                tracing::warn!(kind, %name, error = %explain(&error), "cannot write a status");
                false
            }
        }
    }
}

impl Round<'_> {
    /// What of an object's status should change.
    fn change(&self, held: &Held) -> Option<Change> {
        let mut notices = Vec::new();
        let status = match held.key.kind {
            Kind::Policy => policy::status(self, held, &mut notices),
            Kind::Exception => exception::status(self, held, &mut notices),
        };
        (status != held.status).then(|| Change {
            key: held.key.clone(),
            resource_version: held.resource_version.clone(),
            status,
            notices,
        })
    }

    /// How many namespaces a policy selects.
    fn matched(&self, policy: &Policy) -> i64 {
        let mut count = 0;
        self.namespaces.each(|name, labels| {
            let labels = Fact::Known(labels.clone());
            count += i64::from(policy.namespaces.matches(&Place::In(name, &labels)));
        });
        count
    }

    /// The policies that select a namespace.
    fn policies_of(&self, namespace: &str) -> Vec<&Policy> {
        let labels = self.namespaces.get(namespace);
        let labels = labels.map_or(Fact::<Labels>::NotAsked, Fact::Known);
        let place = Place::In(namespace, &labels);
        let policies = self.policies.list.iter().map(|policy| &**policy);
        policies
            .filter(|policy| policy.namespaces.matches(&place))
            .collect()
    }
}

/// Something that people should hear of.
fn warning(held: &Held, reason: &'static str, note: &str) -> Notice {
    Notice {
        regarding: Reference {
            api_version: API_VERSION.to_owned(),
            kind: held.key.kind.as_str().to_owned(),
            namespace: held.key.namespace.clone(),
            name: held.key.name.clone(),
            uid: held.uid.clone(),
        },
        kind: EventType::Warning,
        reason,
        action: "Judge",
        note: visible(note).into_owned(),
    }
}

/// Sets `key` of a status, or takes it away.
fn set(status: &mut Value, key: &str, value: Option<Value>) {
    if !status.is_object() {
        *status = json!({});
    }
    if let Some(fields) = status.as_object_mut() {
        match value {
            Some(value) => {
                fields.insert(key.to_owned(), value);
            }
            None => {
                fields.remove(key);
            }
        }
    }
}

/// Adds a count to the number a status holds.
fn add(status: &mut Value, key: &str, more: u64) {
    let before = status[key].as_u64().unwrap_or_default();
    set(status, key, Some(before.saturating_add(more).into()));
}

/// The name under which an object's uses are counted.
fn counted(key: &Key) -> String {
    match key.kind {
        Kind::Policy => key.name.clone(),
        Kind::Exception => format!("{}/{}", key.namespace, key.name),
    }
}

impl Counts {
    fn of(&self, key: &Key) -> &HashMap<Arc<str>, Use> {
        match key.kind {
            Kind::Policy => &self.policies,
            Kind::Exception => &self.exceptions,
        }
    }

    /// What was counted of an object.
    fn get(&self, key: &Key) -> Option<Use> {
        self.of(key).get(&*counted(key)).copied()
    }

    fn forget(&mut self, key: &Key) {
        let counts = match key.kind {
            Kind::Policy => &mut self.policies,
            Kind::Exception => &mut self.exceptions,
        };
        counts.remove(&*counted(key));
    }

    /// Drops the counts of objects that are not held: of policies from files, and of what is gone.
    fn keep_only(&mut self, held: impl Fn(&Key) -> bool) {
        self.policies.retain(|name, _| {
            held(&Key {
                kind: Kind::Policy,
                namespace: String::new(),
                name: name.to_string(),
            })
        });
        self.exceptions.retain(|id, _| {
            id.split_once('/').is_some_and(|(namespace, name)| {
                held(&Key {
                    kind: Kind::Exception,
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            })
        });
    }
}

#[cfg(test)]
mod tests;
