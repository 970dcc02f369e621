//! What must hold whatever the input is. The fuzz targets search for counterexamples; the test
//! suite runs the same functions over mutations of `tests/corpus`.
//!
//! Every function panics when its property does not hold.

use std::sync::LazyLock;

use serde::de::IgnoredAny;
use serde_json::Value;
use tidegate::control::{Check, Mode};
use tidegate::document::{self, MAX_NODES, Node, defaults};
use tidegate::evaluate::{Verdict, evaluate, needs};
use tidegate::facts::{ExistingPods, Fact, Facts, Labels};
use tidegate::policy::parse::control_policy;
use tidegate::policy::{Policies, Policy, preset};
use tidegate::report::answer::answer;
use tidegate::review::Request;
use tidegate::subject::Input;

/// The most bytes of an answer beside the uid, which is the API server's.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The most bytes of a denial's message.
const MESSAGE_LIMIT: usize = 4_096;
/// The most bytes of one warning, and of all together.
const WARNING_LIMITS: (usize, usize) = (256, 2_000);

/// Two presets at once: what one only warns about the other denies.
static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    ["recommended", "restricted"]
        .iter()
        .map(|name| {
            let text = preset::text(name).expect("a preset");
            let mut documents = document::parse(text).into_iter();
            let document = documents
                .next()
                .expect("a document")
                .expect("readable YAML");
            control_policy(&document.node).expect("a policy")
        })
        .collect()
});

/// The facts a request may meet, from all known to none.
static FACTS: LazyLock<[Facts; 4]> = LazyLock::new(|| {
    let restricted = [
        ("pod-security.kubernetes.io/enforce", "restricted"),
        ("pod-security.kubernetes.io/enforce-version", "v1.24"),
        ("pod-security.kubernetes.io/warn", "no-such-level"),
    ];
    let pod = r#"{"metadata":{"name":"old"},"spec":{"hostPID":true,"containers":[{"name":"a"}]}}"#;
    [
        Facts {
            now: None,
            namespace: Fact::Known(Labels::from_iter(restricted)),
            existing_pods: Fact::Known(ExistingPods {
                pods: vec![pod.into(), "{".into()],
                total: 3,
            }),
        },
        Facts {
            namespace: Fact::Known(Labels::default()),
            ..Facts::default()
        },
        Facts {
            now: None,
            namespace: Fact::Unavailable("no route\u{1b}[31m to host".into()),
            existing_pods: Fact::Unavailable("timed out".into()),
        },
        Facts::default(),
    ]
});

/// Any bytes as the body of a request: what can be answered is answered with its uid and within
/// every limit, and no rule fails.
pub fn review(body: &[u8]) {
    let Ok(request) = Request::decode(body) else {
        return;
    };
    for cap in [Mode::Enforce, Mode::Audit] {
        let policies = Policies::new(POLICIES.clone(), cap);
        let input = Input::new(request.clone());
        let _ = needs(&policies, &input);
        for facts in FACTS.iter() {
            let verdict = evaluate(&policies, &input, facts);
            check_answer(&input, &verdict, cap);
        }
    }
}

fn check_answer(input: &Input<'_>, verdict: &Verdict, cap: Mode) {
    for finding in &verdict.findings {
        assert_ne!(
            finding.violation.check.id,
            Check::FAILED.id,
            "a control panicked"
        );
        assert!(finding.mode <= cap && finding.mode != Mode::Off);
    }
    let response = answer(input, verdict);
    let encoded = response.encode();
    let read: Value = serde_json::from_slice(&encoded).expect("the answer is JSON");
    let uid = &*input.request.uid;
    assert_eq!(read["response"]["uid"], uid);
    assert_eq!(read["response"]["allowed"], response.allowed);
    let size = encoded.len() - serde_json::to_string(uid).expect("a string").len();
    assert!(size < ANSWER_LIMIT, "an answer of {size} bytes");

    for warning in &response.warnings {
        assert!(
            warning.len() <= WARNING_LIMITS.0,
            "a warning of {} bytes",
            warning.len()
        );
        assert!(!warning.chars().any(char::is_control), "{warning:?}");
    }
    let warned: usize = response.warnings.iter().map(String::len).sum();
    assert!(warned <= WARNING_LIMITS.1, "warnings of {warned} bytes");
    for (key, text) in &response.audit_annotations.0 {
        assert!(!key.contains('/'), "{key}");
        if *key == "findings" {
            let findings: Vec<Value> =
                serde_json::from_str(text).expect("the findings are a JSON list");
            assert!(!findings.is_empty() && findings.len() <= verdict.findings.len());
        }
    }
    match &response.status {
        Some(status) => {
            assert!(
                !response.allowed && matches!(status.code, 403 | 422),
                "{status:?}"
            );
            assert!(
                status.message.len() <= MESSAGE_LIMIT,
                "a message of {} bytes",
                status.message.len()
            );
            assert!(!status.details.causes.is_empty());
            let text = status.message.chars();
            assert!(
                !text
                    .filter(|&character| character != '\n')
                    .any(char::is_control),
                "{}",
                status.message
            );
        }
        None => assert!(response.allowed),
    }
    if cap == Mode::Audit {
        assert!(
            response.allowed && response.warnings.is_empty(),
            "an audit-only answer changes the outcome"
        );
    }
}

/// Any bytes as JSON: tidegate's reader takes what `serde_json` takes and reads the same from it.
pub fn json(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        super::agreement::agree(text);
    }
}

/// Any bytes as a file: reading ends, what was read is within its limit and is JSON.
pub fn document(bytes: &[u8]) {
    let mut nodes = 0;
    for mut node in nodes_of(bytes) {
        nodes += count(&node);
        check_json(&node);
        defaults::apply(&mut node);
        check_json(&node);
    }
    assert!(nodes <= MAX_NODES, "{nodes} values");
}

fn nodes_of(bytes: &[u8]) -> Vec<Node> {
    let Ok(text) = document::decode(bytes.to_vec()) else {
        return Vec::new();
    };
    let documents = document::parse(&text).into_iter();
    documents.flatten().map(|document| document.node).collect()
}

fn count(node: &Node) -> usize {
    let below: usize = match &node.value {
        document::Value::List(elements) => elements.iter().map(count).sum(),
        document::Value::Map(entries) => entries.iter().map(|(_, node)| count(node)).sum(),
        _ => 0,
    };
    below + 1
}

fn check_json(node: &Node) {
    let text = node.to_json();
    serde_json::from_str::<IgnoredAny>(&text).expect("a document as JSON is JSON");
}

/// Any bytes as a file of policies: each is taken or refused in words, and what is taken decides.
pub fn policy(bytes: &[u8]) {
    static POD: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u",
        "kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},
        "namespace":"shop","name":"web","operation":"CREATE","object":{"spec":{"hostPID":true,"containers":[{}]}}}}"#;
    for node in nodes_of(bytes) {
        match control_policy(&node) {
            Ok(policy) => {
                let policies = Policies::new(vec![policy], Mode::Enforce);
                let input = Input::new(Request::decode(POD).expect("a review"));
                let _ = needs(&policies, &input);
                for facts in FACTS.iter() {
                    check_answer(&input, &evaluate(&policies, &input, facts), Mode::Enforce);
                }
            }
            Err(problems) => assert!(!problems.0.is_empty(), "refused without a word"),
        }
    }
}
