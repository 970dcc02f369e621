//! The options of commands that ask a cluster.

use std::path::PathBuf;

use clap::Args;

use crate::cluster::ConnectOptions;

/// Which cluster, and as whom.
#[derive(Args, Clone, Debug, Default)]
pub struct ConnectArgs {
    /// How to reach the API server [default: from inside the cluster, then KUBECONFIG, then
    /// ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl ConnectArgs {
    /// The same for the adapter.
    pub fn options(&self) -> ConnectOptions {
        ConnectOptions {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }
}
