use super::*;
use crate::control::{Check, Mode, Violation};

#[test]
fn every_metric_starts_with_tidegate_and_every_counter_moves() {
    let metrics = Metrics::new();
    metrics.request(Endpoint::Validate, 429, Duration::from_micros(30));
    metrics.shed(Shed::InflightBytes);
    metrics.bad_request(BadRequest::Head);
    metrics.handshake_failure(HandshakeFailure::ClientCertificate);
    metrics.client_auth_failure(ClientAuthFailure::Name);
    metrics.verdict(VerdictLabel::Deny);
    metrics.finding(&Finding {
        control: "pod-security",
        mode: Mode::Audit,
        uncapped: Mode::Enforce,
        exception: None,
        policies: Vec::new(),
        violation: Violation::new(&Check::FAILED, "x"),
    });
    let text = metrics.text();
    for line in [
        r#"tidegate_requests_total{endpoint="validate",code="429"} 1"#,
        r#"tidegate_shed_total{reason="inflight_bytes"} 1"#,
        r#"tidegate_bad_requests_total{reason="head"} 1"#,
        r#"tidegate_handshake_failures_total{reason="client_certificate"} 1"#,
        r#"tidegate_client_auth_failures_total{reason="name"} 1"#,
        r#"tidegate_verdicts_total{verdict="deny"} 1"#,
        r#"tidegate_findings_total{control="pod-security",check="failed",mode="audit",would="deny"} 1"#,
        r#"tidegate_request_duration_seconds_bucket{le="0.00005",endpoint="validate"} 1"#,
        r#"tidegate_request_duration_seconds_bucket{le="+Inf",endpoint="validate"} 1"#,
        r#"tidegate_request_duration_seconds_count{endpoint="validate"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("tidegate_"), "{line}");
    }
}

#[test]
fn findings_are_there_at_zero_once_registered() {
    let metrics = Metrics::new();
    metrics.register_findings([("pod-security", "seLinuxOptions")]);
    assert_eq!(
        metrics.text().matches(r#"check="seLinuxOptions""#).count(),
        MODES.len()
    );
}

#[test]
fn gauges_known_only_at_the_scrape_are_set_by_a_hook() {
    let metrics = Metrics::new();
    metrics.before_scrape(|m| m.set_namespace_index(7, None));
    let text = metrics.text();
    assert!(text.contains("tidegate_namespace_index_size 7"), "{text}");
    assert!(
        text.contains("tidegate_namespace_index_age_seconds -1"),
        "{text}"
    );
}
