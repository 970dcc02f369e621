//! The `tidegate` binary: parses the command line, runs the subcommand, ends with its exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use tidegate::cli::{Cli, Command};
use tidegate::commands;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_panic));
    let cli = Cli::parse();
    if let Command::Serve(_) = cli.command {
        // A provider that is already there is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    ExitCode::from(commands::run(&cli))
}

/// Says where a panic came from and nothing of its message, which may hold a value of the input.
fn report_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let mut stderr = std::io::stderr().lock();
    let _ = match panic.location() {
        Some(place) => writeln!(
            stderr,
            "tidegate: internal error at {}:{}; please report it",
            place.file(),
            place.line()
        ),
        None => writeln!(stderr, "tidegate: internal error; please report it"),
    };
}
