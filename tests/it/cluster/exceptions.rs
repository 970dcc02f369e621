//! Exceptions as people use them: who may ask, who may approve, for how long, and that nothing stays
//! open.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::policies::host_network_pod;
use super::until;
use crate::bed::definitions::{PEOPLE, exceptions};
use crate::bed::{self, Answer, Bed, Call, Tidegate};

/// Everything is denied that the level baseline does not admit; approvers approve.
const POLICY: &str = "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: strict}
spec:
  mode: enforce
  controls: {pod-security: {settings: {default: {enforce: baseline}}}}
  exceptions: {approverGroups: [approvers], never: [pod-security/privileged], maxDays: 30}
";

/// Bob asks; Alice and Dave may approve, Carol may not.
const BOB: (&str, &[&str]) = ("bob", &[PEOPLE, "approvers"]);
pub(super) const ALICE: (&str, &[&str]) = ("alice", &[PEOPLE, "approvers"]);
const DAVE: (&str, &[&str]) = ("dave", &[PEOPLE, "approvers"]);
pub(super) const CAROL: (&str, &[&str]) = ("carol", &[PEOPLE]);
/// Who records approvals: tidegate's own user.
const TIDEGATE: (&str, &[&str]) = ("tidegate", &[]);

pub(super) type Person = (&'static str, &'static [&'static str]);

pub(super) fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

/// The time in this many seconds, to the second.
pub(super) fn within(seconds: i64) -> OffsetDateTime {
    let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    time.replace_nanosecond(0).unwrap()
}

fn start<'a>(bed: &'a Bed, name: &str) -> Tidegate<'a> {
    bed.tidegate(name)
        .policy(POLICY)
        .custom_resources()
        .namespace("shop", &[])
        .start()
}

/// An exception from hostNamespaces for the Pod `web`, asked for by Bob.
fn asked(expires: OffsetDateTime) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException", "metadata": {"name": "agent"},
        "spec": {
            "controls": ["pod-security/hostNamespaces"], "match": {"kinds": ["Pod"], "names": ["web*"]},
            "reason": "Reads host sockets until the collector is replaced.", "owner": "team@shop.example",
            "ticket": "OPS-1432", "requestedBy": "bob", "expires": text(expires),
        },
    })
}

/// The exceptions and Pods of one namespace, and who acts there.
pub(super) struct Scene<'b> {
    bed: &'b Bed,
    namespace: String,
}

impl Scene<'_> {
    fn ask(&self, person: Person, exception: &Value) -> Answer {
        let call = Call::post(exceptions(&self.namespace), exception);
        self.bed.call(&call.person(person.0, person.1))
    }

    fn patch(&self, person: Person, subresource: &str, patch: &Value) -> Answer {
        let target = format!("{}/agent{subresource}", exceptions(&self.namespace));
        self.bed
            .call(&Call::merge(target, patch).person(person.0, person.1))
    }

    fn status(&self, person: Person, approval: &Value) -> Answer {
        self.patch(
            person,
            "/status",
            &json!({"status": {"approval": approval}}),
        )
    }

    fn approve(&self, person: Person) -> Answer {
        let now = text(OffsetDateTime::now_utc());
        self.status(person, &json!({"approvedBy": person.0, "approvedAt": now}))
    }

    /// What the replica that leads does with a new approval.
    fn record(&self) {
        let path = format!("{}/agent", exceptions(&self.namespace));
        let object = self.bed.api().must(&Call::new("GET", path)).body;
        let recorded = self.status(
            TIDEGATE,
            &json!({"generation": object["metadata"]["generation"]}),
        );
        assert!(recorded.succeeded(), "{}", recorded.body);
    }

    pub(super) fn pod(&self) -> Answer {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        self.bed
            .call(&Call::post(path, &host_network_pod("web")).dry_run())
    }

    /// How long until the Pod is admitted, or is not.
    pub(super) fn soon(&self, admitted: bool) -> Duration {
        let start = Instant::now();
        while self.pod().succeeded() != admitted {
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "not {admitted} in two seconds"
            );
        }
        start.elapsed()
    }
}

pub(super) fn scene<'b>(bed: &'b Bed, tidegate: &Tidegate<'_>) -> Scene<'b> {
    Scene {
        bed,
        namespace: tidegate.namespace("shop"),
    }
}

