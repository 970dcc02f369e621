//! Policies as objects of the cluster: what a change does, how soon, and what a broken one does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::until;
use crate::bed::definitions::{PEOPLE, POLICIES};
use crate::bed::{self, Bed, Call, Direct, Tidegate, compliant_pod, during};

/// How soon a change must be in force on every replica.
const SOON: Duration = Duration::from_secs(2);

/// A policy of the test `test`, for its own namespaces alone.
pub(super) fn policy(test: &str, name: &str, control: &Value) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy",
        "metadata": {"name": format!("{test}-{name}")},
        "spec": {
            "namespaces": {"include": [format!("{test}-*")]},
            "controls": {"pod-security": control},
        },
    })
}

/// A Pod that the level baseline does not admit.
pub(super) fn host_network_pod(name: &str) -> Value {
    let mut pod = compliant_pod(name);
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

pub(super) fn enforce_baseline() -> Value {
    json!({"mode": "enforce", "settings": {"default": {"enforce": "baseline"}}})
}

pub(super) fn of(name: &str) -> String {
    format!("{POLICIES}/{name}")
}

/// Generation and verdict that a replica gives for a Pod with the host's network.
fn ask(direct: &Direct, namespace: &str) -> Result<(String, String), String> {
    let answer = direct
        .review_pod(namespace, &host_network_pod("web"))
        .map_err(|error| error.to_string())?;
    let annotations = &answer.review["response"]["auditAnnotations"];
    let text = |key: &str| {
        let text = annotations[key].as_str();
        text.map(str::to_owned)
            .ok_or_else(|| format!("no {key}: {}", answer.review))
    };
    Ok((text("generation")?, text("verdict")?))
}

fn verdict(tidegate: &Tidegate<'_>, replica: usize, namespace: &str) -> String {
    ask(&tidegate.direct_to(replica), namespace).unwrap().1
}

/// How long until every replica gives this verdict.
pub(super) fn in_force(replicas: &[Direct], namespace: &str, verdict: &str) -> Duration {
    let start = Instant::now();
    for replica in replicas {
        while ask(replica, namespace).unwrap().1 != verdict {
            assert!(
                start.elapsed() < SOON,
                "not {verdict:?} after {:?}",
                start.elapsed()
            );
        }
    }
    start.elapsed()
}

#[test]
fn a_change_is_in_force_on_every_replica_within_two_seconds_and_no_answer_is_a_mix() {
    // Alone: the generation is that of all policies of the bed.
    let bed = bed::exclusive();
    let test = "polchange";
    let tidegate = bed
        .tidegate(test)
        .arguments(&["--preset", "none"])
        .custom_resources()
        .replicas(2)
        .namespace("shop", &[])
        .start();
    let shop = tidegate.namespace("shop");
    let replicas = [tidegate.direct_to(0), tidegate.direct_to(1)];
    let name = of("polchange-shop");
    let mode = |mode: &str| {
        let spec = json!({"spec": {"controls": {"pod-security": {"mode": mode}}}});
        Call::merge(&name, &spec)
    };
    let mut changes = Vec::new();
    for _ in 0..4 {
        let created = policy(test, "shop", &enforce_baseline());
        changes.push((Call::post(POLICIES, &created), "deny"));
        changes.push((mode("warn"), "warn"));
        changes.push((mode("audit"), "audit"));
        changes.push((mode("enforce"), "deny"));
        changes.push((Call::new("DELETE", &name), "allow"));
    }

    let seen: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::default();
    let asked = |replica: &Direct| {
        let (generation, verdict) = ask(replica, &shop)?;
        seen.lock()
            .unwrap()
            .entry(generation)
            .or_default()
            .insert(verdict);
        Ok(())
    };
    let load = || replicas.iter().try_for_each(asked);
    let (worst, tally) = during(2, load, || {
        let mut worst = Duration::ZERO;
        for (change, verdict) in &changes {
            bed.api().must(change);
            worst = worst.max(in_force(&replicas, &shop, verdict));
        }
        worst
    });
    println!(
        "{} changes on 2 replicas, the slowest in force after {worst:?}; {} calls beside",
        changes.len(),
        tally.calls
    );
    assert_eq!(tally.failures, Vec::<String>::new());
    let seen = seen.into_inner().unwrap();
    // Three versions of each of four policies, and the state without any.
    assert_eq!(seen.len(), 3 * 4 + 1, "{seen:?}");
    for (generation, verdicts) in &seen {
        assert_eq!(
            verdicts.len(),
            1,
            "generation {generation} gave {verdicts:?}"
        );
    }
    for replica in 0..2 {
        assert_eq!(
            tidegate.count(replica, "tidegate_policy_generation", &[]),
            1
        );
    }
}

#[test]
fn what_the_schema_can_refuse_the_api_server_refuses_in_its_own_words() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("polschema")
        .custom_resources()
        .namespace("shop", &[])
        .start();
    let post = |change: &dyn Fn(&mut Value)| {
        let mut policy = policy("polschema", "bad", &enforce_baseline());
        change(&mut policy["spec"]);
        bed.call(&Call::post(POLICIES, &policy))
    };
    let refused = tidegate.without_guard(|| {
        vec![
            (
                post(&|spec| spec["mode"] = json!("enforced")),
                r#"spec.mode: Unsupported value: "enforced""#,
            ),
            (
                post(&|spec| spec["controls"]["pod-securty"] = json!({})),
                "unknown control; this version knows 'pod-security'",
            ),
            (
                post(&|spec| spec["exceptions"] = json!({"maxDays": 4000})),
                "should be less than or equal to 3650",
            ),
            (
                post(&|spec| spec["breakGlass"] = json!({"groups": []})),
                "spec.breakGlass.groups",
            ),
            (
                post(&|spec| {
                    spec["namespaces"]["selector"] =
                        json!({"matchExpressions": [{"key": "a", "operator": "In"}]});
                }),
                "In and NotIn need values",
            ),
        ]
    });
    for (answer, words) in refused {
        assert_eq!(answer.status, 422, "{words}: {}", answer.body);
        assert!(
            answer.message().contains(words),
            "{words}: {}",
            answer.message()
        );
    }
    // The shortest policies there are.
    for control in [
        json!({}),
        json!({"mode": "audit"}),
        json!({"checks": {"hostPorts": {"mode": "warn"}}}),
    ] {
        bed.api()
            .must(&Call::post(POLICIES, &policy("polschema", "short", &control)).dry_run());
    }
}

