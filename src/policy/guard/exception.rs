//! Writes of `ControlException`.

use std::sync::Arc;

use crate::document::{Node, Value};
use crate::policy::exception::{
    Approval, CLOCK_SKEW, Exception, ExceptionRules, Targets, control_exception,
};
use crate::policy::selection::Place;

use super::{
    ALL_CONTROLS, APPROVAL, APPROVED_BY, EXPIRES, NEVER, REQUESTED_BY, STATUS, Write, descend,
};

const APPROVAL_PATH: [&str; 2] = ["status", "approval"];

impl Write<'_, '_> {
    pub(super) fn exception(&mut self) {
        let status = self.request.subresource() == "status";
        match control_exception(&self.new) {
            Err(problems) => {
                // An object that slipped in broken can still be told so in its status.
                if !(status && self.is_own() && !self.changed(&APPROVAL_PATH)) {
                    self.invalid(problems);
                }
            }
            Ok(exception) if status => self.exception_status(&exception),
            Ok(exception) => {
                if self.changed(&["spec"]) {
                    self.exception_spec(&exception);
                }
            }
        }
    }

    /// What the policies in this namespace say of exceptions; what holds where none does.
    fn rules(&self) -> Vec<(Arc<str>, ExceptionRules)> {
        let place = Place::In(&self.request.namespace, self.guard.namespace);
        let policies = self.guard.policies.list.iter();
        let mut rules: Vec<_> = policies
            .filter(|policy| policy.namespaces.matches(&place))
            .map(|policy| (Arc::clone(&policy.name), policy.exceptions.clone()))
            .collect();
        if rules.is_empty() {
            rules.push((Arc::from("built-in"), ExceptionRules::default()));
        }
        rules
    }

    fn exception_spec(&mut self, exception: &Exception) {
        if exception.requested_by != self.caller() {
            let message = format!(
                "requestedBy is {:?}, and the caller is {:?}",
                exception.requested_by,
                self.caller()
            );
            self.find(&REQUESTED_BY, "spec.requestedBy", message);
        }
        let unrecorded = self.old.as_ref().is_some_and(|old| {
            descend(old, &APPROVAL_PATH)
                .is_some_and(|approval| approval.get("generation").is_none())
        });
        if unrecorded {
            let message =
                "its approval is still being recorded; try again in a moment, or revoke it first";
            self.find(&APPROVAL, "spec", message);
        }
        if exception.expires <= self.guard.now {
            self.find(&EXPIRES, "spec.expires", "the end lies in the past");
        }
        for (policy, rules) in self.rules() {
            self.within(exception, &policy, &rules);
        }
    }

    /// Holds an exception against what one policy says.
    fn within(&mut self, exception: &Exception, policy: &str, rules: &ExceptionRules) {
        if exception.expires > self.guard.now + rules.longest() {
            let message = format!(
                "the end is more than the {} days away that policy {policy:?} allows",
                rules.max_days
            );
            self.find(&EXPIRES, "spec.expires", message);
        }
        if let Some(never) = rules.forbidden(exception) {
            let message = format!("policy {policy:?} never lets {never} be excepted");
            self.find(&NEVER, "spec.controls", message);
        }
        if exception.targets == Targets::All && !rules.all_controls {
            let message = format!("policy {policy:?} does not let \"*\" stand for every control");
            self.find(&ALL_CONTROLS, "spec.controls", message);
        }
    }

    fn exception_status(&mut self, exception: &Exception) {
        let approval_changed = self.changed(&APPROVAL_PATH);
        if !self.is_own() && self.changed_beside_the_approval() {
            let message = "only tidegate writes the status of an exception beside its approval";
            self.find(&STATUS, "status", message);
        }
        let Some(approval) = &exception.approval else {
            // Taking an approval back is free to everybody who may write the status.
            return;
        };
        if !approval_changed {
            return;
        }
        if self.is_own() {
            self.recording(exception, approval);
        } else {
            self.approving(exception, approval);
        }
    }

    fn changed_beside_the_approval(&self) -> bool {
        let rest = |node: &Node| {
            let Some(Value::Map(entries)) = node.get("status").map(|status| &status.value) else {
                return Vec::new();
            };
            let others = entries.iter().filter(|(key, _)| key != "approval");
            others
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect()
        };
        self.old.as_ref().map(rest).unwrap_or_default() != rest(&self.new)
    }

    /// tidegate itself adds the generation to an approval and nothing else.
    fn recording(&mut self, exception: &Exception, approval: &Approval) {
        let field = |name| {
            let old = self.old.as_ref()?;
            descend(old, &APPROVAL_PATH)?.get(name)?.as_str()
        };
        let new = |name| descend(&self.new, &APPROVAL_PATH)?.get(name)?.as_str();
        let same = ["approvedBy", "approvedAt"]
            .iter()
            .all(|name| field(name) == new(name));
        if !same {
            let message = "tidegate records approvals and gives none";
            self.find(&APPROVED_BY, "status.approval", message);
        } else if approval.generation != exception.generation {
            let message = "the generation is not the one of the exception as it stands";
            self.find(&APPROVAL, "status.approval.generation", message);
        }
    }

    fn approving(&mut self, exception: &Exception, approval: &Approval) {
        const BY: &str = "status.approval.approvedBy";
        if approval.by != self.caller() {
            let message = format!(
                "approvedBy is {:?}, and the caller is {:?}",
                approval.by,
                self.caller()
            );
            self.find(&APPROVED_BY, BY, message);
        }
        if approval.by == exception.requested_by || *self.caller() == *exception.requested_by {
            let message = format!("{:?} asked for it and cannot approve it", self.caller());
            self.find(&APPROVED_BY, BY, message);
        }
        let age = self.guard.now - approval.at;
        if age.abs() > CLOCK_SKEW {
            let message = "approvedAt is more than ten minutes from now";
            self.find(&APPROVAL, "status.approval.approvedAt", message);
        }
        let of = approval.generation;
        if of.is_some() && of != exception.generation {
            let message =
                "it was changed since: the generation is not that of the exception as it stands";
            self.find(&APPROVAL, "status.approval.generation", message);
        }
        if exception.expires <= self.guard.now {
            self.find(&EXPIRES, "spec.expires", "it has expired");
        }
        for (policy, rules) in self.rules() {
            let groups = &rules.approver_groups;
            if !groups.is_empty() && !self.is_in(groups) {
                let message = format!(
                    "{:?} is in none of the groups that may approve exceptions to policy {policy:?}: {}",
                    self.caller(),
                    groups.join(", ")
                );
                self.find(&APPROVED_BY, BY, message);
            }
            self.within(exception, &policy, &rules);
        }
    }
}
