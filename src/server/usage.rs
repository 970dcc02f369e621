//! What exceptions and policies were used for, counted until somebody takes the counts away to
//! write them into the objects' status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

use crate::evaluate::Verdict;

/// The most names counted at once. Exceptions and policies are few; a store of ten thousand of each
/// still fits.
const MOST: usize = 20_000;

/// How often something was used, and when last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Use {
    /// How often.
    pub count: u64,
    /// When last.
    pub last: OffsetDateTime,
}

/// The counts since they were last taken.
#[derive(Debug, Default)]
pub struct Usage(Mutex<Counts>);

/// Counts by exception (`namespace/name`) and by policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// How often each exception lowered a finding of an object.
    pub exceptions: HashMap<Arc<str>, Use>,
    /// How many findings each policy asked for.
    pub policies: HashMap<Arc<str>, Use>,
}

impl Usage {
    /// Counts what a verdict used.
    pub fn add(&self, verdict: &Verdict) {
        let now = OffsetDateTime::now_utc();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in verdict.exceptions() {
            count(&mut counts.exceptions, id, now);
        }
        for finding in &verdict.findings {
            for policy in &finding.policies {
                count(&mut counts.policies, policy, now);
            }
        }
    }

    /// The counts so far; from now on they start again at nothing.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counts {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.exceptions.is_empty() && self.policies.is_empty()
    }

    /// Both counts together.
    pub fn merge(&mut self, other: Counts) {
        merge(&mut self.exceptions, other.exceptions);
        merge(&mut self.policies, other.policies);
    }
}

fn merge(counts: &mut HashMap<Arc<str>, Use>, others: HashMap<Arc<str>, Use>) {
    for (id, other) in others {
        if let Some(known) = counts.get_mut(&id) {
            known.count += other.count;
            known.last = known.last.max(other.last);
        } else if counts.len() < MOST {
            counts.insert(id, other);
        }
    }
}

fn count(counts: &mut HashMap<Arc<str>, Use>, id: &Arc<str>, now: OffsetDateTime) {
    if let Some(known) = counts.get_mut(id) {
        known.count += 1;
        known.last = now;
    } else if counts.len() < MOST {
        counts.insert(
            Arc::clone(id),
            Use {
                count: 1,
                last: now,
            },
        );
    }
}
