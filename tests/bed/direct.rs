//! Reviews sent straight to tidegate over TLS, one connection each, as another API server might.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A client that trusts one authority and verifies one name.
#[derive(Clone, Debug)]
pub struct Direct {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    name: ServerName<'static>,
}

/// What tidegate answered, and with which certificate.
#[derive(Debug)]
pub struct DirectAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `AdmissionReview`.
    pub review: Value,
    /// The serving certificate in DER.
    pub certificate: Vec<u8>,
}

impl Direct {
    /// A client for `address` that trusts `authority` (DER) to certify `name`.
    pub fn new(address: SocketAddr, name: &str, authority: CertificateDer<'static>) -> Self {
        Self::trusting(address, name, [authority])
    }

    /// A client for `address` that trusts each of `authorities` (DER) to certify `name`.
    pub fn trusting(
        address: SocketAddr,
        name: &str,
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Every call is a full handshake, so that every call sees the certificate of the moment.
        config.resumption = rustls::client::Resumption::disabled();
        Self {
            config: Arc::new(config),
            address,
            name: ServerName::try_from(name.to_owned()).unwrap(),
        }
    }

    /// Sends the review of a Pod's creation; fails when nothing well-formed comes back in three seconds.
    pub fn review_pod(&self, namespace: &str, pod: &Value) -> io::Result<DirectAnswer> {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "6f0b2d4e-3a51-4a53-a2dd-0c9f0f6c3d11",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
                "requestResource": {"group": "", "version": "v1", "resource": "pods"},
                "name": pod["metadata"]["name"], "namespace": namespace, "operation": "CREATE",
                "userInfo": {"username": "bed", "groups": ["system:authenticated"]},
                "object": pod, "oldObject": null, "dryRun": false,
                "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            },
        });
        self.post("/validate?timeout=3s", &review.to_string())
    }

    /// Passes on what an API server sent, and gives back what tidegate says to it.
    pub fn forward(&self, body: &str) -> io::Result<String> {
        Ok(self.post("/validate?timeout=3s", body)?.review.to_string())
    }

    fn post(&self, path: &str, body: &str) -> io::Result<DirectAnswer> {
        let limit = Some(Duration::from_secs(3));
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(limit)?;
        tcp.set_write_timeout(limit)?;
        let tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, tcp);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bed\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let certificate = stream
            .conn
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|leaf| leaf.to_vec());
        parse(
            &String::from_utf8_lossy(&answer),
            certificate.unwrap_or_default(),
        )
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                String::from_utf8_lossy(&answer).into_owned(),
            )
        })
    }
}

fn parse(answer: &str, certificate: Vec<u8>) -> Option<DirectAnswer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(DirectAnswer {
        status,
        review: serde_json::from_str(body).ok()?,
        certificate,
    })
}
