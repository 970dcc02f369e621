//! The API server as a source of facts: the labels of namespaces from an index that a watch keeps,
//! and the pods of a namespace on demand.
//!
//! The rule for a namespace's labels:
//! - the index was heard to be in step with the API server within the last five minutes
//!   ([`namespaces::STALE_AFTER`]): what it holds is known; what it does not hold is read live,
//!   since a namespace may be younger than our last event;
//! - otherwise (never synced, or the watch has been broken for longer): every namespace is read
//!   live, and what the index still holds is not used.
//!
//! A live read that fails is [`Fact::Unavailable`], also for a namespace that does not exist.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::facts::{ExistingPods, Fact, Labels};
use crate::server::Metrics;

mod call;
pub mod certificates;
mod contact;
pub mod crd;
pub mod drift;
pub mod events;
pub mod identity;
pub mod lease;
pub mod namespaces;
mod object_name;
pub mod objects;
mod one;
pub mod pages;
mod pods;
pub mod policies;
pub mod status;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

pub use self::call::{Api, Clock};
pub use self::object_name::{ObjectName, is_object_name};
pub use self::one::{NOT_YET, Place, Seen};

use self::namespaces::{LiveReads, NamespaceIndex, read_namespace};

/// How long setting up a connection to the API server may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Live reads at once. More would only queue in the API server's own limits.
const LIVE_READS: usize = 32;

/// `--kubeconfig` and `--context`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConnectOptions {
    /// The kubeconfig file; `None`: the pod's service account when there is one, else
    /// `KUBECONFIG` or the default file.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; `None`: its current one.
    pub context: Option<String>,
}

/// Why there is no client for the API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file is missing, unreadable or lacks the context.
    #[error("cannot use {source_name}: {error}; name another with --kubeconfig or --context")]
    Kubeconfig {
        /// What was read.
        source_name: String,
        /// What is wrong with it.
        error: kube::config::KubeconfigError,
    },
    /// The files of the pod's service account are missing or unreadable.
    #[error("cannot use the pod's service account: {0}; mount its token, or name a --kubeconfig")]
    InCluster(kube::config::InClusterError),
    /// The client could not be made of what was read.
    #[error("cannot make a client for the API server: {0}")]
    Client(kube::Error),
}

/// A cluster's API server and what is known of it. Share it in an `Arc`; run
/// [`Cluster::watch_namespaces`] in a task of its own.
pub struct Cluster {
    client: Client,
    api: Api,
    index: NamespaceIndex,
    live: Semaphore,
    reads: LiveReads,
}

impl Cluster {
    /// Makes a client; nothing is sent yet. The process must have a default crypto provider of
    /// rustls.
    ///
    /// # Errors
    /// [`ConnectError`], with what the caller of the command may do about it.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let mut config = config(options).await?;
        config.connect_timeout = Some(CONNECT);
        // Trying again is up to the watch, and for a live read there is no time.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(ConnectError::Client)?;
        Ok(Self::with_client(client))
    }

    /// A cluster behind a client that is already there.
    pub fn with_client(client: Client) -> Self {
        Cluster {
            api: Api::new(client.clone()),
            client,
            index: NamespaceIndex::default(),
            live: Semaphore::new(LIVE_READS),
            reads: LiveReads::default(),
        }
    }

    /// For objects as JSON, beside the facts.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The client.
    pub fn client(&self) -> &Client {
        self.api.client()
    }

    /// The index of namespaces.
    pub fn namespaces(&self) -> &NamespaceIndex {
        &self.index
    }

    /// Keeps the namespace index in step with the API server, for ever.
    pub async fn watch_namespaces(&self) {
        namespaces::watch(&self.client, &self.index).await;
    }

    /// Whether all namespaces were listed once. It stays true when the API server goes away:
    /// readiness must not, or every replica would leave together with it.
    pub fn synced(&self) -> bool {
        self.index.age().is_some()
    }

    /// [`Cluster::synced`] as a readiness condition.
    ///
    /// # Errors
    /// In words, before the first list.
    pub fn condition(&self) -> Result<String, String> {
        match self.index.age() {
            Some(age) => Ok(format!(
                "{} namespaces, API server heard {} s ago",
                self.index.len(),
                age.as_secs()
            )),
            None => Err("namespaces not listed yet".to_owned()),
        }
    }

    /// Sets the metrics about the namespace index; to be called before a scrape.
    pub fn report(&self, metrics: &Metrics) {
        metrics.set_namespace_index(self.index.len(), self.index.age());
        let (found, not_found, failed) = self.reads.counts();
        metrics.set_namespace_live_reads(found, not_found, failed);
    }

    /// The labels of a namespace, from the index or read live before `deadline`.
    pub async fn namespace(&self, name: &str, deadline: Instant) -> Fact<Labels> {
        if let Some(labels) = self.index.get(name) {
            return Fact::Known(labels);
        }
        if !wire::is_namespace_name(name) {
            return Fact::Unavailable("the request's namespace is no namespace name".to_owned());
        }
        let read = async {
            let _permit = self
                .live
                .acquire()
                .await
                .map_err(|error| error.to_string())?;
            read_namespace(&self.client, name, &self.reads).await
        };
        match timeout_at(deadline, read).await {
            Ok(Ok(labels)) => Fact::Known(labels),
            Ok(Err(why)) => Fact::Unavailable(why),
            Err(_elapsed) => {
                self.reads.failed();
                Fact::Unavailable(format!(
                    "reading namespace \"{name}\" took longer than the request may"
                ))
            }
        }
    }

    /// The pods of a namespace, within a second or half of what is left until `deadline`.
    pub async fn existing_pods(&self, namespace: &str, deadline: Instant) -> Fact<ExistingPods> {
        if !wire::is_namespace_name(namespace) {
            return Fact::Unavailable("the request's namespace is no namespace name".to_owned());
        }
        match pods::list(&self.client, namespace, deadline).await {
            Ok(pods) => Fact::Known(pods),
            Err(why) => Fact::Unavailable(why),
        }
    }
}

async fn config(options: &ConnectOptions) -> Result<Config, ConnectError> {
    let chosen = options.kubeconfig.is_some() || options.context.is_some();
    if !chosen && env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Config::incluster().map_err(ConnectError::InCluster);
    }
    let source_name = match &options.kubeconfig {
        Some(path) => path.display().to_string(),
        None => "the default kubeconfig".to_owned(),
    };
    let kubeconfig = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let choice = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match kubeconfig {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &choice).await,
        Err(error) => Err(error),
    };
    config.map_err(|error| ConnectError::Kubeconfig { source_name, error })
}
