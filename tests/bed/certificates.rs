//! Certificates of the bed: one authority, and leaves for servers and users.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Makes an authority with a fresh key.
    pub fn new(name: &str) -> Self {
        Self::valid_until(name, None)
    }

    /// Makes an authority that is valid until so many days from now.
    pub fn valid_until(name: &str, days: Option<i64>) -> Self {
        let mut params = CertificateParams::default();
        if let Some(days) = days {
            let now = time::OffsetDateTime::now_utc();
            params.not_before = now - time::Duration::days(2000);
            params.not_after = now + time::Duration::days(days);
        }
        params.distinguished_name = subject(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            pem: certificate.pem(),
            der: certificate.der().clone(),
        }
    }

    /// The authority's certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's key in PKCS#8, PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// An authority whose certificate and key are these, PEM.
    pub fn of(certificate: &str, key: &str) -> Self {
        let key = KeyPair::from_pem(key).unwrap();
        let issuer = Issuer::from_ca_cert_pem(certificate, key).unwrap();
        Self {
            issuer,
            der: CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap(),
            pem: certificate.to_owned(),
        }
    }

    /// A serving certificate as [`Authority::server`], valid for these days from now on; they may lie
    /// in the past.
    pub fn server_valid(&self, names: &[&str], from: i64, until: i64) -> Leaf {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = subject(&names[0], None);
        let now = time::OffsetDateTime::now_utc();
        params.not_before = now + time::Duration::days(from);
        params.not_after = now + time::Duration::days(until);
        self.leaf(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The authority's certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// A serving certificate for names and IP addresses, with its key.
    pub fn server(&self, names: &[&str]) -> Leaf {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = subject(&names[0], None);
        self.leaf(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate, with its key: to the API server `name` is the user and `group` its group.
    pub fn client(&self, name: &str, group: Option<&str>) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, group);
        self.leaf(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn leaf(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Leaf {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf {
            certificate,
            key: key.serialize_pem(),
        }
    }
}

/// A certificate and its private key, both PEM.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// The key in PKCS#8.
    pub key: String,
}

impl Leaf {
    /// Writes `folder/NAME.crt` and `folder/NAME.key`.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.crt")), &self.certificate).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), &self.key).unwrap();
    }

    /// Writes the pair into `folder` as a kubelet writes a Secret volume: the files are links into a
    /// folder `..data`, which is itself a link that is swapped in one step.
    pub fn write_secret_volume(&self, folder: &Path, generation: u32) {
        let version = format!("..generation_{generation}");
        let path = folder.join(&version);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("tls.crt"), &self.certificate).unwrap();
        std::fs::write(path.join("tls.key"), &self.key).unwrap();
        let old = std::fs::read_link(folder.join("..data")).ok();
        let new = folder.join("..data_tmp");
        std::os::unix::fs::symlink(&version, &new).unwrap();
        std::fs::rename(&new, folder.join("..data")).unwrap();
        match old {
            Some(old) => std::fs::remove_dir_all(folder.join(old)).unwrap(),
            None => {
                for name in ["tls.crt", "tls.key"] {
                    std::os::unix::fs::symlink(Path::new("..data").join(name), folder.join(name))
                        .unwrap();
                }
            }
        }
    }
}

/// A private key and its public key, both PEM.
pub fn key_pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (key.serialize_pem(), key.public_key_pem())
}

fn subject(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    subject
}
