//! The real server in a process of its own, and a client that sends exactly what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

/// No single step of a test may take longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace the server knows, restricted by its labels.
const CLUSTER: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    \
                       pod-security.kubernetes.io/enforce: restricted\n";

/// `tidegate serve --standalone`; killed when the test ends.
pub(super) struct Server {
    child: Child,
    admission: SocketAddr,
    client: Arc<ClientConfig>,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(super) fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cluster.yaml"), CLUSTER).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args([
                "serve",
                "--standalone",
                "--self-signed",
                ".",
                "--cluster",
                "cluster.yaml",
            ])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--ops-listen",
                "127.0.0.1:0",
                "--log-format",
                "json",
            ])
            .env_clear()
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("\"listening\""))
            .expect("a server that listens");
        std::thread::spawn(move || {
            let mut log = log;
            for line in lines.map_while(Result::ok) {
                let _ = writeln!(log, "{line}");
            }
        });
        let listening: Value = serde_json::from_str(&listening).unwrap();
        let admission = listening["admission"].as_str().unwrap().parse().unwrap();
        let client = client(&dir.path().join("ca.crt"));
        Server {
            child,
            admission,
            client,
            dir,
        }
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        Client(StreamOwned::new(tls, self.connect_tcp()))
    }

    /// A new connection without TLS.
    pub(super) fn connect_tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.admission).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// The answer to a body on a connection of its own.
    pub(super) fn post(&self, body: &[u8]) -> Response {
        self.connect().post(body)
    }

    /// What the process holds in memory, in KiB: `VmRSS` now, `VmHWM` at its most.
    pub(super) fn memory(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a server that runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    /// What the server has logged since it listens.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

fn client(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// One connection over TLS.
pub(super) struct Client(pub(super) StreamOwned<ClientConnection, TcpStream>);

/// An answer as it came over the wire.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Response {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let review: Value = serde_json::from_str(&self.text).unwrap();
        review["response"].clone()
    }
}

/// The head of a POST to `/validate` as an API server sends it.
pub(super) fn head(length: usize) -> String {
    format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nHost: tidegate.tidegate.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\nContent-Length: {length}\r\n\
         Accept: application/json, */*\r\nContent-Type: application/json\r\n\r\n"
    )
}

impl Client {
    pub(super) fn post(&mut self, body: &[u8]) -> Response {
        self.exchange(&head(body.len()), body)
    }

    pub(super) fn exchange(&mut self, head: &str, body: &[u8]) -> Response {
        // The server may answer and close before it has read everything.
        let _ = self
            .0
            .write_all(head.as_bytes())
            .and_then(|()| self.0.write_all(body));
        let _ = self.0.flush();
        self.response().expect("an answer")
    }

    /// The next answer.
    pub(super) fn response(&mut self) -> std::io::Result<Response> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.to_ascii_lowercase();
        let length = length
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        self.0.read_exact(&mut body)?;
        Ok(Response {
            status: head[9..12].parse().unwrap(),
            text: String::from_utf8(body).unwrap(),
        })
    }
}
