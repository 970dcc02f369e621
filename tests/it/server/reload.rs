use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tidegate::server::{CertificateError, CertificateSource, ServeError, Server};

use super::support::{Running, Setup, client_config, config, connect, eventually, post};

/// A certificate of its own for localhost, and its key.
fn pair(valid_hours: i64) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(2);
    params.not_after = now + time::Duration::hours(valid_hours);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn write(dir: &Path, (certificate, key): &(String, String)) {
    fs::write(dir.join("tls.crt"), certificate).unwrap();
    fs::write(dir.join("tls.key"), key).unwrap();
}

fn setup(dir: &Path) -> Setup {
    Setup {
        certificate: Some(CertificateSource::TlsDir(dir.to_owned())),
        ..Setup::default()
    }
}

/// Whether a new connection is served with this certificate, and answers.
async fn serves(server: &Running, certificate: &str) -> bool {
    let config = client_config(certificate.as_bytes(), None);
    let Ok(mut stream) = connect(server.address, config).await else {
        return false;
    };
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    shown == CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
        && post(&mut stream, b"{}").await.status == 200
}

fn reloads(server: &Running) -> (i64, i64, i64) {
    (
        server.metric("tidegate_certificate_reloads_total"),
        server.metric("tidegate_certificate_reload_failures_total"),
        server.metric("tidegate_certificate_refused"),
    )
}

#[tokio::test]
async fn a_changed_pair_is_served_to_new_connections_and_old_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (pair(48), pair(72));
    write(dir.path(), &first);
    let setup = setup(dir.path());
    let server = Running::start_in(dir, setup);
    let config = client_config(first.0.as_bytes(), None);
    let mut old = connect(server.address, config).await.unwrap();
    assert!(serves(&server, &first.0).await);
    eventually("the expiry is known", || {
        server.metric("tidegate_certificate_expiry_timestamp_seconds") > 0
    })
    .await;
    let before = server.metric("tidegate_certificate_expiry_timestamp_seconds");

    write(server.dir.path(), &second);
    eventually("it is reloaded", || reloads(&server).0 == 1).await;
    assert!(serves(&server, &second.0).await);
    let after = server.metric("tidegate_certificate_expiry_timestamp_seconds");
    assert_eq!((after - before + 1800) / 3600, 24);
    assert_eq!(post(&mut old, b"{}").await.status, 200);
}

#[tokio::test]
async fn bad_pairs_are_refused_said_once_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (good, other, expired) = (pair(48), pair(48), pair(-1));
    write(dir.path(), &good);
    let setup = setup(dir.path());
    let server = Running::start_in(dir, setup);
    let mixed = (good.0.clone(), other.1.clone());
    let half = (other.0[..100].to_owned(), other.1.clone());
    let empty = (String::new(), String::new());
    for (count, bad) in [mixed, half, empty, expired].iter().enumerate() {
        write(server.dir.path(), bad);
        let count = i64::try_from(count).unwrap() + 1;
        eventually("it is refused", || reloads(&server) == (0, count, 1)).await;
        assert!(serves(&server, &good.0).await);
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(reloads(&server), (0, 4, 1), "once for each content");

    fs::remove_file(server.dir.path().join("tls.key")).unwrap();
    eventually("a missing file is told", || reloads(&server) == (0, 5, 1)).await;
    assert!(serves(&server, &good.0).await);
    write(server.dir.path(), &other);
    eventually("it heals", || reloads(&server) == (1, 5, 0)).await;
    assert!(serves(&server, &other.0).await);
}

#[tokio::test]
async fn the_swapped_links_of_a_secret_volume_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (pair(48), pair(48));
    for (name, pair) in [("..1", &first), ("..2", &second)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        write(&dir.path().join(name), pair);
    }
    symlink("..1", dir.path().join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
    }
    let setup = setup(dir.path());
    let server = Running::start_in(dir, setup);
    assert!(serves(&server, &first.0).await);
    symlink("..2", server.dir.path().join("..data_tmp")).unwrap();
    fs::rename(
        server.dir.path().join("..data_tmp"),
        server.dir.path().join("..data"),
    )
    .unwrap();
    eventually("it is reloaded", || reloads(&server).0 == 1).await;
    assert!(serves(&server, &second.0).await);
}

#[tokio::test]
async fn a_server_does_not_start_with_a_certificate_it_cannot_serve() {
    let dir = tempfile::tempdir().unwrap();
    let bind = || {
        Server::bind(
            config(dir.path(), setup(dir.path())),
            Arc::default(),
            Arc::default(),
        )
    };
    let error = bind().err().unwrap();
    assert!(
        matches!(
            error,
            ServeError::Certificate(CertificateError::Read { .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("tls.crt"), "{error}");
    write(dir.path(), &pair(-1));
    let error = bind().err().unwrap().to_string();
    assert!(error.contains("has expired"), "{error}");
    write(dir.path(), &(pair(1).0, pair(1).1));
    let error = bind().err().unwrap().to_string();
    assert!(error.contains("the key does not fit"), "{error}");
}
