//! What was measured, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::gate::Instructions;
use crate::servers::OUT;

/// One round of one server.
#[derive(Debug)]
pub(crate) struct Round {
    /// CPU microseconds per request.
    pub(crate) cpu: f64,
    /// Median latency in microseconds, the client's share included.
    pub(crate) p50: f64,
    /// The same at the 99th percentile.
    pub(crate) p99: f64,
}

/// Median, smallest and largest of a few measurements.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of `values`; zeros when there are none.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Spread {
            median: at(values.len() / 2),
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }

    fn json(self) -> Value {
        json!({"median": self.median, "min": self.min, "max": self.max})
    }
}

/// Echo and tidegate on one sample, round by round.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) sample: &'static str,
    pub(crate) bytes: usize,
    pub(crate) echo: Vec<Round>,
    pub(crate) tidegate: Vec<Round>,
}

impl Comparison {
    /// CPU time of echo by that of tidegate, of rounds next to each other: the share of the
    /// yardstick's capacity that is left.
    pub(crate) fn share(&self) -> Spread {
        let pairs = self.echo.iter().zip(&self.tidegate);
        Spread::of(
            pairs
                .map(|(echo, tidegate)| echo.cpu / tidegate.cpu)
                .collect(),
        )
    }

    /// CPU microseconds per request of tidegate.
    pub(crate) fn tidegate_us(&self) -> Spread {
        Spread::of(self.tidegate.iter().map(|round| round.cpu).collect())
    }

    pub(crate) fn echo_us(&self) -> Spread {
        Spread::of(self.echo.iter().map(|round| round.cpu).collect())
    }

    pub(crate) fn latency(&self) -> (Spread, Spread) {
        (
            Spread::of(self.tidegate.iter().map(|round| round.p50).collect()),
            Spread::of(self.tidegate.iter().map(|round| round.p99).collect()),
        )
    }

    fn json(&self) -> Value {
        let (p50, p99) = self.latency();
        json!({
            "bytes": self.bytes,
            "share_of_echo": self.share().json(),
            "cpu_us": {"echo": self.echo_us().json(), "tidegate": self.tidegate_us().json()},
            "closed_loop_us": {"p50": p50.json(), "p99": p99.json()},
        })
    }
}

/// Latency of the first sample at half of one core's capacity.
#[derive(Debug)]
pub(crate) struct HalfLoad {
    pub(crate) rate: f64,
    pub(crate) p50_us: Spread,
    pub(crate) p99_us: Spread,
}

impl HalfLoad {
    /// Whether the client could send at the rate at all. On a machine that is busy with other
    /// things it cannot, and then the latencies are its own.
    pub(crate) fn kept_up(&self) -> bool {
        self.p50_us.median < 10_000.0
    }
}

/// Memory under many large reviews at once.
#[derive(Debug)]
pub(crate) struct Large {
    pub(crate) peak_kb: u64,
    pub(crate) after_kb: u64,
    /// How often a request was answered 429 and tried again.
    pub(crate) shed: u32,
}

/// Everything a run measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) pinned: bool,
    /// The load averages of the machine when the run began.
    pub(crate) load: String,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) half_load: Option<HalfLoad>,
    pub(crate) large: Option<Large>,
    pub(crate) idle_kb: u64,
    pub(crate) listening_ms: Spread,
    pub(crate) answering_ms: Spread,
    /// Nanoseconds of evaluation alone, by number of containers.
    pub(crate) evaluation_ns: BTreeMap<usize, Spread>,
    /// The same with many policies and exceptions, by where the policies apply.
    pub(crate) crowded_ns: Vec<(&'static str, Spread)>,
    pub(crate) instructions: Option<Instructions>,
}

/// A figure with the limit it has to keep.
pub(crate) struct Must {
    pub(crate) what: &'static str,
    pub(crate) value: Option<f64>,
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) more: bool,
    pub(crate) unit: &'static str,
}

impl Must {
    pub(crate) fn met(&self) -> Option<bool> {
        self.value.map(|value| {
            if self.more {
                value >= self.limit
            } else {
                value <= self.limit
            }
        })
    }
}

impl Report {
    /// An empty report of a run whose processes are or are not pinned to cores of their own.
    pub(crate) fn new(pinned: bool) -> Self {
        Report {
            pinned,
            load: std::fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            comparisons: Vec::new(),
            half_load: None,
            large: None,
            idle_kb: 0,
            listening_ms: Spread::default(),
            answering_ms: Spread::default(),
            evaluation_ns: BTreeMap::new(),
            crowded_ns: Vec::new(),
            instructions: None,
        }
    }

