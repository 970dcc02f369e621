//! Exceptions: dated, owned and approved lowerings of controls for named objects of one namespace.
//!
//! An exception turns findings that would deny or warn into findings that are only recorded. It
//! lowers nothing before somebody other than its author has approved this very version of it, and
//! nothing from the second on in which it expires. Two exceptions never widen each other: each
//! lowers what it names itself.

mod parse;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::control::Control;
use crate::subject::Input;

use super::selection::{Pattern, Place, Selector};

pub use parse::control_exception;
pub(super) use parse::read_target;

/// How many days an exception may last where its policies say nothing.
pub const DEFAULT_MAX_DAYS: u16 = 90;
/// The most days a policy may allow.
pub const LONGEST_DAYS: u16 = 3_650;
/// How many days before its end an exception is said to be about to end.
pub const WARNING_DAYS: i64 = 14;
/// How far the clocks of replicas and of those who approve may differ.
pub const CLOCK_SKEW: Duration = Duration::minutes(10);

/// A control, or one check of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// Id of the control.
    pub control: &'static str,
    /// Id of the check; none: all of them.
    pub check: Option<&'static str>,
}

impl Target {
    /// Whether this names `check` of `control`.
    pub fn names(&self, control: &str, check: &str) -> bool {
        self.control == control && self.check.is_none_or(|own| own == check)
    }

    /// The target that `control` or `control/check` spells.
    pub fn find(text: &str, controls: &[&'static Control]) -> Option<Target> {
        let (id, check) = match text.split_once('/') {
            Some((id, check)) => (id, Some(check)),
            None => (text, None),
        };
        let control = controls.iter().find(|control| control.id == id)?;
        let check = match check {
            Some(check) => Some(control.check(check)?.id),
            None => None,
        };
        Some(Target {
            control: control.id,
            check,
        })
    }

    /// Whether both name some check.
    fn overlaps(&self, other: &Target) -> bool {
        self.control == other.control
            && (self.check.is_none() || other.check.is_none() || self.check == other.check)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.check {
            Some(check) => write!(formatter, "{}/{check}", self.control),
            None => formatter.write_str(self.control),
        }
    }
}

/// What a policy says of exceptions to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExceptionRules {
    /// The most days from the approval, and from the writing, to the end of an exception.
    pub max_days: u16,
    /// Groups of which an approver must be in one; empty: whoever may write the status.
    pub approver_groups: Vec<String>,
    /// What may never be excepted.
    pub never: Vec<Target>,
    /// Whether one exception may name all controls at once by `*`.
    pub all_controls: bool,
}

impl Default for ExceptionRules {
    fn default() -> Self {
        ExceptionRules {
            max_days: DEFAULT_MAX_DAYS,
            approver_groups: Vec::new(),
            never: Vec::new(),
            all_controls: false,
        }
    }
}

impl ExceptionRules {
    /// The longest an exception may last.
    pub fn longest(&self) -> Duration {
        Duration::days(i64::from(self.max_days))
    }

    /// What of `exception` may never be excepted here.
    pub fn forbidden<'r>(&'r self, exception: &Exception) -> Option<&'r Target> {
        self.never.iter().find(|never| match &exception.targets {
            Targets::All => false,
            Targets::Named(named) => named.iter().any(|target| target.overlaps(never)),
        })
    }
}

/// What an exception lowers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Targets {
    /// Every control, where the policy allows that.
    All,
    /// These.
    Named(Vec<Target>),
}

/// `status.approval`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// Who approved.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// The generation of the object that was approved. Recorded by tidegate once it saw the
    /// approval; until then the spec cannot be changed (see [`super::guard`]).
    pub generation: Option<i64>,
}

/// One `ControlException`.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Where it and the objects it is for are.
    pub namespace: Arc<str>,
    /// `namespace/name`, as findings name it.
    pub id: Arc<str>,
    /// What it lowers.
    pub targets: Targets,
    /// Kinds of the objects it is for; empty: any.
    pub kinds: Vec<String>,
    /// Names of the objects it is for.
    pub names: Vec<Pattern>,
    /// Labels of the objects it is for.
    pub selector: Selector,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it is discussed.
    pub ticket: Option<String>,
    /// Who wrote the spec.
    pub requested_by: String,
    /// From when on it lowers nothing.
    pub expires: OffsetDateTime,
    /// Its approval.
    pub approval: Option<Approval>,
    /// `metadata.generation`; none in a file that was written by hand.
    pub generation: Option<i64>,
}

/// Why an exception lowers nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inactive {
    /// Nobody has approved it.
    NotApproved,
    /// Its author is its approver.
    SelfApproved,
    /// It was changed since it was approved.
    Changed,
    /// Its time is over.
    Expired,
    /// It would last longer than the policy allows.
    TooLong,
}

