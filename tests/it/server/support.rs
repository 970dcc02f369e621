//! A server in this process, and a client that sends exactly what a test says.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tidegate::server::answer::{Answer, BadReview, Endpoint};
use tidegate::server::{
    CertificateSource, ClientAuth, DrainTimes, Limits, Metrics, ServeError, Server, ServerConfig,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No single step of a test may take longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What the answers of a test did.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) started: AtomicUsize,
    pub(super) ended: AtomicUsize,
    pub(super) dropped: AtomicUsize,
}

/// Answers `{"length":N}`, or what the body asks for: `sleep MS `, `panic`, `bad TEXT`, `stall`
/// (later than any deadline), `big` (an answer of 1 MiB).
pub(super) struct Scripted(pub(super) Arc<Seen>);

struct CountDrop<'a>(&'a Seen, bool);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        let counter = if self.1 {
            &self.0.ended
        } else {
            &self.0.dropped
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

impl Answer for Scripted {
    async fn answer(
        &self,
        _endpoint: Endpoint,
        body: Bytes,
        _deadline: Instant,
    ) -> Result<Bytes, BadReview> {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        let mut guard = CountDrop(&self.0, false);
        let start = &body[..body.len().min(64)];
        let script = std::str::from_utf8(start).unwrap_or_default();
        if let Some(millis) = script.strip_prefix("sleep ") {
            tokio::time::sleep(Duration::from_millis(
                millis.split(' ').next().unwrap().parse().unwrap(),
            ))
            .await;
        } else if script.starts_with("stall") {
            tokio::time::sleep(Duration::from_hours(1)).await;
        } else if let Some(text) = script.strip_prefix("bad ") {
            guard.1 = true;
            return Err(BadReview(text.to_owned()));
        }
        if script.starts_with("big") {
            guard.1 = true;
            return Ok(Bytes::from(vec![b'x'; 1 << 20]));
        }
        assert!(!script.starts_with("panic"), "a scripted panic");
        guard.1 = true;
        Ok(Bytes::from(format!("{{\"length\":{}}}", body.len())))
    }
}

/// How a test wants its server.
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) drain: DrainTimes,
    pub(super) client_auth: ClientAuth,
    pub(super) certificate: Option<CertificateSource>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            limits: Limits::default(),
            drain: DrainTimes {
                delay: Duration::from_millis(50),
                timeout: Duration::from_secs(5),
            },
            client_auth: ClientAuth::default(),
            certificate: None,
        }
    }
}

/// A running server.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) ops: SocketAddr,
    pub(super) stop: mpsc::Sender<()>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) seen: Arc<Seen>,
    pub(super) dir: TempDir,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(super) fn config(dir: &Path, setup: Setup) -> ServerConfig {
    ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ops_listen: "127.0.0.1:0".parse().unwrap(),
        certificate: setup
            .certificate
            .unwrap_or_else(|| CertificateSource::SelfSigned {
                dir: dir.to_owned(),
                names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            }),
        client_auth: setup.client_auth,
        limits: setup.limits,
        drain: setup.drain,
    }
}

impl Running {
    pub(super) fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, setup)
    }

    pub(super) fn start_in(dir: TempDir, setup: Setup) -> Self {
        let metrics = Arc::new(Metrics::new());
        let config = config(dir.path(), setup);
        let server = Server::bind(config, Arc::clone(&metrics), Arc::default()).unwrap();
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = mpsc::channel(2);
        Running {
            address: server.admission_address().unwrap(),
            ops: server.ops_address().unwrap(),
            stop,
            metrics,
            dir,
            server: tokio::spawn(server.run(Scripted(Arc::clone(&seen)), stopped)),
            seen,
        }
    }

    pub(super) fn ca(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("ca.crt")).unwrap()
    }

    pub(super) fn client(&self) -> ClientConfig {
        client_config(&self.ca(), None)
    }

    pub(super) async fn connect(&self) -> TlsStream<TcpStream> {
        connect(self.address, self.client()).await.unwrap()
    }

    pub(super) async fn post(&self, body: &[u8]) -> Response {
        let mut stream = self.connect().await;
        post(&mut stream, body).await
    }

    /// The value of one series.
    pub(super) fn metric(&self, series: &str) -> i64 {
        let text = self.metrics.text();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no series {series} in\n{text}"))
            .parse()
            .unwrap()
    }

    pub(super) async fn ended(&mut self) -> Result<(), ServeError> {
        timeout(PATIENCE, &mut self.server).await.unwrap().unwrap()
    }
}

pub(super) fn client_config(ca: &[u8], identity: Option<(&str, &str)>) -> ClientConfig {
    client_versions(ca, identity, rustls::ALL_VERSIONS)
}

pub(super) fn client_versions(
    ca: &[u8],
    identity: Option<(&str, &str)>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                CertificateDer::pem_slice_iter(certificate.as_bytes())
                    .map(Result::unwrap)
                    .collect(),
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

pub(super) async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    timeout(PATIENCE, connector.connect(name, tcp))
        .await
        .unwrap()
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(super) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// The head of a POST to `/validate` as an API server sends it.
pub(super) fn head(length: usize) -> String {
    format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nHost: tidegate.tidegate.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\nContent-Length: {length}\r\n\
         Accept: application/json, */*\r\nContent-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n"
    )
}

pub(super) async fn post<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    body: &[u8],
) -> Response {
    exchange(stream, &head(body.len()), body).await
}

pub(super) async fn exchange<S>(stream: &mut S, head: &str, body: &[u8]) -> Response
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let _ = stream.flush().await;
    response(stream).await.expect("an answer")
}

/// The next answer, or why there is none.
pub(super) async fn response<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Response> {
    timeout(PATIENCE, read_response(stream))
        .await
        .expect("an answer in time")
}

async fn read_response<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Response> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let mut response = Response {
        status: head[9..12].parse().unwrap(),
        head,
        body: String::new(),
    };
    let length = response
        .header("content-length")
        .map_or(0, |v| v.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    response.body = String::from_utf8(body).unwrap();
    Ok(response)
}

/// Reads until the peer has closed; what came before, and how long it took.
pub(super) async fn until_closed<S: AsyncRead + Unpin>(stream: &mut S) -> (Vec<u8>, Duration) {
    let start = Instant::now();
    let mut bytes = Vec::new();
    // A reset is as good as an end here.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("closed in time");
    (bytes, start.elapsed())
}

/// Waits until `condition` holds.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A GET over plain HTTP on a connection of its own.
pub(super) async fn get(address: SocketAddr, path: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange(&mut stream, &head, b"").await
}
