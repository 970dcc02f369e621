//! From a policy and a request to the answer: modes, floors, templates, namespaces, exemptions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use tidegate::control::Mode;
use tidegate::document;
use tidegate::evaluate::{evaluate, needs};
use tidegate::facts::{ExistingPods, Fact, Facts, Labels};
use tidegate::policy::parse::control_policy;
use tidegate::policy::{Policies, Policy};
use tidegate::report::answer::answer;
use tidegate::review::Request;
use tidegate::subject::Input;

fn policy(name: &str, spec: &str) -> Policy {
    let spec = spec.trim().replace('\n', "\n  ");
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n"
    );
    let document = document::parse(&text).remove(0).unwrap();
    control_policy(&document.node).unwrap()
}

fn one(spec: &str) -> Policies {
    Policies::new(vec![policy("one", spec)], Mode::Enforce)
}

fn labels(pairs: &[(&str, &str)]) -> Fact<Labels> {
    let pairs = pairs
        .iter()
        .map(|(key, value)| (format!("pod-security.kubernetes.io/{key}"), *value));
    Fact::Known(pairs.collect())
}

fn in_namespace(namespace: Fact<Labels>) -> Facts {
    Facts {
        namespace,
        ..Facts::default()
    }
}

/// A review of an operation on a resource of the core group or of apps.
fn review(operation: &str, resource: &str, kind: &str, object: &Value, old: &Value) -> Value {
    let group = if resource == "deployments" {
        "apps"
    } else {
        ""
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": operation, "name": "web", "namespace": "shop",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "alice"}, "object": object, "oldObject": old,
    }})
}

fn pod(spec: &Value) -> Value {
    let object =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec});
    review("CREATE", "pods", "Pod", &object, &Value::Null)
}

/// Breaks baseline by hostNetwork, and restricted by more.
fn host_network() -> Value {
    json!({"hostNetwork": true, "containers": [{"name": "web", "image": "web:1"}]})
}

fn deployment(spec: &Value) -> Value {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": spec}}});
    review("CREATE", "deployments", "Deployment", &object, &Value::Null)
}

