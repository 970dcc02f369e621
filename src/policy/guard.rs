//! The guard of tidegate's own objects: which writes of policies and exceptions are let in.
//!
//! It judges what the schema in the API server cannot say: that a policy means what its author
//! thinks, who may ask for an exception, who may approve one, and who may open a policy. It denies
//! in audit-only too, since it holds up nothing but objects of this group. RBAC says who may write
//! at all; the guard only narrows that.
//!
//! How an approval is tied to what was approved: a spec cannot change while its approval carries no
//! generation. tidegate writes the generation beside the approval as soon as it sees it, and from
//! then on any change of the spec makes the approval worthless ([`super::exception::Inactive`]).

mod exception;
mod policy;

use time::OffsetDateTime;

use crate::control::{Check, Finding, Mode, Violation};
use crate::document::{self, Node};
use crate::evaluate::Verdict;
use crate::facts::{Fact, Labels};
use crate::json::Raw;
use crate::path::FieldPath;
use crate::review::Request;
use crate::subject::Input;

use super::Policies;
use super::settings::Problems;

macro_rules! checks {
    ($($name:ident = $id:literal, $summary:literal, $fix:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $name: Check = Check { id: $id, summary: $summary, fix: $fix, fields: &[] };
        )*
    };
}

checks! {
    VALID = "valid", "The object means something.",
        "Correct the field; `tidegate policy lint FILE` checks it before it is applied.";
    STATUS = "status", "Only tidegate writes its own status.",
        "Leave the status out; of an exception, status.approval alone may be written.";
    REQUESTED_BY = "requestedBy", "An exception is asked for in the caller's own name.",
        "Set spec.requestedBy to your own user name (`kubectl auth whoami`).";
    EXPIRES = "expires", "An exception ends in the future and within the days its policies allow.",
        "Choose an earlier end, later than now.";
    NEVER = "neverExcepted", "What a policy never lets be excepted is not excepted.",
        "Leave the control out, or ask the policy's owners.";
    ALL_CONTROLS = "allControls", "One exception does not name every control.",
        "Name the controls or checks that are in the way.";
    APPROVAL = "approval", "An approval stands for what was approved.",
        "Approve it as it is now, with `tidegate exception approve`.";
    APPROVED_BY = "approvedBy", "An exception is approved by somebody else, in their own name.",
        "Ask a colleague who may approve to call `tidegate exception approve`.";
    BREAK_GLASS = "breakGlass", "A policy is opened by its named groups, for a bounded time.",
        "See the page on break-glass; without it, ask somebody of the policy's spec.breakGlass.groups.";
}

/// The kind of finding about policies.
pub const CONTROL_POLICY: &str = "control-policy";
/// The kind of finding about exceptions.
pub const CONTROL_EXCEPTION: &str = "control-exception";

/// What the guard goes by.
#[derive(Debug)]
pub struct Guard<'g> {
    /// The policies in force.
    pub policies: &'g Policies,
    /// The labels of the request's namespace.
    pub namespace: &'g Fact<Labels>,
    /// The user name of tidegate itself; unknown before it could ask.
    pub own_user: Option<&'g str>,
    /// The time.
    pub now: OffsetDateTime,
}

/// One write of one of our objects, taken apart.
struct Write<'w, 'a> {
    guard: &'w Guard<'w>,
    request: &'w Request<'a>,
    new: Node,
    old: Option<Node>,
    violations: Vec<Violation>,
}

impl Guard<'_> {
    /// Whether `input` may be stored: every reason against it is a finding that denies.
    pub fn judge(&self, input: &Input<'_>) -> Verdict {
        let request = &input.request;
        let control = match &*request.resource.resource {
            "controlpolicies" => CONTROL_POLICY,
            "controlexceptions" => CONTROL_EXCEPTION,
            // A kind that a later version brings; it has no say here.
            _ => return Verdict::default(),
        };
        let violations = match (read(request.object), request.old_object.map(parse)) {
            (Ok(new), old @ (None | Some(Ok(_)))) => {
                let mut write = Write {
                    guard: self,
                    request,
                    new,
                    old: old.and_then(Result::ok),
                    violations: Vec::new(),
                };
                if control == CONTROL_POLICY {
                    write.policy();
                } else {
                    write.exception();
                }
                write.violations
            }
            (Err(why), _) | (_, Some(Err(why))) => vec![Violation::new(&Check::UNREADABLE, why)],
        };
        Verdict {
            findings: violations
                .into_iter()
                .map(|violation| Finding {
                    control,
                    mode: Mode::Enforce,
                    uncapped: Mode::Enforce,
                    exception: None,
                    policies: Vec::new(),
                    violation,
                })
                .collect(),
            ..Verdict::default()
        }
    }
}

fn read(object: Option<Raw<'_>>) -> Result<Node, String> {
    object.map_or_else(|| Err("the request holds no object".to_owned()), parse)
}

fn parse(object: Raw<'_>) -> Result<Node, String> {
    match document::parse(object.text()).into_iter().next() {
        Some(Ok(document)) => Ok(document.node),
        Some(Err(error)) => Err(format!("the object cannot be read: {}", error.message)),
        None => Err("the object is empty".to_owned()),
    }
}

impl Write<'_, '_> {
    fn caller(&self) -> &str {
        &self.request.user_info.username
    }

    fn is_own(&self) -> bool {
        self.guard.own_user.is_some_and(|own| own == self.caller())
    }

    fn is_in(&self, groups: &[String]) -> bool {
        let own = &self.request.user_info.groups;
        groups
            .iter()
            .any(|group| own.iter().any(|own| **own == **group))
    }

    fn find(&mut self, check: &'static Check, path: &str, message: impl Into<String>) {
        let mut violation = Violation::new(check, message);
        violation.fields.push(FieldPath::of(path));
        self.violations.push(violation);
    }

    fn invalid(&mut self, problems: Problems) {
        for problem in problems.0 {
            let mut violation = Violation::new(&VALID, problem.message);
            violation.fields.push(problem.path);
            self.violations.push(violation);
        }
    }

    /// Whether a part of the object, by its path, differs from what it was. The API server writes
    /// the keys of a map in one order.
    fn changed(&self, path: &[&str]) -> bool {
        let part = |node: &Node| descend(node, path).map(Node::to_json);
        self.old.as_ref().and_then(part) != part(&self.new)
    }
}

/// The value at `path`; `null` reads as absent.
fn descend<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

#[cfg(test)]
mod tests;
