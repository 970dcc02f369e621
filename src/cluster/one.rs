//! A watch on one object, chosen by its name so that a right on that name is enough.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::call::Api;
use super::watch::Pause;
use super::wire::explain;
use crate::json::tree::at;

/// How long the API server keeps one watch open, in seconds.
const WATCH_SECONDS: u32 = 60;
/// A watch that outlives its time by this much is dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// A watch that ends sooner is followed by a list and a pause.
const SHORT: Duration = Duration::from_secs(5);

/// Why an object is unknown at the start.
pub const NOT_YET: &str = "it was not read yet";

/// What is known of the object.
#[derive(Clone, PartialEq)]
pub enum Seen {
    /// Nothing yet, and why.
    Unknown(String),
    /// There is none.
    Missing,
    /// It is this. It stays so while the API server is away.
    Present(Box<Value>),
}

impl fmt::Debug for Seen {
    /// Without the object, which may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Seen::Unknown(_) => "Unknown",
            Seen::Missing => "Missing",
            Seen::Present(_) => "Present",
        })
    }
}

impl Seen {
    /// The object, if it is there.
    pub fn object(&self) -> Option<&Value> {
        match self {
            Seen::Present(object) => Some(object),
            Seen::Unknown(_) | Seen::Missing => None,
        }
    }
}

/// Where the object is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The path of the list it is in.
    pub path: String,
    /// Its name.
    pub name: String,
}

impl Api {
    /// Watches an object for ever and tells each state of it that differs from the one before.
    pub async fn watch_one(self, place: Place, seen: watch::Sender<Seen>) {
        watch_one(&self, &place, &seen).await;
    }
}

async fn watch_one(api: &Api, place: &Place, seen: &watch::Sender<Seen>) {
    let mut pause = Pause::default();
    let mut said = String::new();
    loop {
        let failed = match list(api, place, seen).await {
            Ok(version) => {
                said.clear();
                let (went_well, why) = follow(api.client(), place, seen, version).await;
                if went_well {
                    pause = Pause::default();
                }
                tracing::debug!(object = %place.name, reason = %why, "listing one object again");
                None
            }
            Err(error) => Some(explain(&error)),
        };
        if let Some(why) = failed {
            if said != why {
                tracing::warn!(path = %place.path, object = %place.name, error = %why, "cannot read it");
            }
            seen.send_if_modified(|now| match now {
                Seen::Unknown(before) if *before != why => {
                    before.clone_from(&why);
                    true
                }
                _ => false,
            });
            said = why;
        }
        pause.wait().await;
    }
}

fn tell(seen: &watch::Sender<Seen>, new: Seen) {
    seen.send_if_modified(|now| {
        let differs = *now != new;
        if differs {
            *now = new;
        }
        differs
    });
}

/// Reads the object by a list; the list's resource version.
async fn list(api: &Api, place: &Place, seen: &watch::Sender<Seen>) -> Result<String, kube::Error> {
    let parameters = ListParams::default().fields(&format!("metadata.name={}", place.name));
    let request = Request::new(&place.path)
        .list(&parameters)
        .map_err(kube::Error::BuildRequest)?;
    let mut list = api.call(request).await?;
    let item = list.pointer_mut("/items/0").map(Value::take);
    tell(
        seen,
        item.map_or(Seen::Missing, |object| Seen::Present(Box::new(object))),
    );
    let version = at(&list, &["metadata", "resourceVersion"]);
    Ok(version.as_str().unwrap_or_default().to_owned())
}

/// Watches until that is no longer possible; whether it went well for a while, and why it ended.
async fn follow(
    client: &Client,
    place: &Place,
    seen: &watch::Sender<Seen>,
    mut version: String,
) -> (bool, String) {
    let mut went_well = false;
    loop {
        let opened = Instant::now();
        let end = watch_once(client, place, seen, &mut version).await;
        let lasted = opened.elapsed() > SHORT;
        went_well |= lasted;
        match end {
            Ok(()) if lasted => {}
            Ok(()) => return (went_well, "the watch ended at once".to_owned()),
            Err(error) => return (went_well, explain(&error)),
        }
    }
}

async fn watch_once(
    client: &Client,
    place: &Place,
    seen: &watch::Sender<Seen>,
    version: &mut String,
) -> Result<(), kube::Error> {
    let parameters = WatchParams::default()
        .fields(&format!("metadata.name={}", place.name))
        .timeout(WATCH_SECONDS);
    let request = Request::new(&place.path)
        .watch(&parameters, version)
        .map_err(kube::Error::BuildRequest)?;
    let silent = |_| kube::Error::Service("the watch fell silent".into());
    let events = timeout(SILENCE, client.request_events::<Value>(request)).await;
    let mut events = pin!(events.map_err(silent)??);
    while let Some(event) = timeout(SILENCE, events.try_next())
        .await
        .map_err(silent)??
    {
        let (object, new) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (object.clone(), Seen::Present(Box::new(object)))
            }
            WatchEvent::Deleted(object) => (object, Seen::Missing),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        if let Some(new_version) = at(&object, &["metadata", "resourceVersion"]).as_str() {
            new_version.clone_into(version);
        }
        tell(seen, new);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
