//! The yardstick: the server of `tidegate serve`, same accept loop, TLS, HTTP and limits, with an
//! answer that looks at nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidegate::server::answer::{Answer, BadReview, Endpoint};
use tidegate::server::{
    CertificateSource, ClientAuth, DrainTimes, Limits, Metrics, Readiness, ServerConfig,
    serve as run,
};
use tokio::time::Instant;

use crate::Failure;

/// What every request gets; the uid is that of the samples.
const ANSWER: &[u8] = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"705ab4f5-6393-11e8-b7cc-000000000000","allowed":true}}"#;

struct Echo;

impl Answer for Echo {
    async fn answer(
        &self,
        _endpoint: Endpoint,
        _body: Bytes,
        _deadline: Instant,
    ) -> Result<Bytes, BadReview> {
        Ok(Bytes::from_static(ANSWER))
    }
}

/// Serves until SIGTERM.
pub(crate) fn serve(listen: SocketAddr, self_signed: &Path) -> Result<(), Failure> {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = ServerConfig {
        listen,
        ops_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        certificate: CertificateSource::SelfSigned {
            dir: self_signed.to_owned(),
            names: vec!["localhost".to_owned()],
        },
        client_auth: ClientAuth::default(),
        limits: Limits::default(),
        drain: DrainTimes {
            delay: Duration::ZERO,
            timeout: Duration::from_secs(2),
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::default()));
    runtime.block_on(run(config, metrics, readiness, Echo, |_, _| {}))?;
    Ok(())
}
