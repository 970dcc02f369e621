//! The subcommands: they read, ask the engine, and write. One file each.

pub mod check;
mod cluster;
pub mod completions;
pub mod controls;
pub mod doctor;
pub mod exception;
pub mod input;
pub mod manifest;
pub mod output;
pub mod policies;
pub mod policy;
pub mod preview;
pub mod review;
pub mod serve;
mod table;

use std::collections::BTreeSet;
use std::io::Read;

use crate::cli::{Cli, Command, ExceptionCommand, PolicyArgs, PolicyCommand};
use crate::control::Mode;

use self::policies::{Loaded, load};

/// Exit code: nothing at or above `--fail-on`, or simply done.
pub const OK: u8 = 0;
/// Exit code: findings.
pub const FINDINGS: u8 = 1;
/// Exit code: the call, the input or a policy could not be read.
pub const UNREADABLE: u8 = 2;

/// Runs a subcommand and returns the exit code. What goes wrong is said on standard error.
pub fn run(cli: &Cli) -> u8 {
    let result = match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Review(args) => review::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Controls(args) => controls::run(args),
        Command::Policy(PolicyCommand::Lint(args)) => policy::lint::run(args),
        Command::Policy(PolicyCommand::Show(args)) => policy::show::run(args),
        Command::Exception(ExceptionCommand::List(args)) => exception::list::run(args),
        Command::Exception(ExceptionCommand::Approve(args)) => exception::approve::run(args),
        Command::Exception(ExceptionCommand::Revoke(args)) => exception::revoke::run(args),
        Command::Completions(args) => completions::run(args),
    };
    result.unwrap_or_else(|error| {
        output::say(&format!("error: {error}"));
        UNREADABLE
    })
}

/// The policies of the options; when there is anything wrong with them all of it is said.
fn policies_of(args: &PolicyArgs, cap: Mode, stdin: &mut dyn Read) -> Option<Loaded> {
    match load(&args.policy, &args.preset, cap, stdin) {
        Ok(loaded) => Some(loaded),
        Err(errors) => {
            for error in errors {
                output::say(&format!("error: {error}"));
            }
            None
        }
    }
}

/// Says which namespaces are taken as having no labels.
fn say_undeclared(namespaces: &BTreeSet<String>) {
    const SHOWN: usize = 20;
    for namespace in namespaces.iter().take(SHOWN) {
        output::say(&format!(
            "note: namespace {namespace:?} is in no file; taken as one without labels"
        ));
    }
    if namespaces.len() > SHOWN {
        output::say(&format!(
            "note: so are {} more namespaces",
            namespaces.len() - SHOWN
        ));
    }
}
