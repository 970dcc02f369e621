//! `pod-security` decides as upstream does: same checks, same order, same texts.
//!
//! The answers come from the oracle (`tests/oracle`), which asks upstream's own code: a few thousand
//! of them are kept in `tests/oracle/frozen`, the others are asked for while the tests run.
//! `TIDEGATE_ORACLE` names another oracle than the one `make test` builds; `TIDEGATE_ORACLE_SEED`
//! repeats a run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy takes helpers of integration tests for code that runs"
)]

mod fields;
mod table;

use std::env;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate::controls::pod_security::check::{Failure, PodCheck};
use tidegate::controls::pod_security::checks::ALL;
use tidegate::controls::pod_security::level::{Level, LevelVersion, Version};
use tidegate::controls::pod_security::quote::go_quote;
use tidegate::controls::pod_security::registry;
use tidegate::json;
use tidegate::objects::Pod;
use tidegate::subject::PodView;

/// How many generated pods a live run compares, each at four levels and versions.
const LIVE_PODS: u64 = 200_000;
/// How many oracles generate them at the same time.
const WORKERS: u64 = 2;
/// How many fixtures upstream v0.37.2 has.
const FIXTURES: usize = 4_537;

/// A line of `oracle pods`.
#[derive(Deserialize)]
struct PodLine<'a> {
    #[serde(borrow)]
    pod: &'a RawValue,
    verdicts: Vec<Verdict>,
}

/// Upstream's answer at one level and version.
#[derive(Deserialize)]
struct Verdict {
    level: String,
    version: String,
    violations: Vec<Expected>,
}

/// Upstream's words about one check.
#[derive(Debug, Deserialize)]
struct Expected {
    id: String,
    reason: String,
    detail: String,
}

/// A line of `oracle fixtures`.
#[derive(Deserialize)]
struct FixtureLine<'a> {
    path: String,
    expect: String,
    #[serde(borrow)]
    pod: &'a RawValue,
    #[serde(flatten)]
    verdict: Verdict,
}

fn found(pod: &str, verdict: &Verdict) -> Vec<(&'static PodCheck, Failure)> {
    let pod: Pod = json::from_str(pod).unwrap();
    let view = PodView {
        metadata: &pod.metadata,
        spec: &pod.spec,
        base: "",
    };
    let level = Level::parse(&verdict.level).unwrap();
    let version = Version::parse(&verdict.version).unwrap();
    registry::evaluate(LevelVersion { level, version }, &view)
}

/// How our answer differs from upstream's, if it does.
fn difference(pod: &str, verdict: &Verdict) -> Option<String> {
    let ours = found(pod, verdict);
    let same = ours.len() == verdict.violations.len()
        && ours
            .iter()
            .zip(&verdict.violations)
            .all(|((check, failure), theirs)| {
                (check.check.id, failure.reason, &*failure.detail)
                    == (&*theirs.id, &*theirs.reason, &*theirs.detail)
            });
    (!same).then(|| {
        let level = format!("{}:{}", verdict.level, verdict.version);
        format!(
            "{level}\n  pod {pod}\n  theirs {:#?}\n  ours {ours:#?}",
            verdict.violations
        )
    })
}

/// What a comparison has seen.
#[derive(Default)]
struct Tally {
    lines: usize,
    verdicts: usize,
    denied: usize,
    differences: Vec<String>,
}

impl Tally {
    fn compare(&mut self, place: &str, pod: &str, verdict: &Verdict) {
        self.verdicts += 1;
        self.denied += usize::from(!verdict.violations.is_empty());
        let difference = difference(pod, verdict);
        self.differences
            .extend(difference.map(|text| format!("{place}: {text}")));
    }

    fn compare_line(&mut self, place: &str, line: &str) {
        let line: PodLine = serde_json::from_str(line).unwrap();
        self.lines += 1;
        for verdict in &line.verdicts {
            self.compare(place, line.pod.get(), verdict);
        }
    }

