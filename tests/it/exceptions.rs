//! Exceptions and break-glass in the engine: what is lowered, and what is not.

use serde_json::{Value, json};
use std::sync::Arc;
use tidegate::control::{Finding, Mode};
use tidegate::document;
use tidegate::evaluate::{Verdict, evaluate};
use tidegate::facts::{Fact, Facts, Labels};
use tidegate::policy::exception::{Exception, control_exception};
use tidegate::policy::parse::control_policy;
use tidegate::policy::{Policies, Policy};
use tidegate::review::Request;
use tidegate::subject::Input;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn policy(name: &str, rest: &str, annotations: &str) -> Policy {
    let yaml = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
         spec: {{controls: {{pod-security: {{mode: enforce, settings: {{default: {{enforce: baseline}}}}}}}}{rest}}}\n"
    );
    control_policy(&document::parse(&yaml).remove(0).unwrap().node).unwrap()
}

/// An exception of `shop` from a check, for what `matched` names, approved and until 2027.
fn exception(name: &str, check: &str, matched: &str) -> Exception {
    let yaml = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlException\n\
         metadata: {{name: {name}, namespace: shop, generation: 3}}\n\
         spec: {{controls: [\"{check}\"], match: {{{matched}}}, reason: r, owner: o, requestedBy: bob,\n\
         \x20 expires: 2027-01-01T00:00:00Z}}\n\
         status: {{approval: {{approvedBy: alice, approvedAt: 2026-12-01T00:00:00Z, generation: 3}}}}\n"
    );
    control_exception(&document::parse(&yaml).remove(0).unwrap().node).unwrap()
}

fn in_force(policies: Vec<Policy>, exceptions: Vec<Exception>, cap: Mode) -> Policies {
    let exceptions = exceptions.into_iter().map(Arc::new);
    Policies::new(policies, cap).with_exceptions(exceptions.collect())
}

fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// Breaks hostNamespaces and hostPorts of the level baseline.
fn pod(metadata: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
        "hostNetwork": true,
        "containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80, "hostPort": 80}]}],
    }})
}

fn review(resource: &str, name: &str, object: &Value) -> Value {
    let group = if resource == "deployments" {
        "apps"
    } else {
        ""
    };
    let namespace = if resource == "namespaces" {
        name
    } else {
        "shop"
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": "CREATE", "name": name, "namespace": namespace,
        "kind": {"group": group, "version": "v1", "kind": object["kind"]},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "bob"}, "object": object,
    }})
}

fn judge_at(policies: &Policies, review: &Value, now: Option<&str>) -> Verdict {
    let body = review.to_string();
    let input = Input::new(Request::decode(body.as_bytes()).unwrap());
    let facts = Facts {
        now: now.map(time),
        namespace: Fact::Known(Labels::default()),
        ..Facts::default()
    };
    evaluate(policies, &input, &facts)
}

const NOW: &str = "2026-12-15T12:00:00Z";

fn judge(policies: &Policies, review: &Value) -> Verdict {
    judge_at(policies, review, Some(NOW))
}

fn web() -> Value {
    review("pods", "web", &pod(&json!({"name": "web"})))
}

/// `check=mode` of each finding, with `by NAME` where an exception lowered it.
fn said(verdict: &Verdict) -> Vec<String> {
    let one = |finding: &Finding| {
        let by = finding.exception.as_ref().map(|id| format!(" by {id}"));
        format!(
            "{}={}{}",
            finding.violation.check.id,
            finding.mode,
            by.unwrap_or_default()
        )
    };
    verdict.findings.iter().map(one).collect()
}

const BOTH: [&str; 2] = ["pod-security/hostNamespaces", "pod-security/hostPorts"];

#[test]
fn an_exception_lowers_what_it_names_and_nothing_else() {
    let one = in_force(
        vec![policy("p", "", "")],
        vec![exception("agent", BOTH[0], "names: [web]")],
        Mode::Enforce,
    );
    let verdict = judge(&one, &web());
    assert_eq!(
        said(&verdict),
        ["hostNamespaces=audit by shop/agent", "hostPorts=enforce"]
    );
    assert!(!verdict.allowed());
    assert_eq!(
        verdict.exceptions().map(|id| &**id).collect::<Vec<_>>(),
        ["shop/agent"]
    );
    let whole = in_force(
        vec![policy("p", "", "")],
        vec![exception("agent", "pod-security", "names: [web]")],
        Mode::Enforce,
    );
    assert!(judge(&whole, &web()).allowed());
}

