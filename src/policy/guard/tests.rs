use time::OffsetDateTime;
use time::macros::datetime;

use super::*;
use crate::control::Mode;
use crate::policy::parse::control_policy;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);
const OWN: &str = "system:serviceaccount:tidegate:tidegate";

fn policies(spec: &str) -> Policies {
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: p}}\nspec: {spec}"
    );
    let node = document::parse(&text).remove(0).unwrap().node;
    Policies::new([control_policy(&node).unwrap()], Mode::Enforce)
}

/// What is found in a write, as `check at field: message`.
fn judge(
    policies: &Policies,
    resource: (&str, &str),
    caller: (&str, &str),
    new: &str,
    old: Option<&str>,
) -> Vec<String> {
    let json = |yaml: &str| document::parse(yaml).remove(0).unwrap().node.to_json();
    let (resource, subresource) = resource;
    let old = old.map_or("null".to_owned(), json);
    let review = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u",
        "resource":{{"group":"tidegate.dev","version":"v1alpha1","resource":"{resource}"}},
        "requestSubResource":"{subresource}","namespace":"shop","userInfo":{{"username":"{}","groups":["{}"]}},
        "object":{},"oldObject":{old}}}}}"#,
        caller.0,
        caller.1,
        json(new)
    );
    let input = Input::new(Request::decode(review.as_bytes()).unwrap());
    let guard = Guard {
        policies,
        namespace: &Fact::NotAsked,
        own_user: Some(OWN),
        now: NOW,
    };
    let verdict = guard.judge(&input);
    let findings = verdict.findings.iter().map(|finding| {
        assert!(finding.denies());
        let violation = &finding.violation;
        let field = violation.fields.first().map(FieldPath::as_str);
        format!(
            "{} at {}: {}",
            finding.rule(),
            field.unwrap_or_default(),
            violation.message
        )
    });
    findings.collect()
}

fn exception(spec: &str, meta: &str, status: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlException\nmetadata: {{name: e, namespace: shop{meta}}}\n\
         spec: {{controls: [pod-security/hostPorts], match: {{names: [web]}}, reason: r, owner: o, \
         requestedBy: bob, expires: 2026-12-24T00:00:00Z{spec}}}\nstatus: {{{status}}}"
    )
}

const SPEC: (&str, &str) = ("controlexceptions", "");
const STATUS: (&str, &str) = ("controlexceptions", "status");
const BOB: (&str, &str) = ("bob", "devs");
const ALICE: (&str, &str) = ("alice", "security");
const APPROVED: &str = "approval: {approvedBy: alice, approvedAt: 2026-11-24T11:58:00Z}";
const RECORDED: &str =
    "approval: {approvedBy: alice, approvedAt: 2026-11-24T11:58:00Z, generation: 1}";

#[test]
fn an_exception_is_asked_for_in_the_callers_own_name() {
    let policies = policies("{}");
    let mine = exception("", "", "");
    assert_eq!(judge(&policies, SPEC, BOB, &mine, None), [""; 0]);
    let found = judge(&policies, SPEC, ALICE, &mine, None);
    assert_eq!(
        found,
        [
            "control-exception/requestedBy at spec.requestedBy: requestedBy is \"bob\", and the caller is \"alice\""
        ]
    );
    // What leaves the spec alone (labels, finalizers) is nobody's request.
    let labelled = exception("", ", labels: {a: b}", "");
    assert_eq!(
        judge(&policies, SPEC, ALICE, &labelled, Some(&mine)),
        [""; 0]
    );
}

#[test]
fn an_exception_ends_in_time() {
    let policies = policies("{exceptions: {maxDays: 30}}");
    let until = |date: &str| {
        let text = exception("", "", "").replace("2026-12-24T00:00:00Z", date);
        judge(&policies, SPEC, BOB, &text, None)
    };
    assert_eq!(until("2026-12-24T12:00:00Z"), [""; 0]);
    let found = until("2026-12-24T12:00:01Z");
    assert!(
        found[0].starts_with(
            "control-exception/expires at spec.expires: the end is more than the 30 days away"
        ),
        "{found:?}"
    );
    assert!(until("9999-12-31T23:59:59Z")[0].contains("30 days"));
    assert!(until("2026-11-24T12:00:00Z")[0].contains("lies in the past"));
    assert!(
        until("soon")[0].starts_with("control-exception/valid at spec.expires: expected a time")
    );
}

