//! `tidegate exception`: the exceptions of a cluster or of files, and their approval.

pub mod approve;
pub mod list;
mod record;
pub mod revoke;
mod text;

use time::OffsetDateTime;

use crate::cli::values::ObjectName;
use crate::cluster::pages::ReadError;
use crate::cluster::policies::Held;
use crate::facts::Fact;
use crate::policy::Policies;
use crate::policy::exception::{Exception, ExceptionRules, Inactive};
use crate::policy::selection::Place;

/// What the policies that apply in the exception's namespace say of exceptions; what holds where
/// none does. A selector of labels counts as matching.
fn rules(policies: &Policies, namespace: &str) -> Vec<ExceptionRules> {
    let place = Place::In(namespace, &Fact::NotAsked);
    let there = policies.list.iter();
    let there = there.filter(|policy| policy.namespaces.matches(&place));
    let mut rules: Vec<_> = there.map(|policy| policy.exceptions.clone()).collect();
    if rules.is_empty() {
        rules.push(ExceptionRules::default());
    }
    rules
}

/// Whether the exception lowers findings of at least one policy.
///
/// # Errors
/// Why it does not.
fn active(
    exception: &Exception,
    rules: &[ExceptionRules],
    now: OffsetDateTime,
) -> Result<(), Inactive> {
    let mut judged = rules.iter().map(|rules| exception.active(now, rules));
    let first = judged.next().unwrap_or(Ok(()));
    first.or_else(|reason| judged.find(Result::is_ok).unwrap_or(Err(reason)))
}

/// Says what of the policies could not be read: whoever approves in one namespace seldom may read
/// them all, and the guard knows them anyway.
fn say_unread_policies(unread: &[String]) {
    if !unread.is_empty() {
        crate::commands::output::say(&format!(
            "note: the policies may let exceptions last shorter than this command knows: {}",
            unread.join("; ")
        ));
    }
}

/// Why an exception could not be read, and what to do.
fn unread(name: &ObjectName, error: &ReadError) -> String {
    match error.code {
        Some(404) => format!(
            "there is no ControlException {name}: `tidegate exception list --namespace {}` shows which there are",
            name.namespace
        ),
        _ => format!("ControlException {name} cannot be read: {error}"),
    }
}

/// Why a write was not made, and what to do about it.
fn refused(held: &Held, error: &ReadError) -> String {
    let (namespace, name) = (&held.key.namespace, &held.key.name);
    match error.code {
        Some(409) => format!(
            "{namespace}/{name} was changed meanwhile, so nothing was written: look at it again"
        ),
        Some(404) => format!("{namespace}/{name} is gone"),
        Some(403) if error.why.contains("admission webhook") => error.why.clone(),
        Some(403) => format!(
            "{}\nYou need the right to patch controlexceptions/status in namespace {namespace:?}; \
             `kubectl auth can-i patch controlexceptions.tidegate.dev --subresource=status -n {namespace}` \
             says whether you have it",
            error.why
        ),
        Some(500) if error.why.contains("failed calling webhook") => format!(
            "{}\ntidegate could not be asked, and without it nobody may write exceptions; \
             try again when it runs",
            error.why
        ),
        _ => error.why.clone(),
    }
}
