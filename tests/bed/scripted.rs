//! A server at a webhook's address that answers what a test wants: late, or nonsense.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Leaf;

/// What becomes of one call.
#[derive(Debug)]
pub enum Reply {
    /// HTTP 200 with this body.
    Body(String),
    /// These bytes instead of an HTTP answer, and then the end of the connection.
    Raw(Vec<u8>),
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Scripted {
    /// Listens on `address` with this certificate and gives the body of every call to `script`.
    /// Of `nonsense` connections one is not even TLS; 0: none.
    pub fn start(
        address: SocketAddr,
        leaf: &Leaf,
        nonsense: usize,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let config = Arc::new(config(leaf));
        let script: Arc<Script> = Arc::new(script);
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        std::thread::spawn(move || {
            let count = AtomicUsize::new(0);
            for tcp in listener.incoming().flatten() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                let count = count.fetch_add(1, Ordering::Relaxed);
                let (config, script) = (Arc::clone(&config), Arc::clone(&script));
                let until = Arc::clone(&until);
                std::thread::spawn(move || {
                    if nonsense > 0 && count % nonsense == nonsense - 1 {
                        let _ = (&tcp).write_all(b"220 mail.example ESMTP\r\n");
                        return;
                    }
                    // A connection that breaks is the API server's to notice.
                    let _ = serve(tcp, config, &*script, &until);
                });
            }
        });
        Self { address, ended }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Lets the accept loop see it.
        let _ = TcpStream::connect(self.address);
    }
}

fn config(leaf: &Leaf) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn serve(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    script: &Script,
    ended: &AtomicBool,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, tcp);
    while !ended.load(Ordering::Relaxed) {
        let Some(body) = read(&mut stream)? else {
            return Ok(());
        };
        match script(&body) {
            Reply::Body(body) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes())?;
                stream.write_all(body.as_bytes())?;
                stream.flush()?;
            }
            Reply::Raw(bytes) => {
                stream.write_all(&bytes)?;
                return stream.flush();
            }
        }
    }
    Ok(())
}

/// The body of the next request; nothing at the end of the connection.
fn read(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}
