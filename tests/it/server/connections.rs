use std::time::Duration;

use tidegate::server::Limits;
use tokio::net::TcpStream;

use super::support::{Running, Setup, connect, eventually, post, until_closed};

#[tokio::test]
async fn at_the_connection_limit_the_newest_is_closed_and_the_others_are_served() {
    let server = Running::start(Setup {
        limits: Limits {
            max_connections: 4,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(server.connect().await);
    }
    let mut fifth = TcpStream::connect(server.address).await.unwrap();
    let (answer, took) = until_closed(&mut fifth).await;
    assert!(
        answer.is_empty() && took < Duration::from_secs(2),
        "{answer:?} {took:?}"
    );
    assert_eq!(server.metric("tidegate_connections_refused_total"), 1);
    for stream in &mut held {
        assert_eq!(post(stream, b"{}").await.status, 200);
    }
    held.pop();
    eventually("there is room", || {
        server.metric("tidegate_connections") == 3
    })
    .await;
    let mut another = connect(server.address, server.client()).await.unwrap();
    assert_eq!(post(&mut another, b"{}").await.status, 200);
}

#[tokio::test]
async fn in_a_crowd_connections_that_never_asked_anything_give_way() {
    let server = Running::start(Setup {
        limits: Limits {
            max_connections: 8,
            header: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut used = server.connect().await;
    assert_eq!(post(&mut used, b"{}").await.status, 200);
    let mut unused = Vec::new();
    for _ in 0..7 {
        unused.push(server.connect().await);
    }
    eventually("the unused ones give way", || {
        server.metric("tidegate_connections") < 8
    })
    .await;
    assert_eq!(post(&mut used, b"{}").await.status, 200);
}

#[tokio::test]
async fn an_old_connection_is_answered_and_asked_to_close() {
    let server = Running::start(Setup {
        limits: Limits {
            max_age: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut stream = server.connect().await;
    assert!(!post(&mut stream, b"{}").await.closes());
    tokio::time::sleep(Duration::from_millis(400)).await;
    let answer = post(&mut stream, b"{}").await;
    assert_eq!((answer.status, answer.closes()), (200, true));
    let (rest, took) = until_closed(&mut stream).await;
    assert!(rest.is_empty() && took < Duration::from_secs(2), "{took:?}");
}
