//! Two replicas: one writes, the other takes over.

use std::time::Duration;

use super::{SOON, within, write};
use crate::bed;

#[test]
fn of_two_replicas_started_together_one_leads_and_there_is_one_ca() {
    let bed = bed::shared();
    let mut tidegate = bed
        .tidegate("two")
        .certificates("own")
        .namespace("shop", &[])
        .replicas(2)
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let made = |replica| {
        tidegate.metric(
            replica,
            "tidegate_certificate_rotations_total",
            &[("kind", "ca")],
        )
    };
    assert!((made(0) + made(1) - 1.0).abs() < f64::EPSILON);
    let leads = |tidegate: &bed::Tidegate<'_>, replica| {
        tidegate.metric(replica, "tidegate_leader", &[]) > 0.5
    };
    assert_ne!(leads(&tidegate, 0), leads(&tidegate, 1));
    let leader = usize::from(leads(&tidegate, 1));
    assert_eq!(tidegate.holder(), format!("two-{leader}"));

    tidegate.kill(leader);
    let other = 1 - leader;
    let took = within(Duration::from_secs(20), "the other leads", || {
        leads(&tidegate, other)
    });
    assert!(
        took > Duration::from_secs(8),
        "{took:?}: the lease had not run out"
    );
    assert_eq!(tidegate.holder(), format!("two-{other}"));
    tidegate
        .bed()
        .api()
        .must(&bed::Call::new("DELETE", tidegate.secret_path()));
    within(SOON, "the new leader makes another", || {
        tidegate.secret().is_some()
    });

    // Stopped in order, it gives the Lease back.
    tidegate.restart(leader);
    tidegate.signal(other, "TERM");
    tidegate.wait(other, Duration::from_secs(40));
    within(Duration::from_secs(4), "the first leads at once", || {
        leads(&tidegate, leader)
    });
}

#[test]
fn without_its_lease_a_replica_serves_and_waits() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("leaseless")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let lease = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/tidegate",
        tidegate.own_namespace()
    );
    bed.api().must(&bed::Call::new("DELETE", lease));
    within(Duration::from_secs(15), "it leads no longer", || {
        tidegate.metric(0, "tidegate_leader", &[]) < 0.5
    });
    assert!(
        tidegate
            .log(0)
            .contains("it does not exist; the chart makes it")
    );
    assert!(write(&tidegate, &name).is_ok());
}

#[test]
fn while_the_api_server_is_away_the_certificate_stays_and_nobody_leads() {
    let bed = bed::exclusive();
    let tidegate = bed
        .tidegate("away")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let client = tidegate.as_api_server(None);
    let stored = tidegate.stored_leaf();
    let leads = || tidegate.metric(0, "tidegate_leader", &[]) > 0.5;
    bed.kill_apiserver();
    within(SOON, "it leads no longer", || {
        let answer = client
            .review_pod(&name, &bed::compliant_pod("web"))
            .unwrap();
        assert_eq!(answer.certificate, stored);
        assert_eq!(tidegate.ops(0, "/readyz").unwrap().0, 200);
        !leads()
    });
    bed.start_apiserver();
    within(Duration::from_secs(30), "it leads again", leads);
    within(SOON, "a write goes through again", || {
        write(&tidegate, &name).is_ok()
    });
    assert_eq!(
        tidegate.stored_leaf(),
        stored,
        "there was no reason for another"
    );
}
