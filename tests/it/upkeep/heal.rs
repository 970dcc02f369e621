//! What somebody else breaks is made whole again, and no call fails meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Connecting, SOON, within, write};
use crate::bed::{self, Authority, Call, Tidegate, secret_text};

/// Breaks something under load and waits until it is whole again. No call may fail, neither over a
/// connection that is there nor over a new one.
fn healed(tidegate: &Tidegate<'_>, what: &str, damage: impl FnOnce()) {
    let name = tidegate.namespace("shop");
    let before = tidegate.stored_leaf();
    let connecting = Connecting::new(tidegate);
    let ((), tally) = bed::during(
        2,
        || {
            std::thread::sleep(Duration::from_millis(10));
            write(tidegate, &name).and_then(|()| connecting.call(&name).map(|_| ()))
        },
        || {
            damage();
            let mut served = Vec::new();
            within(SOON, what, || {
                served = connecting.call(&name).unwrap_or_default();
                served == tidegate.stored_leaf() && served != before
            });
            // Some calls more, by an API server that has heard of everything.
            std::thread::sleep(Duration::from_secs(1));
        },
    );
    assert!(tally.failures.is_empty(), "{what}: {:?}", tally.failures);
    assert!(tally.calls > 20, "{what}: {}", tally.calls);
    let authorities = tidegate.authorities();
    let bundle = tidegate.ca_bundle();
    assert!(authorities.iter().all(|one| bundle.contains(one)), "{what}");
}

#[test]
fn a_secret_that_is_deleted_damaged_or_swapped_is_healed_without_a_failed_call() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("heal")
        .certificates("own")
        .namespace("shop", &[])
        .replicas(2)
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let names = [tidegate.server_name()];

    healed(&tidegate, "a deleted Secret", || {
        bed.api().must(&Call::new("DELETE", tidegate.secret_path()));
    });
    healed(&tidegate, "junk for a certificate", || {
        tidegate.change_secret(&[("tls.crt", Some("-----BEGIN CERTIFICATE-----\njunk"))]);
    });
    healed(&tidegate, "the key of another certificate", || {
        let other = Authority::new("other").server(&names);
        tidegate.change_secret(&[("tls.key", Some(&other.key))]);
    });
    healed(&tidegate, "a certificate of a foreign CA", || {
        let leaf = Authority::new("foreign").server(&names);
        tidegate.change_secret(&[
            ("tls.crt", Some(&leaf.certificate)),
            ("tls.key", Some(&leaf.key)),
        ]);
    });
    healed(&tidegate, "no CA key", || {
        tidegate.change_secret(&[("ca.key", None)]);
    });
    healed(&tidegate, "junk for the CA", || {
        tidegate.change_secret(&[("ca.crt", Some("junk"))]);
    });
    healed(&tidegate, "a certificate for other names", || {
        let secret = tidegate.secret().unwrap();
        let authority = Authority::of(&newest(&secret), &secret_text(&secret, "ca.key"));
        let leaf = authority.server(&["elsewhere.example"]);
        tidegate.change_secret(&[
            ("tls.crt", Some(&leaf.certificate)),
            ("tls.key", Some(&leaf.key)),
        ]);
    });
    healed(&tidegate, "an expired certificate", || {
        let secret = tidegate.secret().unwrap();
        let authority = Authority::of(&newest(&secret), &secret_text(&secret, "ca.key"));
        let leaf = authority.server_valid(&names, -455, -365);
        tidegate.change_secret(&[
            ("tls.crt", Some(&leaf.certificate)),
            ("tls.key", Some(&leaf.key)),
        ]);
    });
    healed(&tidegate, "a certificate from a year ahead", || {
        let secret = tidegate.secret().unwrap();
        let authority = Authority::of(&newest(&secret), &secret_text(&secret, "ca.key"));
        let leaf = authority.server_valid(&names, 365, 455);
        tidegate.change_secret(&[
            ("tls.crt", Some(&leaf.certificate)),
            ("tls.key", Some(&leaf.key)),
        ]);
    });
    healed(
        &tidegate,
        "everything from two thirds of its life ago",
        || {
            let old = Authority::valid_until("old", Some(500));
            let leaf = old.server_valid(&names, -61, 29);
            tidegate.change_secret(&[
                ("tls.crt", Some(&leaf.certificate)),
                ("tls.key", Some(&leaf.key)),
                ("ca.crt", Some(old.pem())),
                ("ca.key", Some(&old.key())),
            ]);
        },
    );
}

/// The newest CA in a Secret, PEM.
fn newest(secret: &Value) -> String {
    const END: &str = "-----END CERTIFICATE-----\n";
    let bundle = secret_text(secret, "ca.crt");
    let (first, _) = bundle.split_once(END).unwrap();
    format!("{first}{END}")
}

