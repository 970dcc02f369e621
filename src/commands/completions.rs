//! `tidegate completions`: a script that completes the command line.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};

use super::{OK, output};

/// Prints the script.
///
/// # Errors
/// When it cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<u8, String> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegate", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(OK)
}