    pub(crate) fn musts(&self) -> Vec<Must> {
        let share = |sample: &str| {
            let found = self
                .comparisons
                .iter()
                .find(|comparison| comparison.sample == sample);
            found.map(|comparison| comparison.share().median * 100.0)
        };
        let instructions = self.instructions.as_ref();
        let instructions = instructions.and_then(|counts| counts.server.get("pod-8k-allow"));
        let half = self.half_load.as_ref().filter(|half| half.kept_up());
        let must = |what, value, limit, more, unit| Must {
            what,
            value,
            limit,
            more,
            unit,
        };
        vec![
            must(
                "pod-8k-allow, share of echo",
                share("pod-8k-allow"),
                50.0,
                true,
                "%",
            ),
            must(
                "update-41k-allow, share of echo",
                share("update-41k-allow"),
                40.0,
                true,
                "%",
            ),
            must(
                "exempt-8k, share of echo",
                share("exempt-8k"),
                70.0,
                true,
                "%",
            ),
            must(
                "instructions, pod-8k-allow",
                instructions.map(|n| float(*n)),
                200_000.0,
                false,
                "",
            ),
            must(
                "evaluation alone, 1 container",
                self.evaluation_ns.get(&1).map(|spread| spread.median),
                500.0,
                false,
                "ns",
            ),
            must(
                "evaluation, 100 policies",
                self.crowded_ns.first().map(|(_, spread)| spread.median),
                5_000.0,
                false,
                "ns",
            ),
            must(
                "evaluation, 100 policies at once",
                self.crowded_ns.last().map(|(_, spread)| spread.median),
                5_000.0,
                false,
                "ns",
            ),
            must(
                "p99 at half load",
                half.map(|half| half.p99_us.median),
                1_000.0,
                false,
                "us",
            ),
            must(
                "idle memory",
                Some(float(self.idle_kb) / 1_024.0),
                16.0,
                false,
                "MiB",
            ),
            must(
                "peak memory, 64 reviews of 2.6 MB",
                self.large
                    .as_ref()
                    .map(|large| float(large.peak_kb) / 1_024.0),
                150.0,
                false,
                "MiB",
            ),
            must(
                "start to listening",
                Some(self.listening_ms.median),
                100.0,
                false,
                "ms",
            ),
        ]
    }

    /// Writes `target/bench/report.json`.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let by_sample = |of: fn(&Comparison) -> Value| -> Value {
            self.comparisons
                .iter()
                .map(|c| (c.sample.to_owned(), of(c)))
                .collect()
        };
        let musts: Vec<_> = self
            .musts()
            .iter()
            .map(|must| {
                json!({"what": must.what, "value": must.value, "limit": must.limit,
                   "at_least": must.more, "unit": must.unit, "met": must.met()})
            })
            .collect();
        let evaluation: BTreeMap<_, _> = self
            .evaluation_ns
            .iter()
            .map(|(n, spread)| (n.to_string(), spread.json()))
            .collect();
        let crowded: BTreeMap<_, _> = self
            .crowded_ns
            .iter()
            .map(|(policies, spread)| (*policies, spread.json()))
            .collect();
        let half = self.half_load.as_ref().map(|half| {
            json!({"requests_per_second": half.rate, "client_kept_up": half.kept_up(), "p50_us": half.p50_us.json(),
                   "p99_us": half.p99_us.json()})
        });
        let large = self.large.as_ref().map(|large| {
            json!({"peak_kb": large.peak_kb, "after_kb": large.after_kb, "shed": large.shed})
        });
        let counts = self.instructions.as_ref();
        let report = json!({
            "share_of_echo": by_sample(|c| json!(c.share().median)),
            "instructions_per_request": counts.map(|counts| &counts.server),
            "echo_instructions_per_request": counts.map(|counts| &counts.echo),
            "engine_instructions_per_request": counts.map(|counts| &counts.engine),
            "samples": by_sample(Comparison::json),
            "half_load": half,
            "large_reviews": large,
            "idle_kb": self.idle_kb,
            "cold_start_ms": {"listening": self.listening_ms.json(), "answering": self.answering_ms.json()},
            "evaluation_ns": evaluation,
            "crowded_evaluation_ns": crowded,
            "pinned": self.pinned,
            "load_average_at_start": self.load,
            "musts": musts,
        });
        let file = Path::new(OUT).join("report.json");
        std::fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
        println!("\nwritten: {}", file.display());
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "kilobytes and instruction counts are below 2^52"
)]
fn float(count: u64) -> f64 {
    count as f64
}
