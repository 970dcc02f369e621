//! The status of a `ControlException`.

use serde_json::Value;
use time::Duration;

use crate::cluster::events::Notice;
use crate::cluster::policies::Held;
use crate::policy::exception::{Exception, ExceptionRules, Inactive, WARNING_DAYS};
use crate::report::text::time;

use super::conditions::{self, Condition};
use super::{Round, add, set, warning};

/// What the status of an exception should say.
pub(super) fn status(round: &Round<'_>, held: &Held, notices: &mut Vec<Notice>) -> Value {
    let mut status = held.status.clone();
    set(
        &mut status,
        "observedGeneration",
        Some(held.generation.into()),
    );
    let state = match (&held.exception, held.problem()) {
        (Some(exception), None) => {
            approval(exception, &mut status);
            state(round, exception)
        }
        (_, problem) => Err(("NotValid", problem.unwrap_or_default())),
    };
    set(&mut status, "active", Some(state.is_ok().into()));
    if let Some(used) = round.counts.get(&held.key) {
        add(&mut status, "uses", used.count);
        set(&mut status, "lastUsed", Some(time(used.last).into()));
    }
    let mut list = vec![match &state {
        Ok(until) => Condition {
            kind: "Ready",
            holds: true,
            reason: "Active",
            message: format!("active until {until}"),
        },
        Err((reason, message)) => Condition {
            kind: "Ready",
            holds: false,
            reason,
            message: message.clone(),
        },
    }];
    if state.is_ok() {
        list.extend(held.exception.as_ref().map(|own| expiring(round, own)));
    }
    let ending = list.iter().find(|own| own.kind == "Expiring" && own.holds);
    if let Some(ending) = ending
        && !conditions::holds(&held.status, "Expiring")
    {
        notices.push(warning(held, ending.reason, &ending.message));
    }
    if let Err((reason @ ("NotValid" | "Expired"), message)) = &state
        && conditions::reason(&held.status, "Ready") != Some(*reason)
    {
        notices.push(warning(held, reason, message));
    }
    let list = conditions::with(&held.status, list, held.generation, round.now);
    set(&mut status, "conditions", Some(list));
    status
}

/// Records what an approval was given for, and takes away one that was given for something else.
fn approval(exception: &Exception, status: &mut Value) {
    let Some(approval) = &exception.approval else {
        return;
    };
    match approval.generation {
        None => {
            if let Some(generation) = exception.generation {
                let approval = status.pointer_mut("/approval");
                let approval = approval.and_then(Value::as_object_mut);
                approval.map(|fields| fields.insert("generation".into(), generation.into()));
            }
        }
        Some(of) if Some(of) != exception.generation => set(status, "approval", None),
        Some(_) => {}
    }
}

/// Until when it is active; else why it is not.
fn state(round: &Round<'_>, exception: &Exception) -> Result<String, (&'static str, String)> {
    let mut rules: Vec<&ExceptionRules> = round
        .policies_of(&exception.namespace)
        .into_iter()
        .map(|policy| &policy.exceptions)
        .collect();
    let built_in = ExceptionRules::default();
    if rules.is_empty() {
        rules.push(&built_in);
    }
    let states = rules.iter().map(|rules| exception.active(round.now, rules));
    // One policy that it lowers is enough; how it fares with the others their rules say.
    match states.reduce(|one, other| if one.is_ok() { one } else { other }) {
        Some(Err(why)) => Err((why.as_str(), explain(why, exception))),
        _ => Ok(time(exception.expires)),
    }
}

fn explain(why: Inactive, exception: &Exception) -> String {
    match why {
        Inactive::NotApproved => format!(
            "waits for an approval by somebody other than {}: `tidegate exception approve {}`",
            exception.requested_by, exception.id
        ),
        Inactive::SelfApproved => "its author approved it, which counts for nothing".to_owned(),
        Inactive::Changed => "it was changed since it was approved".to_owned(),
        Inactive::Expired => format!("it expired on {}", time(exception.expires)),
        Inactive::TooLong => {
            "it would last longer than the policies of its namespace allow".to_owned()
        }
    }
}

fn expiring(round: &Round<'_>, exception: &Exception) -> Condition {
    let left = exception.expires - round.now;
    let soon = left <= Duration::days(WARNING_DAYS);
    let until = time(exception.expires);
    Condition {
        kind: "Expiring",
        holds: soon,
        reason: if soon { "EndsSoon" } else { "FarFromEnd" },
        message: if soon {
            format!(
                "ends on {until}, within {WARNING_DAYS} days; {} answers for it",
                exception.owner
            )
        } else {
            format!("ends on {until}")
        },
    }
}