#[test]
fn two_exceptions_do_not_widen_each_other() {
    // Neither the objects of the one for the checks of the other, nor both.
    let exceptions = vec![
        exception("one", BOTH[0], "names: [web]"),
        exception("other", BOTH[1], "names: [db]"),
    ];
    let policies = in_force(vec![policy("p", "", "")], exceptions, Mode::Enforce);
    assert_eq!(
        said(&judge(&policies, &web())),
        ["hostNamespaces=audit by shop/one", "hostPorts=enforce"]
    );
    let db = review("pods", "db", &pod(&json!({"name": "db"})));
    assert_eq!(
        said(&judge(&policies, &db)),
        ["hostNamespaces=enforce", "hostPorts=audit by shop/other"]
    );
    // The kind of the one and the name of the other are nobody's.
    let exceptions = vec![
        exception("one", BOTH[0], "kinds: [Pod], names: [db]"),
        exception("other", BOTH[0], "kinds: [Job], names: [web]"),
    ];
    let policies = in_force(vec![policy("p", "", "")], exceptions, Mode::Enforce);
    assert!(!judge(&policies, &web()).allowed());
}

#[test]
fn where_one_of_several_policies_never_lets_it_be_excepted_it_denies() {
    let strict = "exceptions: {never: [pod-security/hostNamespaces]}";
    for order in [["", strict], [strict, ""]] {
        let list = order.iter().enumerate().map(|(number, rest)| {
            let rest = if rest.is_empty() {
                String::new()
            } else {
                format!(", {rest}")
            };
            policy(&format!("p{number}"), &rest, "")
        });
        let exceptions = vec![exception("agent", "pod-security", "names: [web]")];
        let policies = in_force(list.collect(), exceptions, Mode::Enforce);
        let verdict = judge(&policies, &web());
        assert_eq!(
            said(&verdict),
            ["hostNamespaces=enforce", "hostPorts=audit by shop/agent"]
        );
        assert!(!verdict.allowed());
        let policies: Vec<&str> = verdict.findings[0]
            .policies
            .iter()
            .map(|name| &**name)
            .collect();
        assert_eq!(
            policies.len(),
            2,
            "the stricter policy is named, and the other too"
        );
    }
}

#[test]
fn how_long_an_exception_may_last_is_each_policys_own_word() {
    let short = policy("short", ", exceptions: {maxDays: 7}", "");
    let exceptions = || vec![exception("agent", "pod-security", "names: [web]")];
    assert!(
        judge(
            &in_force(vec![policy("p", "", "")], exceptions(), Mode::Enforce),
            &web()
        )
        .allowed()
    );
    // Approved on the 1st of December until the 1st of January.
    let both = in_force(
        vec![policy("p", "", ""), short],
        exceptions(),
        Mode::Enforce,
    );
    assert!(!judge(&both, &web()).allowed());
}

#[test]
fn every_control_at_once_is_lowered_only_where_the_policy_allows_that() {
    let all = || vec![exception("all", "*", "names: [web]")];
    assert!(
        !judge(
            &in_force(vec![policy("p", "", "")], all(), Mode::Enforce),
            &web()
        )
        .allowed()
    );
    let allowing = policy(
        "p",
        ", exceptions: {allControls: true, never: [pod-security/hostPorts]}",
        "",
    );
    let verdict = judge(&in_force(vec![allowing], all(), Mode::Enforce), &web());
    assert_eq!(
        said(&verdict),
        ["hostNamespaces=audit by shop/all", "hostPorts=enforce"]
    );
}

#[test]
fn under_audit_only_it_is_still_told_what_an_exception_would_have_let_through() {
    let exceptions = vec![exception("agent", BOTH[0], "names: [web]")];
    let policies = in_force(vec![policy("p", "", "")], exceptions, Mode::Audit);
    let verdict = judge(&policies, &web());
    assert_eq!(
        said(&verdict),
        ["hostNamespaces=audit by shop/agent", "hostPorts=audit"]
    );
    let would: Vec<&str> = verdict.findings.iter().map(Finding::would).collect();
    assert_eq!(would, ["allow", "deny"]);
}

