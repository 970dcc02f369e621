//! Exceptions in files: what `check` makes of them, and `tidegate exception list`.

use insta::assert_snapshot;
use serde_json::Value;

use super::{exit_code, fixtures, json, run, session, stderr, stdout};

/// When everything here is judged, where a test says nothing else.
const NOW: &str = "2026-12-01T00:00:00Z";

/// An approval that counts.
const APPROVED: &str =
    "status: {approval: {approvedBy: alice, approvedAt: 2026-11-21T10:00:00Z, generation: 1}}";

/// A policy that enforces baseline, with these rules for exceptions.
fn policy(rules: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {{name: base}}
spec:
  mode: enforce
  controls: {{pod-security: {{settings: {{default: {{enforce: baseline}}}}}}}}
  exceptions: {{{rules}}}
"
    )
}

/// What a test changes about an exception that is approved and lowers everything it can.
#[derive(Clone, Copy)]
struct Wanted<'w> {
    namespace: &'w str,
    generation: &'w str,
    controls: &'w str,
    matched: &'w str,
    expires: &'w str,
    status: &'w str,
    rules: &'w str,
    now: &'w str,
}

const WANTED: Wanted<'static> = Wanted {
    namespace: "shop",
    generation: "1",
    controls: "[pod-security]",
    matched: "{kinds: [Pod], names: [node-agent-*]}",
    expires: "2027-01-31T00:00:00Z",
    status: APPROVED,
    rules: "",
    now: NOW,
};

