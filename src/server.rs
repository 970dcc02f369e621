//! The admission server: an accept loop of our own, rustls, hyper's HTTP/1.1, and limits on
//! everything a peer can make grow.
//!
//! Two ports: admission over TLS, where `POST /validate` hands whole bodies to an
//! [`answer::Answer`]; and ops over plain HTTP with `/livez`, `/readyz` and `/metrics`.
//!
//! ```text
//! accept -> handshake -> head -> body -> Answer -> answer   (connection by connection)
//!   cap      15 s        10 s    10 s,   ?timeout=
//!                                7 MiB,
//!                                byte budget
//! ```
//!
//! A request past its deadline is answered 504 without `Retry-After`; the API server then goes by
//! the webhook's `failurePolicy`. On SIGTERM the server is unready at once, serves on for the
//! drain delay, then asks clients to leave with `Connection: close`, closes idle connections last
//! and ends when nothing is in flight or the drain timeout has passed.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

mod accept;
pub mod admission;
mod admit;
pub mod answer;
mod body;
mod certificate;
mod client_auth;
mod connection;
mod deadline;
mod drain;
mod handler;
mod io;
mod limits;
mod metrics;
mod ops;
mod progress;
mod readiness;
mod self_signed;
mod throttle;
mod tls;
pub mod usage;

pub use self::certificate::{CertificateError, Delivery, ServingPem};
pub use self::client_auth::{ClientAuth, ClientAuthMode};
pub use self::limits::{DrainTimes, Limits};
pub use self::metrics::{
    BadRequest, Metrics, PolicyMetrics, Resources, Rotation, Shed, UpkeepMetrics, VerdictLabel,
};
pub use self::readiness::{Condition, Readiness, ReadinessReport};
pub use self::tls::CertificateSource;

use self::accept::{Accepting, accept, listen};
use self::admit::Admitting;
use self::answer::Answer;
use self::drain::{Drain, Stage};
use self::limits::Budget;
use self::ops::Ops;
use self::tls::Tls;

/// How long no request may come before the drain counts the callers as gone.
const QUIET: Duration = Duration::from_secs(1);

type Tasks = TaskTracker;

/// What `tidegate serve` is told by its flags.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `--listen`: admission over TLS. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// `--ops-listen`: probes and metrics over HTTP. Port 0 takes a free one.
    pub ops_listen: SocketAddr,
    /// `--tls-dir`, `--tls-secret`, or `--self-signed` with `--dns-name`.
    pub certificate: CertificateSource,
    /// `--client-auth`, `--client-ca`, `--client-names`.
    pub client_auth: ClientAuth,
    /// `--max-body`, `--max-inflight-bytes`, `--max-connections`, and the times.
    pub limits: Limits,
    /// `--drain-delay`, `--drain-timeout`.
    pub drain: DrainTimes,
}

/// Why the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// A port could not be opened.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// A second signal came during the drain: requests in flight were cut.
    #[error("a second signal ended the drain early")]
    Interrupted,
}

