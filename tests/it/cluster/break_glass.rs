//! Break-glass as people use it: who may open a policy, for how long, and how loud that is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::exceptions::{ALICE, CAROL, Person, ends_exactly, scene, text, within};
use super::policies::{enforce_baseline, of, policy};
use crate::bed::definitions::POLICIES;
use crate::bed::{self, Answer, Bed, Call, Tidegate};

const WHY: &str = "The payment database must be restored now.";

fn start<'a>(bed: &'a Bed, test: &str) -> Tidegate<'a> {
    bed.tidegate(test)
        .arguments(&["--preset", "none"])
        .custom_resources()
        .namespace("shop", &[])
        .start()
}

/// The spec's part that lets approvers open a policy for an hour.
fn rules() -> Value {
    json!({"spec": {"breakGlass": {"groups": ["approvers"], "maxHours": 1}}})
}

fn annotations(end: OffsetDateTime, reason: &str) -> Value {
    json!({
        "tidegate.dev/break-glass-until": text(end),
        "tidegate.dev/break-glass-reason": reason,
    })
}

/// Opens the policy `name` as a person would, with a further change of it.
fn open(
    bed: &Bed,
    name: &str,
    person: Person,
    end: OffsetDateTime,
    reason: &str,
    rest: &Value,
) -> Answer {
    let mut patch = rest.clone();
    patch["metadata"]["annotations"] = annotations(end, reason);
    bed.call(&Call::merge(of(name), &patch).person(person.0, person.1))
}

/// That it was refused for this reason.
fn refused(what: &str, answer: &Answer, check: &str) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.body);
    let check = format!("control-policy/{check}");
    let causes = answer.causes();
    assert!(
        causes.iter().any(|(own, _)| **own == check),
        "{what}: {causes:?}"
    );
}

#[test]
fn a_policy_is_opened_only_by_the_groups_it_named_before_with_a_reason_and_for_a_bounded_time() {
    let bed = bed::shared();
    let test = "glasswho";
    let tidegate = start(&bed, test);
    let scene = scene(&bed, &tidegate);
    let name = "glasswho-shop";
    let mut made = policy(test, "shop", &enforce_baseline());
    bed.api().must(&Call::post(POLICIES, &made));
    scene.soon(false);
    let nothing = json!({});
    let opened = |person, seconds, reason, rest: &Value| {
        open(&bed, name, person, within(seconds), reason, rest)
    };
    let unnamed = opened(ALICE, 60, WHY, &nothing);
    refused("a policy that names nobody", &unnamed, "valid");
    let both = opened(ALICE, 60, WHY, &rules());
    refused("a right given and used at once", &both, "breakGlass");
    bed.api().must(&Call::merge(of(name), &rules()));
    for (what, answer, check) in [
        (
            "another group",
            opened(CAROL, 60, WHY, &nothing),
            "breakGlass",
        ),
        (
            "an end in the past",
            opened(ALICE, -1, WHY, &nothing),
            "breakGlass",
        ),
        (
            "too long",
            opened(ALICE, 2 * 3600, WHY, &nothing),
            "breakGlass",
        ),
        ("no reason", opened(ALICE, 60, "now", &nothing), "valid"),
    ] {
        refused(what, &answer, check);
    }
    made["metadata"]["name"] = json!("glasswho-born-open");
    made["metadata"]["annotations"] = annotations(within(60), WHY);
    made["spec"]["breakGlass"] = rules()["spec"]["breakGlass"].clone();
    let born = bed.call(&Call::post(POLICIES, &made).person("alice", ALICE.1));
    refused("open from the start", &born, "breakGlass");
    assert_eq!(scene.pod().status, 403);

    // An end that never came past the guard, further away than the policy allows, opens nothing.
    let slipped = tidegate.without_guard(|| opened(CAROL, 365 * 24 * 3600, WHY, &nothing));
    assert!(slipped.succeeded(), "{}", slipped.body);
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(1) {
        assert_eq!(scene.pod().status, 403, "a policy is open for a year");
    }
    bed.api().must(&Call::new("DELETE", of(name)));
    scene.soon(true);
}

#[test]
fn an_opened_policy_denies_nothing_until_its_end_to_the_second_and_is_loud() {
    let bed = bed::shared();
    let test = "glass";
    let tidegate = start(&bed, test);
    let scene = scene(&bed, &tidegate);
    let name = "glass-shop";
    let mut made = policy(test, "shop", &enforce_baseline());
    made["spec"]["breakGlass"] = rules()["spec"]["breakGlass"].clone();
    bed.api().must(&Call::post(POLICIES, &made));
    scene.soon(false);

    let end = within(6);
    let opened = open(&bed, name, ALICE, end, WHY, &json!({}));
    assert!(opened.succeeded(), "{}", opened.body);
    println!("a policy was open after {:?}", scene.soon(true));
    let annotations = tidegate.annotations(&scene.pod());
    assert_eq!(annotations["verdict"], "audit");
    assert_eq!(tidegate.count(0, "tidegate_open_policies", &[]), 1);
    let log = tidegate.log(0);
    let line = log
        .lines()
        .find(|line| line.contains("BREAK-GLASS"))
        .unwrap();
    assert!(
        line.contains(r#""level":"ERROR""#) && line.contains(name) && line.contains(WHY),
        "{line}"
    );
    ends_exactly(&scene, end);
    assert_eq!(tidegate.count(0, "tidegate_open_policies", &[]), 0);
    bed.api().must(&Call::new("DELETE", of(name)));
}
