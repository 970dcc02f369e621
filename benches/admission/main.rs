//! The benchmarks of the admission server: `make bench` and `make bench-gate`.
//!
//! Figures are ratios to an echo server on the same stack in the same run, since a second of this
//! machine is not a second of another. What may fail a build is counted in instructions instead.

mod answer;
mod callgrind;
mod container;
mod echo;
mod engine;
mod gate;
mod json;
mod load;
mod pod;
mod process;
mod report;
mod run;
mod samples;
mod servers;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Why a run ended early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(
    name = "admission",
    about = "Benchmarks of the tidegate admission server"
)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
    /// The tidegate binary to measure.
    #[arg(long, global = true, default_value = env!("CARGO_BIN_EXE_tidegate"))]
    tidegate: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Mode {
    /// Measures everything, prints the table and writes target/bench/report.json.
    Run {
        /// Rounds of echo and tidegate in turn, for each sample.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Seconds a round of one server takes.
        #[arg(long, default_value_t = 1.5)]
        seconds: f64,
        /// Leaves out the instruction counts (for a machine without valgrind; the report says so).
        #[arg(long)]
        no_instructions: bool,
    },
    /// Counts instructions per request and fails when they grew.
    Gate {
        /// Takes the counts as the accepted ones.
        #[arg(long)]
        accept: bool,
    },
    /// Measures memory with 64 reviews of 2.6 MB at once, and nothing else.
    Large,
    /// Writes the sample bodies to target/bench/samples.
    Samples,
    /// Serves a constant answer on the stack of `tidegate serve`.
    Echo {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        self_signed: PathBuf,
    },
    /// Answers a sample N times in process.
    Engine { sample: String, count: u64 },
    /// Times evaluation alone.
    Evaluation,
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    match arguments.mode {
        Mode::Echo {
            listen,
            self_signed,
        } => return echo::serve(listen, &self_signed),
        Mode::Engine { sample, count } => return engine::answer(&sample, count),
        Mode::Evaluation => {
            table::print_evaluation(&engine::evaluation()?);
            table::print_crowded(&engine::crowded()?);
            return Ok(());
        }
        Mode::Large | Mode::Samples | Mode::Run { .. } | Mode::Gate { .. } => {}
    }
    if !std::path::Path::new("benches/policy.yaml").exists() {
        return Err("run this from the root of the repository".into());
    }
    std::fs::create_dir_all(servers::OUT)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments.mode {
        Mode::Run {
            rounds,
            seconds,
            no_instructions,
        } => {
            let plan = run::Plan {
                rounds,
                seconds,
                instructions: !no_instructions,
            };
            runtime.block_on(run::everything(bench(arguments.tidegate)?, plan))
        }
        Mode::Gate { accept } => runtime.block_on(async {
            let now = gate::count(&bench(arguments.tidegate)?).await?;
            if accept {
                gate::accept(&now)
            } else {
                gate::check(&now)
            }
        }),
        Mode::Large => runtime.block_on(async {
            let samples = samples::all()?;
            println!(
                "{:?}",
                run::large(&bench(arguments.tidegate)?, &samples).await?
            );
            Ok(())
        }),
        _ => samples::write(),
    }
}

fn bench(tidegate: PathBuf) -> Result<servers::Bench, Failure> {
    Ok(servers::Bench {
        tidegate,
        cores: process::Cores::take()?,
    })
}