impl Wanted<'_> {
    fn yaml(&self) -> String {
        format!(
            "{policy}---
apiVersion: tidegate.dev/v1alpha1
kind: ControlException
metadata: {{name: legacy-agent, namespace: {namespace}, generation: {generation}}}
spec:
  controls: {controls}
  match: {matched}
  reason: Needs the host's network until the collector is replaced.
  owner: team-observability
  requestedBy: bob
  expires: {expires}
{status}
",
            policy = policy(self.rules),
            namespace = self.namespace,
            generation = self.generation,
            controls = self.controls,
            matched = self.matched,
            expires = self.expires,
            status = self.status,
        )
    }

    fn file(&self) -> tempfile::NamedTempFile {
        use std::io::Write as _;
        let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        file.write_all(self.yaml().as_bytes()).unwrap();
        file
    }

    /// The report of `check` on the objects of the fixtures.
    fn check(&self) -> Value {
        let file = self.file();
        let path = file.path().to_str().unwrap();
        let words = [
            "check",
            "exceptions/objects.yaml",
            "--policy",
            path,
            "--now",
            self.now,
            "-o",
            "json",
        ];
        let output = run(&words);
        assert_ne!(exit_code(&output), 2, "{}", stderr(&output));
        json(&output)
    }

    /// What of the objects was excepted: kind, namespace/name and check of each such finding.
    fn excepted(&self) -> Vec<String> {
        let report = self.check();
        let subjects = report["subjects"].as_array().unwrap();
        let mut excepted = Vec::new();
        for subject in subjects {
            let text = |key: &str| subject[key].as_str().unwrap_or_default();
            let findings = subject["findings"].as_array().unwrap();
            for finding in findings {
                if finding.get("exception").is_none() {
                    assert_eq!(finding["mode"], "enforce", "{finding}");
                    continue;
                }
                let id = format!("{}/legacy-agent", self.namespace);
                assert_eq!(finding["exception"], id.as_str());
                assert_eq!(finding["mode"], "audit", "{finding}");
                excepted.push(format!(
                    "{} {}/{} {}",
                    text("kind"),
                    text("namespace"),
                    text("name"),
                    finding["check"].as_str().unwrap()
                ));
            }
        }
        excepted
    }

    /// The state that `exception list` shows.
    fn state(&self) -> String {
        let file = self.file();
        let path = file.path().to_str().unwrap();
        let words = [
            "exception",
            "list",
            "--policy",
            path,
            "--now",
            self.now,
            "-o",
            "json",
        ];
        let output = run(&words);
        assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
        let report = json(&output);
        report["exceptions"][0]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// Both findings of one pod.
const BOTH: [&str; 2] = [
    "Pod shop/node-agent-1 hostNamespaces",
    "Pod shop/node-agent-1 privileged",
];

#[test]
fn an_approved_exception_lowers_what_it_names_for_whom_it_names() {
    assert_eq!(WANTED.excepted(), BOTH);
    assert_eq!(WANTED.state(), "Active");
    let report = WANTED.check();
    let allowed = |index: usize| report["subjects"][index]["allowed"].as_bool().unwrap();
    // The namespaces, the excepted pod, its neighbour, its namesake elsewhere, its DaemonSet.
    let answers: Vec<bool> = (0..6).map(allowed).collect();
    assert_eq!(answers, [true, true, true, false, false, true]);
}

#[test]
fn one_check_can_be_lowered_alone() {
    let one = Wanted {
        controls: "[pod-security/hostNamespaces]",
        ..WANTED
    };
    assert_eq!(one.excepted(), BOTH[..1]);
}

#[test]
fn nothing_is_lowered_before_the_approval() {
    let asked = Wanted {
        status: "",
        ..WANTED
    };
    assert_eq!(asked.excepted(), [""; 0]);
    assert_eq!(asked.state(), "NotApproved");
}

#[test]
fn it_ends_in_the_second_in_which_it_expires() {
    let last = Wanted {
        now: "2027-01-30T23:59:59Z",
        ..WANTED
    };
    assert_eq!(last.excepted(), BOTH);
    assert_eq!(last.state(), "Active");
    let over = Wanted {
        now: WANTED.expires,
        ..WANTED
    };
    assert_eq!(over.excepted(), [""; 0]);
    assert_eq!(over.state(), "Expired");
}

#[test]
fn nobody_approves_what_they_asked_for() {
    let own = Wanted {
        status: "status: {approval: {approvedBy: bob, approvedAt: 2026-11-21T10:00:00Z, generation: 1}}",
        ..WANTED
    };
    assert_eq!(own.excepted(), [""; 0]);
    assert_eq!(own.state(), "SelfApproved");
}

#[test]
fn a_change_of_the_spec_takes_the_approval_away() {
    let changed = Wanted {
        generation: "2",
        ..WANTED
    };
    assert_eq!(changed.excepted(), [""; 0]);
    assert_eq!(changed.state(), "ChangedSinceApproval");
}

#[test]
fn it_lasts_no_longer_than_the_policy_allows() {
    // 71 days lie between the approval and the end.
    for (rules, excepted, state) in [
        ("maxDays: 71", &BOTH[..], "Active"),
        ("maxDays: 70", &[], "LastsTooLong"),
        ("", &BOTH, "Active"),
    ] {
        let wanted = Wanted { rules, ..WANTED };
        assert_eq!(wanted.excepted(), excepted, "{rules}");
        assert_eq!(wanted.state(), state, "{rules}");
    }
    let beyond_the_default = Wanted {
        expires: "2027-02-20T00:00:00Z",
        ..WANTED
    };
    assert_eq!(beyond_the_default.excepted(), [""; 0]);
    assert_eq!(beyond_the_default.state(), "LastsTooLong");
}

#[test]
fn what_a_policy_never_lets_be_excepted_is_not() {
    let one = Wanted {
        rules: "never: [pod-security/privileged]",
        ..WANTED
    };
    assert_eq!(one.excepted(), BOTH[..1]);
    let all = Wanted {
        rules: "never: [pod-security]",
        ..WANTED
    };
    assert_eq!(all.excepted(), [""; 0]);
}

#[test]
fn a_star_stands_for_every_control_only_where_the_policy_allows_it() {
    let star = Wanted {
        controls: "[\"*\"]",
        ..WANTED
    };
    assert_eq!(star.excepted(), [""; 0]);
    let allowed = Wanted {
        rules: "allControls: true",
        ..star
    };
    assert_eq!(allowed.excepted(), BOTH);
    let but_never = Wanted {
        rules: "allControls: true, never: [pod-security/hostNamespaces]",
        ..star
    };
    assert_eq!(but_never.excepted(), BOTH[1..]);
}

#[test]
fn it_is_for_its_own_namespace_alone() {
    let elsewhere = Wanted {
        namespace: "other",
        ..WANTED
    };
    let expected = [
        "Pod other/node-agent-1 hostNamespaces",
        "Pod other/node-agent-1 privileged",
    ];
    assert_eq!(elsewhere.excepted(), expected);
}

#[test]
fn kinds_names_and_labels_choose_the_objects() {
    for (matched, objects) in [
        (
            "{kinds: [Pod]}",
            &["Pod shop/node-agent-1", "Pod shop/web"][..],
        ),
        ("{kinds: [DaemonSet]}", &["DaemonSet shop/node-agent"]),
        (
            "{names: [\"node-agent*\"]}",
            &["Pod shop/node-agent-1", "DaemonSet shop/node-agent"],
        ),
        ("{names: [web]}", &["Pod shop/web"]),
        ("{names: [agent]}", &[]),
        (
            "{kinds: [Pod], selector: {matchLabels: {app: agent}}}",
            &["Pod shop/node-agent-1"],
        ),
        (
            "{selector: {matchExpressions: [{key: app, operator: NotIn, values: [agent]}]}}",
            &["Pod shop/web"],
        ),
        ("{kinds: [Deployment], names: [\"*\"]}", &[]),
    ] {
        let wanted = Wanted { matched, ..WANTED };
        let excepted = wanted.excepted();
        let checks = ["hostNamespaces", "privileged"];
        let expected = objects
            .iter()
            .flat_map(|object| checks.map(|check| format!("{object} {check}")));
        assert_eq!(excepted, expected.collect::<Vec<_>>(), "{matched}");
    }
}

#[test]
fn an_exception_for_a_whole_namespace_is_refused() {
    let file = Wanted {
        matched: "{}",
        ..WANTED
    }
    .file();
    let path = file.path().to_str().unwrap();
    for words in [
        &["check", "exceptions/objects.yaml", "--policy", path][..],
        &["exception", "list", "--policy", path],
    ] {
        let output = run(words);
        assert_eq!(exit_code(&output), 2, "{words:?}");
        assert!(
            stderr(&output).contains("an exception is not for a whole namespace"),
            "{}",
            stderr(&output)
        );
    }
}

/// `check` on the objects, under exceptions of the folder of fixtures.
fn check(output: &str) -> std::process::Output {
    run(&[
        "check",
        "exceptions/objects.yaml",
        "--policy",
        "exceptions/policies",
        "--now",
        NOW,
        "-o",
        output,
    ])
}

#[test]
fn people_read_by_which_exception_a_finding_is_lowered() {
    let output = check("text");
    assert_eq!(exit_code(&output), 1, "the others are denied as before");
    assert_snapshot!(stdout(&output));
}

#[test]
fn sarif_shows_an_excepted_finding_as_dismissed() {
    let log = json(&check("sarif"));
    let results = log["runs"][0]["results"].as_array().unwrap();
    let suppressed: Vec<&Value> = results
        .iter()
        .filter(|result| result.get("suppressions").is_some())
        .collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["ruleId"], "pod-security/hostNamespaces");
    assert_eq!(suppressed[0]["level"], "note");
    assert_eq!(
        suppressed[0]["suppressions"],
        serde_json::json!([{
            "kind": "external",
            "justification": "excepted by ControlException shop/legacy-agent"
        }])
    );
    assert!(results.len() > suppressed.len(), "the others are not");
}

