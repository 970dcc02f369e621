//! Writes of `ControlPolicy`.

use crate::policy::Policy;
use crate::policy::break_glass::{REASON, UNTIL};
use crate::policy::parse::control_policy;

use super::{BREAK_GLASS, STATUS, Write};

impl Write<'_, '_> {
    pub(super) fn policy(&mut self) {
        if self.request.subresource() == "status" {
            if self.changed(&["status"]) && !self.is_own() {
                self.find(
                    &STATUS,
                    "status",
                    "only tidegate writes the status of a policy",
                );
            }
            return;
        }
        match control_policy(&self.new) {
            Ok(policy) => self.opening(&policy),
            Err(problems) => self.invalid(problems),
        }
    }

    /// Who may open a policy is what the policy said before this write: nobody gives themselves
    /// that right and uses it in one step.
    fn opening(&mut self, policy: &Policy) {
        const ANNOTATIONS: [&str; 2] = ["metadata", "annotations"];
        let annotation = |name| {
            let path: Vec<&str> = ANNOTATIONS.into_iter().chain([name]).collect();
            path
        };
        let unchanged = !self.changed(&annotation(UNTIL)) && !self.changed(&annotation(REASON));
        let Some(opened) = &policy.opened else {
            // Closing is free to everybody who may write the policy.
            return;
        };
        if unchanged {
            return;
        }
        let path = format!("metadata.annotations[\"{UNTIL}\"]");
        let before = self.old.as_ref().and_then(|old| control_policy(old).ok());
        let Some(rules) = before.and_then(|before| before.break_glass) else {
            let message = if self.old.is_some() {
                "the policy's spec.breakGlass named nobody who may open it before this change"
            } else {
                "a policy cannot be opened in the moment it is made"
            };
            return self.find(&BREAK_GLASS, &path, message);
        };
        if !self.is_in(&rules.groups) {
            let message = format!(
                "{:?} is in none of the groups that may open this policy: {}",
                self.caller(),
                rules.groups.join(", ")
            );
            self.find(&BREAK_GLASS, &path, message);
        }
        let now = self.guard.now;
        if opened.until <= now {
            self.find(&BREAK_GLASS, &path, "the end lies in the past");
        } else if opened.until > now + rules.longest() {
            let message = format!(
                "the end is more than the {} hours away that this policy allows",
                rules.max_hours
            );
            self.find(&BREAK_GLASS, &path, message);
        }
    }
}