#[test]
fn certificates_that_expired_a_year_ago_are_replaced_at_once_at_the_start() {
    let bed = bed::shared();
    let mut tidegate = bed
        .tidegate("expired")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    tidegate.kill(0);
    let old = Authority::valid_until("old", Some(-300));
    let leaf = old.server_valid(&[tidegate.server_name()], -455, -365);
    tidegate.change_secret(&[
        ("tls.crt", Some(&leaf.certificate)),
        ("tls.key", Some(&leaf.key)),
        ("ca.crt", Some(old.pem())),
        ("ca.key", Some(&old.key())),
    ]);
    tidegate.restart(0);
    within(SOON, "a write goes through again", || {
        write(&tidegate, &name).is_ok()
    });
    assert!(
        !tidegate.authorities().contains(&old.der()),
        "an expired CA goes at once"
    );
}

#[test]
fn a_ca_bundle_that_is_changed_emptied_or_lost_with_its_entry_is_healed() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("bundle")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let path = "/webhooks/0/clientConfig/caBundle";
    let foreign = k8s_openapi::ByteString(Authority::new("foreign").pem().as_bytes().to_vec());
    let mut anew = tidegate.configuration()["webhooks"][0].clone();
    anew["clientConfig"]
        .as_object_mut()
        .unwrap()
        .remove("caBundle");
    anew["timeoutSeconds"] = json!(2);
    for (what, patch) in [
        (
            "changed",
            json!([{"op": "replace", "path": path, "value": foreign}]),
        ),
        (
            "emptied",
            json!([{"op": "replace", "path": path, "value": "Cg=="}]),
        ),
        ("taken away", json!([{"op": "remove", "path": path}])),
        (
            "lost with its entry",
            json!([{"op": "replace", "path": "/webhooks/0", "value": anew}]),
        ),
    ] {
        tidegate.patch_configuration(&patch);
        let took = within(Duration::from_secs(3), what, || {
            tidegate.ca_bundle() == tidegate.authorities()
        });
        eprintln!("a caBundle {what} was healed after {took:?}");
        within(SOON, "a write goes through", || {
            write(&tidegate, &name).is_ok()
        });
    }
    let heals = [("kind", "heal")];
    assert!(
        (tidegate.metric(0, "tidegate_ca_bundle_writes_total", &heals) - 4.0).abs() < f64::EPSILON
    );
    let version = tidegate.configuration()["metadata"]["resourceVersion"].clone();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        tidegate.configuration()["metadata"]["resourceVersion"],
        version,
        "nothing is written for nothing"
    );
}

#[test]
fn a_writer_who_never_gives_up_does_not_keep_the_api_server_busy() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("fight")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    within(SOON, "it is kept", || !tidegate.ca_bundle().is_empty());
    let path = "/webhooks/0/clientConfig/caBundle";
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(8) {
        tidegate.patch_configuration(&json!([{"op": "add", "path": path, "value": "Cg=="}]));
        std::thread::sleep(Duration::from_millis(50));
    }
    let writes = tidegate.metric(0, "tidegate_ca_bundle_writes_total", &[]);
    assert!(writes <= 25.0, "{writes}");
    assert!(
        tidegate
            .log(0)
            .contains("somebody else keeps writing the caBundle")
    );
    within(Duration::from_secs(20), "it is healed in the end", || {
        tidegate.ca_bundle() == tidegate.authorities()
    });
}

#[test]
fn without_its_rights_it_serves_on_and_says_what_it_lacks() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("rightless")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let role = format!(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/{}",
        tidegate.webhook()
    );
    bed.api().must(&Call::new("DELETE", role));
    tidegate.patch_configuration(&json!([
        {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
    ]));
    within(Duration::from_secs(45), "it says so", || {
        tidegate
            .log(0)
            .contains("certificates or caBundle cannot be kept")
    });
    assert!(tidegate.metric(0, "tidegate_certificate_upkeep_failures_total", &[]) >= 1.0);
    assert_eq!(tidegate.ops(0, "/readyz").unwrap().0, 200);
    assert!(write(&tidegate, &name).is_ok());
    let events = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events",
        tidegate.own_namespace()
    );
    within(SOON, "an Event tells", || {
        let events = bed.call(&Call::new("GET", &events)).body;
        let mut items = events["items"].as_array().into_iter().flatten();
        items.any(|event| {
            event["reason"] == "CertificatesNotKept"
                && event["type"] == "Warning"
                && event["regarding"]["kind"] == "Lease"
                && event["note"].as_str().unwrap().contains("403")
        })
    });
}

#[test]
fn an_expiry_that_nears_is_seen_in_readiness_and_events_long_before() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("expiring")
        .certificates("given")
        .namespace("shop", &[])
        .start_unready();
    let authority = Authority::new("given");
    let leaf = authority.server_valid(&[tidegate.server_name()], -65, 25);
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
    let (status, text) = tidegate.ops(0, "/readyz?verbose").unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("WARNING: its renewal is overdue"), "{text}");
    let events = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events",
        tidegate.own_namespace()
    );
    within(SOON, "an Event tells", || {
        let events = bed.call(&Call::new("GET", &events)).body;
        let mut items = events["items"].as_array().into_iter().flatten();
        items.any(|event| {
            event["reason"] == "CertificateExpires"
                && event["regarding"]["name"] == "tidegate-tls"
                && event["note"]
                    .as_str()
                    .unwrap()
                    .starts_with("The serving certificate expires at ")
        })
    });
}
