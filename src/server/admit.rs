//! A connection to the admission port: handshake, client certificate, requests.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

use super::accept::Accepting;
use super::answer::Answer;
use super::client_auth::{Standing, judge};
use super::connection::{End, Rules, drive};
use super::handler::Handler;
use super::io::{Socket, buffered};
use super::metrics::{BadRequest, ClientAuthFailure, HandshakeFailure, Metrics};
use super::progress::{Phase, Progress};
use super::throttle::Throttle;
use super::{Shared, Tasks};

static HANDSHAKES: Throttle = Throttle::new();

/// Accepts for the admission port.
pub(super) struct Admitting<A>(pub(super) Arc<Shared<A>>);

impl<A: Answer> Accepting for Admitting<A> {
    fn max_connections(&self) -> usize {
        self.0.limits.max_connections
    }

    fn failed(&self) {
        self.0.metrics.accept_error();
    }

    fn refused(&self) {
        self.0.metrics.connection_refused();
    }

    fn connection(&self, tcp: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        admit(Arc::clone(&self.0), tcp)
    }
}

/// Counts a connection as open for as long as it lives.
struct Open<'a>(&'a Metrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connection_opened();
        Open(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

async fn admit<A: Answer>(shared: Arc<Shared<A>>, tcp: TcpStream) {
    let _open = Open::new(&shared.metrics);
    let opened = Instant::now();
    let Some((tls, standing, generation)) = handshake(&shared, tcp).await else {
        return;
    };
    let progress = Progress::new(opened);
    progress.enter(Phase::Idle, Instant::now());
    let handler = Handler {
        shared: &shared,
        progress: &progress,
        standing,
        old_at: opened + with_chance(shared.limits.max_age),
        generation,
    };
    let rules = Rules {
        limits: &shared.limits,
        drain: &shared.drain,
        crowded: &|| crowded(&shared.tasks, shared.limits.max_connections),
    };
    let service = service_fn(|request| handler.handle(request));
    match drive(tls, &progress, rules, service).await {
        End::TimedOut(Phase::Head) => shared.metrics.bad_request(BadRequest::Head),
        End::Broken(error) if error.is_parse() => shared.metrics.bad_request(BadRequest::Head),
        End::Broken(error) => tracing::debug!(%error, "a connection broke off"),
        End::Done | End::TimedOut(_) | End::Cut => {}
    }
}

/// Whether three quarters of the connections allowed are in use.
fn crowded(tasks: &Tasks, max: usize) -> bool {
    tasks.len() > max - max / 4
}

/// `age` and up to a half of it more, so that connections made together do not end together.
fn with_chance(age: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish() % 1000;
    age + age * u32::try_from(chance).unwrap_or(0) / 2000
}

async fn handshake<A>(
    shared: &Shared<A>,
    tcp: TcpStream,
) -> Option<(TlsStream<Socket>, Standing, u64)> {
    let acceptor = shared
        .tls
        .acceptor()
        .inspect_err(|error| tracing::error!(%error, "no TLS for a connection"))
        .ok()?;
    let accepted = timeout(shared.limits.handshake, acceptor.tls.accept(buffered(tcp))).await;
    let tls = match accepted {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            handshake_failed(&shared.metrics, &error);
            return None;
        }
        Err(_elapsed) => {
            shared.metrics.handshake_failure(HandshakeFailure::Timeout);
            return None;
        }
    };
    let standing = judge(
        shared.tls.auth(),
        tls.get_ref().1.peer_certificates(),
        acceptor.auditor.is_none_or(|auditor| auditor.valid()),
        &shared.metrics,
    );
    Some((tls, standing, acceptor.generation))
}

fn handshake_failed(metrics: &Metrics, error: &io::Error) {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    metrics.handshake_failure(match tls {
        Some(rustls::Error::NoCertificatesPresented) => {
            metrics.client_auth_failure(ClientAuthFailure::Missing);
            HandshakeFailure::ClientCertificate
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            metrics.client_auth_failure(ClientAuthFailure::Invalid);
            HandshakeFailure::ClientCertificate
        }
        Some(_) => HandshakeFailure::Tls,
        None => HandshakeFailure::Closed,
    });
    if tls.is_some()
        && let Some(held_back) = HANDSHAKES.pass()
    {
        tracing::info!(%error, held_back, "a TLS handshake failed");
    }
}
