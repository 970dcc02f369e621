//! What the Secret holds: read, judged, written.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use rcgen::KeyPair;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};

use super::bundle::{Bundle, Validity};
use super::make::{self, Made};
use super::plan::{Held, Leaf, Lives, WithLeaf};
use crate::json::tree::at;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// The most old CAs that are kept beside the newest.
const MOST_OLD: usize = 8;

/// The four keys of the Secret; empty where one is missing.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Content {
    /// `tls.crt`: the serving certificate and what is between it and its CA, PEM.
    pub certificate: Vec<u8>,
    /// `tls.key`: its key, PEM.
    pub key: Vec<u8>,
    /// `ca.crt`: the CAs to be trusted, newest first, PEM.
    pub authorities: Vec<u8>,
    /// `ca.key`: the key of the newest CA, PEM.
    pub authority_key: Vec<u8>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

impl Content {
    /// Reads a Secret as the API server sent it; values that are no Base64 count as missing.
    pub fn of(secret: &Value) -> Self {
        let read = |key: &str| {
            serde_json::from_value::<ByteString>(at(secret, &["data", key]).clone())
                .unwrap_or_default()
                .0
        };
        Content {
            certificate: read(CERTIFICATE),
            key: read(KEY),
            authorities: read(AUTHORITIES),
            authority_key: read(AUTHORITY_KEY),
        }
    }

    /// The `data` of a Secret.
    pub fn data(&self) -> Value {
        let data: BTreeMap<&str, ByteString> = [
            (CERTIFICATE, &self.certificate),
            (KEY, &self.key),
            (AUTHORITIES, &self.authorities),
            (AUTHORITY_KEY, &self.authority_key),
        ]
        .into_iter()
        .map(|(key, value)| (key, ByteString(value.clone())))
        .collect();
        json!(data)
    }