#[test]
fn an_exception_ends_in_the_second_of_its_end_and_is_nothing_without_a_clock() {
    let policies = in_force(
        vec![policy("p", "", "")],
        vec![exception("agent", "pod-security", "names: [web]")],
        Mode::Enforce,
    );
    for (now, allowed) in [
        (Some("2026-12-31T23:59:59.999Z"), true),
        (Some("2027-01-01T00:00:00Z"), false),
        (Some("2027-06-01T00:00:00Z"), false),
        (None, false),
    ] {
        assert_eq!(
            judge_at(&policies, &web(), now).allowed(),
            allowed,
            "{now:?}"
        );
    }
}

#[test]
fn an_exception_is_for_objects_of_its_own_namespace_and_never_for_the_namespace_itself() {
    let floor = "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {name: floor}\nspec:\n  \
        controls: {pod-security: {mode: enforce, settings: {minimum: {enforce: baseline}}}}\n";
    let floor = control_policy(&document::parse(floor).remove(0).unwrap().node).unwrap();
    let exceptions = vec![exception(
        "agent",
        "pod-security",
        "kinds: [Namespace, Pod]",
    )];
    let policies = in_force(vec![floor], exceptions, Mode::Enforce);
    let lowered = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "shop", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    assert_eq!(
        said(&judge(&policies, &review("namespaces", "shop", &lowered))),
        ["namespaceLevel=enforce"]
    );
    assert!(judge(&policies, &web()).allowed());
    let mut foreign = web();
    foreign["request"]["namespace"] = json!("billing");
    assert!(!judge(&policies, &foreign).allowed());
}

#[test]
fn names_and_labels_are_those_of_the_object_as_it_will_be() {
    let named = in_force(
        vec![policy("p", "", "")],
        vec![exception("agent", "pod-security", "names: [\"agent-*\"]")],
        Mode::Enforce,
    );
    let generated = |prefix: &str| review("pods", "", &pod(&json!({"generateName": prefix})));
    assert!(judge(&named, &generated("agent-")).allowed());
    assert!(!judge(&named, &generated("other-")).allowed());
    // The name in the object counts, whatever the request is called.
    let posed = review(
        "pods",
        "agent-1",
        &pod(&json!({"name": "web", "generateName": "agent-"})),
    );
    assert!(!judge(&named, &posed).allowed());

    let labelled = in_force(
        vec![policy("p", "", "")],
        vec![exception(
            "agent",
            "pod-security",
            "selector: {matchLabels: {app: agent}}",
        )],
        Mode::Enforce,
    );
    let with = |labels: Value| pod(&json!({"name": "web", "labels": labels}));
    assert!(
        judge(
            &labelled,
            &review("pods", "web", &with(json!({"app": "agent"})))
        )
        .allowed()
    );
    // On an update what it was does not count.
    let mut update = review("pods", "web", &with(json!({"app": "web"})));
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["oldObject"] = pod(&json!({"name": "web", "labels": {"app": "agent"}}));
    update["request"]["oldObject"]["spec"]["containers"][0]["image"] = json!("web:0");
    assert!(!judge(&labelled, &update).allowed());
}

#[test]
fn what_a_template_would_be_warned_for_is_lowered_with_the_name_and_labels_of_the_workload() {
    let object = |labels: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "agent", "labels": labels},
        "spec": {"template": {"metadata": {"labels": {"app": "agent"}}, "spec": pod(&json!({}))["spec"]}}})
    };
    let deployment = review("deployments", "agent", &object(json!({})));
    let lowered = |matched: &str| {
        let exceptions = vec![exception("agent", "pod-security", matched)];
        let policies = in_force(vec![policy("p", "", "")], exceptions, Mode::Enforce);
        let verdict = judge(&policies, &deployment);
        assert!(!verdict.findings.is_empty());
        verdict
            .findings
            .iter()
            .all(|finding| finding.mode == Mode::Audit && finding.exception.is_some())
    };
    assert!(lowered("kinds: [Deployment], names: [agent]"));
    assert!(!lowered("kinds: [Pod], names: [agent]"));
    assert!(
        !lowered("selector: {matchLabels: {app: agent}}"),
        "the labels of the template are its pods'"
    );
}

const OPENED: &str = "tidegate.dev/break-glass-until: 2026-12-15T13:00:00Z, tidegate.dev/break-glass-reason: the database is down";

