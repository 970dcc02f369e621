//! Policies, a subject and facts to a verdict: the only place that maps modes to what happens.
//!
//! Evaluation is synchronous and cannot fail. What would be an error elsewhere (an object that
//! cannot be read, a fact that could not be had, a control that panics) is a finding here, decided
//! by the mode of its control.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::control::{Check, Control, Finding, Mode, Report, Violation};
use crate::controls;
use crate::facts::{Fact, Facts, Needs};
use crate::policy::exception::{Exception, lowering};
use crate::policy::selection::Place;
use crate::policy::{Applied, Configured, Policies};
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
    /// Which state of policies and exceptions decided; empty where none can change.
    pub generation: Arc<str>,
}

impl Verdict {
    /// Whether the request may go on.
    pub fn allowed(&self) -> bool {
        !self.findings.iter().any(Finding::denies)
    }

    /// The exceptions that lowered something, each once.
    pub fn exceptions(&self) -> impl Iterator<Item = &Arc<str>> {
        let used = self.findings.iter().enumerate();
        let used = used.filter_map(|(index, finding)| Some((index, finding.exception.as_ref()?)));
        used.filter(|(index, id)| {
            let mut earlier = self.findings.iter().take(*index);
            earlier.all(|finding| finding.exception.as_ref() != Some(id))
        })
        .map(|(_, id)| id)
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
    let mut asked: Once<'_, ()> = Once::default();
    for policy in &policies.list {
        let labels = matches!(place, Place::In(..)) && policy.needs_labels();
        needs.namespace |= labels && policy.namespaces.matches(&place);
        policy.apply(&place, |applied| {
            if asked.of(&applied).is_some() {
                return;
            }
            let needed = catch_unwind(AssertUnwindSafe(|| applied.rule.rule.needs(input)));
            // A rule that cannot even say what it needs will fail again, and be heard, below.
            needs = needs.union(needed.unwrap_or_default());
            if policies.list.len() > 1 {
                asked.keep(&applied, ());
            }
        });
    }
    needs
}

/// Decides a request.
pub fn evaluate(policies: &Policies, input: &Input<'_>, facts: &Facts) -> Verdict {
    let place = Place::of(input, &facts.namespace);
    let mut judgement = Judgement {
        policies,
        input,
        facts,
        place: &place,
        exceptions: OnceCell::new(),
        reports: Once::default(),
        verdict: Verdict {
            generation: Arc::clone(&policies.generation),
            ..Verdict::default()
        },
    };
    for policy in &policies.list {
        let mut applies = false;
        policy.apply(&place, |applied| {
            applies = true;
            judgement.run(&applied);
        });
        if applies {
            judgement.verdict.policies.push(Arc::clone(&policy.name));
        }
    }
    let mut verdict = judgement.verdict;
    verdict.findings.sort_by_key(|finding| {
        let position = finding.control_position();
        (position, finding.check_position())
    });
    verdict
}

/// A verdict in the making.
struct Judgement<'j, 'a> {
    policies: &'j Policies,
    input: &'j Input<'a>,
    facts: &'j Facts,
    place: &'j Place<'j, 'a>,
    /// The exceptions for this object, looked up when something is found.
    exceptions: OnceCell<Vec<&'j Exception>>,
    /// The violations that rules found already.
    reports: Once<'j, Rc<[Violation]>>,
    verdict: Verdict,
}

/// What came of rules in one evaluation, so that a rule of many policies runs once. Only the first
/// few different ones are kept: policies mostly share their settings, and looking for one among
/// thousands would cost more than it saves.
struct Once<'p, T>(Vec<(&'static Control, &'p Configured, T)>);

impl<T> Default for Once<'_, T> {
    fn default() -> Self {
        Once(Vec::new())
    }
}

impl<'p, T> Once<'p, T> {
    const MOST: usize = 8;