/// That a write was refused for this reason.
fn refused(what: &str, answer: &Answer, check: &str, field: &str) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.body);
    let check = format!("control-exception/{check}");
    let causes = answer.causes();
    assert!(causes.contains(&(&*check, field)), "{what}: {causes:?}");
}

#[test]
fn an_exception_is_asked_for_in_ones_own_name_for_a_bounded_time_and_for_what_may_be_excepted() {
    let bed = bed::shared();
    let tidegate = start(&bed, "excask");
    let scene = scene(&bed, &tidegate);
    let day = 24 * 3600;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut exception = asked(within(7 * day));
        change(&mut exception["spec"]);
        scene.ask(BOB, &exception)
    };
    refused(
        "forged",
        &scene.ask(CAROL, &asked(within(day))),
        "requestedBy",
        "spec.requestedBy",
    );
    for (what, seconds) in [("past", -1), ("far", 31 * day), ("absurd", 36_500 * day)] {
        let ends = json!(text(within(seconds)));
        refused(
            what,
            &with(&|spec| spec["expires"] = ends.clone()),
            "expires",
            "spec.expires",
        );
    }
    for target in ["pod-security/privileged", "pod-security"] {
        let answer = with(&|spec| spec["controls"] = json!([target]));
        refused("never", &answer, "neverExcepted", "spec.controls");
    }
    refused(
        "all",
        &with(&|spec| spec["controls"] = json!(["*"])),
        "allControls",
        "spec.controls",
    );
    let unknown = with(&|spec| spec["controls"] = json!(["pod-security/hostNamespace"]));
    refused("unknown", &unknown, "valid", "spec.controls[0]");
    assert!(
        unknown.message().contains("hostNamespaces"),
        "{}",
        unknown.message()
    );

    // What the API server says no to by itself.
    for (words, answer) in [
        (
            "spec.expires",
            with(&|spec| spec["expires"] = json!("tomorrow")),
        ),
        (
            "not for a whole namespace",
            with(&|spec| spec["match"] = json!({})),
        ),
        (
            "stands alone",
            with(&|spec| spec["controls"] = json!(["*", "pod-security"])),
        ),
        (
            "spec.requestedBy: Required value",
            with(&|spec| {
                spec.as_object_mut().unwrap().remove("requestedBy");
            }),
        ),
    ] {
        assert_eq!(answer.status, 422, "{words}: {}", answer.body);
        assert!(
            answer.message().contains(words),
            "{words}: {}",
            answer.message()
        );
    }
    let stored = scene.ask(BOB, &asked(within(day)));
    assert!(stored.succeeded(), "{}", stored.body);
    let taken_over = scene.patch(
        CAROL,
        "",
        &json!({"spec": {"reason": "Because it is nice to have."}}),
    );
    refused(
        "another writes the spec",
        &taken_over,
        "requestedBy",
        "spec.requestedBy",
    );
    assert_eq!(
        scene.pod().status,
        403,
        "it lowers something before it is approved"
    );
}

#[test]
fn an_exception_is_approved_by_somebody_else_in_their_own_name_who_may() {
    let bed = bed::shared();
    let tidegate = start(&bed, "excapprove");
    let scene = scene(&bed, &tidegate);
    let by = "status.approval.approvedBy";
    assert!(scene.ask(BOB, &asked(within(24 * 3600))).succeeded());

    let own = scene.approve(BOB);
    assert_eq!(own.status, 422, "{}", own.body);
    assert!(
        own.message()
            .contains("nobody approves their own exception"),
        "{}",
        own.message()
    );
    let now = text(OffsetDateTime::now_utc());
    let as_alice = json!({"approvedBy": "alice", "approvedAt": now});
    refused(
        "the author as another",
        &scene.status(BOB, &as_alice),
        "approvedBy",
        by,
    );
    refused(
        "in another's name",
        &scene.status(DAVE, &as_alice),
        "approvedBy",
        by,
    );
    refused("by nobody who may", &scene.approve(CAROL), "approvedBy", by);
    let long_ago = json!({"approvedBy": "alice", "approvedAt": "2020-01-01T00:00:00Z"});
    refused(
        "long ago",
        &scene.status(ALICE, &long_ago),
        "approval",
        "status.approval.approvedAt",
    );
    let other = json!({"approvedBy": "alice", "approvedAt": now, "generation": 7});
    refused(
        "another version",
        &scene.status(ALICE, &other),
        "approval",
        "status.approval.generation",
    );
    let more = scene.patch(ALICE, "/status", &json!({"status": {"active": true}}));
    refused("what tidegate says", &more, "status", "status");
    refused(
        "tidegate itself",
        &scene.status(TIDEGATE, &as_alice),
        "approvedBy",
        "status.approval",
    );
    assert_eq!(scene.pod().status, 403);

    // Without tidegate's webhook the schema still refuses self-approval.
    let without = tidegate.without_guard(|| scene.approve(BOB));
    assert_eq!(without.status, 422, "{}", without.body);
    assert!(
        without
            .message()
            .contains("nobody approves their own exception")
    );
}

