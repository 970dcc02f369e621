//! Reading the serving certificate, its key and the client CA from PEM, and refusing what would
//! not work.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

/// The largest PEM file read.
const MAX_FILE: u64 = 1 << 20;

/// Why certificate files were refused.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate could not be made or written.
    #[error("cannot make a certificate in {}: {problem}", dir.display())]
    Make {
        /// Where it was to be.
        dir: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// There is none yet.
    #[error("there is no serving certificate yet: {0}")]
    Awaited(String),
    /// TLS cannot be set up with these files.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

fn content(path: &Path, problem: impl Display) -> CertificateError {
    CertificateError::Content {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// A serving certificate and its key, both PEM, from elsewhere than files.
#[derive(Clone, Eq, PartialEq)]
pub struct ServingPem {
    /// The certificate, then those between it and its CA.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ServingPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingPem").finish_non_exhaustive()
    }
}

/// What was last delivered to a [`super::CertificateSource::Delivered`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// Nothing yet, and why.
    Awaited(String),
    /// A pair to be served, once it has been judged as one from files is.
    Pem(ServingPem),
}

/// Where contents come from; the paths are names in messages in any case.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The files themselves.
    Files,
    /// A channel; only the client CA is a file.
    Channel(watch::Receiver<Delivery>),
}

impl Origin {
    /// Reads what is there now.
    pub(super) fn read(&self, files: &Files) -> Result<Contents, CertificateError> {
        let Origin::Channel(deliveries) = self else {
            return files.read();
        };
        let pem = match &*deliveries.borrow() {
            Delivery::Pem(pem) => pem.clone(),
            Delivery::Awaited(why) => return Err(CertificateError::Awaited(why.clone())),
        };
        Ok(Contents {
            certificate: pem.certificate,
            key: pem.key,
            client_ca: files.client_ca.as_deref().map(read_file).transpose()?,
        })
    }

    /// Resolves at the next delivery; never for files, which are looked at from time to time.
    pub(super) async fn changed(&mut self) {
        if let Origin::Channel(deliveries) = self
            && deliveries.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// What the files hold, byte for byte: that is what changes are told by, since the links of a
/// mounted Secret change without the files' times telling.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let read = || {
        use io::Read as _;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("the file is over 1 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| CertificateError::Read {
        path: path.to_owned(),
        error,
    })
}

impl Files {
    /// Reads all of them.
    pub(super) fn read(&self) -> Result<Contents, CertificateError> {
        Ok(Contents {
            certificate: read_file(&self.certificate)?,
            key: read_file(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read_file).transpose()?,
        })
    }
}

/// A certificate with its key that belong together and have not expired.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) certified: CertifiedKey,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// Seconds since 1970.
    pub(super) not_after: i64,
}

impl Contents {
    /// The serving pair in these files.
    pub(super) fn serving(
        &self,
        files: &Files,
        provider: &CryptoProvider,
    ) -> Result<Serving, CertificateError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let leaf = chain
            .first()
            .ok_or_else(|| content(&files.certificate, "holds no certificate"))?;
        let (not_before, not_after) =
            validity(leaf).map_err(|problem| content(&files.certificate, problem))?;
        if not_after <= unix_now() {
            return Err(content(&files.certificate, "the certificate has expired"));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            content(&files.key, format!("holds no usable private key: {error}"))
        })?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            content(
                &files.key,
                format!(
                    "the key does not fit {}: {error}",
                    files.certificate.display()
                ),
            )
        })?;
        Ok(Serving {
            certified,
            not_before,
            not_after,
        })
    }

    /// The certificates in the client CA file.
    pub(super) fn client_roots(
        &self,
        files: &Files,
    ) -> Result<Option<Arc<RootCertStore>>, CertificateError> {
        let (Some(bytes), Some(path)) = (&self.client_ca, &files.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(bytes, path)? {
            roots
                .add(certificate)
                .map_err(|error| content(path, error))?;
        }
        if roots.is_empty() {
            return Err(content(path, "holds no certificate"));
        }
        Ok(Some(Arc::new(roots)))
    }
}

pub(super) fn certificates(
    pem: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| content(path, format!("is not PEM: {error}")))
}

/// From when until when a certificate is valid, in seconds since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Result<(i64, i64), String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("is no X.509 certificate: {error}"))?;
    let validity = parsed.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

pub(super) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(i64::MAX)
}
