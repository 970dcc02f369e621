//! Conditions, as Kubernetes objects have them.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::report::text::{shorten, time, visible};

/// The longest message of a condition.
const MESSAGE_LIMIT: usize = 1_024;

/// What one condition should say.
pub(super) struct Condition {
    pub(super) kind: &'static str,
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The conditions of `status` with these in place of those of the same types. A condition keeps the
/// time of its last transition while its status stays what it is.
pub(super) fn with(
    status: &Value,
    conditions: Vec<Condition>,
    generation: i64,
    now: OffsetDateTime,
) -> Value {
    let before = status["conditions"].as_array().cloned().unwrap_or_default();
    let mut list: Vec<Value> = Vec::new();
    for condition in conditions {
        let state = if condition.holds { "True" } else { "False" };
        let old = before.iter().find(|old| old["type"] == condition.kind);
        let since = old
            .filter(|old| old["status"] == state)
            .and_then(|old| old["lastTransitionTime"].as_str())
            .map_or_else(|| time(now), str::to_owned);
        list.push(json!({
            "type": condition.kind,
            "status": state,
            "reason": condition.reason,
            "message": shorten(&visible(&condition.message), MESSAGE_LIMIT),
            "lastTransitionTime": since,
            "observedGeneration": generation,
        }));
    }
    list.into()
}

/// Whether a condition of this type is `True` in `status`.
pub(super) fn holds(status: &Value, kind: &str) -> bool {
    let conditions = status["conditions"].as_array();
    let mut named = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] == kind);
    named.any(|condition| condition["status"] == "True")
}

/// The reason of a condition of this type in `status`.
pub(super) fn reason<'s>(status: &'s Value, kind: &str) -> Option<&'s str> {
    let mut conditions = status["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind)?["reason"].as_str()
}
