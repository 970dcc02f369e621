//! TLS of the admission port, and taking changed certificates into use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig as TlsConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

use super::certificate::{CertificateError, Contents, Delivery, Files, Origin, Serving, unix_now};
use super::client_auth::{Auditor, ClientAuth, ClientAuthMode, verifier};
use super::metrics::Metrics;
use super::self_signed;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the serving certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// `--tls-dir`: `tls.crt` and `tls.key`, looked at every second and compared by content.
    TlsDir(PathBuf),
    /// `--self-signed`: made at the start unless a good one is there.
    SelfSigned {
        /// Where `ca.crt`, `tls.crt` and `tls.key` are written.
        dir: PathBuf,
        /// DNS names and IP addresses the certificate is for.
        names: Vec<String>,
    },
    /// `--tls-secret`: delivered by whoever watches the Secret. There may be none at the start; then
    /// handshakes are refused until one comes.
    Delivered {
        /// What it is, for messages: `Secret tidegate/tidegate-tls`.
        from: String,
        /// Each is judged at once.
        deliveries: watch::Receiver<Delivery>,
    },
}

/// What new connections are served with.
struct Current {
    config: Arc<TlsConfig>,
    serving: Serving,
    contents: Contents,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Counts the client CAs, so that connections accepted under an older one can be ended.
    generation: u64,
}

/// The TLS side of the admission port.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    origin: Origin,
    files: Files,
    auth: ClientAuth,
    /// None until there is a first certificate, which only a delivered one may be waited for.
    current: ArcSwapOption<Current>,
}

/// A TLS acceptor for one connection, and the auditor that goes with it in mode `audit`.
pub(super) struct Acceptor {
    pub(super) tls: TlsAcceptor,
    pub(super) auditor: Option<Arc<Auditor>>,
    pub(super) generation: u64,
}

/// AES-128-GCM first, which costs least on a server with AES instructions and is as safe; TLS 1.3
/// suites before those of TLS 1.2.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let name = format!("{:?}", suite.suite());
        (!name.starts_with("TLS13_"), !name.contains("AES_128"))
    });
    provider
}

impl Tls {
    /// Reads the certificate; one that cannot be served is an error here, unless it is delivered.
    pub(super) fn new(
        source: &CertificateSource,
        auth: &ClientAuth,
    ) -> Result<Self, CertificateError> {
        let provider = Arc::new(provider());
        let (origin, dir) = match source {
            CertificateSource::TlsDir(dir) => (Origin::Files, dir.clone()),
            CertificateSource::SelfSigned { dir, names } => {
                self_signed::ensure(dir, names, &provider)?;
                (Origin::Files, dir.clone())
            }
            CertificateSource::Delivered { from, deliveries } => {
                (Origin::Channel(deliveries.clone()), PathBuf::from(from))
            }
        };
        let files = Files {
            certificate: dir.join("tls.crt"),
            key: dir.join("tls.key"),
            client_ca: auth.ca.clone(),
        };
        let current = origin
            .read(&files)
            .and_then(|contents| build(&contents, &files, auth, &provider, 0));
        let current = match (current, &origin) {
            (Ok(current), _) => Some(Arc::new(current)),
            (Err(error), Origin::Files) => return Err(error),
            (Err(error), Origin::Channel(_)) => {
                tracing::info!(%error, "TLS begins when there is a certificate");
                None
            }
        };
        Ok(Tls {
            provider,
            origin,
            files,
            auth: auth.clone(),
            current: ArcSwapOption::new(current),
        })
    }

    /// What to accept the next connection with.
    pub(super) fn acceptor(&self) -> Result<Acceptor, CertificateError> {
        let current = self.current.load();
        let Some(current) = &*current else {
            return Err(CertificateError::Awaited(self.awaited()));
        };
        let (config, auditor) = match (self.auth.mode, &current.verifier) {
            (ClientAuthMode::Audit, Some(inner)) => {
                let auditor = Arc::new(Auditor::new(Arc::clone(inner)));
                let verifier: Arc<dyn ClientCertVerifier> = auditor.clone();
                let config = config(&current.serving, Some(verifier), &self.provider)?;
                (Arc::new(config), Some(auditor))
            }
            _ => (Arc::clone(&current.config), None),
        };
        Ok(Acceptor {
            tls: TlsAcceptor::from(config),
            auditor,
            generation: current.generation,
        })
    }

    pub(super) fn auth(&self) -> &ClientAuth {
        &self.auth
    }

    pub(super) fn generation(&self) -> u64 {
        self.current
            .load()
            .as_ref()
            .map_or(0, |current| current.generation)
    }

    /// Why there is no certificate.
    fn awaited(&self) -> String {
        match self.origin.read(&self.files) {
            Err(CertificateError::Awaited(why)) => why,
            Err(error) => error.to_string(),
            Ok(_) => "it is being read".to_owned(),
        }
    }

