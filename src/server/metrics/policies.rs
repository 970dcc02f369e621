//! What is counted of policies and exceptions.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Excepted = [(&'static str, &'static str); 2];
type Kind = [(&'static str, &'static str); 1];

/// Policies and exceptions in numbers. No label holds a name that a user chose.
#[derive(Debug, Default)]
pub struct PolicyMetrics {
    excepted: Family<Excepted, Counter>,
    generation: Family<[(&'static str, String); 1], Gauge>,
    open: Gauge,
    held: Family<Kind, Gauge>,
    invalid: Family<Kind, Gauge>,
    missing: Family<Kind, Gauge>,
    age: Family<Kind, Gauge>,
}

/// What is known of one kind of object.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// The kind's plural, as in URLs.
    pub kind: &'static str,
    /// How many are held.
    pub held: usize,
    /// How many of them are not valid as they stand.
    pub invalid: usize,
    /// Whether the API server does not serve the kind any more.
    pub missing: bool,
    /// How long ago the API server was heard from about them; none: never.
    pub age: Option<Duration>,
}

impl PolicyMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "excepted_findings",
            "Findings that an exception lowered to mode audit",
            self.excepted.clone(),
        );
        r.register(
            "policy_generation",
            "1 for the state of policies and exceptions in force; equal on replicas in step",
            self.generation.clone(),
        );
        r.register(
            "open_policies",
            "Policies opened by break-glass, which deny nothing",
            self.open.clone(),
        );
        r.register(
            "resources",
            "Policies and exceptions of the cluster that are held",
            self.held.clone(),
        );
        r.register(
            "resources_invalid",
            "Of them those that are not valid as they stand; their last good version is in force",
            self.invalid.clone(),
        );
        r.register(
            "resources_definition_missing",
            "1 while the API server does not serve a kind that is in force",
            self.missing.clone(),
        );
        r.register(
            "resources_age_seconds",
            "Seconds since the API server was last heard from about them; -1 before the first list",
            self.age.clone(),
        );
    }

    /// A finding of this check was lowered by an exception.
    pub(super) fn excepted(&self, control: &'static str, check: &'static str) {
        let labels = [("control", control), ("check", check)];
        self.excepted.get_or_create(&labels).inc();
    }

    /// The state in force; none where it cannot change.
    pub fn set_generation(&self, generation: &str) {
        self.generation.clear();
        if !generation.is_empty() {
            let labels = [("generation", generation.to_owned())];
            self.generation.get_or_create(&labels).set(1);
        }
    }

    /// How many policies are open.
    pub fn set_open(&self, open: usize) {
        super::set(&self.open, open);
    }

    /// What is known of one kind.
    pub fn set_resources(&self, resources: &Resources) {
        let labels = [("kind", resources.kind)];
        super::set(&self.held.get_or_create(&labels), resources.held);
        super::set(&self.invalid.get_or_create(&labels), resources.invalid);
        super::set(
            &self.missing.get_or_create(&labels),
            usize::from(resources.missing),
        );
        let age = resources
            .age
            .map_or(-1, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.age.get_or_create(&labels).set(age);
    }
}
