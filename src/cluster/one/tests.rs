//! The watch on one object against a scripted API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::cluster::tests::{Reply, Scripted, event, eventually, failure, status};

const LONG: Duration = Duration::from_secs(30);

fn secret(version: u32) -> String {
    format!(r#"{{"metadata":{{"name":"tls","resourceVersion":"{version}"}}}}"#)
}

fn list(items: &[String], version: u32) -> Reply {
    let items = items.join(",");
    let metadata = format!(r#"{{"resourceVersion":"{version}"}}"#);
    Reply::Json(
        200,
        format!(r#"{{"metadata":{metadata},"items":[{items}]}}"#),
    )
}

async fn start(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Scripted, watch::Receiver<Seen>, AbortOnDropHandle<()>) {
    let scripted = Scripted::start(script, false).await;
    let (sender, receiver) = watch::channel(Seen::Unknown(NOT_YET.to_owned()));
    let place = Place {
        path: "/api/v1/namespaces/tg/secrets".to_owned(),
        name: "tls".to_owned(),
    };
    let api = scripted.cluster.api().clone();
    let task = tokio::spawn(async move { api.watch_one(place, sender).await });
    (scripted, receiver, AbortOnDropHandle::new(task))
}

/// The version of the object that is seen; 0 where there is none.
fn version(seen: &watch::Receiver<Seen>) -> u32 {
    let seen = seen.borrow();
    let version = seen
        .object()
        .and_then(|object| object["metadata"]["resourceVersion"].as_str());
    version.map_or(0, |version| version.parse().unwrap())
}

#[tokio::test]
async fn an_object_that_comes_changes_and_goes_is_seen_each_time() {
    let (_scripted, mut seen, _task) = start(|path| match path {
        p if p.contains("watch=true") => {
            assert!(p.contains("fieldSelector=metadata.name%3Dtls"), "{p}");
            assert!(p.contains("resourceVersion=7"), "{p}");
            Reply::Events(
                vec![event("ADDED", &secret(8)), event("MODIFIED", &secret(9))],
                LONG,
            )
        }
        p => {
            assert!(p.contains("fieldSelector=metadata.name%3Dtls"), "{p}");
            list(&[], 7)
        }
    })
    .await;
    seen.wait_for(|seen| seen.object().is_some()).await.unwrap();
    eventually("the change is seen", || version(&seen) == 9).await;
}

#[tokio::test]
async fn after_a_deletion_there_is_none() {
    let (_scripted, seen, _task) = start(|path| match path {
        p if p.contains("watch=true") => Reply::Events(vec![event("DELETED", &secret(8))], LONG),
        _ => list(&[secret(3)], 7),
    })
    .await;
    eventually("it is gone", || *seen.borrow() == Seen::Missing).await;
}

#[tokio::test]
async fn what_was_seen_stays_while_the_api_server_fails_and_is_read_anew_afterwards() {
    let lists = AtomicUsize::new(0);
    let (_scripted, seen, _task) = start(move |path| {
        let gone = status(410, "too old resource version");
        match path {
            p if p.contains("watch=true") => Reply::Events(vec![event("ERROR", &gone)], LONG),
            _ => match lists.fetch_add(1, Ordering::SeqCst) {
                0 => list(&[secret(1)], 1),
                1 => failure(500, "etcdserver: request timed out"),
                _ => list(&[secret(2)], 2),
            },
        }
    })
    .await;
    eventually("it is seen", || version(&seen) > 0).await;
    eventually("it is read anew", || {
        let version = version(&seen);
        assert_ne!(version, 0, "it was forgotten");
        version == 2
    })
    .await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_until_it_is_there() {
    let lists = AtomicUsize::new(0);
    let (_scripted, seen, _task) = start(move |path| match path {
        p if p.contains("watch=true") => Reply::Events(Vec::new(), LONG),
        _ if lists.fetch_add(1, Ordering::SeqCst) < 2 => failure(403, "secrets is forbidden"),
        _ => list(&[secret(4)], 4),
    })
    .await;
    eventually(
        "the reason is told",
        || matches!(&*seen.borrow(), Seen::Unknown(why) if why.contains("403")),
    )
    .await;
    eventually("it is seen", || version(&seen) == 4).await;
    assert_eq!(
        format!("{:?}", *seen.borrow()),
        "Present",
        "a Secret is not printed"
    );
}