    /// Whether the certificate in use is still valid, in words.
    pub(super) fn condition(&self) -> Result<String, String> {
        let current = self.current.load();
        let Some(current) = &*current else {
            return Err(format!(
                "there is no serving certificate yet: {}",
                self.awaited()
            ));
        };
        let (from, until) = (current.serving.not_before, current.serving.not_after);
        let left = until.saturating_sub(unix_now());
        if left <= 0 {
            return Err("the serving certificate has expired".to_owned());
        }
        let valid = format!("valid for {} h", left / 3600);
        // Whoever renews does so when a third is left.
        if left.saturating_mul(10) < until.saturating_sub(from).saturating_mul(3) {
            return Ok(format!("{valid}; WARNING: its renewal is overdue"));
        }
        Ok(valid)
    }

    /// Looks at the certificate for ever and takes changes into use.
    pub(super) async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) {
        if let Some(current) = &*self.current.load() {
            metrics.set_certificate_expiry(current.serving.not_after);
        }
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::default();
        let mut origin = self.origin.clone();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = origin.changed() => {}
            }
            let this = Arc::clone(&self);
            let read = tokio::task::spawn_blocking(move || this.origin.read(&this.files)).await;
            match read {
                Ok(read) => watch.look(&self, read, &metrics),
                Err(error) => tracing::error!(%error, "reading the certificate files broke off"),
            }
        }
    }

    fn replace(&self, contents: &Contents) -> Result<(), CertificateError> {
        let before = self.current.load();
        let generation = before.as_ref().map_or(0, |before| {
            let changed = before.contents.client_ca != contents.client_ca;
            before.generation + u64::from(changed)
        });
        let current = build(
            contents,
            &self.files,
            &self.auth,
            &self.provider,
            generation,
        )?;
        self.current.store(Some(Arc::new(current)));
        Ok(())
    }
}

/// What was seen of the files beside what is in use, so that one state of them is judged once.
#[derive(Default)]
struct Watch {
    /// Contents that were refused.
    refused: Option<Contents>,
    /// Contents that did not work a moment ago. They are refused when they are still there at the
    /// next look; until then somebody may be half-way through writing them.
    doubtful: Option<Contents>,
    /// Why the files could not be read.
    unreadable: Option<String>,
}

impl Watch {
    fn look(&mut self, tls: &Tls, read: Result<Contents, CertificateError>, metrics: &Metrics) {
        let contents = match read {
            Ok(contents) => contents,
            // The condition `certificate` tells until there is a first one.
            Err(CertificateError::Awaited(_)) => return,
            Err(error) => return self.unreadable(&error, metrics),
        };
        self.unreadable = None;
        let in_use = tls.current.load();
        if in_use
            .as_ref()
            .is_some_and(|current| current.contents == contents)
        {
            return self.good(metrics);
        }
        if self.refused.as_ref() == Some(&contents) {
            return;
        }
        match tls.replace(&contents) {
            Ok(()) => {
                let in_use = tls.current.load();
                let not_after = in_use
                    .as_ref()
                    .map_or(0, |current| current.serving.not_after);
                metrics.set_certificate_expiry(not_after);
                metrics.certificate_reloaded();
                tracing::info!(not_after, "took a certificate into use");
                self.good(metrics);
            }
            Err(error) if self.doubtful.as_ref() == Some(&contents) => {
                metrics.certificate_reload_failed();
                metrics.set_certificate_refused(true);
                tracing::error!(
                    %error,
                    "a changed certificate is refused; the former one stays in use"
                );
                self.refused = Some(contents);
            }
            Err(_) => self.doubtful = Some(contents),
        }
    }

    fn good(&mut self, metrics: &Metrics) {
        *self = Watch::default();
        metrics.set_certificate_refused(false);
    }

    fn unreadable(&mut self, error: &CertificateError, metrics: &Metrics) {
        let text = error.to_string();
        if self.unreadable.as_ref() != Some(&text) {
            metrics.certificate_reload_failed();
            metrics.set_certificate_refused(true);
            tracing::error!(error = %text, "the former certificate stays in use");
            self.unreadable = Some(text);
        }
    }
}

fn build(
    contents: &Contents,
    files: &Files,
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
    generation: u64,
) -> Result<Current, CertificateError> {
    let serving = contents.serving(files, provider)?;
    let verifier = contents
        .client_roots(files)?
        .map(|roots| verifier(roots, provider))
        .transpose()
        .map_err(|problem| CertificateError::Content {
            path: files.client_ca.clone().unwrap_or_default(),
            problem,
        })?;
    let required = verifier
        .clone()
        .filter(|_| auth.mode == ClientAuthMode::Require);
    let config = config(&serving, required, provider)?;
    Ok(Current {
        config: Arc::new(config),
        serving,
        contents: contents.clone(),
        verifier,
        generation,
    })
}

fn config(
    serving: &Serving,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    provider: &Arc<CryptoProvider>,
) -> Result<TlsConfig, CertificateError> {
    let builder = TlsConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let resolver = Arc::new(SingleCertAndKey::from(serving.certified.clone()));
    let mut config = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(resolver);
    // An API server speaks HTTP/1.1 to every webhook that is not on its own loopback.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    // API servers never resume sessions.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
