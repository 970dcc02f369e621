use time::macros::datetime;

use super::*;
use crate::control::Mode;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);

fn held(kind: Kind, object: &Value, before: Option<Held>) -> Held {
    Held::read(Key::of(kind, object).unwrap(), object, before)
}

fn policy(generation: i64, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy",
        "metadata": {"name": "p", "uid": "u", "generation": generation, "resourceVersion": "7"},
        "spec": spec, "status": status,
    })
}

fn exception(generation: i64, approval: &Value) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException",
        "metadata": {"name": "e", "namespace": "shop", "uid": "u", "generation": generation, "resourceVersion": "7"},
        "spec": {"controls": ["pod-security"], "match": {"kinds": ["Pod"]}, "reason": "r", "owner": "o",
            "requestedBy": "bob", "expires": "2026-12-24T00:00:00Z"},
        "status": {"approval": approval},
    })
}

fn approval(generation: Option<i64>) -> Value {
    let mut approval = json!({"approvedBy": "alice", "approvedAt": "2026-11-24T11:00:00Z"});
    if let Some(generation) = generation {
        approval["generation"] = generation.into();
    }
    approval
}

/// What a round would write of an object, with the reasons of its events.
fn change(held: &Held, counts: &Counts, now: OffsetDateTime) -> Option<(Value, Vec<&'static str>)> {
    let list = held.policy.clone().into_iter();
    let policies = Policies::new(list, Mode::Enforce);
    let round = Round {
        policies: &policies,
        namespaces: &NamespaceIndex::default(),
        counts,
        now,
    };
    let change = round.change(held)?;
    assert_eq!(change.resource_version, "7");
    let reasons = change.notices.iter().map(|notice| notice.reason);
    Some((change.status, reasons.collect()))
}

fn condition<'s>(status: &'s Value, kind: &str) -> &'s Value {
    let list = status["conditions"].as_array().unwrap();
    list.iter()
        .find(|condition| condition["type"] == kind)
        .unwrap()
}

#[test]
fn a_policy_in_force_is_ready_and_recorded_and_then_nothing_is_written() {
    let spec = json!({"mode": "audit"});
    let own = held(Kind::Policy, &policy(3, &spec, &Value::Null), None);
    let (status, reasons) = change(&own, &Counts::default(), NOW).unwrap();
    assert_eq!(reasons, [""; 0]);
    assert_eq!(status["inForce"], json!({"generation": 3, "spec": spec}));
    assert_eq!(status["observedGeneration"], 3);
    let ready = condition(&status, "Ready");
    assert_eq!(
        (&ready["status"], &ready["reason"]),
        (&json!("True"), &json!("InForce"))
    );
    let again = held(Kind::Policy, &policy(3, &spec, &status), None);
    assert_eq!(
        change(&again, &Counts::default(), NOW + time::Duration::hours(1)),
        None
    );
}

#[test]
fn a_broken_policy_says_where_and_keeps_the_last_good_version_also_in_a_new_process() {
    let good = json!({"mode": "audit"});
    let broken = json!({"mode": "audit", "overides": []});
    let first = held(Kind::Policy, &policy(3, &good, &Value::Null), None);
    let (recorded, _) = change(&first, &Counts::default(), NOW).unwrap();
    for before in [Some(first), None] {
        let own = held(Kind::Policy, &policy(4, &broken, &recorded), before);
        assert_eq!(own.policy.as_ref().unwrap().mode, Mode::Audit);
        assert_eq!(own.in_force_generation, Some(3));
        let (status, reasons) = change(&own, &Counts::default(), NOW).unwrap();
        assert_eq!(reasons, ["NotValid"]);
        let ready = condition(&status, "Ready");
        assert_eq!(ready["status"], "False");
        assert_eq!(
            ready["message"],
            "spec.overides: unknown field \"overides\"; did you mean \"overrides\"?; generation 3 stays in force"
        );
        assert_eq!(
            status["inForce"], recorded["inForce"],
            "what was good stays recorded"
        );
        // The event is for the moment it happened.
        let again = held(Kind::Policy, &policy(4, &broken, &status), None);
        assert_eq!(change(&again, &Counts::default(), NOW), None);
    }
}