#[test]
fn what_the_schema_cannot_tell_tidegate_refuses_with_path_and_nearest_name() {
    let bed = bed::shared();
    let _tidegate = bed
        .tidegate("polguard")
        .arguments(&["--audit-only"])
        .custom_resources()
        .namespace("shop", &[])
        .start();
    let mut bad = policy("polguard", "bad", &enforce_baseline());
    bad["spec"]["controls"]["pod-security"]["settings"] =
        json!({"defualt": {"enforce": "baseline"}});
    let refused = bed.call(&Call::post(POLICIES, &bad));
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(
        refused.causes(),
        [(
            "control-policy/valid",
            "spec.controls.pod-security.settings.defualt"
        )]
    );
    assert!(
        refused.message().contains("default"),
        "{}",
        refused.message()
    );

    let name = of("polguard-good");
    bed.api().must(&Call::post(
        POLICIES,
        &policy("polguard", "good", &enforce_baseline()),
    ));
    let forged = json!({"status": {"inForce": {"generation": 1, "spec": {}}}});
    let forged =
        bed.call(&Call::merge(format!("{name}/status"), &forged).person("mallory", &[PEOPLE]));
    assert_eq!(
        forged.causes(),
        [("control-policy/status", "status")],
        "{}",
        forged.body
    );
    bed.api().must(&Call::new("DELETE", name));
}