#[test]
fn junit_skips_an_excepted_finding_as_one_of_mode_audit() {
    let output = check("junit");
    let document = roxmltree::Document::parse(stdout(&output)).unwrap();
    let case = document
        .descendants()
        .find(|node| {
            node.attribute("name") == Some("Pod shop/node-agent-1 pod-security/hostNamespaces")
        })
        .unwrap();
    let skipped = case.children().find(|node| node.has_tag_name("skipped"));
    let message = skipped.unwrap().attribute("message").unwrap();
    assert!(message.starts_with("audit: "), "{message}");
    let failures = document.descendants();
    let failures = failures.filter(|node| node.has_tag_name("failure"));
    assert!(failures.count() > 0);
}

#[test]
fn exceptions_alone_make_a_check_pass() {
    let both = WANTED.file();
    let words = [
        "check",
        "-",
        "--policy",
        both.path().to_str().unwrap(),
        "--now",
        NOW,
    ];
    let objects = std::fs::read_to_string(fixtures().join("exceptions/objects.yaml")).unwrap();
    let pod = objects.split("---\n").nth(2).unwrap();
    let output = super::run_with(&words, pod.as_bytes());
    assert_eq!(exit_code(&output), 0, "{}", stdout(&output));
    let strict = super::run_with(
        &[&words[..], &["--fail-on", "audit"]].concat(),
        pod.as_bytes(),
    );
    assert_eq!(exit_code(&strict), 1, "the findings are still there");
}

#[test]
fn exceptions_of_files_are_listed_with_their_states() {
    let words = |namespace: &[&'static str]| {
        let list = [
            "exception",
            "list",
            "--policy",
            "exceptions/policies",
            "--now",
            NOW,
        ];
        [&list[..], namespace].concat()
    };
    let text = session(&words(&[]));
    assert!(
        text.chars()
            .all(|character| character == '\n' || !character.is_control()),
        "{text:?}"
    );
    assert_snapshot!(text);
    assert_snapshot!(session(&words(&["--namespace", "shop", "-o", "json"])));
}

#[test]
fn what_cannot_be_read_hides_no_exception() {
    let output = run(&[
        "exception",
        "list",
        "--policy",
        "exceptions/policies",
        "--policy",
        "bad-policies",
        "--policy",
        "exceptions/policies/2-exceptions.yaml",
        "--now",
        NOW,
    ]);
    assert_eq!(exit_code(&output), 2);
    assert!(stdout(&output).contains("legacy-agent"));
    let errors = stderr(&output);
    assert!(errors.contains("bad-policies/1-names.yaml"), "{errors}");
    assert!(
        errors.contains("the name \"shop/legacy-agent\" is taken by the exception in"),
        "{errors}"
    );
}

#[test]
fn a_cluster_that_cannot_be_reached_is_said_with_what_to_do() {
    for words in [
        &["exception", "list"][..],
        &["exception", "approve", "shop/legacy-agent", "--yes"],
        &["exception", "revoke", "shop/legacy-agent"],
        &["preview"],
    ] {
        let output = run(&[words, &["--kubeconfig", "/nonexistent/config"]].concat());
        assert_eq!(exit_code(&output), 2, "{words:?}");
        let errors = stderr(&output);
        assert!(
            errors.contains("/nonexistent/config") && errors.contains("--context"),
            "{errors}"
        );
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn without_a_terminal_nothing_is_approved_unasked() {
    let output = run(&["exception", "approve", "shop/legacy-agent"]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
}