#[test]
fn a_policy_of_the_same_name_made_anew_inherits_nothing() {
    let first = held(Kind::Policy, &policy(3, &json!({}), &Value::Null), None);
    let mut other = policy(1, &json!({"mode": "loud"}), &Value::Null);
    other["metadata"]["uid"] = "another".into();
    let own = held(Kind::Policy, &other, Some(first));
    assert!(own.policy.is_none() && !own.problems.is_empty());
}

#[test]
fn findings_count_from_the_version_in_force() {
    let mut counts = Counts::default();
    let used = Use {
        count: 5,
        last: NOW,
    };
    counts.policies.insert(Arc::from("p"), used);
    let own = held(Kind::Policy, &policy(3, &json!({}), &Value::Null), None);
    let (status, _) = change(&own, &counts, NOW).unwrap();
    assert_eq!(status["findings"], 5);
    let own = held(Kind::Policy, &policy(3, &json!({}), &status), None);
    let (status, _) = change(&own, &counts, NOW).unwrap();
    assert_eq!(status["findings"], 10);
    let own = held(Kind::Policy, &policy(4, &json!({}), &status), None);
    let (status, _) = change(&own, &Counts::default(), NOW).unwrap();
    assert_eq!(status["findings"], 0);
}

#[test]
fn an_approval_gets_the_generation_it_was_given_for() {
    let own = held(Kind::Exception, &exception(1, &approval(None)), None);
    let (status, _) = change(&own, &Counts::default(), NOW).unwrap();
    assert_eq!(status["approval"], approval(Some(1)));
    assert_eq!(status["active"], true);
    assert_eq!(condition(&status, "Ready")["reason"], "Active");
    assert_eq!(condition(&status, "Expiring")["status"], "False");
}

#[test]
fn an_approval_of_another_version_is_taken_away() {
    let own = held(Kind::Exception, &exception(2, &approval(Some(1))), None);
    let (status, _) = change(&own, &Counts::default(), NOW).unwrap();
    assert_eq!(status["approval"], Value::Null);
    assert_eq!(status["active"], false);
    assert_eq!(
        condition(&status, "Ready")["reason"],
        "ChangedSinceApproval"
    );
}

#[test]
fn an_exception_warns_fourteen_days_before_its_end_and_says_when_it_is_over() {
    let own = held(Kind::Exception, &exception(1, &approval(Some(1))), None);
    let at = |now| change(&own, &Counts::default(), now).unwrap();
    let (status, reasons) = at(datetime!(2026-12-09 23:59:59 UTC));
    assert_eq!(
        (&condition(&status, "Expiring")["status"], reasons),
        (&json!("False"), vec![])
    );
    let (status, reasons) = at(datetime!(2026-12-10 00:00:00 UTC));
    assert_eq!(condition(&status, "Expiring")["status"], "True");
    assert_eq!(reasons, ["EndsSoon"]);
    let (status, reasons) = at(datetime!(2026-12-24 00:00:00 UTC));
    assert_eq!(status["active"], false);
    assert_eq!(condition(&status, "Ready")["reason"], "Expired");
    assert_eq!(reasons, ["Expired"]);
}

#[test]
fn uses_of_an_exception_are_counted_with_the_last_time() {
    let mut counts = Counts::default();
    let used = Use {
        count: 2,
        last: NOW,
    };
    counts.exceptions.insert(Arc::from("shop/e"), used);
    let own = held(Kind::Exception, &exception(1, &approval(Some(1))), None);
    let (status, _) = change(&own, &counts, NOW).unwrap();
    assert_eq!(
        (&status["uses"], &status["lastUsed"]),
        (&json!(2), &json!("2026-11-24T12:00:00Z"))
    );
}
