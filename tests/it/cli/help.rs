//! What `--help` says, and completions.

use insta::assert_snapshot;

use super::{exit_code, run, session, stderr, stdout};

const COMMANDS: [&[&str]; 15] = [
    &[],
    &["serve"],
    &["check"],
    &["review"],
    &["preview"],
    &["doctor"],
    &["controls"],
    &["policy"],
    &["policy", "lint"],
    &["policy", "show"],
    &["exception"],
    &["exception", "list"],
    &["exception", "approve"],
    &["exception", "revoke"],
    &["completions"],
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let words = [command, &["--help"]].concat();
        let text = session(&words);
        assert!(text.contains("Example"), "{text}");
        assert!(text.contains("exit code: 0"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
        assert_snapshot!(
            format!(
                "help_{}",
                if command.is_empty() {
                    "tidegate".into()
                } else {
                    command.join("_")
                }
            ),
            text
        );
    }
}

#[test]
fn every_flag_of_serve_is_an_environment_variable() {
    // A value that cannot be read shows that the variable is.
    for name in [
        "LISTEN",
        "OPS_LISTEN",
        "CLIENT_AUTH",
        "LOG_FORMAT",
        "DRAIN_DELAY",
        "DRAIN_TIMEOUT",
        "MAX_BODY",
        "MAX_INFLIGHT_BYTES",
        "MAX_CONNECTIONS",
        "STANDALONE",
        "AUDIT_ONLY",
    ] {
        let variable = format!("TIDEGATE_{name}");
        let output = super::command(&["serve", "--tls-dir", "none"])
            .env(&variable, "wrong")
            .output()
            .unwrap();
        assert_eq!(exit_code(&output), 2, "{variable}");
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(
            stderr(&output).contains(&flag),
            "{variable}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_wrong_size_or_time_says_what_is_expected() {
    assert_snapshot!(session(&[
        "serve",
        "--tls-dir",
        "tls",
        "--max-body",
        "7 megs"
    ]));
    assert_snapshot!(session(&[
        "serve",
        "--tls-dir",
        "tls",
        "--drain-delay",
        "10"
    ]));
    assert_snapshot!(session(&["serve"]));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(exit_code(&output), 0, "{shell}");
        assert!(stdout(&output).contains("fail-on"), "{shell}");
    }
}