#[test]
fn an_approval_works_at_once_shows_itself_and_ends_with_any_change_of_the_spec() {
    let bed = bed::shared();
    let tidegate = start(&bed, "excworks");
    let scene = scene(&bed, &tidegate);
    let other = Scene {
        bed: &bed,
        namespace: "excworks-other".to_owned(),
    };
    assert!(scene.ask(BOB, &asked(within(24 * 3600))).succeeded());
    let denied = scene.pod();
    assert_eq!(
        denied.causes(),
        [("pod-security/hostNamespaces", "spec.hostNetwork")]
    );

    assert!(scene.approve(ALICE).succeeded());
    println!("an approval was in force after {:?}", scene.soon(true));
    shows_itself(&tidegate, &scene);
    let unrecorded = scene.patch(BOB, "", &json!({"spec": {"match": {"names": ["*"]}}}));
    refused(
        "a change under an unrecorded approval",
        &unrecorded,
        "approval",
        "spec",
    );
    scene.record();
    let first = bed
        .api()
        .must(&Call::new(
            "GET",
            format!("{}/agent", exceptions(&scene.namespace)),
        ))
        .body;

    // Nothing in another namespace, though its name and match are the same.
    bed.create_namespace(&other.namespace, &[]);
    assert!(asks_directly(&tidegate, &scene.namespace));
    assert!(
        !asks_directly(&tidegate, &other.namespace),
        "it works in another namespace"
    );

    // A change makes the approval worthless at once, and nobody can bring it back.
    let wider = scene.patch(BOB, "", &json!({"spec": {"match": {"names": ["*"]}}}));
    assert!(wider.succeeded(), "{}", wider.body);
    println!(
        "a change of the spec ended the approval after {:?}",
        scene.soon(false)
    );
    let approval = first["status"]["approval"].clone();
    assert!(
        scene.status(DAVE, &approval).succeeded(),
        "nothing is changed by it"
    );
    refused(
        "replayed with the new generation",
        &scene.status(DAVE, &json!({"generation": 2})),
        "approvedBy",
        "status.approval.approvedBy",
    );
    let replayed = json!({"approvedBy": "alice", "approvedAt": text(OffsetDateTime::now_utc()), "generation": 1});
    refused(
        "the old generation",
        &scene.status(ALICE, &replayed),
        "approval",
        "status.approval.generation",
    );
    assert_eq!(scene.pod().status, 403, "a replayed approval counts");
    let renewed = json!({"approvedBy": "alice", "approvedAt": text(OffsetDateTime::now_utc()), "generation": 2});
    assert!(scene.status(ALICE, &renewed).succeeded());
    scene.soon(true);
    // Whoever may write the status takes it back.
    assert!(scene.status(CAROL, &Value::Null).succeeded());
    scene.soon(false);
}

/// Whether tidegate itself, past the API server, admits the Pod.
fn asks_directly(tidegate: &Tidegate<'_>, namespace: &str) -> bool {
    let answer = tidegate
        .direct()
        .review_pod(namespace, &host_network_pod("web"))
        .unwrap();
    answer.review["response"]["allowed"].as_bool().unwrap()
}

