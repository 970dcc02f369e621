//! The published parity table: `docs/parity.md` holds what a comparison counts.
//!
//! `TIDEGATE_BLESS=1 cargo test --test it parity::table` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use tidegate::controls::pod_security::check::PodCheck;
use tidegate::controls::pod_security::checks::ALL;
use tidegate::controls::pod_security::level::{Level, LevelVersion, Version};
use tidegate::controls::pod_security::registry::{self, NEWEST};

use super::{PodLine, Verdict, found, frozen, root};

/// The lines between which the table stands.
const START: &str = "<!-- table -->\n";
const END: &str = "<!-- /table -->";

/// What the comparison saw of one step of a check.
struct Row {
    check: &'static PodCheck,
    step: usize,
    judged: usize,
    violated: usize,
    differences: usize,
}

/// Whether this step of the check is the one that runs for a verdict.
fn runs(check: &PodCheck, step: usize, verdict: &Verdict) -> bool {
    let level = Level::parse(&verdict.level).unwrap();
    let version = Version::parse(&verdict.version).unwrap();
    let minor = match version {
        Version::Minor(minor) => u16::try_from(minor).unwrap_or(NEWEST).min(NEWEST),
        Version::Latest => NEWEST,
    };
    let in_force = check.steps.iter().rposition(|step| step.from <= minor);
    let mut entries = registry::checks(LevelVersion { level, version }).iter();
    in_force == Some(step) && entries.any(|(other, _)| other.check.id == check.check.id)
}

fn count(row: &mut Row, line: &PodLine<'_>) {
    let (check, step, id) = (row.check, row.step, row.check.check.id);
    for verdict in line
        .verdicts
        .iter()
        .filter(|verdict| runs(check, step, verdict))
    {
        let theirs: BTreeSet<(&str, &str)> = verdict
            .violations
            .iter()
            .filter(|violation| violation.id == id)
            .map(|violation| (&*violation.reason, &*violation.detail))
            .collect();
        let ours = found(line.pod.get(), verdict);
        let ours: BTreeSet<(&str, &str)> = ours
            .iter()
            .filter(|(check, _)| check.check.id == id)
            .map(|(_, failure)| (failure.reason, &*failure.detail))
            .collect();
        row.judged += 1;
        row.violated += usize::from(!theirs.is_empty());
        row.differences += usize::from(ours != theirs);
    }
}

fn table() -> String {
    let steps = ALL
        .iter()
        .flat_map(|check| (0..check.steps.len()).map(move |step| (*check, step)));
    let mut rows: Vec<Row> = steps
        .map(|(check, step)| Row {
            check,
            step,
            judged: 0,
            violated: 0,
            differences: 0,
        })
        .collect();
    for line in frozen("pods.jsonl").lines() {
        let line: PodLine = serde_json::from_str(line).unwrap();
        for row in &mut rows {
            count(row, &line);
        }
    }
    let mut table = String::from(
        "| level | check | from | overrides | judged | violated | differences |\n|---|---|---|---|---:|---:|---:|\n",
    );
    for row in &rows {
        let step = &row.check.steps[row.step];
        writeln!(
            table,
            "| {} | `{}` | v1.{} | {} | {} | {} | {} |",
            row.check.level,
            row.check.check.id,
            step.from,
            step.overrides.join(", "),
            row.judged,
            row.violated,
            row.differences
        )
        .unwrap();
    }
    table
}

#[test]
fn the_published_table_is_what_the_frozen_answers_give() {
    let path = root().join("docs/parity.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(START).unwrap();
    let (published, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::write(&path, format!("{before}{START}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            published, table,
            "TIDEGATE_BLESS=1 cargo test --test it parity::table writes it anew"
        );
    }
    assert!(
        table.lines().skip(2).all(|row| row.ends_with("| 0 |")),
        "{table}"
    );
}