    /// Fails with the first differences, or when there was little to compare.
    fn assert_equal(&self, lines: usize) {
        let shown = self
            .differences
            .iter()
            .take(3)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            self.differences.is_empty(),
            "{} differences:\n{shown}",
            self.differences.len()
        );
        assert_eq!(self.lines, lines, "lines compared");
        assert!(
            self.denied * 2 > self.verdicts,
            "too few of {} denied",
            self.verdicts
        );
        assert!(
            self.denied < self.verdicts,
            "none of {} allowed",
            self.verdicts
        );
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn frozen(name: &str) -> String {
    fs::read_to_string(root().join("tests/oracle/frozen").join(name)).unwrap()
}

/// Hands out the lines an oracle prints, with their number from 1, and waits for its good end.
pub(crate) fn oracle(arguments: &[&str], mut each: impl FnMut(usize, &str)) {
    let built = root().join("target/bed/bin/oracle");
    let program = env::var_os("TIDEGATE_ORACLE").map_or(built, PathBuf::from);
    let path = program.display();
    assert!(
        program.is_file(),
        "{path} is missing: `make test` builds it (tests/bed/build.sh)"
    );
    let mut child = Command::new(&program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap()).lines();
    for (index, line) in lines.enumerate() {
        each(index + 1, &line.unwrap());
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "oracle {arguments:?}: {status}");
}

/// The seed of a live run, printed: at random, or the one to repeat.
pub(crate) fn seed() -> u64 {
    let seed = match env::var("TIDEGATE_ORACLE_SEED") {
        Ok(text) => text.parse().expect("TIDEGATE_ORACLE_SEED is no number"),
        Err(_) => RandomState::new().hash_one(0) >> 1,
    };
    eprintln!("TIDEGATE_ORACLE_SEED={seed}");
    seed
}

#[test]
fn frozen_pods_are_judged_as_upstream_judges_them() {
    let mut tally = Tally::default();
    for (index, line) in frozen("pods.jsonl").lines().enumerate() {
        tally.compare_line(&format!("line {}", index + 1), line);
    }
    tally.assert_equal(1_000);
}

#[test]
fn generated_pods_are_judged_as_upstream_judges_them() {
    let seed = seed();
    let tallies = thread::scope(|scope| {
        let run = |worker| move || compare_generated(seed.wrapping_add(worker));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(run(worker)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    for tally in tallies {
        tally.assert_equal(usize::try_from(LIVE_PODS / WORKERS).unwrap());
    }
}

fn compare_generated(seed: u64) -> Tally {
    let (seed, count) = (seed.to_string(), (LIVE_PODS / WORKERS).to_string());
    let mut tally = Tally::default();
    oracle(
        &["pods", "-seed", &seed, "-count", &count],
        |number, line| {
            // More would only repeat the same defect and fill the memory.
            if tally.differences.len() < 100 {
                tally.compare_line(&format!("seed {seed}, line {number}"), line);
            }
        },
    );
    tally
}

#[test]
fn upstreams_fixtures_are_judged_as_upstream_judges_them() {
    let mut tally = Tally::default();
    oracle(&["fixtures"], |_, line| {
        let line: FixtureLine = serde_json::from_str(line).unwrap();
        tally.lines += 1;
        tally.compare(&line.path, line.pod.get(), &line.verdict);
        // The only fixture that an API server's defaulting turns into one that passes.
        let undefaulted = line.path.ends_with("/pass/restrictedvolumes0.yaml");
        let passes = found(line.pod.get(), &line.verdict).is_empty();
        assert_eq!(
            passes,
            line.expect == "pass" && !undefaulted,
            "{}",
            line.path
        );
    });
    tally.assert_equal(FIXTURES);
}

#[test]
fn the_table_of_checks_is_upstreams() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Row {
        id: String,
        level: String,
        versions: Vec<From>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct From {
        from: String,
        overrides: Vec<String>,
    }
    let theirs: Vec<Row> = serde_json::from_str(&frozen("checks.json")).unwrap();
    let steps = |check: &PodCheck| {
        let steps = check.steps.iter().map(|step| From {
            from: format!("v1.{}", step.from),
            overrides: step.overrides.iter().map(ToString::to_string).collect(),
        });
        steps.collect()
    };
    let ours = ALL.iter().map(|check| Row {
        id: check.check.id.to_owned(),
        level: check.level.to_string(),
        versions: steps(check),
    });
    assert_eq!(ours.collect::<Vec<_>>(), theirs);
}

#[test]
fn every_character_is_quoted_as_go_quotes_it() {
    let ranges: Vec<(u32, u32)> = serde_json::from_str(&frozen("printable.json")).unwrap();
    for character in '\0'..=char::MAX {
        let code = u32::from(character);
        let following = ranges.partition_point(|(first, _)| *first <= code);
        let printable = following > 0 && ranges[following - 1].1 >= code;
        let as_is = go_quote(&character.to_string()) == format!("\"{character}\"");
        let expected = printable && character != '"' && character != '\\';
        assert_eq!(as_is, expected, "U+{code:04X}");
    }
}