fn shows_itself(tidegate: &Tidegate<'_>, scene: &Scene<'_>) {
    let id = format!("{}/agent", scene.namespace);
    let labels = [("control", "pod-security"), ("check", "hostNamespaces")];
    let count = || tidegate.count(0, "tidegate_excepted_findings_total", &labels);
    let before = count();
    let answer = scene.pod();
    assert_eq!(answer.warnings, Vec::<String>::new());
    let annotations = tidegate.annotations(&answer);
    let findings: Value = serde_json::from_str(&annotations["findings"]).unwrap();
    let finding = &findings[0];
    assert_eq!(
        (&finding["check"], &finding["mode"]),
        (&json!("pod-security/hostNamespaces"), &json!("audit"))
    );
    assert_eq!(finding["exception"], id, "{findings}");
    assert_eq!(annotations["exceptions"], id);
    assert_eq!(count(), before + 1);
    let log = tidegate.log(0);
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains(r#""kind":"Pod""#))
        .unwrap();
    assert!(
        line.contains(&format!(
            "pod-security/hostNamespaces=audit by exception {id}"
        )),
        "{line}"
    );
}

/// Asks from now until two seconds after `end` whether the Pod is admitted: it must be until then,
/// and from then on it must not.
pub(super) fn ends_exactly(scene: &Scene<'_>, end: OffsetDateTime) {
    let (mut before, mut after) = (0, 0);
    while OffsetDateTime::now_utc() < end + time::Duration::seconds(2) {
        let asked = OffsetDateTime::now_utc();
        let answer = scene.pod();
        let answered = OffsetDateTime::now_utc();
        if answered < end {
            assert_eq!(
                answer.status,
                201,
                "denied {} before its end: {}",
                end - answered,
                answer.body
            );
            before += 1;
        } else if asked >= end {
            assert_eq!(answer.status, 403, "admitted {} after its end", asked - end);
            after += 1;
        }
    }
    assert!(
        before > 5 && after > 5,
        "{before} calls before, {after} after"
    );
}

#[test]
fn an_exception_ends_to_the_second() {
    let bed = bed::shared();
    let tidegate = start(&bed, "excends");
    let scene = scene(&bed, &tidegate);
    let end = within(6);
    assert!(scene.ask(BOB, &asked(end)).succeeded());
    let approved = scene.approve(ALICE);
    assert!(approved.succeeded(), "{}", approved.body);
    scene.soon(true);
    ends_exactly(&scene, end);
    refused(
        "approved when it is over",
        &scene.approve(DAVE),
        "expires",
        "spec.expires",
    );
}

#[test]
fn an_exception_that_slips_past_broken_lowers_nothing() {
    // Alone: what is not valid is counted over the whole bed.
    let bed = bed::exclusive();
    let tidegate = start(&bed, "excbroken");
    let scene = scene(&bed, &tidegate);
    assert!(scene.ask(BOB, &asked(within(24 * 3600))).succeeded());
    assert!(scene.approve(ALICE).succeeded());
    scene.record();
    scene.soon(true);
    let broken = scene_without_guard(
        &tidegate,
        &scene,
        &json!({"spec": {"controls": ["pod-security/everything"]}}),
    );
    assert!(broken.succeeded(), "{}", broken.body);
    // Neither what it says now nor what was approved before.
    scene.soon(false);
    assert_eq!(
        tidegate.count(
            0,
            "tidegate_resources_invalid",
            &[("kind", "controlexceptions")]
        ),
        1
    );
    let log = tidegate.log(0);
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains(r#""name":"agent""#) && line.contains("not valid"));
    let line = line.unwrap();
    assert!(
        line.contains("spec.controls[0]: unknown check") && line.contains("it lowers nothing"),
        "{line}"
    );
    assert!(
        scene
            .patch(
                BOB,
                "",
                &json!({"spec": {"controls": ["pod-security/hostNamespaces"]}})
            )
            .succeeded()
    );
    until("it is read again", || {
        tidegate.count(
            0,
            "tidegate_resources_invalid",
            &[("kind", "controlexceptions")],
        ) == 0
    });
    assert_eq!(
        scene.pod().status,
        403,
        "an approval of another version counts"
    );
}

fn scene_without_guard(tidegate: &Tidegate<'_>, scene: &Scene<'_>, patch: &Value) -> Answer {
    tidegate.without_guard(|| scene.patch(BOB, "", patch))
}
