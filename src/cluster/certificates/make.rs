//! Making CAs and serving certificates.

use std::fmt::Write as _;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

/// How far a certificate's validity begins before it is made, in seconds, for API servers whose
/// clock is behind.
const BACK: i64 = 3600;

/// A certificate and its key.
#[derive(Debug)]
pub struct Made {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// The certificate, PEM.
    pub pem: String,
    /// Its key.
    pub key: KeyPair,
}

/// A CA with an ECDSA P-256 key, good for `life` seconds from `now`.
///
/// # Errors
/// In words, when the key or the signature cannot be made.
pub fn authority(now: i64, life: i64) -> Result<Made, String> {
    let mut params = CertificateParams::default();
    let key = key()?;
    // Each CA has a name of its own: a client that looks for an issuer by name finds the right one.
    params.distinguished_name = subject(&format!("tidegate CA {}", serial(&key)));
    validity(&mut params, now, life)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(text)?;
    Ok(Made {
        pem: certificate.pem(),
        certificate: certificate.der().clone(),
        key,
    })
}

/// A serving certificate for `names`, good for `life` seconds from `now`.
///
/// # Errors
/// In words: a name that is none, or a CA that cannot be signed with.
pub fn leaf(
    authority: &CertificateDer<'_>,
    authority_key: &KeyPair,
    names: &[String],
    now: i64,
    life: i64,
) -> Result<Made, String> {
    let issuer = Issuer::from_ca_cert_der(authority, authority_key).map_err(text)?;
    let mut params = CertificateParams::new(names).map_err(text)?;
    params.distinguished_name = subject("tidegate");
    validity(&mut params, now, life)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = key()?;
    let certificate = params.signed_by(&key, &issuer).map_err(text)?;
    Ok(Made {
        pem: certificate.pem(),
        certificate: certificate.der().clone(),
        key,
    })
}

fn key() -> Result<KeyPair, String> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(text)
}

/// The last bytes of the public key in hexadecimal.
fn serial(key: &KeyPair) -> String {
    let bytes = key.public_key_raw();
    let tail = bytes.get(bytes.len().saturating_sub(4)..);
    let mut text = String::new();
    for byte in tail.unwrap_or_default() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject
}

fn validity(params: &mut CertificateParams, now: i64, life: i64) -> Result<(), String> {
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|error| error.to_string())?;
    params.not_before = now - Duration::seconds(BACK);
    params.not_after = now + Duration::seconds(life);
    Ok(())
}

// By value, as map_err hands it over.
#[allow(clippy::needless_pass_by_value)]
fn text(error: rcgen::Error) -> String {
    error.to_string()
}
