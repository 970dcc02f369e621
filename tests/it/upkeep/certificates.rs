//! From nothing to a served certificate, and what a replica says while there is none.

use std::time::Duration;

use serde_json::json;

use super::{SOON, within, write};
use crate::bed::{self, Authority, Call, secret_text};

#[test]
fn from_no_secret_to_a_served_certificate_takes_seconds() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("first")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(Duration::from_secs(5), "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let secret = tidegate.secret().unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(
        secret["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "tidegate"
    );
    let owner = &secret["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"]),
        (&json!("Lease"), &json!("tidegate"))
    );
    assert_eq!(tidegate.ca_bundle(), tidegate.authorities());
    assert_eq!(tidegate.ca_bundle().len(), 1);
    let owners = tidegate.configuration()["metadata"]["managedFields"].to_string();
    assert!(owners.contains(r#""manager":"tidegate""#), "{owners}");
    let served = tidegate
        .as_api_server(None)
        .review_pod(&name, &bed::compliant_pod("web"));
    assert_eq!(served.unwrap().certificate, tidegate.stored_leaf());
    let rotated =
        |kind| tidegate.metric(0, "tidegate_certificate_rotations_total", &[("kind", kind)]);
    assert!((rotated("ca") - 1.0).abs() + (rotated("leaf") - 1.0).abs() < f64::EPSILON);
    let days = (tidegate.metric(0, "tidegate_ca_expiry_timestamp_seconds", &[])
        - tidegate.metric(0, "tidegate_certificate_expiry_timestamp_seconds", &[]))
        / 86_400.0;
    assert!((days - (5.0 * 365.0 - 90.0)).abs() < 0.01, "{days}");
    let log = tidegate.log(0);
    assert!(!log.contains("PRIVATE KEY"), "a key in the log");
}

#[test]
fn with_the_release_the_secret_goes() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("leave")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let lease = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/tidegate",
        tidegate.own_namespace()
    );
    let mut tidegate = tidegate;
    tidegate.kill(0);
    bed.api().must(&Call::new("DELETE", lease));
    within(Duration::from_mins(1), "the Secret is collected", || {
        tidegate.secret().is_none()
    });
}

#[test]
fn while_there_is_no_certificate_a_replica_is_unready_and_says_why() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("await")
        .certificates("given")
        .namespace("shop", &[])
        .start_unready();
    let name = tidegate.namespace("shop");
    let why = "certificate: there is no serving certificate yet: Secret tg-await/tidegate-tls does not exist";
    within(SOON, "it says why", || {
        let (status, text) = tidegate.ops(0, "/readyz").unwrap();
        status == 503 && text.contains(why)
    });
    assert_eq!(tidegate.ops(0, "/livez").unwrap().0, 200);

    let authority = Authority::new("given");
    let leaf = authority.server(&[tidegate.server_name()]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tidegate-tls"},
        "stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.pem()},
    });
    let path = format!("/api/v1/namespaces/{}/secrets", tidegate.own_namespace());
    bed.api().must(&Call::post(path, &secret));
    within(SOON, "it is ready", || {
        tidegate.ops(0, "/readyz").unwrap().0 == 200
    });
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    assert_eq!(tidegate.ca_bundle(), [authority.der()]);
    assert_eq!(
        secret_text(&tidegate.secret().unwrap(), "ca.key"),
        "",
        "it is not ours to write"
    );
}

#[test]
fn a_given_secret_that_is_replaced_by_that_of_another_ca_fails_no_call() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("given")
        .certificates("given")
        .namespace("shop", &[])
        .start_unready();
    let name = tidegate.namespace("shop");
    let names = [tidegate.server_name()];
    let first = Authority::new("first");
    let leaf = first.server(&names);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tidegate-tls"},
        "stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": first.pem()},
    });
    let path = format!("/api/v1/namespaces/{}/secrets", tidegate.own_namespace());
    bed.api().must(&Call::post(path, &secret));
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let connecting = super::Connecting::new(&tidegate);
    let second = Authority::new("second");
    let ((), tally) = bed::during(
        2,
        || write(&tidegate, &name).and_then(|()| connecting.call(&name).map(|_| ())),
        || {
            let leaf = second.server(&names);
            tidegate.change_secret(&[
                ("tls.crt", Some(&leaf.certificate)),
                ("tls.key", Some(&leaf.key)),
                ("ca.crt", Some(second.pem())),
            ]);
            let stored = tidegate.stored_leaf();
            within(SOON, "the new one is served", || {
                connecting.call(&name).is_ok_and(|served| served == stored)
            });
        },
    );
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(
        tidegate.ca_bundle(),
        [second.der(), first.der()],
        "the former lingers"
    );
}

#[test]
fn where_somebody_else_injects_nothing_is_written_and_a_certificate_waits_for_its_ca() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("injected")
        .certificates("injected")
        .namespace("shop", &[])
        .start_unready();
    let name = tidegate.namespace("shop");
    let names = [tidegate.server_name()];
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let inject = |authorities: &[&Authority]| {
        let pem: String = authorities.iter().map(|one| one.pem()).collect();
        let value = k8s_openapi::ByteString(pem.into_bytes());
        let path = "/webhooks/0/clientConfig/caBundle";
        tidegate.patch_configuration(&json!([{"op": "add", "path": path, "value": value}]));
    };
    let leaf = first.server(&names);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tidegate-tls"},
        "stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key},
    });
    let path = format!("/api/v1/namespaces/{}/secrets", tidegate.own_namespace());
    bed.api().must(&Call::post(path, &secret));
    inject(&[&first]);
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let served = || {
        let answer = tidegate
            .as_api_server(None)
            .review_pod(&name, &bed::compliant_pod("web"));
        answer.unwrap().certificate
    };
    let before = served();
    let leaf = second.server(&names);
    tidegate.change_secret(&[
        ("tls.crt", Some(&leaf.certificate)),
        ("tls.key", Some(&leaf.key)),
    ]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(served(), before, "nobody trusts the other one yet");
    let (_, text) = tidegate.ops(0, "/readyz?verbose").unwrap();
    assert!(
        text.contains("the API servers do not trust its certificate yet"),
        "{text}"
    );
    inject(&[&second, &first]);
    within(SOON, "the other one is served", || {
        served() == tidegate.stored_leaf()
    });
    assert!(
        tidegate
            .metric(0, "tidegate_ca_bundle_writes_total", &[])
            .abs()
            < f64::EPSILON
    );
}
