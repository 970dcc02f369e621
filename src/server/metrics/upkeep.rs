//! What a replica counts about certificates, the Lease and the webhook configuration.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::table::Table;

/// What was made anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// A CA.
    Authority,
    /// A serving certificate.
    Leaf,
}

/// Metrics about certificates, the Lease and the webhook configuration.
#[derive(Debug)]
pub struct UpkeepMetrics {
    leader: Gauge,
    authority_expiry: Gauge,
    rotations: Table,
    failures: Counter,
    bundle_writes: Table,
    drift: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl UpkeepMetrics {
    pub(super) fn new() -> Self {
        UpkeepMetrics {
            leader: Gauge::default(),
            authority_expiry: Gauge::default(),
            rotations: Table::one(&["kind"], &["ca", "leaf"]),
            failures: Counter::default(),
            bundle_writes: Table::one(&["kind"], &["update", "heal"]),
            drift: Family::default(),
        }
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "leader",
            "1 while this replica holds the Lease",
            self.leader.clone(),
        );
        r.register(
            "ca_expiry_timestamp_seconds",
            "When the newest CA of the serving certificate expires, in seconds since 1970; 0 when unknown",
            self.authority_expiry.clone(),
        );
        r.register(
            "certificate_rotations",
            "CAs and serving certificates made by this replica",
            self.rotations.clone(),
        );
        r.register(
            "certificate_upkeep_failures",
            "Times that certificates or caBundle could not be kept",
            self.failures.clone(),
        );
        r.register(
            "ca_bundle_writes",
            "Writes of the caBundle: update after a changed CA, heal after somebody else's change",
            self.bundle_writes.clone(),
        );
        r.register(
            "webhook_drift",
            "Differences between the webhook configuration and what was installed, by field",
            self.drift.clone(),
        );
    }

    /// Whether this replica leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// When the newest CA expires, in seconds since 1970.
    pub fn set_authority_expiry(&self, unix_seconds: i64) {
        self.authority_expiry.set(unix_seconds);
    }

    /// Something was made anew.
    pub fn rotated(&self, what: Rotation) {
        self.rotations.add(what as usize);
    }

    /// Certificates or `caBundle` could not be kept.
    pub fn upkeep_failed(&self) {
        self.failures.inc();
    }

    /// The `caBundle` was written; `heal` when nothing but somebody else's change asked for it.
    pub fn bundle_written(&self, heal: bool) {
        self.bundle_writes.add(usize::from(heal));
    }

    /// How many differences there are in a field of the webhook configuration.
    pub fn set_drift(&self, field: &'static str, count: usize) {
        super::set(&self.drift.get_or_create(&[("field", field)]), count);
    }
}
