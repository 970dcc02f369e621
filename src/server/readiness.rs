//! Whether this process should get requests: a list of named conditions that must all hold.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use serde::Serialize;

type Check = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The conditions under which the server is ready. None of them may depend on the API server
/// answering at this moment, or all replicas would leave the Service together with it.
#[derive(Default)]
pub struct Readiness {
    checks: RwLock<Vec<(&'static str, Check)>>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

/// One condition as it stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Condition {
    /// What it is about, kebab-case.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// Why, in words.
    pub detail: String,
}

/// All conditions as they stand.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ReadinessReport {
    /// Whether every condition holds.
    pub ready: bool,
    /// The conditions in the order they were added.
    pub conditions: Vec<Condition>,
}

impl Readiness {
    /// Adds a condition: `check` says why it holds, or why not. It is called with every probe and
    /// must return at once.
    pub fn add(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<String, String> + Send + Sync + 'static,
    ) {
        self.checks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, Box::new(check)));
    }

    /// Looks at every condition.
    pub fn report(&self) -> ReadinessReport {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
        let conditions: Vec<_> = checks
            .iter()
            .map(|(name, check)| {
                let result = check();
                Condition {
                    name,
                    ok: result.is_ok(),
                    detail: result.unwrap_or_else(|why| why),
                }
            })
            .collect();
        ReadinessReport {
            ready: conditions.iter().all(|condition| condition.ok),
            conditions,
        }
    }
}