impl Inactive {
    /// The reason in one word, for conditions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Inactive::NotApproved => "NotApproved",
            Inactive::SelfApproved => "SelfApproved",
            Inactive::Changed => "ChangedSinceApproval",
            Inactive::Expired => "Expired",
            Inactive::TooLong => "LastsTooLong",
        }
    }
}

impl Exception {
    /// Its name within the namespace.
    pub fn name(&self) -> &str {
        self.id.split_once('/').map_or(&self.id, |(_, name)| name)
    }

    /// Whether it is approved as it stands and not over at `now`.
    ///
    /// # Errors
    /// The reason why it lowers nothing.
    pub fn approved(&self, now: OffsetDateTime) -> Result<&Approval, Inactive> {
        let approval = self.approval.as_ref().ok_or(Inactive::NotApproved)?;
        if approval.by == self.requested_by {
            return Err(Inactive::SelfApproved);
        }
        let stale = approval
            .generation
            .is_some_and(|of| self.generation.is_some_and(|is| is != of));
        if stale {
            return Err(Inactive::Changed);
        }
        if now >= self.expires {
            return Err(Inactive::Expired);
        }
        Ok(approval)
    }

    /// Whether it lowers findings of a policy with these rules at `now`.
    ///
    /// # Errors
    /// The reason why it does not.
    pub fn active(&self, now: OffsetDateTime, rules: &ExceptionRules) -> Result<(), Inactive> {
        let approval = self.approved(now)?;
        if self.expires - approval.at > rules.longest() + CLOCK_SKEW {
            return Err(Inactive::TooLong);
        }
        Ok(())
    }

    /// Whether it may lower `check` of `control` for a policy with these rules.
    fn covers(&self, control: &str, check: &str, rules: &ExceptionRules) -> bool {
        let named = match &self.targets {
            Targets::All => rules.all_controls,
            Targets::Named(targets) => targets.iter().any(|target| target.names(control, check)),
        };
        named && !rules.never.iter().any(|never| never.names(control, check))
    }

    /// Whether it is for the object of this request: as it will be, not as it was.
    fn is_for(&self, input: &Input<'_>) -> bool {
        let kind = &*input.request.kind.kind;
        if !self.kinds.is_empty() && !self.kinds.iter().any(|own| own == kind) {
            return false;
        }
        let Ok(object) = input.object() else {
            // It cannot be read, so nobody knows that it is one of those meant.
            return false;
        };
        let metadata = &object.metadata;
        let name = [&metadata.name, &input.request.name, &metadata.generate_name]
            .into_iter()
            .find(|name| !name.is_empty());
        name.is_some_and(|name| self.names.iter().any(|pattern| pattern.matches(name)))
            && self.selector.matches(|key| metadata.labels.get(key))
    }
}

/// All exceptions, by namespace.
#[derive(Clone, Debug, Default)]
pub struct Exceptions(HashMap<Arc<str>, Vec<Arc<Exception>>>);

impl FromIterator<Arc<Exception>> for Exceptions {
    fn from_iter<I: IntoIterator<Item = Arc<Exception>>>(exceptions: I) -> Self {
        let mut all: HashMap<Arc<str>, Vec<Arc<Exception>>> = HashMap::new();
        for exception in exceptions {
            let there = all.entry(Arc::clone(&exception.namespace)).or_default();
            there.push(exception);
        }
        // The one that is named in a finding must not depend on the order they came in.
        for there in all.values_mut() {
            there.sort_by(|one, other| one.id.cmp(&other.id));
        }
        Exceptions(all)
    }
}

impl Exceptions {
    /// Every exception, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Exception>> {
        self.0.values().flatten()
    }

    /// Those that are for the object of a request at `place`. A Namespace itself is in no namespace
    /// and so never excepted.
    pub fn for_object<'e>(
        &'e self,
        place: &Place<'_, '_>,
        input: &Input<'_>,
    ) -> Vec<&'e Exception> {
        let Place::In(namespace, _) = place else {
            return Vec::new();
        };
        let there = self.0.get(*namespace).into_iter().flatten();
        there
            .filter(|exception| exception.is_for(input))
            .map(|exception| &**exception)
            .collect()
    }
}

/// The exception among `candidates` that lowers `check` of `control` at `now`, if there is one.
pub fn lowering<'e>(
    candidates: &[&'e Exception],
    control: &str,
    check: &str,
    rules: &ExceptionRules,
    now: Option<OffsetDateTime>,
) -> Option<&'e Exception> {
    let now = now?;
    candidates.iter().copied().find(|exception| {
        exception.covers(control, check, rules) && exception.active(now, rules).is_ok()
    })
}