#[test]
fn what_a_policy_never_lets_be_excepted_is_not_asked_for() {
    let policies = policies("{exceptions: {never: [pod-security/privileged]}}");
    let controls = |list: &str| {
        let text = exception("", "", "").replace("[pod-security/hostPorts]", list);
        judge(&policies, SPEC, BOB, &text, None)
    };
    assert_eq!(controls("[pod-security/hostPorts]"), [""; 0]);
    for list in ["[pod-security/privileged]", "[pod-security]"] {
        let found = controls(list);
        assert_eq!(
            found,
            [
                "control-exception/neverExcepted at spec.controls: policy \"p\" never lets pod-security/privileged be excepted"
            ]
        );
    }
    assert!(controls("['*']")[0].starts_with("control-exception/allControls at spec.controls"));
    assert!(controls("[pod-security/hostPort]")[0].contains("did you mean \"hostPorts\"?"));
}

#[test]
fn nobody_approves_their_own_exception_or_in_anothers_name() {
    let policies = policies("{}");
    let (before, after) = (exception("", "", ""), exception("", "", APPROVED));
    assert_eq!(
        judge(&policies, STATUS, ALICE, &after, Some(&before)),
        [""; 0]
    );
    let found = judge(&policies, STATUS, BOB, &after, Some(&before));
    assert_eq!(
        found,
        [
            "control-exception/approvedBy at status.approval.approvedBy: approvedBy is \"alice\", and the caller is \"bob\"",
            "control-exception/approvedBy at status.approval.approvedBy: \"bob\" asked for it and cannot approve it"
        ]
    );
    let by_himself = after.replace("approvedBy: alice", "approvedBy: bob");
    assert_eq!(
        judge(&policies, STATUS, BOB, &by_himself, Some(&before)).len(),
        1
    );
    // tidegate itself records approvals and gives none.
    let found = judge(&policies, STATUS, (OWN, "x"), &after, Some(&before));
    assert!(
        found[0].contains("records approvals and gives none"),
        "{found:?}"
    );
}

#[test]
fn only_named_groups_approve_where_a_policy_names_them() {
    let policies = policies("{exceptions: {approverGroups: [security]}}");
    let (before, after) = (exception("", "", ""), exception("", "", APPROVED));
    assert_eq!(
        judge(&policies, STATUS, ALICE, &after, Some(&before)),
        [""; 0]
    );
    let found = judge(&policies, STATUS, ("alice", "devs"), &after, Some(&before));
    assert!(found[0].starts_with("control-exception/approvedBy at status.approval.approvedBy: \"alice\" is in none of the groups"), "{found:?}");
}

#[test]
fn an_approval_is_of_now_and_of_this_version() {
    let policies = policies("{}");
    let before = exception("", ", generation: 2", "");
    let approve = |approval: &str| {
        let after = exception("", ", generation: 2", approval);
        judge(&policies, STATUS, ALICE, &after, Some(&before))
    };
    assert_eq!(
        approve(&RECORDED.replace("generation: 1", "generation: 2")),
        [""; 0]
    );
    let found = approve(RECORDED);
    assert!(
        found[0].starts_with(
            "control-exception/approval at status.approval.generation: it was changed since"
        ),
        "{found:?}"
    );
    let old = approve(&APPROVED.replace("11:58", "11:48"));
    assert!(
        old[0].contains("approvedAt is more than ten minutes from now"),
        "{old:?}"
    );
}

#[test]
fn a_spec_does_not_change_under_an_approval_that_is_not_recorded() {
    let policies = policies("{}");
    let other = |status| exception(", ticket: T-2", "", status);
    let unrecorded = exception("", "", APPROVED);
    let found = judge(&policies, SPEC, BOB, &other(APPROVED), Some(&unrecorded));
    assert_eq!(
        found,
        [
            "control-exception/approval at spec: its approval is still being recorded; try again in a moment, or revoke it first"
        ]
    );
    let recorded = exception("", "", RECORDED);
    assert_eq!(
        judge(&policies, SPEC, BOB, &other(RECORDED), Some(&recorded)),
        [""; 0]
    );
}

