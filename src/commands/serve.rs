//! `tidegate serve`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::PolicyArgs;
use crate::cli::ServeArgs;
use crate::cli::serve::{ClientAuthArg, LogFormat};
use crate::cluster::policies::Store;
use crate::cluster::{Cluster, ConnectOptions, identity};
use crate::control::Mode;
use crate::facts::declared::Declared;
use crate::server::admission::{Admission, FactSource};
use crate::server::{
    self, CertificateSource, ClientAuth, ClientAuthMode, DrainTimes, Limits, Metrics, Readiness,
    ServerConfig,
};

use self::upkeep::Upkeep;
use super::policies::Loaded;
use super::{input, output};

pub mod upkeep;

/// Serves until SIGTERM. What cannot be read is said before anything listens.
///
/// # Errors
/// When the log cannot be set up.
pub fn run(args: &ServeArgs) -> Result<u8, String> {
    start_log(args)?;
    let cap = if args.audit_only {
        Mode::Audit
    } else {
        Mode::Enforce
    };
    let options = PolicyArgs {
        policy: args.policy.clone(),
        preset: args.preset.clone(),
    };
    let Some(loaded) = super::policies_of(&options, cap, &mut io::empty()) else {
        return Ok(super::UNREADABLE);
    };
    let Some(declared) = declared(&args.cluster) else {
        return Ok(super::UNREADABLE);
    };
    for policy in &loaded.policies.list {
        tracing::info!(policy = %policy.name, audit_only = args.audit_only, "policy in force");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    match runtime.block_on(serve(args, loaded, declared)) {
        Ok(()) => Ok(super::OK),
        Err(error) => {
            tracing::error!("{error}");
            Ok(FAILED)
        }
    }
}

/// Exit code: serving failed.
const FAILED: u8 = 1;

/// The facts of `--cluster` files; `None` when one of them cannot be read, which is said.
fn declared(paths: &[PathBuf]) -> Option<Declared> {
    let input = input::read(paths, &mut io::empty());
    for unreadable in &input.unreadable {
        output::say_unreadable(unreadable);
    }
    let mut declared = Declared::default();
    for object in &input.objects {
        declared.add(&object.node, "default");
    }
    input.unreadable.is_empty().then_some(declared)
}

async fn serve(args: &ServeArgs, loaded: Loaded, declared: Declared) -> Result<(), String> {
    let metrics = Arc::new(Metrics::new());
    let readiness = Arc::new(Readiness::default());
    let texts = loaded.objects.iter().map(|object| object.node.to_json());
    let text: Vec<String> = texts.chain([args.audit_only.to_string()]).collect();
    let store = Arc::new(Store::new(loaded.policies, text.join("\n")));
    let reported = Arc::clone(&store);
    metrics.before_scrape(move |metrics| reported.report(metrics.policies()));
    let mut config = config(args);
    let (admission, upkeep) = if args.standalone {
        let facts = FactSource::Declared(declared);
        let admission = Admission::new(store.in_force(), facts, Arc::clone(&metrics));
        (admission, None)
    } else {
        let (admission, mut upkeep) = in_cluster(args, &store, &metrics, &readiness).await?;
        if let Some(certificate) = upkeep.certificate.take() {
            config.certificate = certificate;
        }
        (admission, Some(upkeep))
    };
    let served = server::serve(config, metrics, readiness, admission, announce).await;
    if let Some(upkeep) = upkeep {
        upkeep.stop().await;
    }
    served.map_err(|error| error.to_string())
}

/// The service with an API server behind it, and everything that keeps in step with that.
async fn in_cluster(
    args: &ServeArgs,
    store: &Arc<Store>,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
) -> Result<(Admission, Upkeep), String> {
    let cluster = Arc::new(connect(args).await?);
    let facts = FactSource::Cluster(Arc::clone(&cluster));
    let admission = Admission::new(store.in_force(), facts, Arc::clone(metrics));
    let mut upkeep = Upkeep::start(args, &cluster, metrics, readiness)?;
    upkeep.write_statuses(args, &cluster, store, admission.usage());

    let observed = Arc::clone(&cluster);
    readiness.add("namespaces", move || observed.condition());
    let observed = Arc::clone(store);
    readiness.add("policies", move || observed.condition());
    let reported = Arc::clone(&cluster);
    metrics.before_scrape(move |metrics| reported.report(metrics));

    let watched = Arc::clone(&cluster);
    upkeep.spawn(async move { watched.watch_namespaces().await });
    let (watched, kept) = (Arc::clone(&cluster), Arc::clone(store));
    upkeep.spawn(async move { kept.run(watched.client()).await });
    let own_user = admission.own_user();
    upkeep.spawn(async move { identity::learn(cluster.client(), &own_user).await });
    Ok((admission, upkeep))
}

async fn connect(args: &ServeArgs) -> Result<Cluster, String> {
    let options = ConnectOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
    };
    Cluster::connect(&options)
        .await
        .map_err(|error| format!("{error}, or use --standalone"))
}

fn announce(admission: SocketAddr, ops: SocketAddr) {
    tracing::info!(%admission, %ops, version = env!("CARGO_PKG_VERSION"), "listening");
}

fn config(args: &ServeArgs) -> ServerConfig {
    let certificate = match (&args.tls_dir, &args.self_signed) {
        (Some(dir), _) => CertificateSource::TlsDir(dir.clone()),
        (None, dir) => CertificateSource::SelfSigned {
            dir: dir.clone().unwrap_or_default(),
            names: args.dns_name.clone(),
        },
    };
    ServerConfig {
        listen: args.listen,
        ops_listen: args.ops_listen,
        certificate,
        client_auth: ClientAuth {
            mode: match args.client_auth {
                ClientAuthArg::Off => ClientAuthMode::Off,
                ClientAuthArg::Audit => ClientAuthMode::Audit,
                ClientAuthArg::Require => ClientAuthMode::Require,
            },
            ca: args.client_ca.clone(),
            names: args.client_names.clone(),
        },
        limits: Limits {
            max_body: args.max_body,
            max_inflight_bytes: args.max_inflight_bytes,
            max_connections: args.max_connections,
            ..Limits::default()
        },
        drain: DrainTimes {
            delay: args.drain_delay,
            timeout: args.drain_timeout,
        },
    }
}

/// Log lines go to standard error, for standard output is for results.
fn start_log(args: &ServeArgs) -> Result<(), String> {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log_level)
        .map_err(|error| format!("--log-level {:?}: {error}", args.log_level))?;
    let terminal = io::stderr().is_terminal();
    let format = args.log_format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match format {
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Text => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none();
            log.with_ansi(colour).try_init()
        }
    };
    started.map_err(|error| format!("cannot start the log: {error}"))
}
