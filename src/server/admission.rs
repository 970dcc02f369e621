//! The admission service: one review in, one answer out.
//!
//! ```text
//! bytes -> Request -> Input -> needs -> facts -> evaluate -> Verdict -> answer
//!                                                                  \-> audit line, metrics
//! ```

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::control::Finding;
use crate::evaluate::{Verdict, evaluate, needs};
use crate::facts::declared::Declared;
use crate::facts::{Facts, Needs};
use crate::policy::Policies;
use crate::policy::guard::Guard;
use crate::report::answer;
use crate::report::text::visible;
use crate::review::Request;
use crate::subject::Input;

use super::answer::{Answer, BadReview, Endpoint};
use super::metrics::{Metrics, VerdictLabel};
use super::usage::Usage;

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
    policies: Arc<ArcSwap<Policies>>,
    facts: FactSource,
    metrics: Arc<Metrics>,
    usage: Arc<Usage>,
    own_user: Arc<OnceLock<String>>,
}

impl Admission {
    /// A service that decides by `policies`, as they are when a request comes, and the facts of
    /// `facts`.
    pub fn new(policies: Arc<ArcSwap<Policies>>, facts: FactSource, metrics: Arc<Metrics>) -> Self {
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
            usage: Arc::default(),
            own_user: Arc::default(),
        }
    }

    /// What exceptions and policies were used for, as it is counted.
    pub fn usage(&self) -> Arc<Usage> {
        Arc::clone(&self.usage)
    }

    /// Where the user name that tidegate itself has at the API server is put once it is known.
    pub fn own_user(&self) -> Arc<OnceLock<String>> {
        Arc::clone(&self.own_user)
    }

    /// What must be known to answer.
    fn needs(endpoint: Endpoint, policies: &Policies, input: &Input<'_>) -> Needs {
        match endpoint {
            Endpoint::Validate => needs(policies, input),
            Endpoint::Policies => Needs {
                namespace: !input.request.namespace.is_empty()
                    && policies.list.iter().any(|policy| policy.needs_labels()),
                existing_pods: false,
            },
            Endpoint::Images => Needs::default(),
        }
    }

    fn judge(
        &self,
        endpoint: Endpoint,
        policies: &Policies,
        input: &Input<'_>,
        mut facts: Facts,
    ) -> Verdict {
        let now = OffsetDateTime::now_utc();
        facts.now = Some(now);
        match endpoint {
            Endpoint::Validate => evaluate(policies, input, &facts),
            Endpoint::Policies => {
                let guard = Guard {
                    policies,
                    namespace: &facts.namespace,
                    own_user: self.own_user.get().map(String::as_str),
                    now,
                };
                guard.judge(input)
            }
            // No control of this version asks a registry.
            Endpoint::Images => Verdict::default(),
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
            self.metrics.finding(finding);
        }
        // A dry run leaves no trace but logs and metrics.
        if !verdict.findings.is_empty() && !input.request.dry_run {
            self.usage.add(verdict);
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
    let entry = |finding: &Finding| {
        let (rule, mode) = (finding.rule(), finding.mode);
        match &finding.exception {
            Some(exception) => format!("{rule}={mode} by exception {exception}"),
            None => format!("{rule}={mode}"),
        }
    };
    let would = ["deny", "warn"].into_iter().find(|would| {
        let mut findings = verdict.findings.iter();
        findings.any(|finding| finding.would() == *would)
    });
    let findings: Vec<String> = verdict.findings.iter().map(entry).collect();
    tracing::info!(
        target: AUDIT,
        verdict = verdict.word(),
        would = would.unwrap_or("allow"),
        generation = %verdict.generation,
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
        let request = Request::decode(&body).map_err(|error| BadReview(error.to_string()))?;
        let input = Input::new(request);
        // Loaded once: a request sees one state of the policies, whatever comes meanwhile.
        let policies = self.policies.load_full();
        let needs = Self::needs(endpoint, &policies, &input);
        let facts = if needs == Needs::default() {
            Facts::default()
        } else {
            let namespace = &*input.request.namespace;
            self.facts.facts(needs, namespace, deadline).await
        };
        let verdict = self.judge(endpoint, &policies, &input, facts);
        self.record(&input, &verdict);
        Ok(answer::answer(&input, &verdict).encode().into())
    }
}
