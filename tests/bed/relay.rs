//! What kube-proxy is to a Service with several replicas: new connections go to a ready one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream as AsyncTcpStream};

/// A TCP relay; it ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct Relay {
    runtime: Option<tokio::runtime::Runtime>,
    greetings: Greetings,
}

/// The first bytes that each client sent, as far as they came together.
type Greetings = Arc<Mutex<Vec<Vec<u8>>>>;

/// One replica: where it serves, where it says whether it is ready, and whether it last did.
#[derive(Debug)]
struct Backend {
    serves: SocketAddr,
    probes: SocketAddr,
    ready: AtomicBool,
}

impl Relay {
    /// Relays from `listen` to the replicas, given as (serving, probes) addresses, that are ready.
    pub fn start(listen: SocketAddr, replicas: &[(SocketAddr, SocketAddr)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let backends: Arc<[Backend]> = replicas
            .iter()
            .map(|&(serves, probes)| Backend {
                serves,
                probes,
                ready: AtomicBool::new(false),
            })
            .collect();
        let listener = runtime.block_on(TcpListener::bind(listen)).unwrap();
        runtime.spawn(probe(Arc::clone(&backends)));
        let greetings = Greetings::default();
        runtime.spawn(accept(listener, backends, Arc::clone(&greetings)));
        Self {
            runtime: Some(runtime),
            greetings,
        }
    }

    /// The TLS greetings of all connections so far.
    pub fn greetings(&self) -> Vec<Vec<u8>> {
        self.greetings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn probe(backends: Arc<[Backend]>) {
    loop {
        let asked = Arc::clone(&backends);
        let _ = tokio::task::spawn_blocking(move || {
            for backend in asked.iter() {
                let ready = get(backend.probes, "/readyz").is_some_and(|(status, _)| status == 200);
                backend.ready.store(ready, Ordering::Relaxed);
            }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn accept(listener: TcpListener, backends: Arc<[Backend]>, greetings: Greetings) {
    let turn = AtomicUsize::new(0);
    while let Ok((client, _)) = listener.accept().await {
        let ready: Vec<SocketAddr> = backends
            .iter()
            .filter(|backend| backend.ready.load(Ordering::Relaxed))
            .map(|b| b.serves)
            .collect();
        if ready.is_empty() {
            continue;
        }
        let chosen = ready[turn.fetch_add(1, Ordering::Relaxed) % ready.len()];
        let greetings = Arc::clone(&greetings);
        tokio::spawn(async move {
            let mut client = client;
            let mut first = vec![0; 4096];
            if let Ok(length) = client.peek(&mut first).await {
                first.truncate(length);
                greetings
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(first);
            }
            if let Ok(mut server) = AsyncTcpStream::connect(chosen).await {
                let _ = client.set_nodelay(true);
                let _ = server.set_nodelay(true);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

/// The status and body of a plain HTTP GET; nothing when there is no answer within two seconds.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    get_within(address, path, Duration::from_secs(2))
}

/// [`get`] with another limit, for the connection and for every piece of the answer.
pub fn get_within(address: SocketAddr, path: &str, limit: Duration) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
