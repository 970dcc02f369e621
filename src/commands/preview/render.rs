//! What was counted, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::preview::As;
use crate::commands::table::{cell, columns};
use crate::control::Mode;
use crate::policy::API_VERSION;
use crate::report::console::Style;
use crate::report::text::{count, visible};

use super::tally::{ControlCounts, Report};

/// The report as JSON: fields are added to it in later versions, never renamed.
pub(super) fn json(report: &Report) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Preview<'r> {
        api_version: &'static str,
        kind: &'static str,
        #[serde(flatten)]
        report: &'r Report,
    }
    crate::report::text::json(&Preview {
        api_version: API_VERSION,
        kind: "Preview",
        report,
    })
}

/// The report for reading.
pub(super) fn text(report: &Report, only: Option<As>, style: Style) -> String {
    let mut text = table(report, only);
    offenders(report, style, &mut text);
    let summary = &report.summary;
    let mut parts = vec![format!(
        "{} with {} in {}",
        count_of(summary.subjects, "subject", "subjects"),
        count_of(summary.pods, "pod", "pods"),
        count_of(summary.namespaces, "namespace", "namespaces"),
    )];
    if only != Some(As::Enforce) {
        parts.push(format!(
            "{} denied as the policies are written",
            summary.enforced
        ));
    }
    if only != Some(As::Written) {
        parts.push(format!(
            "{} denied if all of it were enforced",
            summary.would_enforce
        ));
    }
    if !report.unreadable.is_empty() {
        parts.push("not everything could be read".to_owned());
    }
    let _ = writeln!(text, "{}", style.bold(&parts.join(", ")));
    text
}

/// The namespaces in which something would be denied.
fn table(report: &Report, only: Option<As>) -> String {
    let shown = |counts: &ControlCounts| match only {
        Some(As::Written) => vec![counts.enforced],
        Some(As::Enforce) => vec![counts.would_enforce],
        None => vec![counts.enforced, counts.would_enforce],
    };
    let heads: &[&str] = match only {
        Some(As::Written) => &["AS WRITTEN"],
        Some(As::Enforce) => &["IF ENFORCED"],
        None => &["AS WRITTEN", "IF ENFORCED"],
    };
    let mut head: Vec<String> = ["NAMESPACE", "CONTROL", "SUBJECTS"]
        .map(str::to_owned)
        .into();
    head.extend(heads.iter().map(|&head| head.to_owned()));
    let mut rows = vec![head];
    let (mut quiet, mut without) = (0, 0);
    for namespace in &report.namespaces {
        without += u64::from(namespace.controls.is_empty());
        let mut loud = false;
        for counts in &namespace.controls {
            let numbers = shown(counts);
            if numbers.iter().all(|number| *number == 0) {
                continue;
            }
            loud = true;
            let mut row = vec![
                cell(&namespace.name),
                counts.control.to_owned(),
                counts.subjects.to_string(),
            ];
            row.extend(numbers.iter().map(ToString::to_string));
            rows.push(row);
        }
        quiet += u64::from(!loud && !namespace.controls.is_empty());
    }
    let mut text = if rows.len() > 1 {
        columns(&rows)
    } else {
        String::new()
    };
    if quiet > 0 {
        let namespaces = count_of(quiet, "namespace", "namespaces");
        let _ = writeln!(text, "{namespaces} in which nothing would be denied");
    }
    if without > 0 {
        let namespaces = count_of(without, "namespace", "namespaces");
        let _ = writeln!(text, "{namespaces} in which no control applies");
    }
    text
}

fn offenders(report: &Report, style: Style, text: &mut String) {
    if report.offenders.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nWorst offenders:");
    for offender in &report.offenders {
        let place = if offender.namespace.is_empty() {
            String::new()
        } else {
            format!("{}/", offender.namespace)
        };
        let title = format!("{} {place}{}", offender.kind, offender.name);
        let pods = count_of(offender.pods, "pod", "pods");
        let _ = writeln!(text, "  {}  {pods}", style.bold(&visible(&title)));
        for finding in &offender.findings {
            let rule = format!("{}/{}", finding.control, finding.check);
            let rule = style.mode(Mode::Enforce, &rule);
            let _ = writeln!(text, "    {rule}: {}", visible(&finding.message));
        }
    }
    text.push('\n');
}

fn count_of(number: u64, singular: &str, plural: &str) -> String {
    count(
        usize::try_from(number).unwrap_or(usize::MAX),
        singular,
        plural,
    )
}