/// What all connections to the admission port share.
struct Shared<A> {
    answer: A,
    limits: Limits,
    tls: Arc<Tls>,
    budget: Arc<Budget>,
    drain: Arc<Drain>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

/// A server whose ports are open and whose certificate is read, and that serves nobody yet.
/// Connections made before [`Server::run`] wait in the kernel's queue.
pub struct Server {
    config: ServerConfig,
    admission: TcpListener,
    ops: TcpListener,
    tls: Arc<Tls>,
    drain: Arc<Drain>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

impl Server {
    /// Checks the settings, reads the certificate and opens both ports; needs a tokio runtime.
    /// Adds the conditions `serving` and `certificate` to `readiness`.
    ///
    /// # Errors
    /// [`ServeError`] with what to change; nothing was served then.
    pub fn bind(
        config: ServerConfig,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Result<Self, ServeError> {
        config.limits.validate().map_err(ServeError::Config)?;
        config.client_auth.validate().map_err(ServeError::Config)?;
        if config.drain.delay >= config.drain.timeout {
            return Err(ServeError::Config(
                "--drain-delay must be shorter than --drain-timeout, which includes it".to_owned(),
            ));
        }
        let tls = Arc::new(Tls::new(&config.certificate, &config.client_auth)?);
        let open = |address| listen(address).map_err(|error| ServeError::Listen { address, error });
        let admission = open(config.listen)?;
        let ops = open(config.ops_listen)?;
        let drain = Arc::new(Drain::default());
        ops::add_conditions(&readiness, &drain, &tls);
        Ok(Server {
            config,
            admission,
            ops,
            tls,
            drain,
            metrics,
            readiness,
        })
    }

    /// The address of the admission port, with the port the system chose.
    ///
    /// # Errors
    /// What the system says.
    pub fn admission_address(&self) -> std::io::Result<SocketAddr> {
        self.admission.local_addr()
    }

    /// The address of the ops port, with the port the system chose.
    ///
    /// # Errors
    /// What the system says.
    pub fn ops_address(&self) -> std::io::Result<SocketAddr> {
        self.ops.local_addr()
    }

    /// Serves until `stop` yields, then drains. A second one ends the drain at once. When the
    /// sending half of `stop` is dropped, nothing stops the server any more.
    ///
    /// # Errors
    /// [`ServeError::Interrupted`] after a second stop.
    pub async fn run<A: Answer>(
        self,
        answer: A,
        mut stop: mpsc::Receiver<()>,
    ) -> Result<(), ServeError> {
        let tasks = Tasks::new();
        let shared = Arc::new(Shared {
            answer,
            budget: Arc::new(Budget::new(self.config.limits.max_inflight_bytes)),
            limits: self.config.limits,
            tls: self.tls,
            drain: self.drain,
            metrics: self.metrics,
            tasks: tasks.clone(),
        });
        let _cut = CutOnDrop(Arc::clone(&shared.drain));
        let budget = Arc::clone(&shared.budget);
        shared
            .metrics
            .before_scrape(move |metrics| metrics.set_inflight_bytes(budget.used()));
        let ops = Arc::new(Ops::new(
            Arc::clone(&shared.metrics),
            self.readiness,
            &shared.limits,
        ));
        let watch = Arc::clone(&shared.tls).watch(Arc::clone(&shared.metrics));
        let _watch = AbortOnDropHandle::new(tokio::spawn(watch));
        let _cut_ops = CutOnDrop(Arc::clone(&ops.drain));
        let ops = accept(self.ops, OpsPort(ops), Tasks::new(), std::future::pending());
        let _ops = AbortOnDropHandle::new(tokio::spawn(ops));

        let drain = Arc::clone(&shared.drain);
        let closed = async move { drain.reached(Stage::Closed).await };
        let admission = accept(
            self.admission,
            Admitting(Arc::clone(&shared)),
            tasks,
            closed,
        );
        let _admission = AbortOnDropHandle::new(tokio::spawn(admission));

        wait(&mut stop).await;
        tokio::select! {
            () = shut_down(&shared, self.config.drain) => Ok(()),
            () = wait(&mut stop) => Err(ServeError::Interrupted),
        }
    }
}

/// Binds, serves until SIGTERM or SIGINT, drains. `bound` is called once both ports are open, with
/// the admission and the ops address.
///
/// # Errors
/// [`ServeError`]: the settings, the ports, the certificate, or a second signal.
pub async fn serve<A: Answer>(
    config: ServerConfig,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    answer: A,
    bound: impl FnOnce(SocketAddr, SocketAddr),
) -> Result<(), ServeError> {
    let (sender, stop) = mpsc::channel(2);
    let _signals = AbortOnDropHandle::new(signals(sender)?);
    let server = Server::bind(config, metrics, readiness)?;
    if let (Ok(admission), Ok(ops)) = (server.admission_address(), server.ops_address()) {
        bound(admission, ops);
    }
    server.run(answer, stop).await
}

fn signals(sender: mpsc::Sender<()>) -> Result<tokio::task::JoinHandle<()>, ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    }))
}

/// Resolves at the next stop; never when nobody can send one.
async fn wait(stop: &mut mpsc::Receiver<()>) {
    poll_fn(|cx| match stop.poll_recv(cx) {
        Poll::Ready(Some(())) => Poll::Ready(()),
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    })
    .await;
}

async fn shut_down<A>(shared: &Shared<A>, times: DrainTimes) {
    let end = Instant::now() + times.timeout;
    tracing::info!(delay = ?times.delay, timeout = ?times.timeout, "stopping: unready, still serving");
    shared.drain.enter(Stage::Unready);
    sleep(times.delay).await;
    shared.drain.enter(Stage::Closing);
    tokio::select! {
        () = quiet(shared) => {}
        // The last second belongs to closing idle connections.
        () = sleep_until(end - QUIET.min(times.timeout.saturating_sub(times.delay))) => {}
    }
    shared.drain.enter(Stage::Closed);
    shared.tasks.close();
    if timeout_at(end, shared.tasks.wait()).await.is_err() {
        let connections = shared.tasks.len();
        tracing::warn!(
            connections,
            "the drain timeout has passed, cutting what is left"
        );
        shared.drain.enter(Stage::Cut);
        // Cutting takes a moment; a task that is busy without a pause is not waited for.
        let _ = timeout_at(end + QUIET / 4, shared.tasks.wait()).await;
    }
    tracing::info!("stopped");
}

/// Resolves when there are no connections, or nothing has been asked for a while.
async fn quiet<A>(shared: &Shared<A>) {
    let mut seen = 0;
    let mut since = Instant::now();
    while !shared.tasks.is_empty() {
        let traffic = shared.metrics.traffic();
        if traffic != seen || shared.metrics.requests_in_flight() > 0 {
            seen = traffic;
            since = Instant::now();
        }
        if since.elapsed() >= QUIET {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Ends all connections when the server's future is dropped before its end.
struct CutOnDrop(Arc<Drain>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.enter(Stage::Cut);
    }
}

/// Accepts for the ops port.
struct OpsPort(Arc<Ops>);

impl Accepting for OpsPort {
    fn max_connections(&self) -> usize {
        ops::MAX_CONNECTIONS
    }

    fn failed(&self) {
        self.0.metrics.accept_error();
    }

    fn refused(&self) {
        self.0.metrics.connection_refused();
    }

    fn connection(&self, tcp: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.0).connection(tcp)
    }
}