#[test]
fn only_tidegate_writes_what_it_says_of_an_object() {
    let policies = policies("{}");
    let (before, after) = (exception("", "", ""), exception("", "", "active: true"));
    let found = judge(&policies, STATUS, ALICE, &after, Some(&before));
    assert!(
        found[0].starts_with("control-exception/status at status:"),
        "{found:?}"
    );
    assert_eq!(
        judge(&policies, STATUS, (OWN, "x"), &after, Some(&before)),
        [""; 0]
    );
    // Recording the generation of an approval, and taking an outdated one away.
    let meta = ", generation: 1";
    let approved = exception("", meta, APPROVED);
    let recorded = exception("", meta, RECORDED);
    assert_eq!(
        judge(&policies, STATUS, (OWN, "x"), &recorded, Some(&approved)),
        [""; 0]
    );
    assert_eq!(
        judge(
            &policies,
            STATUS,
            (OWN, "x"),
            &exception("", meta, ""),
            Some(&recorded)
        ),
        [""; 0]
    );
    // So may everybody who may write the status: that is revoking.
    assert_eq!(
        judge(
            &policies,
            STATUS,
            BOB,
            &exception("", meta, ""),
            Some(&recorded)
        ),
        [""; 0]
    );
    let policy = |status: &str| {
        format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: p}}\nspec: {{}}\nstatus: {{{status}}}"
        )
    };
    let found = judge(
        &policies,
        ("controlpolicies", "status"),
        ALICE,
        &policy("inForce: {}"),
        Some(&policy("")),
    );
    assert!(
        found[0].starts_with("control-policy/status at status:"),
        "{found:?}"
    );
}

#[test]
fn a_policy_that_means_nothing_is_refused_with_path_and_nearest_name() {
    let policies = policies("{}");
    let policy = "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {name: p}\nspec: {overides: []}";
    assert_eq!(
        judge(&policies, ("controlpolicies", ""), ALICE, policy, None),
        [
            "control-policy/valid at spec.overides: unknown field \"overides\"; did you mean \"overrides\"?"
        ]
    );
}

#[test]
fn a_policy_is_opened_by_its_groups_for_a_bounded_time() {
    let policies = policies("{}");
    let policy = |spec: &str, annotations: &str| {
        format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: p, annotations: {{{annotations}}}}}\nspec: {spec}"
        )
    };
    let rules = "{breakGlass: {groups: [security], maxHours: 2}}";
    let open = |until: &str| {
        format!(
            "tidegate.dev/break-glass-until: {until}, tidegate.dev/break-glass-reason: the payment outage of today"
        )
    };
    let write = |caller, new: &str, old: Option<&str>| {
        judge(&policies, ("controlpolicies", ""), caller, new, old)
    };
    let closed = policy(rules, "");
    let good = policy(rules, &open("2026-11-24T14:00:00Z"));
    assert_eq!(write(ALICE, &good, Some(&closed)), [""; 0]);
    let at =
        "control-policy/breakGlass at metadata.annotations[\"tidegate.dev/break-glass-until\"]: ";
    let starts = |found: Vec<String>, text: &str| {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{at}{text}")), "{found:?}");
    };
    starts(
        write(BOB, &good, Some(&closed)),
        "\"bob\" is in none of the groups",
    );
    let far = policy(rules, &open("2026-11-24T14:00:01Z"));
    starts(
        write(ALICE, &far, Some(&closed)),
        "the end is more than the 2 hours away",
    );
    let past = policy(rules, &open("2026-11-24T12:00:00Z"));
    starts(
        write(ALICE, &past, Some(&closed)),
        "the end lies in the past",
    );
    starts(
        write(ALICE, &good, Some(&policy("{}", ""))),
        "the policy's spec.breakGlass named nobody",
    );
    starts(
        write(ALICE, &good, None),
        "a policy cannot be opened in the moment it is made",
    );
    // Closing it, and changing something else while it is open.
    assert_eq!(write(BOB, &closed, Some(&good)), [""; 0]);
    let other = good.replace("name: p,", "name: p, labels: {a: b},");
    assert_eq!(write(BOB, &other, Some(&good)), [""; 0]);
    let bare = policy(
        rules,
        "tidegate.dev/break-glass-until: 2026-11-24T14:00:00Z",
    );
    assert!(write(ALICE, &bare, Some(&closed))[0].contains("in at least 10 characters"));
}
