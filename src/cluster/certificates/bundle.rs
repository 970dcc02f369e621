//! Sets of CA certificates, as `ca.crt` and `caBundle` hold them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::ByteString;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use serde_json::Value;

/// The most certificates a bundle may hold.
const MOST: usize = 64;
/// The longest bundle read, in bytes.
const LONGEST: usize = 256 << 10;

/// CA certificates without doubles, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bundle(Vec<CertificateDer<'static>>);

impl Bundle {
    /// Reads PEM. Nothing, or only blanks, is the empty bundle.
    ///
    /// # Errors
    /// In words, when it is no PEM or too long; text without any certificate counts as that.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        if pem.len() > LONGEST {
            return Err(format!("is over {LONGEST} bytes"));
        }
        let mut bundle = Bundle::default();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
            x509_parser::parse_x509_certificate(&certificate)
                .map_err(|error| format!("holds no X.509 certificate: {error}"))?;
            bundle.add(certificate);
            if bundle.0.len() > MOST {
                return Err(format!("holds more than {MOST} certificates"));
            }
        }
        if bundle.0.is_empty() && !pem.trim_ascii().is_empty() {
            return Err("holds no certificate".to_owned());
        }
        Ok(bundle)
    }

    /// Reads a `caBundle`: PEM in Base64, or nothing.
    ///
    /// # Errors
    /// In words.
    pub fn of_ca_bundle(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(Bundle::default());
        }
        let bytes: ByteString =
            serde_json::from_value(value.clone()).map_err(|_| "is not Base64".to_owned())?;
        Bundle::parse(&bytes.0)
    }

    /// The value of a `caBundle`.
    pub fn to_ca_bundle(&self) -> Value {
        serde_json::to_value(ByteString(self.to_pem().into_bytes())).unwrap_or_default()
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        let mut pem = String::new();
        for certificate in &self.0 {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = base64(certificate);
            for line in text.as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        pem
    }

    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a certificate at the end unless it is there.
    pub fn add(&mut self, certificate: CertificateDer<'static>) {
        if !self.0.contains(&certificate) {
            self.0.push(certificate);
        }
    }

    /// Drops the certificates that `keep` does not want.
    pub fn keep(&mut self, keep: impl Fn(&CertificateDer<'static>) -> bool) {
        self.0.retain(keep);
    }

    /// Whether both hold the same certificates.
    pub fn same(&self, other: &Bundle) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|one| other.0.contains(one))
    }

    /// The certificates as texts that can be compared.
    pub fn texts(&self) -> BTreeSet<String> {
        self.0.iter().map(|one| base64(one)).collect()
    }

    /// Whether a client that trusts this bundle accepts `chain` for every one of `names` at `now`
    /// (seconds since 1970).
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        names: &[String],
        now: i64,
    ) -> Result<(), String> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err("there is no certificate".to_owned());
        };
        let leaf = ParsedCertificate::try_from(leaf).map_err(|error| error.to_string())?;
        for name in names {
            let server = match name.parse::<IpAddr>() {
                Ok(address) => ServerName::from(address),
                Err(_) => ServerName::try_from(name.as_str())
                    .map_err(|_| format!("{name:?} is no name"))?,
            };
            verify_server_name(&leaf, &server)
                .map_err(|_| format!("the certificate is not for {name}"))?;
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.0.iter().cloned());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().unwrap_or(0)));
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, now, algorithms.all)
            .map_err(|error| error.to_string())
    }
}

fn base64(bytes: &[u8]) -> String {
    match serde_json::to_value(ByteString(bytes.to_vec())) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// Whether it is a CA.
    pub authority: bool,
}

impl Validity {
    /// That of a certificate in DER.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| format!("is no X.509 certificate: {error}"))?;
        Ok(Validity {
            from: parsed.validity().not_before.timestamp(),
            until: parsed.validity().not_after.timestamp(),
            authority: parsed.is_ca(),
        })
    }

    /// Whether it is valid at `now`.
    pub fn holds(self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether less than three tenths of it are left. Whoever renews does so at two thirds, so this
    /// says that the renewal is overdue.
    pub fn overdue(self, now: i64) -> bool {
        (self.until - now).saturating_mul(10) < (self.until - self.from).saturating_mul(3)
    }
}
