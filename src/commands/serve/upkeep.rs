//! What a replica does beside answering: the certificate from a Secret, the Lease, the `caBundle`,
//! the comparison with what was installed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::serve::ServeArgs;
use crate::cli::upkeep::{TlsModeArg, UpkeepArgs};
use crate::cluster::certificates::{Feed, Keeper, Keeping, LINGER, Lives, Settings, webhook_place};
use crate::cluster::drift::{DriftCheck, read_installed};
use crate::cluster::events::Events;
use crate::cluster::lease::{Elector, Leadership};
use crate::cluster::policies::Store;
use crate::cluster::status::{Exchange, StatusWriter};
use crate::cluster::{Cluster, NOT_YET, Place, Seen};
use crate::server::usage::Usage;
use crate::server::{CertificateSource, Metrics, Readiness};

/// How long the Lease may take to be given back at the end.
const RELEASE: Duration = Duration::from_secs(4);

/// The tasks beside serving. Dropping it ends them; [`Upkeep::stop`] also gives the Lease back.
pub struct Upkeep {
    /// The certificate, with `--tls-secret`.
    pub certificate: Option<CertificateSource>,
    /// Whether this replica leads, with `--lease`.
    pub leadership: Option<Leadership>,
    /// Where Events are said.
    pub events: Events,
    stop: CancellationToken,
    elector: Option<AbortOnDropHandle<()>>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Upkeep {
    /// Starts what the flags ask for.
    ///
    /// # Errors
    /// In words, when flags do not fit together or the installed configuration cannot be read.
    pub fn start(
        args: &ServeArgs,
        cluster: &Cluster,
        metrics: &Arc<Metrics>,
        readiness: &Readiness,
    ) -> Result<Self, String> {
        let flags = &args.upkeep;
        let settings = settings(args)?;
        if let Some(path) = &flags.installed {
            read_installed(path)?;
        }
        let mut starting = Starting {
            cluster,
            metrics,
            tasks: Vec::new(),
        };
        let holder = flags
            .holder
            .clone()
            .unwrap_or_else(|| "tidegate".to_owned());
        let (events, writer) = Events::new(cluster.api().clone(), holder);
        starting.spawn(writer.run());
        let stop = CancellationToken::new();
        let (elector, leadership) = starting.elector(flags, &stop).unzip();

        let webhook = starting.watch(flags.webhook.as_deref().map(webhook_place));
        let secret = starting.watch(settings.as_ref().map(Settings::secret_place));
        let seen = (secret, webhook);
        let certificate = settings.clone().map(|settings| {
            starting.certificate(settings, &seen, &events, leadership.as_ref(), readiness)
        });
        if let Some(installed) = flags.installed.clone() {
            let api = cluster.api().clone();
            let (check, state) =
                DriftCheck::new(api, installed, settings, seen, Arc::clone(metrics));
            starting.spawn(check.run());
            readiness.add("webhook", move || Ok(state.text()));
        }
        Ok(Upkeep {
            certificate,
            leadership,
            events,
            stop,
            elector,
            tasks: starting.tasks,
        })
    }

    /// Runs `task` until the end.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// Starts writing the status of policies and exceptions, where there is a Lease to lead by.
    pub fn write_statuses(
        &mut self,
        args: &ServeArgs,
        cluster: &Arc<Cluster>,
        store: &Arc<Store>,
        usage: Arc<Usage>,
    ) {
        let flags = &args.upkeep;
        let leading = self.leadership.clone().zip(flags.lease.as_ref());
        let Some(((leadership, lease), holder)) = leading.zip(flags.holder.as_ref()) else {
            return;
        };
        let writer = StatusWriter {
            store: Arc::clone(store),
            cluster: Arc::clone(cluster),
            usage,
            exchange: Exchange::new(lease, holder),
            events: self.events.clone(),
        };
        self.spawn(writer.run(leadership));
    }

    /// Ends everything, and gives the Lease back so that another replica leads at once.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(elector) = self.elector.take() {
            // Left to run out when it cannot be given back.
            let _ = tokio::time::timeout(RELEASE, elector).await;
        }
    }
}

/// The settings of `--tls-secret`.
fn settings(args: &ServeArgs) -> Result<Option<Settings>, String> {
    let flags = &args.upkeep;
    let Some(secret) = flags.tls_secret.clone() else {
        return Ok(None);
    };
    let keeping = match flags.tls_mode {
        TlsModeArg::Own => Keeping::Own,
        TlsModeArg::Given => Keeping::Given,
        TlsModeArg::Injected => Keeping::Injected,
    };
    if keeping != Keeping::Injected && (flags.webhook.is_none() || flags.lease.is_none()) {
        return Err(
            "--tls-mode own and given keep the caBundle, so they need --webhook and --lease (with \
             --holder); use --tls-mode injected where somebody else keeps it"
                .to_owned(),
        );
    }
    let seconds = |life: Duration| i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    Ok(Some(Settings {
        secret,
        webhook: flags.webhook.clone(),
        keeping,
        names: args.dns_name.clone(),
        lease: flags.lease.clone(),
        lives: Lives {
            ca: seconds(flags.tls_ca_life),
            leaf: seconds(flags.tls_leaf_life),
        },
        settle: flags.tls_settle,
        linger: LINGER,
    }))
}

/// What the tasks are started with.
struct Starting<'a> {
    cluster: &'a Cluster,
    metrics: &'a Arc<Metrics>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Starting<'_> {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// What is seen of an object; without one it stays unknown for ever.
    fn watch(&mut self, place: Option<Place>) -> watch::Receiver<Seen> {
        let (sender, receiver) = watch::channel(Seen::Unknown(NOT_YET.to_owned()));
        let api = self.cluster.api().clone();
        self.spawn(async move {
            match place {
                Some(place) => api.watch_one(place, sender).await,
                None => sender.closed().await,
            }
        });
        receiver
    }

    fn elector(
        &mut self,
        flags: &UpkeepArgs,
        stop: &CancellationToken,
    ) -> Option<(AbortOnDropHandle<()>, Leadership)> {
        let (lease, holder) = (flags.lease.clone()?, flags.holder.clone()?);
        let (elector, leadership) = Elector::new(self.cluster.api().clone(), lease, holder);
        let observed = leadership.clone();
        self.metrics.before_scrape(move |metrics| {
            let leads = observed.leading_since().is_some();
            metrics.upkeep().set_leader(leads);
        });
        let task = tokio::spawn(elector.run(stop.clone()));
        Some((AbortOnDropHandle::new(task), leadership))
    }

    fn certificate(
        &mut self,
        settings: Settings,
        seen: &(watch::Receiver<Seen>, watch::Receiver<Seen>),
        events: &Events,
        leadership: Option<&Leadership>,
        readiness: &Readiness,
    ) -> CertificateSource {
        let api = self.cluster.api().clone();
        let from = format!("Secret {}", settings.secret);
        let (feed, deliveries, state) = Feed::new(
            settings.clone(),
            Arc::clone(api.clock()),
            seen.clone(),
            events.clone(),
            Arc::clone(self.metrics),
        );
        self.spawn(feed.run());
        readiness.add("certificate-secret", move || Ok(state.text()));
        if let Some(leadership) = leadership.filter(|_| settings.keeping != Keeping::Injected) {
            let keeper = Keeper::new(
                api,
                settings,
                leadership.clone(),
                seen.clone(),
                events.clone(),
                Arc::clone(self.metrics),
            );
            self.spawn(keeper.run());
        }
        CertificateSource::Delivered { from, deliveries }
    }
}
