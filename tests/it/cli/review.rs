//! `tidegate review`.

use insta::assert_snapshot;

use super::{exit_code, run, run_with, session, stderr, stdout, transcript};

const LINES: &str = "reviews/lines.jsonl";

#[test]
fn reviews_are_answered_one_a_line_in_order() {
    assert_snapshot!(session(&["review", LINES, "--cluster", "cluster.yaml"]));
}

#[test]
fn a_file_and_standard_input_give_the_same_answers() {
    let text = std::fs::read(super::fixtures().join(LINES)).unwrap();
    let from_file = run(&["review", LINES]);
    assert_eq!(from_file.stdout, run_with(&["review", "-"], &text).stdout);
    assert_eq!(exit_code(&from_file), 0);
}

#[test]
fn reviews_may_be_printed_over_several_lines() {
    let output = run(&["review", "reviews/pretty.json"]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let lines = run(&["review", LINES]);
    let first: Vec<&str> = stdout(&lines).lines().take(3).collect();
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), first);
}

#[test]
fn a_body_that_is_no_review_hides_none_of_the_others() {
    assert_snapshot!(session(&[
        "review",
        "reviews/broken.jsonl",
        "--cluster",
        "cluster.yaml"
    ]));
}

#[test]
fn reviews_can_be_read_as_text() {
    assert_snapshot!(session(&[
        "review",
        "-o",
        "text",
        "reviews/broken.jsonl",
        "--cluster",
        "cluster.yaml"
    ]));
}

#[test]
fn a_missing_file_is_said() {
    assert_snapshot!(session(&["review", "reviews/none.jsonl"]));
}

#[test]
fn no_review_at_all_is_said() {
    let output = run_with(&["review", "-"], b"\n");
    assert_snapshot!(transcript(&["review", "-"], &output));
}
