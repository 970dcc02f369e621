//! The command line, run as users run it: the real binary on files.

mod catalogue;
mod check;
mod exceptions;
mod formats;
mod help;
mod pipes;
mod policy;
mod preview;
mod review;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The folder the command runs in, so that paths in outputs are the same everywhere.
fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/fixtures")
}

/// The command with these words, in the fixtures' folder and with nothing in its environment.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(words)
        .current_dir(fixtures())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the command.
fn run(words: &[&str]) -> Output {
    command(words).output().expect("the command runs")
}

/// Runs the command with `input` on standard input.
fn run_with(words: &[&str], input: &[u8]) -> Output {
    let mut child = command(words)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    std::thread::scope(|scope| {
        // The command may end before it has read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the command ends")
    })
}

/// What a run of the command shows: the call, the exit code and both outputs.
fn session(words: &[&str]) -> String {
    transcript(words, &run(words))
}

fn transcript(words: &[&str], output: &Output) -> String {
    let mut text = format!("$ tidegate {}\n", words.join(" "));
    let _ = writeln!(text, "exit code: {}", exit_code(output));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let _ = writeln!(text, "--- {name}\n{}", String::from_utf8_lossy(bytes));
    }
    text
}

fn exit_code(output: &Output) -> i32 {
    output.status.code().expect("the command ends by itself")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("the output is UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("the output is UTF-8")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}
