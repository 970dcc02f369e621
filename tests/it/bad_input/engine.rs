//! The pure half at its limits: what is too much or goes wrong is a finding, and stays small.

use std::sync::Arc;

use serde_json::{Value, json};

use tidegate::control::{Area, Check, Control, Finding, Mode, Report, Rule, Violation};
use tidegate::controls;
use tidegate::document;
use tidegate::evaluate::{Verdict, evaluate, needs};
use tidegate::facts::{Fact, Facts, Labels, Needs};
use tidegate::policy::parse::control_policy;
use tidegate::policy::selection::{Pattern, Selection};
use tidegate::policy::{Configured, Policies, Policy, Setup, preset};
use tidegate::report::answer::answer;
use tidegate::review::Request;
use tidegate::subject::Input;

use super::properties;

fn pod_review(object: &Value) -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "name": "web", "namespace": "shop", "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "object": object,
    }})
    .to_string()
}

fn restricted() -> Policy {
    let document = document::parse(preset::text("restricted").unwrap())
        .remove(0)
        .unwrap();
    control_policy(&document.node).unwrap()
}

/// The verdict on a review, and the answer as its caller reads it.
fn judge(policies: &Policies, review: &str) -> (Verdict, Value) {
    let input = Input::new(Request::decode(review.as_bytes()).unwrap());
    let _ = needs(policies, &input);
    let facts = Facts {
        namespace: Fact::Known(Labels::default()),
        ..Facts::default()
    };
    let verdict = evaluate(policies, &input, &facts);
    let answer = serde_json::from_slice(&answer(&input, &verdict).encode()).unwrap();
    (verdict, answer)
}

#[test]
fn more_elements_than_any_object_has_are_an_unreadable_object() {
    let policies = Policies::new(vec![restricted()], Mode::Enforce);
    let containers = |count: usize| json!({"spec": {"containers": vec![json!({}); count]}});
    let ports =
        json!({"spec": {"containers": vec![json!({"ports": vec![json!({}); 1_000]}); 101]}});
    let labels: Value = (0..10_001)
        .map(|number| (format!("l{number}"), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for (object, path, limit) in [
        (
            containers(10_001),
            "spec.containers",
            "more than 10000 elements in one list",
        ),
        (
            ports,
            "spec.containers[99].ports",
            "more than 100000 elements in all",
        ),
        (
            json!({"metadata": {"labels": labels}}),
            "metadata.labels",
            "more than 10000 elements in one list",
        ),
    ] {
        let (verdict, answer) = judge(&policies, &pod_review(&object));
        let rules: Vec<String> = verdict.findings.iter().map(Finding::rule).collect();
        assert_eq!(rules, ["pod-security/unreadable"]);
        let message = answer["response"]["status"]["message"].as_str().unwrap();
        assert!(
            message.contains(path) && message.contains(limit),
            "{message}"
        );
        assert_eq!(answer["response"]["uid"], "u-1");
        assert_eq!(answer["response"]["allowed"], false);
    }
    let (verdict, _) = judge(&policies, &pod_review(&containers(10_000)));
    assert!(
        verdict
            .findings
            .iter()
            .all(|finding| finding.violation.check.id != "unreadable"),
        "10,000 are read"
    );
}

#[test]
fn no_text_of_a_request_makes_the_answer_large() {
    let texts = [
        "x".repeat(200_000),
        "\"\\".repeat(50_000),
        "\u{7}\u{202e}".repeat(50_000),
        "😀".repeat(50_000),
    ];
    let fields = [
        "/name",
        "/namespace",
        "/operation",
        "/kind/group",
        "/kind/kind",
        "/resource/group",
        "/resource/resource",
        "/requestSubResource",
        "/userInfo/username",
        "/object/kind",
        "/object/metadata/generateName",
        "/object/spec/runtimeClassName",
        "/object/spec/containers/0/name",
        "/object/spec/hostNetwork",
        "/object/spec/containers/0/securityContext/procMount",
        "/object/spec/volumes/0/name",
    ];
    let everything = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/corpus/reviews/pod-create-everything-wrong.json"
    ));
    let whole: Value = serde_json::from_str(&everything.unwrap()).unwrap();
    for text in &texts {
        for field in fields {
            let mut review = whole.clone();
            let request = &mut review["request"];
            request["requestSubResource"] = json!("");
            request["object"]["metadata"]["generateName"] = json!("");
            *request
                .pointer_mut(field)
                .unwrap_or_else(|| panic!("no {field}")) = json!(text);
            properties::review(review.to_string().as_bytes());
            // A name of its own hides the prefix.
            review["request"]["name"] = json!("");
            properties::review(review.to_string().as_bytes());
        }
    }
}

