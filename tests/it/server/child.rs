//! What needs a process of its own: file descriptor limits and signals.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::server::{DrainTimes, Limits, Metrics, Readiness, serve};
use tokio::net::TcpStream;

use super::support::{Scripted, Setup, client_config, config, connect, eventually, get, post};

const DIR: &str = "TIDEGATE_TEST_CHILD_DIR";

/// The server in the child process: `serve` with real signals. The exit code says how it ended.
#[test]
#[ignore = "runs inside the processes that the other tests of this file start"]
fn child_process() {
    let dir = std::env::var_os(DIR).expect("started by another test");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = config(
        dir.as_ref(),
        Setup {
            limits: Limits {
                idle: Duration::from_hours(1),
                ..Limits::default()
            },
            drain: DrainTimes {
                delay: Duration::from_secs(2),
                timeout: Duration::from_secs(8),
            },
            ..Setup::default()
        },
    );
    let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::default()));
    let answer = Scripted(Arc::default());
    let served = runtime.block_on(serve(
        config,
        metrics,
        readiness,
        answer,
        |admission, ops| {
            println!("bound {admission} {ops}");
        },
    ));
    std::process::exit(if served.is_ok() { 0 } else { 3 });
}

/// A running child; killed when the test ends.
struct Running {
    child: Child,
    admission: SocketAddr,
    ops: SocketAddr,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(descriptors: u32) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let script =
        format!("ulimit -n {descriptors} && exec \"$0\" --ignored --exact --nocapture \"$1\"");
    let name = format!(
        "{}::child_process",
        module_path!().split_once("::").unwrap().1
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let bound = lines
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("bound ")?.1.to_owned()))
        .expect("the child to listen");
    let (admission, ops) = bound.split_once(' ').unwrap();
    Running {
        child,
        admission: admission.parse().unwrap(),
        ops: ops.trim().parse().unwrap(),
        dir,
    }
}

impl Running {
    async fn status(&self) -> u16 {
        let ca = std::fs::read(self.dir.path().join("ca.crt")).unwrap();
        let mut stream = connect(self.admission, client_config(&ca, None))
            .await
            .unwrap();
        post(&mut stream, b"{}").await.status
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the child does not end");
    }
}

#[tokio::test]
async fn running_out_of_file_descriptors_does_not_end_the_server() {
    let server = start(40);
    assert_eq!(server.status().await, 200);
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(TcpStream::connect(server.admission).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(held);
    assert_eq!(server.status().await, 200);
    let metrics = get(server.ops, "/metrics").await.body;
    let errors = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_accept_errors_total "))
        .unwrap();
    let errors: u32 = errors.parse().unwrap();
    assert!(
        (1..200).contains(&errors),
        "failed, and without spinning: {errors}"
    );
}

#[tokio::test]
async fn sigterm_drains_and_ends_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut server = start(256);
        assert_eq!(get(server.ops, "/readyz").await.status, 200);
        server.signal(signal);
        let begun = Instant::now();
        while get(server.ops, "/readyz").await.status == 200 {
            assert!(begun.elapsed() < Duration::from_millis(1800));
        }
        assert_eq!(server.status().await, 200, "still serving");
        assert_eq!(server.exit_code(), Some(0));
        assert!(begun.elapsed() > Duration::from_millis(1900));
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_not_with_0() {
    let mut server = start(256);
    server.signal("-TERM");
    let begun = Instant::now();
    while get(server.ops, "/readyz").await.status == 200 {
        assert!(begun.elapsed() < Duration::from_millis(1800));
    }
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(3));
    assert!(
        begun.elapsed() < Duration::from_millis(1900),
        "{:?}",
        begun.elapsed()
    );
    eventually("the ports are free", || {
        std::net::TcpStream::connect(server.admission).is_err()
    })
    .await;
}
