use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate::server::Limits;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::support::{Running, Setup, eventually, head, post, response, until_closed};

fn hasty() -> Running {
    Running::start(Setup {
        limits: Limits {
            header: Duration::from_millis(300),
            body: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Setup::default()
    })
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut() {
    let server = hasty();
    let mut stream = server.connect().await;
    let start = std::time::Instant::now();
    for byte in head(2).bytes() {
        if stream.write_all(&[byte]).await.is_err() || start.elapsed().as_secs() > 5 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let (answer, _) = until_closed(&mut stream).await;
    assert!(answer.is_empty(), "{answer:?}");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="head"}"#),
        1
    );
    assert_eq!(server.seen.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408_and_lets_go_of_its_bytes() {
    let server = hasty();
    let mut stream = server.connect().await;
    stream.write_all(head(5000).as_bytes()).await.unwrap();
    for _ in 0..5 {
        stream.write_all(b"drip").await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let answer = response(&mut stream).await.unwrap();
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="slow_body"}"#),
        1
    );
    drop(stream);
    eventually("it is gone", || server.metric("tidegate_connections") == 0).await;
}

#[tokio::test]
async fn a_connection_that_only_waits_outlives_the_header_limit() {
    let server = hasty();
    let mut stream = server.connect().await;
    for _ in 0..3 {
        assert_eq!(post(&mut stream, b"{}").await.status, 200);
        sleep(Duration::from_millis(800)).await;
    }
    assert_eq!(post(&mut stream, b"{}").await.status, 200);
}

#[tokio::test]
async fn a_connection_that_waits_too_long_is_closed() {
    let server = Running::start(Setup {
        limits: Limits {
            idle: Duration::from_millis(400),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut stream = server.connect().await;
    assert_eq!(post(&mut stream, b"{}").await.status, 200);
    let (_, took) = until_closed(&mut stream).await;
    assert!(
        took > Duration::from_millis(300) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_cut() {
    let server = Running::start(Setup {
        limits: Limits {
            write: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut stream = server.connect().await;
    for _ in 0..100 {
        let request = [head(3).as_bytes(), b"big"].concat();
        if stream.write_all(&request).await.is_err() {
            break;
        }
    }
    eventually("it is cut", || server.metric("tidegate_connections") == 0).await;
    let answered = server.seen.ended.load(Ordering::SeqCst);
    assert!((2..50).contains(&answered), "{answered}");
}

#[tokio::test]
async fn slow_clients_do_not_hold_up_others() {
    let server = hasty();
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(head(5000).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut stream = server.connect().await;
    let start = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(post(&mut stream, b"{}").await.status, 200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn when_the_client_leaves_the_work_for_it_ends() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    stream.write_all(head(5).as_bytes()).await.unwrap();
    stream.write_all(b"stall").await.unwrap();
    eventually("it is being answered", || {
        server.seen.started.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(stream);
    eventually("the answer is dropped", || {
        server.seen.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    eventually("nothing is in flight", || {
        server.metric("tidegate_requests_in_flight") == 0
    })
    .await;
    assert_eq!(server.seen.ended.load(Ordering::SeqCst), 0);
}
