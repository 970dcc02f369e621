//! The report as tables for people.

use std::collections::BTreeMap;

use crate::report::{Report, Spread};

impl Report {
    /// Prints the tables.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<18} {:>9} {:>22} {:>22} {:>24} {:>14}",
            "sample", "bytes", "echo CPU us", "tidegate CPU us", "share of echo %", "p50/p99 us"
        );
        for comparison in &self.comparisons {
            let (p50, p99) = comparison.latency();
            println!(
                "{:<18} {:>9} {:>22} {:>22} {:>24} {:>14}",
                comparison.sample,
                comparison.bytes,
                spread(comparison.echo_us(), 1.0),
                spread(comparison.tidegate_us(), 1.0),
                spread(comparison.share(), 100.0),
                format!("{:.0}/{:.0}", p50.median, p99.median),
            );
        }
        if let Some(counts) = &self.instructions {
            println!(
                "\n{:<18} {:>14} {:>14} {:>14}",
                "instructions", "echo", "tidegate", "engine alone"
            );
            for (sample, count) in &counts.server {
                let of = |counts: &BTreeMap<String, u64>| {
                    counts.get(sample).map_or("-".to_owned(), u64::to_string)
                };
                println!(
                    "{sample:<18} {:>14} {count:>14} {:>14}",
                    of(&counts.echo),
                    of(&counts.engine)
                );
            }
        } else {
            println!("\ninstructions per request: NOT COUNTED");
        }
        self.print_rest();
        println!("\n{:<36} {:>12} {:>14}", "must", "measured", "limit");
        for must in self.musts() {
            let sign = if must.more { ">=" } else { "<=" };
            let value = must
                .value
                .map_or("not measured".to_owned(), |value| format!("{value:.1}"));
            let verdict = match must.met() {
                Some(true) => "",
                Some(false) => "MISSED",
                None => "NOT MEASURED",
            };
            println!(
                "{:<36} {value:>12} {:>14} {verdict}",
                must.what,
                format!("{sign} {} {}", must.limit, must.unit),
            );
        }
        if !self.pinned {
            println!(
                "\nNOT PINNED: server and client shared cores, the ratios above are worth little"
            );
        }
    }

    fn print_rest(&self) {
        println!("\nload averages at the start: {}", self.load);
        println!("start to listening, ms: {}", spread(self.listening_ms, 1.0));
        println!(
            "start to first answer, ms: {}",
            spread(self.answering_ms, 1.0)
        );
        if let Some(half) = &self.half_load {
            println!(
                "half load, {:.0} requests a second, us: p50 {}, p99 {}",
                half.rate,
                spread(half.p50_us, 1.0),
                spread(half.p99_us, 1.0)
            );
            if !half.kept_up() {
                println!("  INVALID: the machine was too busy for the client to keep that rate");
            }
        }
        if let Some(large) = &self.large {
            println!(
                "64 reviews of 2.6 MB at once: peak {} kB, after {} kB, {} answered 429 and tried again",
                large.peak_kb, large.after_kb, large.shed
            );
        }
        print_evaluation(&self.evaluation_ns);
        print_crowded(&self.crowded_ns);
    }
}

/// Prints the times of evaluation alone.
pub(crate) fn print_evaluation(times: &BTreeMap<usize, Spread>) {
    for (containers, nanoseconds) in times {
        println!(
            "evaluation alone, containers: {containers}, ns: {}",
            spread(*nanoseconds, 1.0)
        );
    }
}

/// Prints the times of evaluation with many policies and exceptions.
pub(crate) fn print_crowded(times: &[(&'static str, Spread)]) {
    for (policies, nanoseconds) in times {
        println!(
            "evaluation alone, 100 policies, {policies}, 1,000 exceptions, ns: {}",
            spread(*nanoseconds, 1.0)
        );
    }
}

fn spread(spread: Spread, scale: f64) -> String {
    let Spread { median, min, max } = spread;
    format!(
        "{:.1} ({:.1}-{:.1})",
        median * scale,
        min * scale,
        max * scale
    )
}
