//! Policies, a subject and facts to a verdict: the only place that maps modes to what happens.
//!
//! Evaluation is synchronous and cannot fail. What would be an error elsewhere (an object that
//! cannot be read, a fact that could not be had, a control that panics) is a finding here, decided
//! by the mode of its control.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::control::{Check, Control, Finding, Mode, Report, Violation};
use crate::controls;
use crate::facts::{Fact, Facts, Needs};
use crate::policy::selection::Place;
use crate::policy::{Applied, Policies};
use crate::subject::Input;

/// All findings of one subject, in the order of the catalogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The findings: audit, warn and enforce.
    pub findings: Vec<Finding>,
    /// Remarks of the controls for the audit annotations.
    pub notes: Vec<(&'static str, String)>,
    /// The policies that applied.
    pub policies: Vec<Arc<str>>,
}

impl Verdict {
    /// Whether the request may go on.
    pub fn allowed(&self) -> bool {
        !self.findings.iter().any(Finding::denies)
    }

    /// The strictest mode of any finding.
    pub fn strictest(&self) -> Option<Mode> {
        self.findings.iter().map(|finding| finding.mode).max()
    }
}

/// What the policies in force must know to decide a request.
pub fn needs(policies: &Policies, input: &Input<'_>) -> Needs {
    // Until the labels are known every selector that looks at them counts as matching, so this
    // asks for at least what evaluation will want.
    let unknown = Fact::NotAsked;
    let place = Place::of(input, &unknown);
    let mut needs = Needs::default();
    for policy in &policies.list {
        let labels = matches!(place, Place::In(..)) && policy.needs_labels();
        needs.namespace |= labels && policy.namespaces.matches(&place);
        policy.apply(&place, |applied| {
            let needed = catch_unwind(AssertUnwindSafe(|| applied.rule.needs(input)));
            // A rule that cannot even say what it needs will fail again, and be heard, below.
            needs = needs.union(needed.unwrap_or_default());
        });
    }
    needs
}

/// Decides a request.
pub fn evaluate(policies: &Policies, input: &Input<'_>, facts: &Facts) -> Verdict {
    let place = Place::of(input, &facts.namespace);
    let mut verdict = Verdict::default();
    for policy in &policies.list {
        let mut applies = false;
        policy.apply(&place, |applied| {
            applies = true;
            run(&applied, policies.cap, input, facts, &mut verdict);
        });
        if applies {
            verdict.policies.push(Arc::clone(&policy.name));
        }
    }
    verdict.findings.sort_by_key(|finding| {
        let position = finding.control_position();
        (position, finding.check_position())
    });
    verdict
}

fn run(applied: &Applied<'_>, cap: Mode, input: &Input<'_>, facts: &Facts, verdict: &mut Verdict) {
    let mut report = Report::default();
    let checked = catch_unwind(AssertUnwindSafe(|| {
        applied.rule.check(input, facts, &mut report);
    }));
    if checked.is_err() {
        report = Report {
            violations: vec![Violation::new(
                &Check::FAILED,
                "the control came to no decision",
            )],
            notes: Vec::new(),
        };
    }
    for violation in report.violations {
        add(applied, cap, violation, verdict);
    }
    for note in report.notes {
        if !verdict.notes.contains(&note) {
            verdict.notes.push(note);
        }
    }
}

/// Gives a violation its mode and adds it; one that another policy found too is kept once, with the
/// strictest mode.
fn add(applied: &Applied<'_>, cap: Mode, violation: Violation, verdict: &mut Verdict) {
    let mode = applied
        .mode_of(violation.check.id)
        .min(violation.ceiling)
        .min(cap);
    if mode == Mode::Off {
        return;
    }
    let policy = Arc::clone(&applied.policy.name);
    let control = applied.control.id;
    let same = |known: &&mut Finding| {
        known.control == control && known.violation.says_the_same(&violation)
    };
    let Some(known) = verdict.findings.iter_mut().find(same) else {
        verdict.findings.push(Finding {
            control,
            mode,
            policies: vec![policy],
            violation,
        });
        return;
    };
    // What denies in one policy and only advises in another denies.
    let stricter =
        (mode == Mode::Enforce && !violation.advisory, mode) > (known.denies(), known.mode);
    if stricter {
        known.mode = mode;
        known.violation.advisory &= violation.advisory;
        known.policies.insert(0, policy);
    } else if !known.policies.contains(&policy) {
        known.policies.push(policy);
    }
}

impl Violation {
    fn says_the_same(&self, other: &Violation) -> bool {
        self.check.id == other.check.id
            && self.message == other.message
            && self.fields == other.fields
    }
}

impl Finding {
    fn control_position(&self) -> usize {
        controls::position(self.control)
    }

    fn check_position(&self) -> usize {
        let position = |control: &Control| {
            let mut checks = control.checks.iter();
            checks.position(|check| check.id == self.violation.check.id)
        };
        // What every control may say comes before what only it says.
        controls::find(self.control)
            .and_then(position)
            .map_or(0, |position| position + 1)
    }
}
