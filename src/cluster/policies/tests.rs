//! The store without an API server: numbers, and what is held of objects that are not valid.

use std::time::Instant as Clock;

use serde_json::json;

use super::*;
use crate::control::Mode;

fn store() -> Store {
    let none: [Policy; 0] = [];
    Store::new(Policies::new(none, Mode::Enforce), String::new())
}

fn policy(name: &str, uid: &str, generation: i64, mode: &str) -> Custom {
    Custom::from(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy",
        "metadata": {"name": name, "uid": uid, "generation": generation, "resourceVersion": "1",
            "managedFields": [{"manager": "kubectl"}]},
        "spec": {"namespaces": {"include": [format!("{name}-*")]}, "controls": {"pod-security": {"mode": mode}}},
    }))
}

fn exception(number: usize) -> Custom {
    Custom::from(json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException",
        "metadata": {"name": format!("e{number}"), "namespace": format!("n{}", number % 100),
            "uid": format!("e{number}"), "generation": 1, "resourceVersion": "1"},
        "spec": {"controls": ["pod-security/hostPorts"], "match": {"kinds": ["Pod"], "names": [format!("agent-{number}-*")]},
            "reason": "r", "owner": "o", "requestedBy": "bob", "expires": "2030-01-01T00:00:00Z"},
    }))
}

fn side(store: &Store, kind: Kind) -> Side<'_> {
    Side { store, kind }
}

fn generation(store: &Store) -> Arc<str> {
    Arc::clone(&store.in_force().load().generation)
}

fn modes(store: &Store) -> Vec<(String, Mode)> {
    let in_force = store.in_force().load_full();
    let mode = |policy: &Arc<Policy>| policy.controls.first().and_then(|setup| setup.mode);
    let list = in_force.list.iter();
    list.map(|policy| (policy.name.to_string(), mode(policy).unwrap()))
        .collect()
}

#[test]
fn a_change_among_ten_thousand_policies_and_exceptions_is_in_force_in_time() {
    const EACH: usize = 10_000;
    let store = store();
    let start = Clock::now();
    let policies =
        (0..EACH).map(|number| policy(&format!("p{number}"), &format!("p{number}"), 1, "enforce"));
    side(&store, Kind::Policy).replace(policies.collect());
    side(&store, Kind::Exception).replace((0..EACH).map(exception).collect());
    let all = start.elapsed();
    let in_force = store.in_force().load_full();
    assert_eq!(in_force.list.len(), EACH);
    assert_eq!(in_force.exceptions.iter().count(), EACH);
    let start = Clock::now();
    side(&store, Kind::Policy).set(policy("p77", "p77", 2, "warn"));
    store.put_in_force();
    let change = start.elapsed();
    println!(
        "{EACH} policies and exceptions in force after {all:?}, a change among them after {change:?}"
    );
    assert!(modes(&store).contains(&("p77".to_owned(), Mode::Warn)));
    // Without optimisation, on a machine that does other things too.
    assert!(change < Duration::from_secs(2), "{change:?}");
}

/// The definition of a policy whose control has a mode that is none.
fn broken(name: &str, uid: &str, recorded: &Value) -> Custom {
    let Custom(mut object) = policy(name, uid, 2, "off or so");
    object["status"] = json!({"inForce": recorded});
    Custom(object)
}

#[test]
fn a_replica_that_saw_the_good_version_and_one_that_reads_it_from_the_status_are_in_one_state() {
    let good = policy("p", "u1", 1, "enforce");
    let recorded = json!({"generation": 1, "spec": good.0["spec"]});
    let (saw, reads) = (store(), store());
    let Custom(mut applied) = good;
    applied["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    side(&saw, Kind::Policy).replace(vec![Custom(applied)]);
    let before = generation(&saw);
    side(&saw, Kind::Policy).set(broken("p", "u1", &recorded));
    saw.put_in_force();
    side(&reads, Kind::Policy).replace(vec![broken("p", "u1", &recorded)]);
    for store in [&saw, &reads] {
        assert_eq!(modes(store), [("p".to_owned(), Mode::Enforce)]);
        assert_eq!(generation(store), before);
        store.each(|held| {
            assert_eq!(
                (held.in_force_generation, held.problems.len()),
                (Some(1), 1)
            );
        });
    }
}

#[test]
fn another_object_of_the_same_name_does_not_inherit_what_was_good() {
    let store = store();
    side(&store, Kind::Policy).replace(vec![policy("p", "u1", 1, "enforce")]);
    side(&store, Kind::Policy).set(broken("p", "u2", &Value::Null));
    store.put_in_force();
    assert_eq!(modes(&store), []);
}

#[test]
fn a_recorded_version_that_is_not_valid_either_puts_nothing_in_force() {
    let store = store();
    let recorded = json!({"generation": 1, "spec": {"controls": {"pod-securty": {}}}});
    side(&store, Kind::Policy).replace(vec![broken("p", "u1", &recorded)]);
    assert_eq!(modes(&store), []);
    assert!(store.condition().is_err(), "exceptions were not listed yet");
    side(&store, Kind::Exception).missing();
    assert!(store.condition().unwrap().contains("1 of them not valid"));
}

#[test]
fn objects_that_are_gone_from_a_list_stay_in_force_until_it_is_known_that_this_was_meant() {
    let store = store();
    side(&store, Kind::Policy).replace(vec![policy("p", "u1", 1, "enforce")]);
    side(&store, Kind::Policy).replace(Vec::new());
    store.put_in_force();
    assert_eq!(modes(&store), [("p".to_owned(), Mode::Enforce)]);
    // It comes back before that is asked.
    side(&store, Kind::Policy).set(policy("p", "u2", 1, "warn"));
    assert!(store.state().leaving.is_empty());
    store.put_in_force();
    assert_eq!(modes(&store), [("p".to_owned(), Mode::Warn)]);
}
