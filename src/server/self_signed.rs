//! A CA and a serving certificate of our own, for development and standalone use.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use time::OffsetDateTime;

use super::certificate::{CertificateError, Files, certificates, read_file};

/// How long the certificates are good for.
const VALID_DAYS: i64 = 365;
/// What is there is used again while it is good for at least this long.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// Makes `ca.crt`, `tls.crt` and `tls.key` in `dir`, unless what is there still serves `names`.
pub(super) fn ensure(
    dir: &Path,
    names: &[String],
    provider: &Arc<CryptoProvider>,
) -> Result<(), CertificateError> {
    if reusable(dir, names, provider).is_some() {
        return Ok(());
    }
    let failed = |problem: String| CertificateError::Make {
        dir: dir.to_owned(),
        problem,
    };
    if names.is_empty() {
        return Err(failed("no --dns-name is given".to_owned()));
    }
    let made = make(names).map_err(|error| failed(error.to_string()))?;
    write(dir, &made).map_err(|error| failed(error.to_string()))
}

struct Made {
    ca: String,
    certificate: String,
    key: String,
}

fn make(names: &[String]) -> Result<Made, rcgen::Error> {
    let now = OffsetDateTime::now_utc();
    let set_up = |common_name: &str, params: &mut CertificateParams| {
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        // An hour back, for callers whose clock is behind.
        params.not_before = now - time::Duration::hours(1);
        params.not_after = now + time::Duration::days(VALID_DAYS);
    };
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    set_up("tidegate self-signed CA", &mut ca);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;

    let mut leaf = CertificateParams::new(names)?;
    set_up("tidegate", &mut leaf);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok(Made {
        ca: issuer.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn write(dir: &Path, made: &Made) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text, mode) in [
        ("ca.crt", &made.ca, 0o644),
        ("tls.crt", &made.certificate, 0o644),
        ("tls.key", &made.key, 0o600),
    ] {
        // A new file each time: the mode of one that is already there would stay as it is.
        let partial = dir.join(format!("{name}.new"));
        if partial.exists() {
            fs::remove_file(&partial)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&partial)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&partial, dir.join(name))?;
    }
    Ok(())
}

/// Some when the files in `dir` are whole and will serve every name for a while.
fn reusable(dir: &Path, names: &[String], provider: &Arc<CryptoProvider>) -> Option<()> {
    let files = Files {
        certificate: dir.join("tls.crt"),
        key: dir.join("tls.key"),
        client_ca: None,
    };
    let serving = files.read().ok()?.serving(&files, provider).ok()?;
    let ca = dir.join("ca.crt");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read_file(&ca).ok()?, &ca).ok()? {
        roots.add(certificate).ok()?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .ok()?;
    let (leaf, intermediates) = serving.certified.cert.split_first()?;
    let later = Duration::from_secs(UnixTime::now().as_secs()) + KEEP;
    for name in names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(name.as_str()).ok()?.to_owned(),
        };
        for moment in [UnixTime::now(), UnixTime::since_unix_epoch(later)] {
            verifier
                .verify_server_cert(leaf, intermediates, &name, &[], moment)
                .ok()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(aws_lc_rs::default_provider())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_made_is_used_again_until_the_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let first = names(&["localhost", "127.0.0.1", "::1"]);
        ensure(dir.path(), &first, &provider()).unwrap();
        let made = fs::read(dir.path().join("tls.crt")).unwrap();
        ensure(dir.path(), &first, &provider()).unwrap();
        assert_eq!(fs::read(dir.path().join("tls.crt")).unwrap(), made);
        ensure(dir.path(), &names(&["tidegate.tidegate.svc"]), &provider()).unwrap();
        assert_ne!(fs::read(dir.path().join("tls.crt")).unwrap(), made);
    }

    #[test]
    fn the_key_can_be_read_by_its_owner_only_and_belongs_to_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tls.key"), "left behind").unwrap();
        ensure(dir.path(), &names(&["localhost"]), &provider()).unwrap();
        let mode = fs::metadata(dir.path().join("tls.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(reusable(dir.path(), &names(&["localhost"]), &provider()).is_some());
    }

    #[test]
    fn a_pair_that_does_not_belong_together_is_made_anew() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        ensure(dir.path(), &names(&["localhost"]), &provider()).unwrap();
        ensure(other.path(), &names(&["localhost"]), &provider()).unwrap();
        fs::copy(other.path().join("tls.key"), dir.path().join("tls.key")).unwrap();
        assert!(reusable(dir.path(), &names(&["localhost"]), &provider()).is_none());
        ensure(dir.path(), &names(&["localhost"]), &provider()).unwrap();
        assert!(reusable(dir.path(), &names(&["localhost"]), &provider()).is_some());
    }
}
