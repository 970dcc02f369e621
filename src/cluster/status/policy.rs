//! The status of a `ControlPolicy`.

use serde_json::{Value, json};

use crate::cluster::events::Notice;
use crate::cluster::policies::Held;
use crate::control::Mode;
use crate::json::tree::at;
use crate::policy::break_glass::Opened;
use crate::report::text::time;

use super::conditions::{self, Condition};
use super::{Round, add, set, warning};

/// What the status of a policy should say.
pub(super) fn status(round: &Round<'_>, held: &Held, notices: &mut Vec<Notice>) -> Value {
    let mut status = held.status.clone();
    let recorded = at(&status, &["inForce", "generation"]).as_i64();
    if recorded != held.in_force_generation {
        set(&mut status, "findings", Some(0.into()));
    }
    set(
        &mut status,
        "observedGeneration",
        Some(held.generation.into()),
    );
    let matched = held.policy.as_deref().map(|policy| round.matched(policy));
    set(&mut status, "matchedNamespaces", matched.map(Value::from));
    let in_force = held
        .in_force_generation
        .map(|generation| json!({"generation": generation, "spec": held.in_force_spec}));
    set(&mut status, "inForce", in_force);
    if let Some(found) = round.counts.get(&held.key) {
        add(&mut status, "findings", found.count);
    }
    let mut conditions = vec![ready(round, held, matched)];
    let opened = held
        .policy
        .as_ref()
        .and_then(|policy| policy.opened.as_ref());
    conditions.extend(opened.map(|opened| break_glass(round, opened)));
    tell(held, &conditions, notices);
    let list = conditions::with(&held.status, conditions, held.generation, round.now);
    set(&mut status, "conditions", Some(list));
    status
}

fn ready(round: &Round<'_>, held: &Held, matched: Option<i64>) -> Condition {
    let matched = matched.unwrap_or_default();
    match held.problem() {
        None => Condition {
            kind: "Ready",
            holds: true,
            reason: "InForce",
            message: if round.policies.cap < Mode::Enforce {
                format!("in force in {matched} namespaces; audit-only: nothing is denied")
            } else {
                format!("in force in {matched} namespaces")
            },
        },
        Some(problem) => Condition {
            kind: "Ready",
            holds: false,
            reason: "NotValid",
            message: match held.in_force_generation {
                Some(generation) => {
                    format!("{problem}; generation {generation} stays in force")
                }
                None => format!("{problem}; nothing of it is in force"),
            },
        },
    }
}

fn break_glass(round: &Round<'_>, opened: &Opened) -> Condition {
    let open = round.now < opened.until;
    let until = time(opened.until);
    Condition {
        kind: "BreakGlass",
        holds: open,
        reason: if open { "Opened" } else { "Over" },
        message: if open {
            format!("opened until {until}, nothing is denied: {}", opened.reason)
        } else {
            format!("was open until {until}: {}", opened.reason)
        },
    }
}

/// Says what changed for the worse.
fn tell(held: &Held, conditions: &[Condition], notices: &mut Vec<Notice>) {
    for condition in conditions {
        let worse = (condition.kind == "Ready") != condition.holds;
        let known = conditions::reason(&held.status, condition.kind) == Some(condition.reason)
            && at(&held.status, &["observedGeneration"]) == &Value::from(held.generation);
        if worse && !known {
            notices.push(warning(held, condition.reason, &condition.message));
        }
    }
}
