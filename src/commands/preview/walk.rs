//! All objects of a cluster, namespace by namespace, a page of each kind at a time.
//!
//! The API server lists by namespace and name, so the lists of all kinds can be read side by side:
//! what is held is one page of each and the subjects of one namespace, however large the cluster is.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::cli::PreviewArgs;
use crate::cluster::pages::{Pages, ReadError};
use crate::commands::cluster::Connection;
use crate::commands::output::Progress;

use super::Namespace;
use super::judge::{Judge, KindOf};
use super::owners::{Head, Name, Owners};
use super::tally::Tally;

const fn kind(group: &'static str, kind: &'static str, resource: &'static str) -> KindOf {
    KindOf {
        group,
        kind,
        resource,
    }
}

/// What is read, owners before what they own and pods last.
const KINDS: [KindOf; 9] = [
    kind("batch", "CronJob", "cronjobs"),
    kind("apps", "Deployment", "deployments"),
    kind("apps", "StatefulSet", "statefulsets"),
    kind("apps", "DaemonSet", "daemonsets"),
    kind("apps", "ReplicaSet", "replicasets"),
    kind("batch", "Job", "jobs"),
    kind("", "ReplicationController", "replicationcontrollers"),
    kind("", "PodTemplate", "podtemplates"),
    kind("", "Pod", "pods"),
];

/// A kind and how far its list is read.
struct Cursor {
    kind: KindOf,
    pages: Pages,
    /// The first object not taken yet; none at the end.
    head: Option<Head>,
}

/// Reads and judges everything; what could not be read, in words.
pub(super) async fn all(
    args: &PreviewArgs,
    connection: &Connection,
    judge: &Judge,
    namespaces: &BTreeMap<String, Namespace>,
    tally: &mut Tally,
) -> Vec<String> {
    let mut unread = Vec::new();
    let mut cursors: Vec<Cursor> = KINDS
        .map(|kind| Cursor {
            kind,
            pages: Pages::new(path(kind, args.namespace.as_deref())),
            head: None,
        })
        .into();
    advance_all(&mut cursors, connection, &mut unread).await;
    let mut progress = Progress::start();
    while let Some(name) = first(&cursors) {
        progress.show(|| format!("{} pods judged, now in namespace {name}", tally.pods()));
        let Some(namespace) = namespaces.get(&name) else {
            unread.push(format!(
                "namespace {name:?} was made while the others were read: its objects are left out"
            ));
            skip(&name, &mut cursors, connection, &mut unread).await;
            continue;
        };
        let mut owners = Owners::default();
        for cursor in &mut cursors {
            while cursor.is_in(&name) {
                if let Some((head, object)) = cursor.take() {
                    let json = object.get();
                    let judged = |kind: KindOf| {
                        judge.object(kind, &name, &head.metadata.name, json, &namespace.labels)
                    };
                    take(cursor.kind, &head, judged, &mut owners, tally);
                }
                cursor.advance(connection, &mut unread).await;
            }
        }
        tally.close(&name);
    }
    unread
}

/// Takes one object into the tally.
fn take(
    kind: KindOf,
    head: &Head,
    judged: impl FnOnce(KindOf) -> super::judge::Both,
    owners: &mut Owners,
    tally: &mut Tally,
) {
    let own = Name {
        kind: kind.kind.to_owned(),
        name: head.metadata.name.clone(),
    };
    match (kind.kind, head.owner()) {
        ("Pod", _) if head.has_ended() => {}
        ("Pod", Some(owner)) => tally.take_pod(owners.top(owner), judged(kind)),
        ("Pod", None) => tally.take_pod(own, judged(kind)),
        // Its template is its owner's, perhaps an old one; only its pods count.
        (_, Some(owner)) => owners.add(own, owner),
        (_, None) => tally.take_workload(own, judged(kind)),
    }
}

impl Cursor {
    fn is_in(&self, namespace: &str) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.metadata.namespace == namespace)
    }

    fn take(&mut self) -> Option<(Head, Box<RawValue>)> {
        Some((self.head.take()?, self.pages.take()?))
    }

    /// Shows the next object that can be told by its name.
    async fn advance(&mut self, connection: &Connection, unread: &mut Vec<String>) {
        loop {
            let next = self.pages.peek(&connection.client, &connection.pace).await;
            let object = match next {
                Ok(object) => object,
                Err(error) => {
                    unread.push(cannot(self.kind, &error));
                    None
                }
            };
            let Some(object) = object else {
                self.head = None;
                return;
            };
            match serde_json::from_str(object.get()) {
                Ok(head) => {
                    self.head = Some(head);
                    return;
                }
                Err(error) => {
                    unread.push(format!("one of the {}: {error}", self.kind.resource));
                    self.pages.take();
                }
            }
        }
    }
}

fn cannot(kind: KindOf, error: &ReadError) -> String {
    format!("{} cannot be read: {error}", kind.resource)
}

async fn advance_all(cursors: &mut [Cursor], connection: &Connection, unread: &mut Vec<String>) {
    for cursor in cursors {
        cursor.advance(connection, unread).await;
    }
}

async fn skip(
    namespace: &str,
    cursors: &mut [Cursor],
    connection: &Connection,
    unread: &mut Vec<String>,
) {
    for cursor in cursors {
        while cursor.is_in(namespace) {
            cursor.take();
            cursor.advance(connection, unread).await;
        }
    }
}

/// The namespace that comes first among the objects not taken yet.
fn first(cursors: &[Cursor]) -> Option<String> {
    let heads = cursors.iter().filter_map(|cursor| cursor.head.as_ref());
    let names = heads.map(|head| &head.metadata.namespace);
    names.min_by(|one, other| in_storage(one, other)).cloned()
}

/// The order of two namespaces in the API server's storage, where a slash follows the name.
fn in_storage(one: &str, other: &str) -> Ordering {
    let key = |name: &str| name.bytes().chain([b'/']).collect::<Vec<u8>>();
    key(one).cmp(&key(other))
}

fn path(kind: KindOf, namespace: Option<&str>) -> String {
    let group = if kind.group.is_empty() {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{}/v1", kind.group)
    };
    match namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{}", kind.resource),
        None => format!("{group}/{}", kind.resource),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_come_in_the_order_of_their_keys() {
        let mut names = ["shop", "a", "shop-eu", "shop0", "b"];
        names.sort_by(|one, other| in_storage(one, other));
        assert_eq!(names, ["a", "b", "shop-eu", "shop", "shop0"]);
    }

    #[test]
    fn the_paths_are_those_of_the_api() {
        let [cron, .., pod] = KINDS;
        assert_eq!(path(cron, None), "/apis/batch/v1/cronjobs");
        assert_eq!(path(pod, Some("shop")), "/api/v1/namespaces/shop/pods");
    }
}