/// Writes into the status what the replica that leads would.
fn record(bed: &Bed, name: &str, version: &Value) {
    let in_force =
        json!({"generation": version["metadata"]["generation"], "spec": version["spec"]});
    let status = json!({"status": {"inForce": in_force}});
    let call = Call::merge(format!("{}/status", of(name)), &status).person("tidegate", &[]);
    bed.api().must(&call);
}

fn readiness(tidegate: &Tidegate<'_>, replica: usize) -> String {
    let (status, text) = tidegate.ops(replica, "/readyz?verbose").unwrap();
    assert_eq!(status, 200, "{text}");
    text
}

fn invalid(tidegate: &Tidegate<'_>, replica: usize, kind: &str) -> usize {
    tidegate.count(replica, "tidegate_resources_invalid", &[("kind", kind)])
}

#[test]
fn a_policy_that_slips_past_broken_leaves_its_last_good_version_in_force_on_every_replica() {
    // Alone: the generation is that of all policies of the bed.
    let bed = bed::exclusive();
    let test = "polbroken";
    let mut tidegate = bed
        .tidegate(test)
        .arguments(&["--preset", "none"])
        .custom_resources()
        .replicas(2)
        .namespace("shop", &[])
        .start();
    let shop = tidegate.namespace("shop");
    let name = "polbroken-shop";
    let replicas = [tidegate.direct_to(0), tidegate.direct_to(1)];
    let good = bed
        .api()
        .must(&Call::post(
            POLICIES,
            &policy(test, "shop", &enforce_baseline()),
        ))
        .body;
    in_force(&replicas, &shop, "deny");
    record(&bed, name, &good);
    let before = ask(&replicas[0], &shop).unwrap();

    // Broken, and what can be read of it would deny nothing.
    let broken = json!({"spec": {"mode": "off", "controls": {"pod-security": {"mode": "off", "settings": {"defualt": {}}}}}});
    let never_good = policy(test, "never-good", &json!({"settings": {"defualt": {}}}));
    tidegate.without_guard(|| {
        bed.api().must(&Call::merge(of(name), &broken));
        bed.api().must(&Call::post(POLICIES, &never_good));
    });
    until("both are known to be broken", || {
        (0..2).all(|replica| invalid(&tidegate, replica, "controlpolicies") >= 2)
    });
    tidegate.kill(1);
    tidegate.restart(1);
    let after: Vec<_> = replicas
        .iter()
        .map(|replica| ask(replica, &shop).unwrap())
        .collect();
    assert_eq!(after[0], before, "another state is in force");
    assert_eq!(
        after[1], before,
        "the replica that started later has another state in force"
    );
    for replica in 0..2 {
        assert!(invalid(&tidegate, replica, "controlpolicies") >= 2);
        let conditions = readiness(&tidegate, replica);
        assert!(conditions.contains("of them not valid"), "{conditions}");
        let log = tidegate.log(replica);
        let line = log
            .lines()
            .rev()
            .find(|line| line.contains(r#""name":"polbroken-shop""#))
            .unwrap();
        assert!(
            line.contains("spec.controls.pod-security.settings.defualt: unknown field"),
            "{line}"
        );
        assert!(
            line.contains("its last good version stays in force")
                && line.contains(r#""in_force":1"#),
            "{line}"
        );
        assert!(log.lines().any(|line| line.contains("polbroken-never-good")
            && line.contains("nothing of it is in force")));
    }

    // Corrected, it counts as it stands.
    let corrected = json!({"spec": {"mode": "audit", "controls": {"pod-security": {"mode": "warn", "settings": {"defualt": null}}}}});
    bed.api().must(&Call::merge(of(name), &corrected));
    in_force(&replicas, &shop, "warn");
    bed.api().must(&Call::new("DELETE", of(name)));
    bed.api()
        .must(&Call::new("DELETE", of("polbroken-never-good")));
    in_force(&replicas, &shop, "allow");
}

#[test]
fn what_was_in_force_stays_when_the_definitions_are_deleted_and_new_ones_are_picked_up() {
    let bed = bed::exclusive();
    let test = "polcrds";
    let tidegate = bed
        .tidegate(test)
        .arguments(&["--preset", "none"])
        .custom_resources()
        .namespace("shop", &[])
        .start();
    let shop = tidegate.namespace("shop");
    let replicas = [tidegate.direct_to(0)];
    let made = || {
        bed.api().must(&Call::post(
            POLICIES,
            &policy(test, "shop", &enforce_baseline()),
        ))
    };
    made();
    in_force(&replicas, &shop, "deny");
    let before = ask(&replicas[0], &shop).unwrap();

    bed.remove_definitions();
    until("it is known that they are gone", || {
        tidegate.count(
            0,
            "tidegate_resources_definition_missing",
            &[("kind", "controlpolicies")],
        ) == 1
    });
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        assert_eq!(
            ask(&replicas[0], &shop).unwrap(),
            before,
            "something else is in force"
        );
    }
    let said = readiness(&tidegate, 0);
    assert!(said.contains("a definition is missing"), "{said}");
    assert!(
        tidegate
            .log(0)
            .contains("what was in force of it stays in force until it is back")
    );

    // Another tidegate starts where there are none; both pick them up.
    let later = bed
        .tidegate("pollater")
        .arguments(&["--preset", "none"])
        .namespace("shop", &[])
        .start();
    assert_eq!(verdict(&later, 0, &later.namespace("shop")), "allow");
    bed.install_definitions();
    made();
    let other = policy("pollater", "shop", &enforce_baseline());
    bed.api().must(&Call::post(POLICIES, &other));
    until("both have the new policies in force", || {
        let generations = [&tidegate, &later].map(|tidegate| {
            (verdict(tidegate, 0, &tidegate.namespace("shop")) == "deny")
                && tidegate.count(0, "tidegate_resources", &[("kind", "controlpolicies")]) == 2
        });
        generations == [true, true]
    });
    assert_eq!(
        tidegate.count(0, "tidegate_resources_definition_missing", &[]),
        0
    );
    assert!(!readiness(&tidegate, 0).contains("missing"));
    for name in ["polcrds-shop", "pollater-shop"] {
        bed.api().must(&Call::new("DELETE", of(name)));
    }
    in_force(&replicas, &shop, "allow");
}

#[test]
fn a_crash_of_the_api_server_loses_no_change() {
    let bed = bed::exclusive();
    let test = "polcrash";
    let tidegate = bed
        .tidegate(test)
        .arguments(&["--preset", "none"])
        .custom_resources()
        .namespace("shop", &[])
        .start();
    let shop = tidegate.namespace("shop");
    let replicas = [tidegate.direct_to(0)];
    for name in ["shop", "second"] {
        bed.api().must(&Call::post(
            POLICIES,
            &policy(test, name, &enforce_baseline()),
        ));
    }
    in_force(&replicas, &shop, "deny");
    // One changed and one deleted in the moment of the crash: whether the watch brought it or not,
    // it counts in the end.
    bed.api().must(&Call::new("DELETE", of("polcrash-second")));
    let changed = json!({"spec": {"controls": {"pod-security": {"mode": "warn"}}}});
    bed.api().must(&Call::merge(of("polcrash-shop"), &changed));
    bed.kill_apiserver();
    let meanwhile = verdict(&tidegate, 0, &shop);
    assert!(["deny", "warn"].contains(&&*meanwhile), "{meanwhile}");
    bed.start_apiserver();
    until("the changes are in force", || {
        verdict(&tidegate, 0, &shop) == "warn"
    });
    bed.api().must(&Call::new("DELETE", of("polcrash-shop")));
    until("the policy is gone", || {
        verdict(&tidegate, 0, &shop) == "allow"
    });
}
