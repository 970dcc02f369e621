//! Names and help texts, as a scrape shows them.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Metrics;

impl Metrics {
    pub(super) fn register_traffic(&self, r: &mut Registry) {
        r.register(
            "requests",
            "Requests by admission endpoint and HTTP status code",
            self.requests.clone(),
        );
        r.register(
            "request_duration_seconds",
            "From the request head to the answer",
            self.durations.clone(),
        );
        r.register(
            "requests_in_flight",
            "Requests being read or answered",
            self.in_flight.clone(),
        );
        r.register(
            "inflight_bytes",
            "Bytes of request bodies held",
            self.in_flight_bytes.clone(),
        );
        r.register("shed", "Requests answered 429", self.shed.clone());
        r.register(
            "bad_requests",
            "Requests not answered with a review",
            self.bad_requests.clone(),
        );
        r.register(
            "connections",
            "Open connections to the admission port",
            self.connections.clone(),
        );
        r.register(
            "connections_accepted",
            "Connections accepted",
            self.accepted.clone(),
        );
        r.register(
            "connections_refused",
            "Connections closed at the connection limit",
            self.refused.clone(),
        );
        r.register(
            "accept_errors",
            "Failed calls of accept",
            self.accept_errors.clone(),
        );
        r.register(
            "handshake_failures",
            "TLS handshakes that failed",
            self.handshake_failures.clone(),
        );
        r.register(
            "client_auth_failures",
            "Connections whose client certificate was not, or would not have been, accepted",
            self.client_auth_failures.clone(),
        );
        r.register(
            "verdicts",
            "Answered reviews by what they came to",
            self.verdicts.clone(),
        );
        r.register(
            "findings",
            "Findings by control, check and mode",
            self.findings.clone(),
        );
    }

    pub(super) fn register_state(&self, r: &mut Registry) {
        let version = ("version", env!("CARGO_PKG_VERSION"));
        r.register("build", "The version that runs", Info::new([version]));
        r.register(
            "certificate_expiry_timestamp_seconds",
            "When the serving certificate expires, in seconds since 1970",
            self.certificate_expiry.clone(),
        );
        r.register(
            "certificate_reloads",
            "Changed certificates taken into use",
            self.certificate_reloads.clone(),
        );
        r.register(
            "certificate_reload_failures",
            "Changed certificate or client CA files refused; the former stay in use",
            self.certificate_reload_failures.clone(),
        );
        r.register(
            "certificate_refused",
            "1 while the certificate or client CA files are refused",
            self.certificate_refused.clone(),
        );
        r.register(
            "ready",
            "1 while every readiness condition holds",
            self.ready.clone(),
        );
        r.register(
            "namespace_index_size",
            "Namespaces in the index",
            self.namespace_index_size.clone(),
        );
        r.register(
            "namespace_index_age_seconds",
            "Seconds since the API server was last heard from; -1 before the first list",
            self.namespace_index_age.clone(),
        );
        r.register(
            "namespace_live_reads",
            "Namespaces read past the index",
            self.namespace_live_reads.clone(),
        );
    }
}
