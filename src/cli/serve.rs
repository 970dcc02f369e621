//! The flags of `tidegate serve`; each is an environment variable `TIDEGATE_…` too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, ValueEnum};

use super::upkeep::UpkeepArgs;
use super::values;

/// `tidegate serve`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  tidegate serve --tls-dir /etc/tidegate/tls\n  \
tidegate serve --tls-secret tidegate/tidegate-tls --webhook tidegate --lease tidegate/tidegate --holder $POD_NAME\n  \
tidegate serve --standalone --self-signed certs --listen 127.0.0.1:8443 --ops-listen 127.0.0.1:8080\n\n\
Each flag is also an environment variable: --tls-dir is TIDEGATE_TLS_DIR. Where a flag may be given \
more than once the variable takes a list with commas.\n\n\
Exit codes: 0 stopped by SIGTERM or SIGINT after the drain, 1 it failed, 2 the call or a policy could not be read.",
    group(ArgGroup::new("certificate").required(true).args(["tls_dir", "tls_secret", "self_signed"]))
)]
pub struct ServeArgs {
    /// Where admission is served over TLS
    #[arg(
        long,
        env = "TIDEGATE_LISTEN",
        hide_env = true,
        default_value = "0.0.0.0:8443",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// Where probes and metrics are served over HTTP
    #[arg(
        long,
        env = "TIDEGATE_OPS_LISTEN",
        hide_env = true,
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    pub ops_listen: SocketAddr,
    /// A folder with tls.crt and tls.key, as in a Secret of type kubernetes.io/tls; read again when
    /// it changes
    #[arg(long, env = "TIDEGATE_TLS_DIR", hide_env = true, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// For development: make a CA and a serving certificate, and write ca.crt, tls.crt and tls.key
    /// there
    #[arg(
        long,
        env = "TIDEGATE_SELF_SIGNED",
        hide_env = true,
        value_name = "DIR"
    )]
    pub self_signed: Option<PathBuf>,
    /// DNS names and IP addresses a made certificate is for; may be given more than once
    #[arg(
        long,
        env = "TIDEGATE_DNS_NAME",
        hide_env = true,
        default_value = "localhost",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub dns_name: Vec<String>,
    /// A PEM file with the CAs of client certificates
    #[arg(long, env = "TIDEGATE_CLIENT_CA", hide_env = true, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Names of which a client's certificate must have one; may be given more than once [default:
    /// any]
    #[arg(
        long,
        env = "TIDEGATE_CLIENT_NAMES",
        hide_env = true,
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub client_names: Vec<String>,
    /// What is asked of the clients of the admission port
    #[arg(
        long,
        env = "TIDEGATE_CLIENT_AUTH",
        hide_env = true,
        value_enum,
        default_value_t
    )]
    pub client_auth: ClientAuthArg,
    /// Ask no API server: facts come from --cluster files and policies from files
    #[arg(long, env = "TIDEGATE_STANDALONE", hide_env = true, action = ArgAction::SetTrue)]
    pub standalone: bool,
    /// How to reach the API server [default: from inside the cluster, then the default file]
    #[arg(
        long,
        env = "TIDEGATE_KUBECONFIG",
        hide_env = true,
        value_name = "FILE",
        conflicts_with = "standalone"
    )]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(
        long,
        env = "TIDEGATE_CONTEXT",
        hide_env = true,
        value_name = "NAME",
        conflicts_with = "standalone"
    )]
    pub context: Option<String>,
    /// Policy files, or directories holding them; may be given more than once
    #[arg(
        long,
        env = "TIDEGATE_POLICY",
        hide_env = true,
        value_delimiter = ',',
        value_name = "PATH"
    )]
    pub policy: Vec<PathBuf>,
    /// A shipped policy: recommended, restricted or audit; may be given more than once [default:
    /// recommended, when no --policy is given either]
    #[arg(
        long,
        env = "TIDEGATE_PRESET",
        hide_env = true,
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub preset: Vec<String>,
    /// Manifests that stand for the cluster; needs --standalone; may be given more than once
    #[arg(
        long,
        env = "TIDEGATE_CLUSTER",
        hide_env = true,
        value_delimiter = ',',
        value_name = "PATH",
        requires = "standalone"
    )]
    pub cluster: Vec<PathBuf>,
    /// Cap every mode at audit: nothing is denied and nobody is warned
    #[arg(long, env = "TIDEGATE_AUDIT_ONLY", hide_env = true, action = ArgAction::SetTrue)]
    pub audit_only: bool,
    /// How log lines are written [default: text on a terminal, json elsewhere]
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", hide_env = true, value_enum)]
    pub log_format: Option<LogFormat>,
    /// The least level that is logged: error, warn, info, debug, trace, or directives such as
    /// info,tidegate=debug
    #[arg(
        long,
        env = "TIDEGATE_LOG_LEVEL",
        hide_env = true,
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: String,
    /// On SIGTERM: how long to serve on, unready, so that nobody sends new work here
    #[arg(
        long,
        env = "TIDEGATE_DRAIN_DELAY",
        hide_env = true,
        default_value = "10s",
        value_name = "TIME",
        value_parser = values::duration
    )]
    pub drain_delay: Duration,
    /// On SIGTERM: when to cut what is still in flight; includes the delay
    #[arg(
        long,
        env = "TIDEGATE_DRAIN_TIMEOUT",
        hide_env = true,
        default_value = "25s",
        value_name = "TIME",
        value_parser = values::duration
    )]
    pub drain_timeout: Duration,
    /// The largest body
    #[arg(
        long,
        env = "TIDEGATE_MAX_BODY",
        hide_env = true,
        default_value = "7MiB",
        value_name = "SIZE",
        value_parser = values::size
    )]
    pub max_body: usize,
    /// The bytes of all bodies held at once
    #[arg(
        long,
        env = "TIDEGATE_MAX_INFLIGHT_BYTES",
        hide_env = true,
        default_value = "64MiB",
        value_name = "SIZE",
        value_parser = values::size
    )]
    pub max_inflight_bytes: usize,
    /// The connections held open at once
    #[arg(
        long,
        env = "TIDEGATE_MAX_CONNECTIONS",
        hide_env = true,
        default_value_t = 4096,
        value_name = "NUMBER"
    )]
    pub max_connections: usize,
    /// Certificates from a Secret, the webhook configuration, the Lease.
    #[command(flatten)]
    pub upkeep: UpkeepArgs,
}

/// What is asked of the clients of the admission port.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ClientAuthArg {
    /// Nothing
    #[default]
    Off,
    /// A certificate, but nobody is refused
    Audit,
    /// A valid certificate with one of the names
    Require,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// For reading
    Text,
}
