//! The gate: instructions per request against the accepted figures in `benches/instructions.json`.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::answer::Answers;
use crate::callgrind::{self, Counts};
use crate::samples;
use crate::servers::Bench;

const ACCEPTED: &str = "benches/instructions.json";
/// What a request may cost at most, whatever was accepted: `pod-8k-allow` on the whole server.
const CEILING: u64 = 200_000;
/// How much worse than accepted fails, in percent. The same on the good side asks for new figures.
const TOLERANCE: u64 = 5;

/// Instructions per request.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Instructions {
    /// The valgrind they were counted with.
    pub(crate) valgrind: String,
    /// The echo server, for comparison.
    pub(crate) echo: Counts,
    /// The whole of tidegate, TLS and HTTP included.
    pub(crate) server: Counts,
    /// From the bytes of a request to the bytes of its answer, in process.
    pub(crate) engine: Counts,
}

/// Counts everything.
pub(crate) async fn count(bench: &Bench) -> Result<Instructions, Failure> {
    let valgrind = callgrind::valgrind()?;
    let echo = callgrind::server(bench, Answers::Echo).await?;
    let server = callgrind::server(bench, Answers::Tidegate).await?;
    let mut engine = Counts::new();
    for sample in samples::all()?
        .iter()
        .filter(|sample| sample.body.len() < 1_000_000)
    {
        engine.insert(sample.name.to_owned(), callgrind::engine(sample.name)?);
    }
    Ok(Instructions {
        valgrind,
        echo,
        server,
        engine,
    })
}

/// Writes `now` as the accepted figures.
pub(crate) fn accept(now: &Instructions) -> Result<(), Failure> {
    fs::write(ACCEPTED, serde_json::to_string_pretty(now)? + "\n")?;
    println!("accepted: {ACCEPTED} rewritten");
    Ok(())
}

/// Prints `now` beside the accepted figures; an error when anything became worse or is missing.
pub(crate) fn check(now: &Instructions) -> Result<(), Failure> {
    let text = fs::read_to_string(ACCEPTED).map_err(|error| format!("{ACCEPTED}: {error}"))?;
    let accepted: Instructions = serde_json::from_str(&text)?;
    if accepted.valgrind != now.valgrind {
        println!(
            "counted with valgrind {}, accepted with {}: small differences come from that",
            now.valgrind, accepted.valgrind
        );
    }
    println!(
        "{:<8} {:<18} {:>12} {:>12} {:>8}",
        "what", "sample", "accepted", "now", "change"
    );
    let mut failures = 0_usize;
    let mut better = 0_usize;
    let parts = [
        ("server", &accepted.server, &now.server),
        ("engine", &accepted.engine, &now.engine),
    ];
    for (what, accepted, now) in parts {
        for name in accepted.keys().filter(|name| !now.contains_key(*name)) {
            println!("{what:<8} {name:<18} accepted, but not counted any more: FAILED");
            failures += 1;
        }
        for (name, count) in now {
            let Some(before) = accepted.get(name) else {
                println!(
                    "{what:<8} {name:<18} {:>12} {count:>12}  no accepted figure: FAILED",
                    "-"
                );
                failures += 1;
                continue;
            };
            let worse = count * 100 > before * (100 + TOLERANCE);
            let gained = count * 100 < before * (100 - TOLERANCE);
            let note = if worse {
                "FAILED"
            } else if gained {
                "better"
            } else {
                ""
            };
            let change = percent(*count, *before) - 100.0;
            println!("{what:<8} {name:<18} {before:>12} {count:>12} {change:>+7.1}% {note}");
            failures += usize::from(worse);
            better += usize::from(gained);
        }
    }
    let most = now.server.get("pod-8k-allow").copied().unwrap_or(u64::MAX);
    if most > CEILING {
        println!("pod-8k-allow takes {most} instructions, more than {CEILING}: FAILED");
        failures += 1;
    }
    if better > 0 {
        println!("{better} figures are better by more than {TOLERANCE} %: keep that with --accept");
    }
    if failures > 0 {
        return Err(format!(
            "{failures} figures failed the gate; find out why, or, if it is worth its price, \
             accept it with --accept and say so in the change log"
        )
        .into());
    }
    println!("gate passed: nothing is worse by more than {TOLERANCE} %");
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "instruction counts are far below 2^52"
)]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