#[test]
fn no_number_of_findings_makes_the_answer_large() {
    let name = |number: usize, rest: &str| format!("{number}-{}", rest.repeat(60));
    for rest in ["x", "\"\\", "\u{7}", "\u{e9}"] {
        let annotations: serde_json::Map<String, Value> = (0..300)
            .map(|number| {
                let key = format!(
                    "container.apparmor.security.beta.kubernetes.io/{}",
                    name(number, rest)
                );
                (key, json!(name(number, rest)))
            })
            .collect();
        let containers: Vec<Value> = (0..300)
            .map(|number| json!({"name": name(number, rest), "securityContext": {"privileged": true}}))
            .collect();
        let volumes: Vec<Value> = (0..300)
            .map(|number| json!({"name": name(number, rest), "hostPath": {}}))
            .collect();
        let sysctls: Vec<Value> = (0..300)
            .map(|number| json!({"name": name(number, rest)}))
            .collect();
        let object = json!({"metadata": {"annotations": annotations}, "spec": {"containers": containers,
            "volumes": volumes, "securityContext": {"sysctls": sysctls}}});
        properties::review(pod_review(&object).as_bytes());
    }
}

/// A rule that is broken in a way a test chooses.
#[derive(Debug)]
struct Broken {
    in_needs: bool,
}

impl Rule for Broken {
    fn needs(&self, _input: &Input<'_>) -> Needs {
        assert!(!self.in_needs, "a defect in needs");
        Needs::default()
    }

    fn check(&self, input: &Input<'_>, _facts: &Facts, report: &mut Report) {
        report.violations.push(Violation::new(
            &Check::UNAVAILABLE,
            "said before the defect",
        ));
        let nothing: [u8; 0] = [];
        // Not known to the compiler, so that it is the index that panics.
        let _ = nothing[input.request.uid.len()];
    }
}

static BROKEN: Control = Control {
    id: "broken",
    title: "Broken",
    area: Area::Workload,
    responsibilities: &[],
    frameworks: &[],
    description: "",
    checks: &[],
    settings: &[],
    examples: &[],
    configure: |_, _| None,
};

fn with_broken(mode: Mode, in_needs: bool, cap: Mode) -> Policies {
    let setup = |control, mode, rule| Setup {
        control,
        mode: Some(mode),
        rule: Some(Configured::new(rule, "")),
        checks: Vec::new(),
    };
    let sound = restricted().controls.remove(0);
    let policy = Policy {
        name: Arc::from("defective"),
        namespaces: Selection {
            include: vec![Pattern::Any],
            ..Selection::default()
        },
        controls: vec![setup(&BROKEN, mode, Arc::new(Broken { in_needs })), sound],
        ..restricted()
    };
    Policies::new(vec![policy], cap)
}

#[test]
fn a_control_that_panics_is_a_finding_in_its_mode_and_the_others_still_run() {
    assert!(
        controls::find("broken").is_none(),
        "the test's control is no shipped one"
    );
    let review = pod_review(&json!({"spec": {"hostPID": true}}));
    for in_needs in [false, true] {
        for mode in [Mode::Audit, Mode::Warn, Mode::Enforce] {
            let (verdict, answer) = judge(&with_broken(mode, in_needs, Mode::Enforce), &review);
            let of = |control: &str| -> Vec<_> {
                let findings = verdict
                    .findings
                    .iter()
                    .filter(|finding| finding.control == control);
                findings
                    .map(|finding| (finding.rule(), finding.mode))
                    .collect()
            };
            assert_eq!(
                of("broken"),
                [("broken/failed".to_owned(), mode)],
                "nothing of the half report is kept"
            );
            assert!(
                of("pod-security")
                    .contains(&("pod-security/hostNamespaces".to_owned(), Mode::Enforce))
            );
            let message = answer["response"]["status"]["message"].as_str().unwrap();
            assert_eq!(
                message.contains("broken/failed: the control came to no decision"),
                mode == Mode::Enforce
            );
        }
    }
}

#[test]
fn a_control_that_panics_denies_alone_in_enforce_and_never_under_an_audit_cap() {
    let review = pod_review(&json!({}));
    let alone = |mode, cap| {
        let mut policies = with_broken(mode, false, cap);
        let mut policy = (*policies.list[0]).clone();
        policy.controls.truncate(1);
        policies.list = vec![Arc::new(policy)];
        let (_, answer) = judge(&policies, &review);
        let response = &answer["response"];
        (
            response["allowed"] == true,
            response["status"]["code"].as_u64(),
            response["auditAnnotations"]["verdict"].clone(),
        )
    };
    assert_eq!(
        alone(Mode::Enforce, Mode::Enforce),
        (false, Some(403), json!("deny"))
    );
    assert_eq!(
        alone(Mode::Warn, Mode::Enforce),
        (true, None, json!("warn"))
    );
    assert_eq!(
        alone(Mode::Enforce, Mode::Audit),
        (true, None, json!("audit"))
    );
}
