//! `docs/guide.md`, run as it stands there.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::repository;
use crate::bed;

/// The longest that the whole guide may take.
const LIMIT: Duration = Duration::from_mins(4);
/// The longest for one command.
const PATIENCE: &str = "90";

/// A command with what the guide says it prints.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    printed: String,
}

impl Step {
    /// Whether the text shows it refused.
    fn is_refused(&self) -> bool {
        // kubectl words what a schema's rule refuses differently.
        self.printed.starts_with("Error from server") || self.printed.contains(" is invalid: ")
    }
}

#[test]
fn the_guide_can_be_followed_to_the_letter() {
    bed::inside_within(LIMIT, |cluster| {
        let text = std::fs::read_to_string(repository().join("docs/guide.md")).unwrap();
        let mut wrong = String::new();
        for step in steps(&text) {
            let start = Instant::now();
            let (succeeded, printed) = run(&step.command, &cluster.kubeconfig(), cluster.folder());
            println!(
                "{:>4} {:.1} s {}",
                step.line,
                start.elapsed().as_secs_f32(),
                step.command
            );
            if succeeded == step.is_refused() || !fits(&step.printed, &printed) {
                let _ = writeln!(
                    wrong,
                    "docs/guide.md:{}: $ {}\n{}prints (succeeds: {succeeded})\n{printed}",
                    step.line, step.command, step.printed
                );
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

/// The commands of all `console` blocks. One goes on behind a line that ends in a backslash, and to
/// the end of its here-document.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_block, mut in_command, mut in_document) = (false, false, false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_block = line == "```console";
            continue;
        }
        if !in_block {
            continue;
        }
        let begun = if in_command {
            None
        } else {
            line.strip_prefix("$ ")
        };
        if let Some(command) = begun {
            steps.push(Step {
                line: number + 1,
                command: command.to_owned(),
                printed: String::new(),
            });
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            let part = if in_command {
                &mut step.command
            } else {
                &mut step.printed
            };
            if in_command {
                part.push('\n');
            }
            part.push_str(line);
            if !in_command {
                part.push('\n');
            }
        }
        in_document = (in_document && line != "EOF") || (begun.is_some() && line.contains("<<EOF"));
        in_command = in_document || (line.ends_with('\\') && (begun.is_some() || in_command));
    }
    steps
}

/// Runs a command as in a terminal; both its outputs, as one.
fn run(command: &str, kubeconfig: &Path, folder: &Path) -> (bool, String) {
    let programs = bed::tool("kubectl");
    let tidegate = Path::new(env!("CARGO_BIN_EXE_tidegate"));
    let path = format!(
        "{}:{}:{}",
        programs.parent().unwrap().display(),
        tidegate.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("timeout")
        .args([PATIENCE, "sh", "-c"])
        .arg(format!("exec 2>&1\n{command}"))
        .current_dir(repository())
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// Whether `text` is what `pattern` shows, where `…` stands for anything within a line, and for any
/// lines when it is alone on one. Space that only aligns columns counts as one.
fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<&str> = pattern.lines().collect();
    let text: Vec<&str> = text.lines().collect();
    lines_fit(&pattern, &text)
}

fn lines_fit(pattern: &[&str], text: &[&str]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((&"…", rest)), _) => (0..=text.len()).any(|skip| lines_fit(rest, &text[skip..])),
        (Some(_), None) => false,
        (Some((first, rest)), Some((line, others))) => {
            line_fits(&words(first), &words(line)) && lines_fit(rest, others)
        }
    }
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line_fits(pattern: &str, line: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|&skip| rest.is_char_boundary(skip))
                .any(|skip| line_fits(after, &rest[skip..]))
        }),
    }
}

#[test]
fn an_ellipsis_of_the_guide_stands_for_what_differs_and_for_nothing_else() {
    assert!(fits("a …\nb\n", "a 1 2\nb\n"));
    assert!(fits("…\nb\n…\n", "x\ny\nb\n"));
    assert!(fits("…\n", ""));
    assert!(fits("NAME  AGE\nweb   …\n", "NAME   AGE\nweb    11s\n"));
    assert!(!fits("a …\n", "b 1\n"));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("a\nb\n", "a\n"));
    assert!(!fits("…\nb\n", "x\nb c\n"));
}

#[test]
fn the_guides_commands_end_where_their_output_begins() {
    let text = "```console\n$ one \\\n    more\nout\n$ two <<EOF\n$ not a command\nEOF\nout\n```\n$ text\n";
    let steps: Vec<_> = steps(text)
        .into_iter()
        .map(|step| (step.line, step.command, step.printed))
        .collect();
    assert_eq!(
        steps,
        [
            (2, "one \\\n    more".to_owned(), "out\n".to_owned()),
            (
                5,
                "two <<EOF\n$ not a command\nEOF".to_owned(),
                "out\n".to_owned()
            ),
        ]
    );
}
