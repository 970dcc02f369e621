//! What commands that ask a cluster have in common: the connection, and the policies found there.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::cli::ConnectArgs;
use crate::cluster::Cluster;
use crate::cluster::objects;
use crate::cluster::pages::{Pace, Pages, ReadError};
use crate::cluster::policies::{Held, Kind};
use crate::control::Mode;
use crate::document::source::objects as documents;
use crate::policy::exception::Exception;
use crate::policy::{Policies, Policy};

use super::policies::{Written, read_policy};

/// Requests a second, so that a look at a large cluster is no load to it.
const PER_SECOND: u32 = 20;
/// By this label the `ConfigMap` with the policy of an installation is found.
const CHART_POLICY: &str = "tidegate.dev/config=policy";
/// The key of the policy in it.
const CHART_KEY: &str = "policy.yaml";

/// A cluster, and the runtime its client needs.
pub(super) struct Connection {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    pub(super) pace: Pace,
}

/// Makes a client; nothing is sent yet.
///
/// # Errors
/// In words, with what to do.
pub(super) fn connect(args: &ConnectArgs) -> Result<Connection, String> {
    // A provider that is already there is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let (client, pace) = runtime.block_on(async {
        let cluster = Cluster::connect(&args.options()).await;
        let cluster = cluster.map_err(|error| error.to_string())?;
        Ok::<_, String>((cluster.client().clone(), Pace::new(PER_SECOND)))
    })?;
    Ok(Connection {
        runtime,
        client,
        pace,
    })
}

/// The policies and exceptions of a cluster.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The policies: the custom resources, then those the chart brought.
    pub(super) policies: Vec<Arc<Policy>>,
    /// Every exception, valid or not.
    pub(super) exceptions: Vec<Held>,
    /// What of the policies could not be read, in words.
    pub(super) unread_policies: Vec<String>,
    /// Why the exceptions could not be read.
    pub(super) unread_exceptions: Option<String>,
}

impl Found {
    /// What is in force, without any cap.
    pub(super) fn in_force(&self) -> Policies {
        let exceptions = self.exceptions.iter();
        let exceptions: Vec<Arc<Exception>> = exceptions
            .filter_map(|held| held.exception.clone())
            .collect();
        Policies::new(self.policies.iter().cloned(), Mode::Enforce)
            .with_exceptions(exceptions.into_iter().collect())
    }
}

/// Reads the policies of a cluster, and the exceptions of it or of one namespace. Where the kinds are
/// not defined there are none.
pub(super) async fn find(client: &Client, pace: &Pace, namespace: Option<&str>) -> Found {
    let mut found = Found::default();
    match objects::list(client, pace, Kind::Policy, None).await {
        Ok(policies) => {
            for held in policies {
                if let Some(problem) = held.problem() {
                    found.unread_policies.push(format!(
                        "ControlPolicy {:?} is not valid, {}: {problem}",
                        held.key.name,
                        in_its_place(&held),
                    ));
                }
                found.policies.extend(held.policy);
            }
        }
        Err(error) if error.code == Some(404) => {}
        Err(error) => found
            .unread_policies
            .push(format!("ControlPolicies cannot be read: {error}")),
    }
    match objects::list(client, pace, Kind::Exception, namespace).await {
        Ok(exceptions) => found.exceptions = exceptions,
        Err(error) if error.code == Some(404) => {}
        Err(error) => {
            found.unread_exceptions = Some(format!("ControlExceptions cannot be read: {error}"));
        }
    }
    if let Err(error) = chart_policies(client, pace, &mut found).await {
        found.unread_policies.push(format!(
            "the policy of the installation cannot be looked for: {error}"
        ));
    }
    found
}

/// What is in force where an object is not valid.
fn in_its_place(held: &Held) -> &'static str {
    if held.in_force_generation.is_some() {
        "its last good version counts"
    } else {
        "nothing of it counts"
    }
}

/// A `ConfigMap` of the chart.
#[derive(Deserialize)]
pub(super) struct ConfigMap {
    pub(super) metadata: ConfigMapMeta,
    #[serde(default)]
    pub(super) data: Option<BTreeMap<String, String>>,
}

/// Its metadata.
#[derive(Deserialize)]
pub(super) struct ConfigMapMeta {
    pub(super) name: String,
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

/// The policies that charts brought as files.
async fn chart_policies(client: &Client, pace: &Pace, found: &mut Found) -> Result<(), ReadError> {
    let pages = Pages::new("/api/v1/configmaps").labelled(CHART_POLICY);
    for object in pages.all(client, pace).await? {
        let Ok(map) = serde_json::from_str::<ConfigMap>(object.get()) else {
            continue;
        };
        let name = format!("ConfigMap {}/{}", map.metadata.namespace, map.metadata.name);
        let Some(text) = map.data.unwrap_or_default().remove(CHART_KEY) else {
            continue;
        };
        let (objects, unreadable) = documents(&name, text.into_bytes());
        for unreadable in unreadable {
            let problem = format!("{name} cannot be read: {}", unreadable.error);
            found.unread_policies.push(problem);
        }
        for object in &objects {
            match read_policy(object) {
                Ok(Written::Policy(policy)) => found.policies.push(Arc::new(policy)),
                Ok(Written::Exception(_)) => {}
                Err(errors) => found
                    .unread_policies
                    .extend(errors.iter().map(ToString::to_string)),
            }
        }
    }
    Ok(())
}
