use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tidegate::server::{ClientAuth, ClientAuthMode};
use tokio::io::AsyncWriteExt as _;

use super::support::{Running, Setup, client_config, connect, eventually, post, response};

/// A CA for clients.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Ca(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key of a client.
    fn client(&self, common_name: &str, dns: &[&str]) -> (String, String) {
        let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (
            params.signed_by(&key, &self.0).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

fn start(mode: ClientAuthMode, ca: &Ca, names: &[&str]) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.crt");
    std::fs::write(&path, ca.0.pem()).unwrap();
    let setup = Setup {
        client_auth: ClientAuth {
            mode,
            ca: Some(path),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        },
        ..Setup::default()
    };
    Running::start_in(dir, setup)
}

/// The status a client with this identity gets; `None` when the handshake is refused.
async fn status(server: &Running, identity: Option<&(String, String)>) -> Option<u16> {
    let identity = identity.map(|(certificate, key)| (certificate.as_str(), key.as_str()));
    let config = client_config(&server.ca(), identity);
    let mut stream = connect(server.address, config).await.ok()?;
    // In TLS 1.3 the refusal reaches the client with its first read.
    let _ = stream.write_all(super::support::head(2).as_bytes()).await;
    let _ = stream.write_all(b"{}").await;
    response(&mut stream).await.ok().map(|answer| answer.status)
}

fn failures(server: &Running, reason: &str) -> i64 {
    server.metric(&format!(
        "tidegate_client_auth_failures_total{{reason=\"{reason}\"}}"
    ))
}

#[tokio::test]
async fn require_lets_in_only_valid_certificates_with_an_allowed_name() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = start(
        ClientAuthMode::Require,
        &ca,
        &["kube-apiserver", "api.example"],
    );
    assert_eq!(status(&server, None).await, None);
    assert_eq!(
        status(&server, Some(&other.client("kube-apiserver", &[]))).await,
        None
    );
    assert_eq!(
        status(&server, Some(&ca.client("somebody", &["x.example"]))).await,
        Some(403)
    );
    assert_eq!(
        status(&server, Some(&ca.client("kube-apiserver", &[]))).await,
        Some(200)
    );
    assert_eq!(
        status(&server, Some(&ca.client("x", &["api.example"]))).await,
        Some(200)
    );
    eventually("all are counted", || {
        ["missing", "invalid", "name"]
            .iter()
            .all(|reason| failures(&server, reason) == 1)
    })
    .await;
    let series = r#"tidegate_handshake_failures_total{reason="client_certificate"}"#;
    assert_eq!(server.metric(series), 2);
}

#[tokio::test]
async fn require_without_names_takes_any_valid_certificate() {
    let ca = Ca::new();
    let server = start(ClientAuthMode::Require, &ca, &[]);
    assert_eq!(
        status(&server, Some(&ca.client("anybody", &[]))).await,
        Some(200)
    );
}

#[tokio::test]
async fn audit_refuses_nobody_and_counts_everybody() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = start(ClientAuthMode::Audit, &ca, &["kube-apiserver"]);
    assert_eq!(status(&server, None).await, Some(200));
    assert_eq!(
        status(&server, Some(&other.client("kube-apiserver", &[]))).await,
        Some(200)
    );
    assert_eq!(
        status(&server, Some(&ca.client("somebody", &[]))).await,
        Some(200)
    );
    assert_eq!(
        status(&server, Some(&ca.client("kube-apiserver", &[]))).await,
        Some(200)
    );
    for reason in ["missing", "invalid", "name"] {
        assert_eq!(failures(&server, reason), 1, "{reason}");
    }
}

#[tokio::test]
async fn off_asks_nobody() {
    let server = Running::start(Setup::default());
    let identity = Ca::new().client("whoever", &[]);
    assert_eq!(status(&server, Some(&identity)).await, Some(200));
    assert_eq!(failures(&server, "invalid"), 0);
}

#[tokio::test]
async fn a_changed_client_ca_rules_new_connections_and_ends_old_ones() {
    let (before, after) = (Ca::new(), Ca::new());
    let server = start(ClientAuthMode::Require, &before, &[]);
    let (certificate, key) = before.client("a", &[]);
    let config = client_config(&server.ca(), Some((&certificate, &key)));
    let mut old = connect(server.address, config).await.unwrap();
    assert!(!post(&mut old, b"{}").await.closes());

    std::fs::write(server.dir.path().join("clients.crt"), after.0.pem()).unwrap();
    eventually("it is taken into use", || {
        server.metric("tidegate_certificate_reloads_total") == 1
    })
    .await;
    assert!(post(&mut old, b"{}").await.closes());
    assert_eq!(status(&server, Some(&(certificate, key))).await, None);
    assert_eq!(
        status(&server, Some(&after.client("a", &[]))).await,
        Some(200)
    );
}