fn namespace(labels: &[(&str, &str)]) -> Value {
    let labels: Value = labels
        .iter()
        .map(|(key, value)| (format!("pod-security.kubernetes.io/{key}"), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": labels}})
}

/// The response to a review, as JSON.
fn respond(policies: &Policies, review: &Value, facts: &Facts) -> Value {
    let body = review.to_string();
    let input = Input::new(Request::decode(body.as_bytes()).unwrap());
    let verdict = evaluate(policies, &input, facts);
    let response: Value = serde_json::from_slice(&answer(&input, &verdict).encode()).unwrap();
    response["response"].clone()
}

/// `check=mode` of every finding.
fn findings(response: &Value) -> BTreeSet<String> {
    let Some(text) = response.pointer("/auditAnnotations/findings") else {
        return BTreeSet::new();
    };
    let list: Vec<Value> = serde_json::from_str(text.as_str().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.iter()
        .map(|entry| format!("{}={}", text(&entry["check"]), text(&entry["mode"])))
        .collect()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items
        .iter()
        .map(|item| format!("pod-security/{item}"))
        .collect()
}

const BASELINE: &str =
    "controls: {pod-security: {mode: MODE, settings: {default: {enforce: baseline}}}}";

#[test]
fn the_mode_of_the_control_caps_what_is_done() {
    for (mode, allowed, warnings, verdict) in [
        ("enforce", false, 0, "deny"),
        ("warn", true, 1, "warn"),
        ("audit", true, 0, "audit"),
    ] {
        let policies = one(&BASELINE.replace("MODE", mode));
        let response = respond(&policies, &pod(&host_network()), &in_namespace(labels(&[])));
        assert_eq!(response["allowed"], allowed, "{mode}");
        assert_eq!(response["uid"], "u-1");
        assert_eq!(
            response["warnings"].as_array().map_or(0, Vec::len),
            warnings,
            "{mode}"
        );
        assert_eq!(response["auditAnnotations"]["verdict"], verdict);
        assert_eq!(
            findings(&response),
            set(&[&format!("hostNamespaces={mode}")])
        );
    }
    let off = respond(
        &one(&BASELINE.replace("MODE", "off")),
        &pod(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(off["auditAnnotations"], json!({"verdict": "allow"}));
}

#[test]
fn audit_only_caps_every_policy() {
    let policies = Policies::new(
        vec![policy("one", &BASELINE.replace("MODE", "enforce"))],
        Mode::Audit,
    );
    let response = respond(&policies, &pod(&host_network()), &in_namespace(labels(&[])));
    assert_eq!(response["allowed"], true);
    assert!(response.get("warnings").is_none());
    assert_eq!(findings(&response), set(&["hostNamespaces=audit"]));
}

#[test]
fn a_denial_names_control_check_field_and_fix() {
    let policies = one(&BASELINE.replace("MODE", "enforce"));
    let response = respond(&policies, &pod(&host_network()), &in_namespace(labels(&[])));
    let status = &response["status"];
    assert_eq!(status["code"], 403);
    assert_eq!(status["reason"], "Forbidden");
    assert_eq!(
        status["message"],
        "tidegate denies Pod \"web\" in namespace \"shop\": 1 finding\n\
         - pod-security/hostNamespaces at spec.hostNetwork: host namespaces (hostNetwork=true). Remove hostNetwork."
    );
    assert_eq!(
        status["details"]["causes"],
        json!([{"reason": "pod-security/hostNamespaces", "field": "spec.hostNetwork",
            "message": "host namespaces (hostNetwork=true)"}])
    );
}

#[test]
fn one_check_can_be_set_apart_from_its_control() {
    let spec = "controls: {pod-security: {mode: enforce, settings: {default: {enforce: baseline}}, \
                checks: {hostNamespaces: {mode: warn}}}}";
    let mut broken = host_network();
    broken["containers"][0]["securityContext"] = json!({"privileged": true});
    let response = respond(&one(spec), &pod(&broken), &in_namespace(labels(&[])));
    assert_eq!(response["allowed"], false);
    assert_eq!(
        findings(&response),
        set(&["hostNamespaces=warn", "privileged=enforce"])
    );
    let response = respond(
        &one(spec),
        &pod(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"],
        json!(["pod-security/hostNamespaces: host namespaces (hostNetwork=true)"])
    );
}

#[test]
fn upstreams_three_modes_are_kept_apart() {
    let policies = one("controls: {pod-security: {mode: enforce}}");
    let facts = in_namespace(labels(&[("warn", "baseline"), ("audit", "restricted")]));
    let response = respond(&policies, &pod(&host_network()), &facts);
    assert_eq!(response["allowed"], true);
    let expected = [
        "hostNamespaces=warn",
        "allowPrivilegeEscalation=audit",
        "capabilities_restricted=audit",
        "runAsNonRoot=audit",
        "seccompProfile_restricted=audit",
    ];
    assert_eq!(findings(&response), set(&expected));
}

#[test]
fn a_floor_holds_in_spite_of_the_label_and_exempts_whom_the_level_exempts() {
    let spec = "controls: {pod-security: {mode: enforce, settings: {minimum: {enforce: baseline}, \
                exemptions: {usernames: [NOBODY]}}}}";
    let privileged = || in_namespace(labels(&[("enforce", "privileged")]));
    let response = respond(&one(spec), &pod(&host_network()), &privileged());
    assert_eq!(response["allowed"], false);
    assert_eq!(findings(&response), set(&["hostNamespaces=enforce"]));
    let exempt = respond(
        &one(&spec.replace("NOBODY", "alice")),
        &pod(&host_network()),
        &privileged(),
    );
    assert_eq!(exempt["allowed"], true);
    assert_eq!(exempt["auditAnnotations"]["exempt"], "user");
}

#[test]
fn a_label_below_the_floor_is_a_finding_when_it_comes() {
    let policies =
        one("controls: {pod-security: {mode: enforce, settings: {minimum: {enforce: baseline}}}}");
    let lowered = namespace(&[("enforce", "privileged")]);
    let create = review("CREATE", "namespaces", "Namespace", &lowered, &Value::Null);
    let response = respond(&policies, &create, &Facts::default());
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(findings(&response), set(&["namespaceLevel=enforce"]));
    assert_eq!(
        response["status"]["details"]["causes"][0]["field"],
        "metadata.labels[\"pod-security.kubernetes.io/enforce\"]"
    );
    let kept = review("UPDATE", "namespaces", "Namespace", &lowered, &lowered);
    assert_eq!(
        respond(&policies, &kept, &Facts::default())["allowed"],
        true
    );
    let lowering = review(
        "UPDATE",
        "namespaces",
        "Namespace",
        &lowered,
        &namespace(&[("enforce", "baseline")]),
    );
    assert_eq!(
        findings(&respond(&policies, &lowering, &Facts::default())),
        set(&["namespaceLevel=enforce"])
    );
}

#[test]
fn a_label_below_the_floor_does_not_come_in_through_a_subresource() {
    let spec =
        "controls: {pod-security: {mode: enforce, settings: {minimum: {enforce: baseline}}}}";
    let (lowered, before) = (namespace(&[("enforce", "privileged")]), namespace(&[]));
    for subresource in ["status", "finalize"] {
        let write = |new: &Value| {
            let mut review = review("UPDATE", "namespaces", "Namespace", new, &before);
            review["request"]["subResource"] = json!(subresource);
            review["request"]["requestSubResource"] = json!(subresource);
            review
        };
        let response = respond(&one(spec), &write(&lowered), &Facts::default());
        assert_eq!(
            findings(&response),
            set(&["namespaceLevel=enforce"]),
            "{subresource}"
        );
        assert_eq!(response["status"]["code"], 403);
        // A change of its phase or finalizers is nobody's business.
        assert_eq!(
            respond(&one(spec), &write(&before), &Facts::default())["allowed"],
            true
        );
        // Without a floor upstream's silence holds.
        let plain = one("controls: {pod-security: {mode: enforce}}");
        assert_eq!(
            respond(&plain, &write(&lowered), &Facts::default())["allowed"],
            true
        );
    }
}

#[test]
fn malformed_labels_are_invalid_with_upstreams_causes() {
    let policies = one("controls: {pod-security: {mode: enforce}}");
    let create = |labels| {
        review(
            "CREATE",
            "namespaces",
            "Namespace",
            &namespace(labels),
            &Value::Null,
        )
    };
    let response = respond(
        &policies,
        &create(&[("enforce", "base"), ("warn-version", "v1")]),
        &Facts::default(),
    );
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(422), &json!("Invalid"))
    );
    assert_eq!(
        status["details"]["causes"],
        json!([
            {"reason": "FieldValueInvalid", "field": "metadata.labels[pod-security.kubernetes.io/enforce]",
             "message": "Invalid value: \"base\": must be one of privileged, baseline, restricted"},
            {"reason": "FieldValueInvalid", "field": "metadata.labels[pod-security.kubernetes.io/warn-version]",
             "message": "Invalid value: \"v1\": must be \"latest\" or \"v1.x\""},
        ])
    );
    assert_eq!(findings(&response), set(&["namespaceLabels=enforce"]));
}

#[test]
fn a_template_is_allowed_with_warnings_unless_templates_are_enforced() {
    let warn = one(&BASELINE.replace("MODE", "enforce"));
    let response = respond(
        &warn,
        &deployment(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(response["allowed"], true);
    assert_eq!(response["auditAnnotations"]["verdict"], "warn");
    assert_eq!(findings(&response), set(&["hostNamespaces=enforce"]));
    assert_eq!(response["warnings"].as_array().unwrap().len(), 1);

    let spec = "controls: {pod-security: {mode: enforce, settings: {default: {enforce: baseline}, templates: enforce}}}";
    let response = respond(
        &one(spec),
        &deployment(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(response["allowed"], false);
    assert_eq!(
        response["status"]["details"]["causes"][0]["field"],
        "spec.template.spec.hostNetwork"
    );
}

#[test]
fn raising_a_level_warns_of_the_pods_that_break_it() {
    let policies = one("controls: {pod-security: {mode: enforce}}");
    let raise = review(
        "UPDATE",
        "namespaces",
        "Namespace",
        &namespace(&[("enforce", "baseline")]),
        &namespace(&[]),
    );
    let body = raise.to_string();
    let input = Input::new(Request::decode(body.as_bytes()).unwrap());
    assert!(needs(&policies, &input).existing_pods);
    let running = json!({"metadata": {"name": "old"}, "spec": host_network()}).to_string();
    let facts = |existing_pods| Facts {
        existing_pods,
        ..Facts::default()
    };
    let known = facts(Fact::Known(ExistingPods {
        pods: vec![running.into()],
        total: 1,
    }));
    let response = respond(&policies, &raise, &known);
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"],
        json!([
            "pod-security/existingPods: existing pods in namespace \"web\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "pod-security/existingPods: old: host namespaces",
        ])
    );
    let response = respond(
        &policies,
        &raise,
        &facts(Fact::Unavailable("refused".into())),
    );
    assert_eq!(
        response["warnings"],
        json!([
            "pod-security/existingPods: failed to list pods while checking new PodSecurity enforce level"
        ])
    );
}

#[test]
fn what_cannot_be_known_or_read_is_decided_by_the_mode() {
    let unknown = || in_namespace(Fact::Unavailable("no answer from 10.0.0.1".into()));
    for (mode, allowed) in [("enforce", false), ("warn", true), ("audit", true)] {
        let policies = one(&BASELINE.replace("MODE", mode));
        let response = respond(&policies, &pod(&host_network()), &unknown());
        assert_eq!(response["allowed"], allowed, "{mode}");
        assert_eq!(findings(&response), set(&[&format!("unavailable={mode}")]));
        let unreadable = pod(&json!({"containers": [{"securityContext": {"privileged": "yes"}}]}));
        let response = respond(&policies, &unreadable, &in_namespace(labels(&[])));
        assert_eq!(response["allowed"], allowed, "{mode}");
        assert_eq!(findings(&response), set(&[&format!("unreadable={mode}")]));
    }
    let policies = one(&BASELINE.replace("MODE", "enforce"));
    let response = respond(
        &policies,
        &pod(&json!({"hostNetwork": "yes"})),
        &in_namespace(labels(&[])),
    );
    let cause = &response["status"]["details"]["causes"][0];
    assert_eq!(cause["field"], "spec.hostNetwork");
    assert_eq!(
        cause["message"],
        "the object cannot be read: invalid type: string \"yes\", expected a boolean"
    );
    let template = respond(
        &policies,
        &deployment(&json!({"containers": {}})),
        &in_namespace(labels(&[])),
    );
    assert_eq!(template["allowed"], true);
    assert_eq!(findings(&template), set(&["unreadable=enforce"]));
}

#[test]
fn policies_add_up_and_the_strictest_mode_wins() {
    let list = vec![
        policy("soft", &BASELINE.replace("MODE", "warn")),
        policy("hard", &BASELINE.replace("MODE", "enforce")),
    ];
    let response = respond(
        &Policies::new(list, Mode::Enforce),
        &pod(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(response["allowed"], false);
    assert_eq!(findings(&response), set(&["hostNamespaces=enforce"]));
    assert_eq!(response["auditAnnotations"]["policies"], "soft,hard");
}

#[test]
fn the_last_override_that_matches_wins() {
    let spec = "mode: audit\nnamespaces: {exclude: [kube-*]}\ncontrols: {pod-security: {settings: {default: {enforce: baseline}}}}\n\
                overrides:\n- namespaces: {include: [sh*]}\n  controls: {pod-security: {mode: enforce}}\n\
                - namespaces: {selector: {matchLabels: {lenient: \"yes\"}}}\n  controls: {pod-security: {mode: warn}}";
    let policies = one(spec);
    let body = pod(&host_network()).to_string();
    let input = Input::new(Request::decode(body.as_bytes()).unwrap());
    assert!(needs(&policies, &input).namespace);
    let response = respond(&policies, &pod(&host_network()), &in_namespace(labels(&[])));
    assert_eq!(findings(&response), set(&["hostNamespaces=enforce"]));
    let lenient = in_namespace(Fact::Known(Labels::from_iter([("lenient", "yes")])));
    assert_eq!(
        findings(&respond(&policies, &pod(&host_network()), &lenient)),
        set(&["hostNamespaces=warn"])
    );
    let mut elsewhere = pod(&host_network());
    elsewhere["request"]["namespace"] = json!("other");
    assert_eq!(
        findings(&respond(&policies, &elsewhere, &in_namespace(labels(&[])))),
        set(&["hostNamespaces=audit"])
    );
    elsewhere["request"]["namespace"] = json!("kube-system");
    assert_eq!(
        findings(&respond(&policies, &elsewhere, &in_namespace(labels(&[])))),
        set(&[])
    );
}

#[test]
fn an_answer_stays_within_what_the_api_server_shows() {
    let long = "x".repeat(300);
    let containers: Vec<Value> = (0..400)
        .map(|index| json!({"name": format!("{long}\u{1b}[31m{index}"), "image": "a", "securityContext": {"privileged": true}}))
        .collect();
    let bad = json!({"hostNetwork": true, "containers": containers});
    let facts = || in_namespace(labels(&[("enforce", "restricted"), ("warn", "restricted")]));
    let deny = respond(
        &one("controls: {pod-security: {mode: enforce}}"),
        &pod(&bad),
        &facts(),
    );
    let message = deny["status"]["message"].as_str().unwrap();
    assert!(message.len() <= 4096, "{}", message.len());
    assert!(message.contains(" more") && !message.contains('\u{1b}'));
    assert!(
        deny.to_string().len() < 64 << 10,
        "{}",
        deny.to_string().len()
    );
    let warn = respond(
        &one("controls: {pod-security: {mode: warn}}"),
        &pod(&bad),
        &facts(),
    );
    let warnings: Vec<&str> = warn["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    assert!(
        warnings
            .iter()
            .all(|text| text.len() <= 256 && !text.chars().any(char::is_control))
    );
    assert!(warnings.iter().map(|text| text.len()).sum::<usize>() < 2_000);
}

#[test]
fn an_override_keeps_what_an_earlier_one_said_of_a_control_the_main_part_does_not_name() {
    let spec = "overrides:\n- namespaces: {include: [\"*\"]}\n  controls: {pod-security: {mode: enforce, settings: {default: {enforce: baseline}}}}\n\
                - namespaces: {include: [shop]}\n  controls: {pod-security: {checks: {hostPorts: {mode: warn}}}}";
    let response = respond(
        &one(spec),
        &pod(&host_network()),
        &in_namespace(labels(&[])),
    );
    assert_eq!(findings(&response), set(&["hostNamespaces=enforce"]));
    assert_eq!(response["allowed"], false);
}
