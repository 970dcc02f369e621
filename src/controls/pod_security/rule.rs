//! From upstream's decision to violations.

use crate::control::{Check, Mode, Report, Rule, Violation};
use crate::facts::{Facts, Needs};
use crate::path::FieldPath;
use crate::review::Cause;
use crate::subject::{Input, Unreadable};

use super::check::{Failure, PodCheck};
use super::labels;
use super::outcome::{Evaluation, Failed, Failures, NamespaceOutcome, Outcome, Target};
use super::settings::{Settings, Templates};
use super::{EXISTING_PODS, NAMESPACE_LABELS, NAMESPACE_LEVEL};

impl Rule for Settings {
    fn needs(&self, input: &Input<'_>) -> Needs {
        self.needed(input)
    }

    fn check(&self, input: &Input<'_>, facts: &Facts, report: &mut Report) {
        match self.decide(input, facts) {
            Outcome::Ignored | Outcome::Privileged(Target::Template | Target::Namespace) => {}
            Outcome::Exempt(exemption) => report.notes.push(("exempt", exemption.as_str().into())),
            Outcome::Privileged(Target::Pod) => report
                .notes
                .push(("enforce-policy", "privileged:latest".into())),
            Outcome::Failed(failed, target) => self.report_failed(failed, target, report),
            Outcome::Evaluated(evaluation) => self.report_evaluation(*evaluation, report),
            Outcome::Namespace(outcome) => self.report_namespace(outcome, report),
        }
    }
}

impl Settings {
    /// Upstream denies a Pod or Namespace it cannot read and lets a template pass.
    fn report_failed(&self, failed: Failed, target: Target, report: &mut Report) {
        let mut violation = match failed {
            Failed::Lookup(why) => {
                let message = format!("the labels of the namespace could not be had: {why}");
                Violation::new(&Check::UNAVAILABLE, message)
            }
            Failed::Object(why) => unreadable("the object", why),
            Failed::OldObject(why) => unreadable("the object as it was", why),
            Failed::Kind(kind) => unexpected("the object", &kind),
            Failed::OldKind(kind) => unexpected("the object as it was", &kind),
        };
        violation.advisory = target == Target::Template && self.templates == Templates::Warn;
        report.violations.push(violation);
    }

    fn report_evaluation(&self, evaluation: Evaluation, report: &mut Report) {
        if evaluation.target == Target::Pod {
            report
                .notes
                .push(("enforce-policy", evaluation.levels.enforce.to_string()));
        }
        if !evaluation.label_errors.is_empty() {
            let texts: Vec<String> = evaluation
                .label_errors
                .iter()
                .map(|error| format!("{}: {}", error.field(), error.message()))
                .collect();
            report.notes.push((
                "error",
                format!("Failed to parse policy: {}", texts.join(", ")),
            ));
        }
        let advisory = evaluation.target == Target::Template && self.templates == Templates::Warn;
        let mut merged: Vec<(&'static PodCheck, Failure, Mode)> = Vec::new();
        for (failures, ceiling) in [
            (evaluation.enforce, Mode::Enforce),
            (evaluation.floor, Mode::Enforce),
            (evaluation.warn, Mode::Warn),
            (evaluation.audit, Mode::Audit),
        ] {
            merge(&mut merged, failures, ceiling);
        }
        merged.sort_by_key(|(check, ..)| super::checks::position(check));
        for (check, failure, ceiling) in merged {
            report.violations.push(Violation {
                check: &check.check,
                ceiling,
                advisory,
                message: failure.text(),
                fields: failure
                    .fields
                    .into_iter()
                    .map(|field| field.below(evaluation.base))
                    .collect(),
                fix: failure.fix.map_or(check.check.fix.into(), Into::into),
                invalid: None,
            });
        }
    }

    fn report_namespace(&self, outcome: NamespaceOutcome, report: &mut Report) {
        if !outcome.invalid.is_empty() {
            let field = |label| FieldPath::of("metadata.labels").key(label);
            let texts: Vec<String> = outcome
                .invalid
                .iter()
                .map(|error| format!("{} {}", error.label, error.message()))
                .collect();
            let mut violation = Violation::new(&NAMESPACE_LABELS, texts.join("; "));
            violation.fields = outcome
                .invalid
                .iter()
                .map(|error| field(error.label))
                .collect();
            let causes = outcome.invalid.iter().map(|error| Cause {
                reason: "FieldValueInvalid".into(),
                message: error.message(),
                field: error.field(),
            });
            violation.invalid = Some(causes.collect());
            report.violations.push(violation);
        }
        let enforce = || vec![FieldPath::of("metadata.labels").key(labels::ENFORCE)];
        if let (Some(level), Some(floor)) = (outcome.below_floor, self.minimum) {
            let message = format!(
                "the label asks for {}, the floor is {}",
                level.level, floor.level
            );
            let mut violation = Violation::new(&NAMESPACE_LEVEL, message);
            violation.fields = enforce();
            report.violations.push(violation);
        }
        for warning in outcome.warnings {
            let mut violation = Violation::new(&EXISTING_PODS, warning);
            violation.ceiling = Mode::Warn;
            violation.fields = enforce();
            report.violations.push(violation);
        }
    }
}

fn unreadable(what: &str, why: Unreadable) -> Violation {
    let mut violation = Violation::new(
        &Check::UNREADABLE,
        format!("{what} cannot be read: {}", why.message),
    );
    violation.fields.extend(why.field);
    violation
}

fn unexpected(what: &str, kind: &str) -> Violation {
    Violation::new(
        &Check::UNREADABLE,
        format!("{what} is unexpectedly a {kind:?}"),
    )
}

/// Adds failures to those found at stricter levels; what is found twice is said once.
fn merge(merged: &mut Vec<(&'static PodCheck, Failure, Mode)>, failures: Failures, ceiling: Mode) {
    for (check, failure) in failures {
        let known = |(other, known, _): &(&'static PodCheck, Failure, Mode)| {
            other.check.id == check.check.id && *known == failure
        };
        if !merged.iter().any(known) {
            merged.push((check, failure, ceiling));
        }
    }
}
