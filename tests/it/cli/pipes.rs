//! How the command behaves between others.

use std::process::Stdio;

use super::{command, exit_code, stderr};

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for words in [
        &["check", "-o", "json", "manifests"][..],
        &["review", "reviews/lines.jsonl"],
        &["controls", "-o", "markdown"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(words).stdout(Stdio::from(writer)).output().unwrap();
        let expected = i32::from(words[0] == "check");
        assert_eq!(exit_code(&output), expected, "{words:?}");
        assert!(
            !stderr(&output).contains("error"),
            "{words:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn colours_are_for_terminals() {
    for words in [
        &["check", "manifests"][..],
        &["controls", "pod-security"],
        &["check", "--help"],
    ] {
        let output = command(words).output().unwrap();
        assert!(!output.stdout.contains(&0x1b), "{words:?}");
        assert!(!output.stderr.contains(&0x1b), "{words:?}");
    }
}
