//! The admission service: one review in, one answer out.
//!
//! ```text
//! bytes -> Request -> Input -> needs -> facts -> evaluate -> Verdict -> answer
//!                                                                  \-> audit line, metrics
//! ```

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::control::Finding;
use crate::evaluate::{Verdict, evaluate, needs};
use crate::facts::declared::Declared;
use crate::facts::{Facts, Needs};
use crate::policy::Policies;
use crate::report::answer;
use crate::report::text::visible;
use crate::review::Request;
use crate::subject::Input;

use super::answer::{Answer, BadReview, Endpoint};
use super::metrics::{Metrics, VerdictLabel};

/// Where facts come from.
pub enum FactSource {
    /// The API server.
    Cluster(Arc<Cluster>),
    /// Files: `--standalone`.
    Declared(Declared),
}

impl FactSource {
    async fn facts(&self, needs: Needs, namespace: &str, deadline: Instant) -> Facts {
        let cluster = match self {
            FactSource::Declared(declared) => return declared.facts(needs, namespace),
            FactSource::Cluster(cluster) => cluster,
        };
        let mut facts = Facts::default();
        if needs.namespace {
            facts.namespace = cluster.namespace(namespace, deadline).await;
        }
        if needs.existing_pods {
            facts.existing_pods = cluster.existing_pods(namespace, deadline).await;
        }
        facts
    }
}

/// Decides reviews by the policies in force.
pub struct Admission {
    policies: Arc<Policies>,
    facts: FactSource,
    metrics: Arc<Metrics>,
}

impl Admission {
    /// A service that decides by `policies` and the facts of `facts`.
    pub fn new(policies: Arc<Policies>, facts: FactSource, metrics: Arc<Metrics>) -> Self {
        let controls = crate::controls::ALL.iter();
        metrics.register_findings(controls.flat_map(|control| {
            let checks = control
                .checks
                .iter()
                .chain(&crate::control::Check::EVERY_CONTROL);
            checks.map(|check| (control.id, check.id))
        }));
        Admission {
            policies,
            facts,
            metrics,
        }
    }

    fn record(&self, input: &Input<'_>, verdict: &Verdict) {
        self.metrics.verdict(match verdict.word() {
            "deny" => VerdictLabel::Deny,
            "warn" => VerdictLabel::Warn,
            "audit" => VerdictLabel::Audit,
            _ => VerdictLabel::Allow,
        });
        for finding in &verdict.findings {
            self.metrics.finding(
                finding.control,
                finding.violation.check.id,
                finding.mode.as_str(),
            );
        }
        if verdict.findings.is_empty() {
            // Only asked for with `--log-level info,tidegate::audit=debug`.
            tracing::debug!(target: AUDIT, uid = %visible(&input.request.uid), verdict = "allow", "decided");
        } else {
            log(&input.request, verdict);
        }
    }
}

/// The target of audit lines, for `--log-level`.
const AUDIT: &str = "tidegate::audit";

fn log(request: &Request<'_>, verdict: &Verdict) {
    let entry = |finding: &Finding| format!("{}={}", finding.rule(), finding.mode);
    let findings: Vec<String> = verdict.findings.iter().map(entry).collect();
    tracing::info!(
        target: AUDIT,
        verdict = verdict.word(),
        kind = %visible(&request.kind.kind),
        namespace = %visible(&request.namespace),
        name = %visible(&request.name),
        operation = %request.operation,
        subresource = %visible(request.subresource()),
        user = %visible(&request.user_info.username),
        dry_run = request.dry_run,
        uid = %visible(&request.uid),
        findings = findings.join(","),
        "decided"
    );
}

impl Answer for Admission {
    async fn answer(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, BadReview> {
        let Endpoint::Validate = endpoint;
        let request = Request::decode(&body).map_err(|error| BadReview(error.to_string()))?;
        let input = Input::new(request);
        let needs = needs(&self.policies, &input);
        let facts = if needs == Needs::default() {
            Facts::default()
        } else {
            let namespace = &*input.request.namespace;
            self.facts.facts(needs, namespace, deadline).await
        };
        let verdict = evaluate(&self.policies, &input, &facts);
        self.record(&input, &verdict);
        Ok(answer::answer(&input, &verdict).encode().into())
    }
}
