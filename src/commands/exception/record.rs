//! An exception as the commands print it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::cluster::policies::Held;
use crate::json::tree::at;
use crate::policy::exception::{Exception, ExceptionRules, Inactive, Targets};
use crate::report::text::time as rfc3339;

/// One exception and what becomes of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `Active`, or why it lowers nothing.
    pub(super) state: &'static str,
    /// What is wrong with the object as it stands; what is said beside is of its last good version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    #[serde(flatten)]
    pub(super) spec: Option<Spec>,
    pub(super) uses: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_used: Option<String>,
}

/// What somebody asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    /// What it lowers.
    pub(super) controls: Vec<String>,
    /// For which objects, as written.
    #[serde(rename = "match")]
    pub(super) matched: Value,
    pub(super) reason: String,
    pub(super) owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ticket: Option<String>,
    pub(super) requested_by: String,
    pub(super) expires: String,
    /// Whole days from now to the end; negative once it is over.
    pub(super) expires_in_days: i64,
    /// Seconds, for the text.
    #[serde(skip)]
    pub(super) expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approval: Option<Approval>,
}

/// Who approved it, and when.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Approval {
    pub(super) approved_by: String,
    pub(super) approved_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<i64>,
}

/// The state of an exception that lowers something.
pub(super) const ACTIVE: &str = "Active";
/// The state of one of which no version counts.
pub(super) const INVALID: &str = "Invalid";

impl Record {
    /// The exception `held` of a cluster, judged by `rules` at `now`.
    pub(super) fn of_cluster(held: &Held, rules: &[ExceptionRules], now: OffsetDateTime) -> Record {
        let matched = at(&held.in_force_spec, &["match"]);
        let exception = held.exception.as_deref();
        let mut record = Record::new(exception, matched, &held.status, rules, now);
        record.namespace.clone_from(&held.key.namespace);
        record.name.clone_from(&held.key.name);
        record.problem = held.problem();
        record
    }

    /// The exception of a file: `object` is the whole of it.
    pub(super) fn of_file(
        exception: &Arc<Exception>,
        object: &Value,
        rules: &[ExceptionRules],
        now: OffsetDateTime,
    ) -> Record {
        let (matched, status) = (at(object, &["spec", "match"]), at(object, &["status"]));
        Record::new(Some(exception), matched, status, rules, now)
    }

    fn new(
        exception: Option<&Exception>,
        matched: &Value,
        status: &Value,
        rules: &[ExceptionRules],
        now: OffsetDateTime,
    ) -> Record {
        let state = exception.map(|exception| super::active(exception, rules, now));
        Record {
            namespace: exception.map_or_else(String::new, |one| one.namespace.to_string()),
            name: exception.map_or_else(String::new, |one| one.name().to_owned()),
            state: match state {
                None => INVALID,
                Some(Ok(())) => ACTIVE,
                Some(Err(reason)) => reason.as_str(),
            },
            problem: None,
            spec: exception.map(|exception| Spec::new(exception, matched, now)),
            uses: at(status, &["uses"]).as_u64().unwrap_or_default(),
            last_used: at(status, &["lastUsed"]).as_str().map(str::to_owned),
        }
    }

    /// The state for reading.
    pub(super) fn state_text(&self) -> &'static str {
        const REASONS: [(Inactive, &str); 5] = [
            (Inactive::NotApproved, "not approved"),
            (Inactive::SelfApproved, "self-approved"),
            (Inactive::Changed, "changed since approval"),
            (Inactive::Expired, "expired"),
            (Inactive::TooLong, "lasts too long"),
        ];
        let reason = REASONS.iter().find(|(one, _)| one.as_str() == self.state);
        match reason {
            Some((_, text)) => text,
            None if self.state == ACTIVE => "active",
            None => "not valid",
        }
    }
}

impl Spec {
    fn new(exception: &Exception, matched: &Value, now: OffsetDateTime) -> Spec {
        let left = exception.expires - now;
        Spec {
            controls: match &exception.targets {
                Targets::All => vec!["*".to_owned()],
                Targets::Named(named) => named.iter().map(ToString::to_string).collect(),
            },
            matched: matched.clone(),
            reason: exception.reason.clone(),
            owner: exception.owner.clone(),
            ticket: exception.ticket.clone(),
            requested_by: exception.requested_by.clone(),
            expires: rfc3339(exception.expires),
            expires_in_days: left.whole_seconds().div_euclid(86_400),
            expires_in: left.whole_seconds(),
            approval: exception.approval.as_ref().map(|approval| Approval {
                approved_by: approval.by.clone(),
                approved_at: rfc3339(approval.at),
                generation: approval.generation,
            }),
        }
    }

    /// Which objects it is for, for reading: `DaemonSet or Pod named node-agent*`.
    pub(super) fn objects(&self) -> String {
        let list = |name: &str| -> Vec<String> {
            let texts = self.matched.get(name).and_then(Value::as_array);
            let texts = texts.into_iter().flatten();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (kinds, names) = (list("kinds"), list("names"));
        let mut text = if kinds.is_empty() {
            "any kind".to_owned()
        } else {
            kinds.join(" or ")
        };
        if !names.is_empty() {
            text.push_str(" named ");
            text.push_str(&names.join(" or "));
        }
        let labels = labels(at(&self.matched, &["selector"]));
        if !labels.is_empty() {
            text.push_str(" with ");
            text.push_str(&labels.join(", "));
        }
        text
    }
}

/// A label selector as kubectl writes it.
fn labels(selector: &Value) -> Vec<String> {
    let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let equal = at(selector, &["matchLabels"])
        .as_object()
        .into_iter()
        .flatten();
    let equal = equal.map(|(key, value)| format!("{key}={}", plain(value)));
    let demands = at(selector, &["matchExpressions"]).as_array();
    let demands = demands.into_iter().flatten().map(|demand| {
        let key = plain(at(demand, &["key"]));
        let values = at(demand, &["values"]).as_array().into_iter().flatten();
        let values: Vec<String> = values.map(plain).collect();
        match at(demand, &["operator"]).as_str() {
            Some("In") => format!("{key} in ({})", values.join(", ")),
            Some("NotIn") => format!("{key} notin ({})", values.join(", ")),
            Some("Exists") => key,
            _ => format!("!{key}"),
        }
    });
    equal.chain(demands).collect()
}