    fn of(&self, applied: &Applied<'p>) -> Option<&T> {
        let mut kept = self.0.iter();
        let like = |(control, rule, _): &&(&'static Control, &'p Configured, T)| {
            control.id == applied.control.id && rule.is_like(applied.rule)
        };
        kept.find(like).map(|(_, _, result)| result)
    }

    fn keep(&mut self, applied: &Applied<'p>, result: T) {
        if self.0.len() < Self::MOST {
            self.0.push((applied.control, applied.rule, result));
        }
    }
}

impl<'j> Judgement<'j, '_> {
    fn run(&mut self, applied: &Applied<'j>) {
        if let Some(known) = self.reports.of(applied) {
            let known = Rc::clone(known);
            for violation in &*known {
                self.add(applied, violation);
            }
            return;
        }
        let found = self.check(applied);
        for violation in &found {
            self.add(applied, violation);
        }
        if self.policies.list.len() > 1 {
            self.reports.keep(applied, found.into());
        }
    }

    /// Runs the rule; its violations.
    fn check(&mut self, applied: &Applied<'_>) -> Vec<Violation> {
        let mut report = Report::default();
        let checked = catch_unwind(AssertUnwindSafe(|| {
            applied.rule.rule.check(self.input, self.facts, &mut report);
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
        for note in report.notes {
            if !self.verdict.notes.contains(&note) {
                self.verdict.notes.push(note);
            }
        }
        report.violations
    }

    /// Gives a violation its mode and adds it; one that another policy found too is kept once, with
    /// the strictest mode.
    fn add(&mut self, applied: &Applied<'_>, violation: &Violation) {
        let mut uncapped = applied.mode_of(violation.check.id).min(violation.ceiling);
        if uncapped == Mode::Off {
            return;
        }
        let exception = self.exception(applied, violation, uncapped);
        if exception.is_some() {
            uncapped = Mode::Audit;
        }
        let mut mode = uncapped.min(self.policies.cap);
        if applied.policy.is_open(self.facts.now) {
            mode = mode.min(Mode::Audit);
        }
        let policy = Arc::clone(&applied.policy.name);
        let found = Finding {
            control: applied.control.id,
            mode,
            uncapped,
            exception,
            policies: vec![policy],
            violation: violation.clone(),
        };
        if mode == Mode::Off {
            return;
        }
        let findings = &mut self.verdict.findings;
        match findings.iter_mut().find(|known| known.is_same(&found)) {
            Some(known) => known.merge(found),
            None => findings.push(found),
        }
    }

    /// The exception that lowers `violation`, where there is anything to lower.
    fn exception(
        &self,
        applied: &Applied<'_>,
        violation: &Violation,
        mode: Mode,
    ) -> Option<Arc<str>> {
        if mode <= Mode::Audit {
            return None;
        }
        let candidates = self
            .exceptions
            .get_or_init(|| self.policies.exceptions.for_object(self.place, self.input));
        let rules = &applied.policy.exceptions;
        lowering(
            candidates,
            applied.control.id,
            violation.check.id,
            rules,
            self.facts.now,
        )
        .map(|exception| Arc::clone(&exception.id))
    }
}

impl Finding {
    fn is_same(&self, other: &Finding) -> bool {
        self.control == other.control && self.violation.says_the_same(&other.violation)
    }

    /// What comes first denies most: what denies in one policy and only advises in another denies.
    fn strictness(&self) -> impl Ord + use<> {
        let enforced = |mode| mode == Mode::Enforce && !self.violation.advisory;
        (
            enforced(self.mode),
            self.mode,
            enforced(self.uncapped),
            self.uncapped,
        )
    }

    /// Takes in the same finding by another policy.
    fn merge(&mut self, mut other: Finding) {
        if other.strictness() > self.strictness() {
            std::mem::swap(self, &mut other);
        }
        for policy in other.policies {
            if !self.policies.contains(&policy) {
                self.policies.push(policy);
            }
        }
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