    /// The certificates in `tls.crt`.
    ///
    /// # Errors
    /// In words.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("tls.crt is not PEM: {error}"))?;
        if chain.is_empty() {
            return Err("tls.crt holds no certificate".to_owned());
        }
        Ok(chain)
    }

    /// The CAs in `ca.crt`.
    ///
    /// # Errors
    /// In words; an empty `ca.crt` is one too.
    pub fn bundle(&self) -> Result<Bundle, String> {
        let bundle =
            Bundle::parse(&self.authorities).map_err(|problem| format!("ca.crt {problem}"))?;
        if bundle.is_empty() {
            return Err("ca.crt is missing".to_owned());
        }
        Ok(bundle)
    }

    /// The newest CA and its key, when they can be used at `now`.
    fn signer(&self, now: i64) -> Result<(CertificateDer<'static>, Validity, KeyPair), String> {
        let bundle = self.bundle()?;
        let newest = bundle.certificates().first().ok_or("ca.crt is missing")?;
        let validity = Validity::of(newest)?;
        if !validity.authority {
            return Err("the first certificate of ca.crt is no CA".to_owned());
        }
        if now < validity.from {
            return Err("the CA is not valid yet".to_owned());
        }
        if self.authority_key.is_empty() {
            return Err("ca.key is missing".to_owned());
        }
        let key = std::str::from_utf8(&self.authority_key)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or("ca.key holds no usable key")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(newest)
            .map_err(|error| format!("ca.crt: {error}"))?;
        let of_key = rcgen::PublicKeyData::subject_public_key_info(&key);
        if parsed.public_key().raw != of_key.as_slice() {
            return Err("ca.key does not fit the first certificate of ca.crt".to_owned());
        }
        Ok((newest.clone(), validity, key))
    }

    /// The certificates in `tls.crt`, when the key in `tls.key` fits the first.
    ///
    /// # Errors
    /// In words.
    pub fn pair(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let chain = self.chain()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| format!("tls.key holds no usable key: {error}"))?;
        CertifiedKey::from_der(chain.clone(), key, &aws_lc_rs::default_provider())
            .map_err(|error| format!("tls.key does not fit tls.crt: {error}"))?;
        Ok(chain)
    }

    fn leaf(&self, names: &[String], now: i64) -> Result<Leaf, String> {
        let chain = self.pair()?;
        let validity = Validity::of(chain.first().ok_or("tls.crt holds no certificate")?)?;
        if validity.until <= now {
            return Ok(Leaf::Expired);
        }
        let bundle = self.bundle()?;
        bundle.verify(&chain, names, now)?;
        let newest = Bundle::of_one(bundle.certificates().first());
        Ok(Leaf::Good {
            expires: validity.until,
            of_newest: newest.verify(&chain, names, now).is_ok(),
        })
    }

    /// What the plan is made from.
    pub fn held(&self, names: &[String], now: i64) -> Held {
        let ca = self.signer(now).map(|(_, validity, _)| validity.until);
        let bundle = self.bundle().unwrap_or_default();
        let old = bundle.certificates().iter().skip(1);
        Held {
            ca,
            // What cannot be read as a certificate goes with the expired ones.
            old: old
                .map(|one| Validity::of(one).map_or(0, |validity| validity.until))
                .collect(),
            leaf: self.leaf(names, now).unwrap_or_else(Leaf::Unusable),
        }
    }

    /// The content with a new CA.
    ///
    /// # Errors
    /// In words, when it cannot be made.
    pub fn with_authority(
        &self,
        leaf: WithLeaf,
        names: &[String],
        lives: Lives,
        now: i64,
    ) -> Result<Self, String> {
        let made = make::authority(now, lives.ca)?;
        let mut bundle = Bundle::of_one(Some(&made.certificate));
        for old in self.worth_keeping(names, now) {
            bundle.add(old);
        }
        let mut content = Content {
            authorities: bundle.to_pem().into_bytes(),
            authority_key: made.key.serialize_pem().into_bytes(),
            ..Content::default()
        };
        match leaf {
            WithLeaf::Keep => {
                content.certificate.clone_from(&self.certificate);
                content.key.clone_from(&self.key);
            }
            WithLeaf::Leave => {}
            WithLeaf::Make => content = content.with_leaf(names, lives, now)?,
        }
        Ok(content)
    }

    /// The CAs that go on beside a new one: all, when the newest is ours by its key. Else nobody
    /// knows who put them there, and only those go on that the serving certificate needs.
    fn worth_keeping(&self, names: &[String], now: i64) -> Vec<CertificateDer<'static>> {
        let bundle = self.bundle().unwrap_or_default();
        let ours = self.signer(now).is_ok();
        let chain = self.chain().unwrap_or_default();
        bundle
            .certificates()
            .iter()
            .filter(|one| Validity::of(one).is_ok_and(|validity| validity.holds(now)))
            .filter(|one| ours || Bundle::of_one(Some(one)).verify(&chain, names, now).is_ok())
            .take(MOST_OLD)
            .cloned()
            .collect()
    }

    /// The content with a new serving certificate of the newest CA.
    ///
    /// # Errors
    /// In words, when it cannot be made.
    pub fn with_leaf(&self, names: &[String], lives: Lives, now: i64) -> Result<Self, String> {
        let (authority, _, key) = self.signer(now)?;
        let Made { pem, key, .. } = make::leaf(&authority, &key, names, now, lives.leaf)?;
        Ok(Content {
            certificate: pem.into_bytes(),
            key: key.serialize_pem().into_bytes(),
            ..self.clone()
        })
    }

    /// The content with the newest CA alone.
    ///
    /// # Errors
    /// In words, when there is no CA that can be used.
    pub fn forgetting(&self, now: i64) -> Result<Self, String> {
        let (newest, ..) = self.signer(now)?;
        Ok(Content {
            authorities: Bundle::of_one(Some(&newest)).to_pem().into_bytes(),
            ..self.clone()
        })
    }
}

impl Bundle {
    fn of_one(certificate: Option<&CertificateDer<'static>>) -> Self {
        let mut bundle = Bundle::default();
        if let Some(certificate) = certificate {
            bundle.add(certificate.clone());
        }
        bundle
    }
}

#[cfg(test)]
mod tests;
