//! The full run: echo and tidegate in turn, then memory, start and latency, then instructions.

use std::time::{Duration, Instant};

use crate::answer::Answers;
use crate::load::{Connection, Latencies, Load};
use crate::report::{Comparison, HalfLoad, Large, Report, Round, Spread};
use crate::samples::{self, Sample};
use crate::servers::{Bench, Server};
use crate::{Failure, engine, gate};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) instructions: bool,
}

/// Connections in the closed loop.
const CONNECTIONS: u64 = 8;
/// Connections at half load.
const PACED_CONNECTIONS: u64 = 10;
/// Large reviews in flight at once, for peak memory.
const LARGE: u64 = 64;
const COLD_STARTS: usize = 7;
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures everything that `plan` asks for and writes the report.
pub(crate) async fn everything(bench: Bench, plan: Plan) -> Result<(), Failure> {
    if plan.instructions {
        // Said before the minutes of measuring, not after them.
        crate::callgrind::valgrind()?;
    }
    let samples = samples::all()?;
    let first = samples.first().ok_or("no samples")?;
    let mut report = Report::new(bench.cores.pinned());
    cold_starts(&bench, first, &mut report).await?;
    compare_all(&bench, &samples, plan, &mut report).await?;
    report.large = Some(large(&bench, &samples).await?);
    report.evaluation_ns = engine::evaluation()?;
    report.crowded_ns = engine::crowded()?.to_vec();
    let counted = if plan.instructions {
        Some(gate::count(&bench).await)
    } else {
        None
    };
    let (instructions, failure) = match counted.transpose() {
        Ok(instructions) => (instructions, None),
        Err(failure) => (None, Some(failure)),
    };
    report.instructions = instructions;
    report.print();
    report.write()?;
    failure.map_or(Ok(()), Err)
}

/// Starts tidegate several times; the last one also shows what it takes when idle.
async fn cold_starts(bench: &Bench, sample: &Sample, report: &mut Report) -> Result<(), Failure> {
    let (mut listening, mut answering) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        let server = bench
            .start(Answers::Tidegate, sample, &[], PATIENCE)
            .await?;
        listening.push(milliseconds(server.listening));
        answering.push(milliseconds(server.answering));
        if listening.len() == COLD_STARTS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            report.idle_kb = server.process.memory("VmRSS")?;
        }
    }
    report.listening_ms = Spread::of(listening);
    report.answering_ms = Spread::of(answering);
    Ok(())
}

async fn compare_all(
    bench: &Bench,
    samples: &[Sample],
    plan: Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    let first = samples.first().ok_or("no samples")?;
    let echo = bench.start(Answers::Echo, first, &[], PATIENCE).await?;
    let tidegate = bench.start(Answers::Tidegate, first, &[], PATIENCE).await?;
    for sample in samples {
        eprintln!("bench: {} ({} bytes)", sample.name, sample.body.len());
        let comparison = compare(&echo, &tidegate, sample, plan).await?;
        if report.half_load.is_none() {
            let rate = 500_000.0 / comparison.tidegate_us().median;
            report.half_load = Some(half_load(&tidegate, sample, rate).await?);
        }
        report.comparisons.push(comparison);
    }
    echo.process.stop(PATIENCE)?;
    // tidegate keeps serving for its drain delay; dropping it ends it at once.
    drop(tidegate);
    Ok(())
}

/// Alternates between the two servers, so that what slows the machine for a while slows both.
async fn compare(
    echo: &Server,
    tidegate: &Server,
    sample: &Sample,
    plan: Plan,
) -> Result<Comparison, Failure> {
    let mut echo_load = Load::open(&echo.target, sample, CONNECTIONS).await?;
    let mut tidegate_load = Load::open(&tidegate.target, sample, CONNECTIONS).await?;
    let warm_up = Duration::from_secs_f64(plan.seconds / 5.0);
    echo_load.saturate(warm_up).await?;
    tidegate_load.saturate(warm_up).await?;
    let mut comparison = Comparison {
        sample: sample.name,
        bytes: sample.body.len(),
        echo: Vec::new(),
        tidegate: Vec::new(),
    };
    for _ in 0..plan.rounds {
        comparison
            .echo
            .push(round(echo, &mut echo_load, plan).await?);
        comparison
            .tidegate
            .push(round(tidegate, &mut tidegate_load, plan).await?);
    }
    Ok(comparison)
}

async fn round(server: &Server, load: &mut Load, plan: Plan) -> Result<Round, Failure> {
    let before = server.process.cpu()?;
    let latencies = load.saturate(Duration::from_secs_f64(plan.seconds)).await?;
    let nanoseconds = server.process.cpu()?.since(&before);
    Ok(Round {
        cpu: per_request(nanoseconds, &latencies),
        p50: latencies.quantile(500),
        p99: latencies.quantile(990),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds in nanoseconds and counts are below 2^52"
)]
fn per_request(nanoseconds: u64, latencies: &Latencies) -> f64 {
    nanoseconds as f64 / 1_000.0 / latencies.count() as f64
}

/// An open loop at half of what one core can do; the median of three, by p99.
async fn half_load(server: &Server, sample: &Sample, rate: f64) -> Result<HalfLoad, Failure> {
    let mut load = Load::open(&server.target, sample, PACED_CONNECTIONS).await?;
    load.pace(rate, Duration::from_millis(500)).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let latencies = load.pace(rate, Duration::from_secs(3)).await?;
        p50.push(latencies.quantile(500));
        p99.push(latencies.quantile(990));
    }
    Ok(HalfLoad {
        rate,
        p50_us: Spread::of(p50),
        p99_us: Spread::of(p99),
    })
}

/// Many of the largest reviews at once on a fresh server: their ends are held back until all have
/// sent the rest, so that they are really in flight together. What is shed is sent again.
pub(crate) async fn large(bench: &Bench, samples: &[Sample]) -> Result<Large, Failure> {
    let first = samples.first().ok_or("no samples")?;
    let sample = samples
        .iter()
        .max_by_key(|sample| sample.body.len())
        .ok_or("no samples")?;
    let server = bench.start(Answers::Tidegate, first, &[], PATIENCE).await?;
    let mut connections = Vec::new();
    for lane in 0..LARGE {
        connections.push(Connection::open(&server.target, sample, lane).await?);
    }
    let hold = Instant::now() + Duration::from_secs(3);
    let mut tasks = tokio::task::JoinSet::new();
    for mut connection in connections {
        tasks.spawn(async move { connection.send_patiently(hold).await });
    }
    let mut shed = 0;
    while let Some(task) = tasks.join_next().await {
        shed += task??;
    }
    let (peak, after) = (
        server.process.memory("VmHWM")?,
        server.process.memory("VmRSS")?,
    );
    Ok(Large {
        peak_kb: peak,
        after_kb: after,
        shed,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
