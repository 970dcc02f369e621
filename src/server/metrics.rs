//! Everything the server counts. Every metric starts with `tidegate_`, and no label holds a value
//! that a user or a caller chooses, so the number of series is fixed when the process starts.

mod help;
mod labels;
mod policies;
mod table;
mod upkeep;

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use self::labels::{BadRequest, Shed, VerdictLabel};
pub(super) use self::labels::{ClientAuthFailure, HandshakeFailure};
pub use self::policies::{PolicyMetrics, Resources};
use self::table::{Durations, Table};
pub use self::upkeep::{Rotation, UpkeepMetrics};
use super::answer::Endpoint;
use crate::control::Finding;

const ENDPOINTS: [&str; 3] = [
    Endpoint::Validate.as_str(),
    Endpoint::Images.as_str(),
    Endpoint::Policies.as_str(),
];
const CODES: [u16; 11] = [200, 400, 403, 404, 405, 408, 413, 415, 429, 500, 504];
/// The modes of findings, and what would follow from them without a cap.
const MODES: [(&str, &str); 6] = [
    ("enforce", "deny"),
    // What is found in a template denies its pods, not the template.
    ("enforce", "warn"),
    ("warn", "warn"),
    ("audit", "deny"),
    ("audit", "warn"),
    ("audit", "allow"),
];

type FindingLabels = [(&'static str, &'static str); 4];
type Hook = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of the process; share it in an `Arc`. Its methods neither lock nor allocate,
/// apart from [`Metrics::finding`] and [`Metrics::text`].
pub struct Metrics {
    registry: Registry,
    hooks: Mutex<Vec<Hook>>,
    requests: Table,
    durations: Durations,
    in_flight: Gauge,
    in_flight_bytes: Gauge,
    shed: Table,
    bad_requests: Table,
    connections: Gauge,
    accepted: Counter,
    refused: Counter,
    accept_errors: Counter,
    handshake_failures: Table,
    client_auth_failures: Table,
    certificate_expiry: Gauge,
    certificate_reloads: Counter,
    certificate_reload_failures: Counter,
    certificate_refused: Gauge,
    ready: Gauge,
    verdicts: Table,
    findings: Family<FindingLabels, Counter>,
    namespace_index_size: Gauge,
    namespace_index_age: Gauge,
    namespace_live_reads: Table,
    policies: PolicyMetrics,
    upkeep: UpkeepMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh set, all at zero.
    pub fn new() -> Self {
        let mut metrics = Self::unregistered();
        let mut registry = Registry::with_prefix("tidegate");
        metrics.register_traffic(&mut registry);
        metrics.register_state(&mut registry);
        metrics.policies.register(&mut registry);
        metrics.upkeep.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn unregistered() -> Self {
        let codes: Vec<String> = CODES.iter().map(u16::to_string).collect();
        let requests = ENDPOINTS.iter().flat_map(|endpoint| {
            codes
                .iter()
                .map(|code| vec![(*endpoint).to_owned(), code.clone()])
        });
        Metrics {
            registry: Registry::default(),
            hooks: Mutex::default(),
            requests: Table::new(&["endpoint", "code"], requests),
            durations: Durations::new("endpoint", &ENDPOINTS),
            in_flight: Gauge::default(),
            in_flight_bytes: Gauge::default(),
            shed: Table::one(&["reason"], &["inflight_bytes"]),
            bad_requests: Table::one(
                &["reason"],
                &[
                    "path",
                    "method",
                    "media_type",
                    "too_large",
                    "slow_body",
                    "broken_body",
                    "review",
                    "client_name",
                    "head",
                ],
            ),
            connections: Gauge::default(),
            accepted: Counter::default(),
            refused: Counter::default(),
            accept_errors: Counter::default(),
            handshake_failures: Table::one(
                &["reason"],
                &["timeout", "tls", "closed", "client_certificate"],
            ),
            client_auth_failures: Table::one(&["reason"], &["missing", "invalid", "name"]),
            certificate_expiry: Gauge::default(),
            certificate_reloads: Counter::default(),
            certificate_reload_failures: Counter::default(),
            certificate_refused: Gauge::default(),
            ready: Gauge::default(),
            verdicts: Table::one(&["verdict"], &["allow", "warn", "audit", "deny"]),
            findings: Family::default(),
            namespace_index_size: Gauge::default(),
            namespace_index_age: Gauge::default(),
            namespace_live_reads: Table::one(&["outcome"], &["found", "not_found", "failed"]),
            policies: PolicyMetrics::default(),
            upkeep: UpkeepMetrics::new(),
        }
    }

    /// Those about certificates, the Lease and the webhook configuration.
    pub fn upkeep(&self) -> &UpkeepMetrics {
        &self.upkeep
    }

    /// Runs `hook` before every scrape, to set gauges that are only known then.
    pub fn before_scrape(&self, hook: impl Fn(&Metrics) + Send + Sync + 'static) {
        self.hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(hook));
    }

