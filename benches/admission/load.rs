//! The load client: a few keep-alive TLS 1.3 connections that speak HTTP/1.1 as a Go API server
//! does, and that check every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Failure;
use crate::answer::{Answers, Check};
use crate::samples::{Sample, UID};

/// How often a 429 is tried again, as client-go does.
const RETRIES: u32 = 10;
/// How much of a large request is held back when it is to wait for others.
const HELD_BACK: usize = 4 * 1024;

/// Where a server listens, and how to reach it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) answers: Answers,
    tls: TlsConnector,
}

impl Target {
    /// A server with a certificate for `localhost` from the CA in `ca_pem`.
    pub(crate) fn new(
        address: SocketAddr,
        answers: Answers,
        ca_pem: &[u8],
    ) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem)?)?;
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // The suite a Go client and a rustls server agree on where both have AES instructions.
        provider.cipher_suites =
            vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Target {
            address,
            answers,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

/// One connection that sends the same sample over and over, each time with a new uid.
pub(crate) struct Connection {
    target: Target,
    stream: TlsStream<TcpStream>,
    request: Vec<u8>,
    /// Where the uid's last 12 digits stand in `request`.
    serial_at: std::ops::Range<usize>,
    serial: u64,
    reply: Vec<u8>,
    check: Check,
}

/// What one exchange came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exchange {
    Answered,
    /// 429: try again later.
    Shed,
}

impl Connection {
    /// Opens a connection; `lane` keeps its uids apart from those of the others.
    pub(crate) async fn open(target: &Target, sample: &Sample, lane: u64) -> Result<Self, Failure> {
        let mut request = format!(
            "POST /validate?timeout=10s HTTP/1.1\r\nHost: localhost:{}\r\n\
             User-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\n\
             Accept: application/json, */*\r\nContent-Type: application/json\r\n\
             Accept-Encoding: gzip\r\n\r\n",
            target.address.port(),
            sample.body.len()
        );
        let uid_at = sample.body.find(UID).ok_or("the sample has no uid")? + request.len();
        request.push_str(&sample.body);
        Ok(Connection {
            target: target.clone(),
            stream: connect(target).await?,
            request: request.into_bytes(),
            serial_at: uid_at + UID.len() - 12..uid_at + UID.len(),
            serial: lane * 1_000_000_000,
            reply: Vec::with_capacity(16 * 1024),
            check: Check::new(target.answers, sample),
        })
    }

    /// Sends one request and checks its answer. The end of a large one is held back until `hold`.
    ///
    /// An answer that comes before the request is sent whole is taken, as a Go client does; the
    /// connection is then of no more use.
    async fn exchange(&mut self, hold: Option<Instant>) -> Result<Exchange, Failure> {
        self.serial += 1;
        let serial = format!("{:012}", self.serial);
        self.request
            .get_mut(self.serial_at.clone())
            .ok_or("no room for the uid")?
            .copy_from_slice(serial.as_bytes());
        self.reply.clear();
        let reply = if self.request.len() < 64 * 1024 {
            self.stream.write_all(&self.request).await?;
            self.stream.flush().await?;
            read(&mut self.stream, &mut self.reply).await?
        } else {
            let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
            let write = async {
                let (most, end) = self
                    .request
                    .split_at(self.request.len().saturating_sub(HELD_BACK));
                writer.write_all(most).await?;
                writer.flush().await?;
                if let Some(hold) = hold {
                    tokio::time::sleep_until(hold.into()).await;
                }
                writer.write_all(end).await?;
                writer.flush().await
            };
            let read = read(&mut reader, &mut self.reply);
            let (mut write, mut read) = (std::pin::pin!(write), std::pin::pin!(read));
            tokio::select! {
                early = &mut read => Reply { close: true, ..early? },
                written = &mut write => {
                    // A write that fails may leave an answer behind that says why.
                    let reply = read.await?;
                    Reply { close: reply.close || written.is_err(), ..reply }
                }
            }
        };
        let body = self.reply.get(reply.body).unwrap_or_default();
        let exchange = match reply.status {
            200 => self
                .check
                .answer(body, &serial)
                .map(|()| Exchange::Answered),
            429 => Ok(Exchange::Shed),
            status => Err(format!("HTTP {status}: {}", String::from_utf8_lossy(body)).into()),
        };
        if reply.close && exchange.is_ok() {
            self.stream = connect(&self.target).await?;
        }
        exchange
    }

