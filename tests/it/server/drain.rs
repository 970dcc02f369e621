use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidegate::server::{DrainTimes, ServeError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::{
    Running, Setup, connect, eventually, get, head, post, response, until_closed,
};

fn start(delay: u64, timeout: u64) -> Running {
    Running::start(Setup {
        drain: DrainTimes {
            delay: Duration::from_millis(delay),
            timeout: Duration::from_millis(timeout),
        },
        ..Setup::default()
    })
}

#[tokio::test]
async fn told_to_stop_it_is_unready_serves_on_then_closes_connections_and_ends() {
    let mut server = start(2000, 12000);
    let (mut busy, mut idle) = (server.connect().await, server.connect().await);
    assert_eq!(post(&mut idle, b"{}").await.status, 200);
    let begun = Instant::now();
    server.stop.send(()).await.unwrap();
    let mut status = 200;
    while status == 200 {
        assert!(begun.elapsed() < Duration::from_millis(1500));
        status = get(server.ops, "/readyz").await.status;
    }
    assert_eq!(status, 503);
    assert_eq!(
        get(server.ops, "/readyz").await.body,
        "serving: shutting down\n"
    );
    assert_eq!(get(server.ops, "/livez").await.status, 200);
    assert!(
        !post(&mut busy, b"{}").await.closes(),
        "as before while others still send"
    );
    assert_eq!(post(&mut server.connect().await, b"{}").await.status, 200);

    tokio::time::sleep(Duration::from_millis(2050).saturating_sub(begun.elapsed())).await;
    assert!(post(&mut busy, b"{}").await.closes());
    assert!(
        post(&mut server.connect().await, b"{}").await.closes(),
        "new ones are still served"
    );
    let (rest, _) = until_closed(&mut idle).await;
    assert!(rest.is_empty());
    assert!(
        begun.elapsed() > Duration::from_millis(2900),
        "idle connections are closed last"
    );
    server.ended().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "no need to wait for the timeout"
    );
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    let mut server = start(50, 8000);
    let mut stream = server.connect().await;
    stream.write_all(head(10).as_bytes()).await.unwrap();
    stream.write_all(b"sleep 3000").await.unwrap();
    eventually("it is in flight", || {
        server.seen.started.load(Ordering::SeqCst) == 1
    })
    .await;
    server.stop.send(()).await.unwrap();
    let answer = response(&mut stream).await.unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true));
    server.ended().await.unwrap();
    assert_eq!(server.seen.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_still_in_flight_at_the_timeout_is_cut() {
    let mut server = start(50, 1500);
    let mut stream = server.connect().await;
    stream.write_all(head(5).as_bytes()).await.unwrap();
    stream.write_all(b"stall").await.unwrap();
    eventually("it is in flight", || {
        server.seen.started.load(Ordering::SeqCst) == 1
    })
    .await;
    let begun = Instant::now();
    server.stop.send(()).await.unwrap();
    server.ended().await.unwrap();
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(1400) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert_eq!(server.seen.dropped.load(Ordering::SeqCst), 1);
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn a_second_stop_ends_at_once() {
    let mut server = start(5000, 8000);
    let _idle = server.connect().await;
    let begun = Instant::now();
    server.stop.send(()).await.unwrap();
    eventually("it drains", || server.stop.capacity() == 2).await;
    server.stop.send(()).await.unwrap();
    assert!(matches!(server.ended().await, Err(ServeError::Interrupted)));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn under_load_no_call_fails_when_callers_leave_with_the_readiness() {
    let mut server = start(500, 8000);
    let (address, client, ops) = (server.address, server.client(), server.ops);
    // Callers that keep their connections and go elsewhere some time after the probe fails.
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                let mut stream = connect(address, client.clone()).await.unwrap();
                while get(ops, "/readyz").await.status == 200 {
                    for _ in 0..20 {
                        let answer = post(&mut stream, &[b'x'; 8000]).await;
                        assert_eq!(answer.status, 200);
                        calls += 1;
                        if answer.closes() {
                            stream = connect(address, client.clone()).await.unwrap();
                        }
                    }
                }
                calls
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.send(()).await.unwrap();
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    server.ended().await.unwrap();
}