    /// The metrics in the `OpenMetrics` text format.
    pub fn text(&self) -> String {
        for hook in self
            .hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            hook(self);
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// An answer of an admission endpoint, and how long it took.
    pub fn request(&self, endpoint: Endpoint, code: u16, took: Duration) {
        let endpoint = endpoint as usize;
        if let Some(code) = CODES.iter().position(|known| *known == code) {
            self.requests.add(endpoint * CODES.len() + code);
        }
        self.durations.observe(endpoint, took);
    }

    pub(super) fn request_began(&self) {
        self.in_flight.inc();
    }

    pub(super) fn request_ended(&self) {
        self.in_flight.dec();
    }

    pub(super) fn requests_in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// Changes with every connection accepted and every admission request answered.
    pub(super) fn traffic(&self) -> u64 {
        self.accepted.get().wrapping_add(self.requests.sum())
    }

    pub(super) fn set_inflight_bytes(&self, bytes: usize) {
        set(&self.in_flight_bytes, bytes);
    }

    /// A request answered 429.
    pub fn shed(&self, reason: Shed) {
        self.shed.add(reason as usize);
    }

    /// A request not answered with a review.
    pub fn bad_request(&self, reason: BadRequest) {
        self.bad_requests.add(reason as usize);
    }

    pub(super) fn connection_opened(&self) {
        self.accepted.inc();
        self.connections.inc();
    }

    pub(super) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(super) fn connection_refused(&self) {
        self.refused.inc();
    }

    pub(super) fn accept_error(&self) {
        self.accept_errors.inc();
    }

    pub(super) fn handshake_failure(&self, reason: HandshakeFailure) {
        self.handshake_failures.add(reason as usize);
    }

    pub(super) fn client_auth_failure(&self, reason: ClientAuthFailure) {
        self.client_auth_failures.add(reason as usize);
    }

    /// When the certificate in use expires, in seconds since 1970.
    pub(super) fn set_certificate_expiry(&self, unix_seconds: i64) {
        self.certificate_expiry.set(unix_seconds);
    }

    pub(super) fn certificate_reloaded(&self) {
        self.certificate_reloads.inc();
    }

    pub(super) fn certificate_reload_failed(&self) {
        self.certificate_reload_failures.inc();
    }

    pub(super) fn set_certificate_refused(&self, refused: bool) {
        self.certificate_refused.set(i64::from(refused));
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// What an answered review came to.
    pub fn verdict(&self, verdict: VerdictLabel) {
        self.verdicts.add(verdict as usize);
    }

    /// Makes the series of these checks (control and check id) appear at zero.
    pub fn register_findings(
        &self,
        checks: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) {
        for (control, check) in checks {
            for (mode, would) in MODES {
                drop(
                    self.findings
                        .get_or_create(&finding_labels(control, check, mode, would)),
                );
            }
        }
    }

    /// A finding. Takes a shared lock.
    pub fn finding(&self, finding: &Finding) {
        self.findings
            .get_or_create(&finding_labels(
                finding.control,
                finding.violation.check.id,
                finding.mode.as_str(),
                finding.would(),
            ))
            .inc();
        if finding.exception.is_some() {
            self.policies
                .excepted(finding.control, finding.violation.check.id);
        }
    }

    /// The metrics about policies and exceptions.
    pub fn policies(&self) -> &PolicyMetrics {
        &self.policies
    }

    /// The state of the namespace index: its size, and the time since the API server was last
    /// heard from (`None` before the first list).
    pub fn set_namespace_index(&self, size: usize, age: Option<Duration>) {
        set(&self.namespace_index_size, size);
        self.namespace_index_age
            .set(age.map_or(-1, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    }

    /// Namespaces read past the index since the start: found, not found, failed.
    pub fn set_namespace_live_reads(&self, found: u64, not_found: u64, failed: u64) {
        self.namespace_live_reads.set(&[found, not_found, failed]);
    }
}

fn finding_labels(
    control: &'static str,
    check: &'static str,
    mode: &'static str,
    would: &'static str,
) -> FindingLabels {
    [
        ("control", control),
        ("check", check),
        ("mode", mode),
        ("would", would),
    ]
}

fn set(gauge: &Gauge<i64, AtomicI64>, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests;