    /// Sends `count` requests one after another.
    pub(crate) async fn send(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            if self.exchange(None).await? == Exchange::Shed {
                return Err("429 at a load that should be borne".into());
            }
        }
        Ok(())
    }

    /// Sends one request, held back until `hold` the first time, waiting and trying again when the
    /// server is overloaded; the result is how often that was.
    pub(crate) async fn send_patiently(&mut self, hold: Instant) -> Result<u32, Failure> {
        let mut first_time = Some(hold);
        for shed in 0..=RETRIES {
            if self.exchange(first_time.take()).await? == Exchange::Answered {
                return Ok(shed);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(format!("overloaded more than {RETRIES} times in a row").into())
    }

    /// Closed loop until `end`.
    async fn saturate(mut self, end: Instant) -> Result<(Self, Vec<u32>), Failure> {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut started = Instant::now();
        while started < end {
            self.send(1).await?;
            let now = Instant::now();
            latencies.push(nanoseconds(now - started));
            started = now;
        }
        Ok((self, latencies))
    }

    /// Open loop: a request every `period` from `first` to `end`, timed from when it was due.
    async fn pace(
        mut self,
        first: Instant,
        period: Duration,
        end: Instant,
    ) -> Result<(Self, Vec<u32>), Failure> {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut due = first;
        while due < end {
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            self.send(1).await?;
            latencies.push(nanoseconds(due.elapsed()));
            due += period;
        }
        Ok((self, latencies))
    }
}

async fn connect(target: &Target) -> Result<TlsStream<TcpStream>, Failure> {
    let tcp = TcpStream::connect(target.address).await?;
    tcp.set_nodelay(true)?;
    let stream = target
        .tls
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"http/1.1") {
        return Err("the server did not agree on http/1.1".into());
    }
    Ok(stream)
}

/// A complete response.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Where the body is.
    body: std::ops::Range<usize>,
    /// Whether the connection ends with it.
    close: bool,
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> Result<Reply, Failure> {
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed a connection in the middle of an exchange".into());
        }
        if let Some(reply) = complete(buffer)? {
            return Ok(reply);
        }
    }
}

/// The response in `bytes`; `None` while some of it is missing.
fn complete(bytes: &[u8]) -> Result<Option<Reply>, Failure> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .unwrap_or_default();
    let length: usize = header("content-length")
        .ok_or("a response without Content-Length")?
        .parse()?;
    let body = end + 4..end + 4 + length;
    if bytes.len() < body.end {
        return Ok(None);
    }
    let close = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Reply {
        status: status.parse()?,
        body,
        close,
    }))
}

fn nanoseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)
}

/// Latencies of one run, sorted.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    fn new(mut nanoseconds: Vec<u32>) -> Self {
        nanoseconds.sort_unstable();
        Latencies(nanoseconds)
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency in microseconds that `per_mille` of 1,000 requests stay under.
    pub(crate) fn quantile(&self, per_mille: usize) -> f64 {
        let index = (self.0.len() * per_mille / 1_000).min(self.0.len().saturating_sub(1));
        self.0
            .get(index)
            .map_or(0.0, |nanoseconds| f64::from(*nanoseconds) / 1_000.0)
    }
}

/// Several connections to one server that send the same sample.
pub(crate) struct Load {
    connections: Vec<Connection>,
}

impl Load {
    /// Opens `count` connections and sends one request over each.
    pub(crate) async fn open(
        target: &Target,
        sample: &Sample,
        count: u64,
    ) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for lane in 0..count {
            let mut connection = Connection::open(target, sample, lane).await?;
            connection.send(1).await?;
            connections.push(connection);
        }
        Ok(Load { connections })
    }

    /// Drives all connections as fast as the answers come.
    pub(crate) async fn saturate(&mut self, duration: Duration) -> Result<Latencies, Failure> {
        let end = Instant::now() + duration;
        self.each(|connection, _| connection.saturate(end)).await
    }

    /// Sends `rate` requests a second over all connections together.
    pub(crate) async fn pace(
        &mut self,
        rate: f64,
        duration: Duration,
    ) -> Result<Latencies, Failure> {
        let count = u32::try_from(self.connections.len())?;
        let period = Duration::from_secs_f64(f64::from(count) / rate);
        let start = Instant::now();
        let end = start + duration;
        self.each(|connection, lane| connection.pace(start + period * lane / count, period, end))
            .await
    }

    async fn each<F, R>(&mut self, run: F) -> Result<Latencies, Failure>
    where
        F: Fn(Connection, u32) -> R,
        R: Future<Output = Result<(Connection, Vec<u32>), Failure>> + 'static,
    {
        let tasks = tokio::task::LocalSet::new();
        let handles: Vec<_> = self
            .connections
            .drain(..)
            .zip(0..)
            .map(|(connection, lane)| tasks.spawn_local(run(connection, lane)))
            .collect();
        let connections = &mut self.connections;
        tasks
            .run_until(async move {
                let mut all = Vec::new();
                for handle in handles {
                    let (connection, latencies) = handle.await??;
                    connections.push(connection);
                    all.extend(latencies);
                }
                Ok(Latencies::new(all))
            })
            .await
    }
}
