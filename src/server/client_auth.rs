//! Who may call the admission port: client certificates, their CA and their names.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;

use super::metrics::{ClientAuthFailure, Metrics};
use super::throttle::Throttle;

static FAILURES: Throttle = Throttle::new();

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientAuthMode {
    /// Nothing.
    #[default]
    Off,
    /// A certificate is asked for and judged; nobody is refused, failures are counted and logged.
    Audit,
    /// Only clients with a valid certificate, and one of the allowed names if there are any.
    Require,
}

/// `--client-auth`, `--client-ca` and `--client-names`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientAuth {
    /// What is asked of clients.
    pub mode: ClientAuthMode,
    /// PEM file with the CAs that issue client certificates; needed unless the mode is off.
    pub ca: Option<PathBuf>,
    /// Subject common names and DNS names of which a certificate must have one; empty: any.
    pub names: Vec<String>,
}

impl ClientAuth {
    /// What is wrong with these settings.
    ///
    /// # Errors
    /// When certificates are asked for without a CA, or a CA or names are given without asking.
    pub fn validate(&self) -> Result<(), String> {
        match (self.mode, &self.ca) {
            (ClientAuthMode::Off, Some(_)) => Err(
                "--client-ca is given, but --client-auth is off; say audit or require".to_owned(),
            ),
            (ClientAuthMode::Off, None) if !self.names.is_empty() => {
                Err("--client-names is given, but --client-auth is off".to_owned())
            }
            (ClientAuthMode::Audit | ClientAuthMode::Require, None) => {
                Err("--client-auth needs --client-ca".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// What a client's certificate is worth, once its connection stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Good, or nobody asked, or nobody minds.
    Accepted,
    /// The certificate is valid, its name is not allowed: every request is answered 403.
    NameRefused,
}

/// Judges a connection that stands. `valid` is what the verifier said.
pub(super) fn judge(
    auth: &ClientAuth,
    chain: Option<&[CertificateDer<'_>]>,
    valid: bool,
    metrics: &Metrics,
) -> Standing {
    let failure = match chain.and_then(<[_]>::first) {
        _ if auth.mode == ClientAuthMode::Off => return Standing::Accepted,
        None => ClientAuthFailure::Missing,
        Some(_) if !valid => ClientAuthFailure::Invalid,
        Some(leaf) if auth.names.is_empty() || has_name(leaf, &auth.names) => {
            return Standing::Accepted;
        }
        Some(_) => ClientAuthFailure::Name,
    };
    metrics.client_auth_failure(failure);
    if let Some(held_back) = FAILURES.pass() {
        tracing::warn!(
            reason = ?failure, mode = ?auth.mode, held_back,
            "a client certificate is missing or not acceptable"
        );
    }
    if auth.mode == ClientAuthMode::Require {
        Standing::NameRefused
    } else {
        Standing::Accepted
    }
}

/// Whether a subject common name or a DNS name of the certificate is one of `names`.
fn has_name(leaf: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(leaf) else {
        return false;
    };
    let allowed = |name: &str| names.iter().any(|allowed| allowed == name);
    let common_name = certificate
        .subject()
        .iter_common_name()
        .any(|name| name.as_str().is_ok_and(allowed));
    let dns_name = || {
        certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .is_some_and(|names| {
                names.value.general_names.iter().any(|name| match name {
                    GeneralName::DNSName(name) => allowed(name),
                    _ => false,
                })
            })
    };
    common_name || dns_name()
}

/// The verifier for mode `require`. It names no CAs to the client, so that a client with a
/// certificate of another CA sends it and the refusal can say why.
pub(super) fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| error.to_string())
}

/// Judges as `inner` does and lets everybody in, remembering the verdict. One per connection.
#[derive(Debug)]
pub(super) struct Auditor {
    inner: Arc<dyn ClientCertVerifier>,
    invalid: AtomicBool,
}

impl Auditor {
    pub(super) fn new(inner: Arc<dyn ClientCertVerifier>) -> Self {
        Auditor {
            inner,
            invalid: AtomicBool::new(false),
        }
    }

    pub(super) fn valid(&self) -> bool {
        !self.invalid.load(Ordering::Relaxed)
    }

    fn note<T>(&self, result: Result<T, Error>, otherwise: T) -> T {
        result.unwrap_or_else(|_| {
            self.invalid.store(true, Ordering::Relaxed);
            otherwise
        })
    }
}

impl ClientCertVerifier for Auditor {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, intermediates, now);
        Ok(self.note(verified, ClientCertVerified::assertion()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self
            .inner
            .verify_tls12_signature(message, certificate, signature);
        Ok(self.note(verified, HandshakeSignatureValid::assertion()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self
            .inner
            .verify_tls13_signature(message, certificate, signature);
        Ok(self.note(verified, HandshakeSignatureValid::assertion()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
