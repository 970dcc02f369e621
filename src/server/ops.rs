//! The ops port: `/livez`, `/readyz` and `/metrics` over plain HTTP, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connection::{Rules, drive};
use super::drain::{Drain, Stage};
use super::io::buffered;
use super::limits::Limits;
use super::metrics::Metrics;
use super::progress::{Phase, Progress};
use super::readiness::Readiness;

/// The connections to the ops port held open at once.
pub(super) const MAX_CONNECTIONS: usize = 512;
/// How long a connection to the ops port may wait for its next request. Probes come with
/// connections of their own, and opening one for each scrape costs nothing here.
const IDLE: Duration = Duration::from_secs(10);

/// What the ops port reports.
pub(super) struct Ops {
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) drain: Arc<Drain>,
    pub(super) limits: Limits,
}

impl Ops {
    pub(super) fn new(metrics: Arc<Metrics>, readiness: Arc<Readiness>, limits: &Limits) -> Self {
        Ops {
            metrics,
            readiness,
            // Probes are answered to the very end, so this port has a drain of its own.
            drain: Arc::default(),
            limits: Limits {
                idle: IDLE,
                ..limits.clone()
            },
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn connection(self: Arc<Self>, tcp: TcpStream) {
        let progress = Progress::new(Instant::now());
        let rules = Rules {
            limits: &self.limits,
            drain: &self.drain,
            crowded: &|| false,
        };
        let service = service_fn(|request: Request<Incoming>| {
            progress.enter(Phase::Body, Instant::now());
            let mut response = self.answer(&request);
            // Nothing here takes a body, so a connection that brings one ends.
            if !request.body().is_end_stream() {
                progress.set_unread();
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            progress.enter(Phase::Writing, Instant::now());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        drive(buffered(tcp), &progress, rules, service).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            return text(
                StatusCode::NOT_FOUND,
                "no such path; here are /livez, /readyz and /metrics\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.ready(request.uri().query()),
            _ => self.metrics(),
        }
    }

    fn ready(&self, query: Option<&str>) -> Response<Full<Bytes>> {
        let report = self.readiness.report();
        self.metrics.set_ready(report.ready);
        let status = if report.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let verbose = query.is_some_and(|query| {
            query
                .split('&')
                .any(|part| part == "verbose" || part.starts_with("verbose="))
        });
        if verbose {
            let json = serde_json::to_vec(&report).unwrap_or_default();
            return reply(status, "application/json", json);
        }
        if report.ready {
            return text(status, "ok\n");
        }
        let failing: Vec<_> = report
            .conditions
            .iter()
            .filter(|condition| !condition.ok)
            .map(|condition| format!("{}: {}\n", condition.name, condition.detail))
            .collect();
        text(status, failing.concat())
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        self.metrics.set_ready(self.readiness.report().ready);
        reply(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            self.metrics.text(),
        )
    }
}

/// Adds the conditions of the server itself.
pub(super) fn add_conditions(
    readiness: &Readiness,
    drain: &Arc<Drain>,
    tls: &Arc<super::tls::Tls>,
) {
    let drain = Arc::clone(drain);
    readiness.add("serving", move || match drain.stage() {
        Stage::Serving => Ok("accepting requests".to_owned()),
        _ => Err("shutting down".to_owned()),
    });
    let tls = Arc::clone(tls);
    readiness.add("certificate", move || tls.condition());
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", body)
}

fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
