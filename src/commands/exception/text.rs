//! Exceptions for reading.

use std::fmt::Write as _;

use crate::commands::table::{cell, columns};
use crate::report::text::{count, visible};

use super::record::{Record, Spec};

/// What is shown in place of nothing.
const NOTHING: &str = "-";

/// A table of all exceptions and a summary.
pub(super) fn table(records: &[Record]) -> String {
    const HEAD: [&str; 9] = [
        "NAMESPACE",
        "NAME",
        "STATE",
        "EXPIRES",
        "LOWERS",
        "FOR",
        "OWNER",
        "APPROVED BY",
        "USES",
    ];
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(row));
    let mut text = if records.is_empty() {
        String::new()
    } else {
        columns(&rows)
    };
    let active = records
        .iter()
        .filter(|record| record.state_text() == "active");
    let _ = writeln!(
        text,
        "{}, {} active",
        count(records.len(), "exception", "exceptions"),
        active.count()
    );
    text
}

fn row(record: &Record) -> Vec<String> {
    let of = |field: fn(&Spec) -> String| match &record.spec {
        Some(spec) => cell(&field(spec)),
        None => NOTHING.to_owned(),
    };
    let approved_by = |spec: &Spec| {
        let approval = spec.approval.as_ref();
        approval.map_or_else(|| NOTHING.to_owned(), |one| one.approved_by.clone())
    };
    vec![
        cell(&record.namespace),
        cell(&record.name),
        record.state_text().to_owned(),
        of(|spec| format!("{} ({})", spec.expires, distance(spec.expires_in))),
        of(|spec| spec.controls.join(", ")),
        of(Spec::objects),
        of(|spec| spec.owner.clone()),
        of(approved_by),
        match &record.last_used {
            Some(last) => cell(&format!("{}, last {last}", record.uses)),
            None => record.uses.to_string(),
        },
    ]
}

/// One exception in full.
pub(super) fn block(record: &Record) -> String {
    let mut text = format!(
        "ControlException {}\n",
        visible(&format!("{}/{}", record.namespace, record.name))
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14}{}", visible(value));
    };
    if let Some(spec) = &record.spec {
        line("lowers:", &spec.controls.join(", "));
        line("for:", &spec.objects());
        line("reason:", &spec.reason);
        line("owner:", &spec.owner);
        if let Some(ticket) = &spec.ticket {
            line("ticket:", ticket);
        }
        line("requested by:", &spec.requested_by);
        let until = format!("{} ({})", spec.expires, distance(spec.expires_in));
        line("until:", &until);
        if let Some(approval) = &spec.approval {
            let by = format!("{} at {}", approval.approved_by, approval.approved_at);
            line("approved by:", &by);
        }
    }
    line("state:", record.state_text());
    if let Some(problem) = &record.problem {
        line("problem:", problem);
    }
    text
}

/// How far away a time is, in whole units: `in 3 days`, `5 hours ago`.
pub(super) fn distance(seconds: i64) -> String {
    const UNITS: [(i64, &str, &str); 4] = [
        (86_400, "day", "days"),
        (3_600, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let away = seconds.saturating_abs();
    // Two of a unit, so that the rounding down never hides half of what is left.
    let unit = UNITS.iter().find(|(unit, ..)| away >= 2 * unit);
    let (unit, one, many) = unit.copied().unwrap_or((1, "second", "seconds"));
    let number = usize::try_from(away / unit).unwrap_or(usize::MAX);
    let span = count(number, one, many);
    if seconds > 0 {
        format!("in {span}")
    } else {
        format!("{span} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_in_the_largest_unit_of_which_there_are_two() {
        for (seconds, expected) in [
            (127 * 86_400 + 5, "in 127 days"),
            (2 * 86_400, "in 2 days"),
            (2 * 86_400 - 1, "in 47 hours"),
            (119, "in 119 seconds"),
            (1, "in 1 second"),
            (0, "0 seconds ago"),
            (-86_400 * 3, "3 days ago"),
        ] {
            assert_eq!(distance(seconds), expected);
        }
    }
}