#[test]
fn an_opened_policy_only_records_until_its_end_and_others_stay_as_they_are() {
    let open = || policy("open", ", breakGlass: {groups: [ops], maxHours: 2}", OPENED);
    let alone = in_force(vec![open()], vec![], Mode::Enforce);
    let verdict = judge(&alone, &web());
    assert_eq!(said(&verdict), ["hostNamespaces=audit", "hostPorts=audit"]);
    let would: Vec<&str> = verdict.findings.iter().map(Finding::would).collect();
    assert_eq!(
        would,
        ["deny", "deny"],
        "it is not told what would have been denied"
    );
    for (now, allowed) in [
        (Some("2026-12-15T12:59:59.9Z"), true),
        (Some("2026-12-15T13:00:00Z"), false),
        // More than maxHours before the end: nobody could have opened it so.
        (Some("2026-12-15T09:00:00Z"), false),
        (None, false),
    ] {
        assert_eq!(judge_at(&alone, &web(), now).allowed(), allowed, "{now:?}");
    }
    let both = in_force(
        vec![open(), policy("closed", "", "")],
        vec![],
        Mode::Enforce,
    );
    assert!(!judge(&both, &web()).allowed());
}

#[test]
fn an_exception_and_an_opened_policy_together_are_both_told() {
    let open = policy("open", ", breakGlass: {groups: [ops], maxHours: 2}", OPENED);
    let exceptions = vec![exception("agent", BOTH[0], "names: [web]")];
    let verdict = judge(&in_force(vec![open], exceptions, Mode::Enforce), &web());
    assert_eq!(
        said(&verdict),
        ["hostNamespaces=audit by shop/agent", "hostPorts=audit"]
    );
}

#[test]
fn one_that_is_not_approved_as_it_stands_lowers_nothing() {
    let base = || exception("agent", "pod-security", "names: [web]");
    let mut unapproved = base();
    unapproved.approval = None;
    let mut own = base();
    own.requested_by = "alice".to_owned();
    let mut changed = base();
    changed.generation = Some(4);
    for exception in [unapproved, own, changed] {
        let why = exception.approved(time(NOW)).unwrap_err();
        let policies = in_force(vec![policy("p", "", "")], vec![exception], Mode::Enforce);
        assert!(!judge(&policies, &web()).allowed(), "{why:?}");
    }
}

#[test]
fn a_rule_that_many_policies_share_speaks_for_each_of_them_in_its_own_mode() {
    let shared = |name: &str, mode: &str| {
        let yaml = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{controls: {{pod-security: {{mode: {mode}, settings: {{default: {{enforce: baseline}}}}}}}}}}\n"
        );
        control_policy(&document::parse(&yaml).remove(0).unwrap().node).unwrap()
    };
    // More different ones than are remembered within one evaluation, and each of them twice.
    let levels = |version: usize| {
        let yaml = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: v{version}}}\n\
             spec: {{controls: {{pod-security: {{mode: audit, settings: {{default: {{enforce: baseline, enforce-version: v1.{version}}}}}}}}}}}\n"
        );
        control_policy(&document::parse(&yaml).remove(0).unwrap().node).unwrap()
    };
    let policies = in_force(
        vec![shared("a", "audit"), shared("b", "warn")],
        vec![],
        Mode::Enforce,
    );
    assert_eq!(
        said(&judge(&policies, &web())),
        ["hostNamespaces=warn", "hostPorts=warn"]
    );
    let policies = in_force(
        vec![
            shared("a", "audit"),
            shared("b", "warn"),
            shared("c", "enforce"),
        ],
        vec![],
        Mode::Enforce,
    );
    let verdict = judge(&policies, &web());
    assert_eq!(
        said(&verdict),
        ["hostNamespaces=enforce", "hostPorts=enforce"]
    );
    let names: Vec<&str> = verdict.findings[0]
        .policies
        .iter()
        .map(|name| &**name)
        .collect();
    assert_eq!(names, ["c", "b", "a"], "the strictest first");
    let mut many: Vec<Policy> = (10..30).chain(10..30).map(levels).collect();
    many.push(shared("last", "enforce"));
    let verdict = judge(&in_force(many, vec![], Mode::Enforce), &web());
    assert!(!verdict.allowed());
    assert_eq!(verdict.policies.len(), 41);
}
