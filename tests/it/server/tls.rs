use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use tidegate::server::Limits;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::{Running, Setup, client_versions, connect, eventually, post, until_closed};

#[tokio::test]
async fn tls_1_3_and_1_2_are_served_with_alpn_http_1_1() {
    let server = Running::start(Setup::default());
    for version in [&TLS13, &TLS12] {
        let config = client_versions(&server.ca(), None, &[version]);
        let mut stream = connect(server.address, config).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(session.protocol_version(), Some(version.version));
        let answer = post(&mut stream, b"{}").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, r#"{"length":2}"#)
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_client_without_alpn_is_served_and_one_that_offers_only_h2_is_not() {
    let server = Running::start(Setup::default());
    let mut config = server.client();
    config.alpn_protocols.clear();
    let mut stream = connect(server.address, config).await.unwrap();
    assert_eq!(post(&mut stream, b"{}").await.status, 200);

    let mut config = server.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = connect(server.address, config).await;
    assert!(refused.is_err());
    eventually("the failure is counted", || {
        server.metric(r#"tidegate_handshake_failures_total{reason="tls"}"#) == 1
    })
    .await;

    let mut config = server.client();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(server.address, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn what_is_no_tls_gets_no_http_answer() {
    let server = Running::start(Setup::default());
    // A TLS 1.1 ClientHello: record version 3.2, client version 3.2, one old cipher suite.
    let mut old_hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    old_hello.extend([7; 32]);
    old_hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    for bytes in [
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        (0..4096_u32)
            .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect(),
        old_hello,
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let (answer, _) = until_closed(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        // At most a TLS alert.
        assert!(
            answer.first().is_none_or(|kind| *kind == 0x15),
            "{answer:?}"
        );
    }
    assert_eq!(
        server.post(b"{}").await.status,
        200,
        "others are served all the same"
    );
}

#[tokio::test]
async fn an_http_2_preface_inside_tls_is_not_answered_as_a_request() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let (answer, _) = until_closed(&mut stream).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="head"}"#),
        1
    );
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut() {
    let server = Running::start(Setup {
        limits: Limits {
            handshake: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Setup::default()
    });
    for start in [&b""[..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start).await.unwrap();
        let (_, took) = until_closed(&mut stream).await;
        assert!(
            took > Duration::from_millis(200) && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
    assert_eq!(
        server.metric(r#"tidegate_handshake_failures_total{reason="timeout"}"#),
        2
    );
    eventually("both are gone", || {
        server.metric("tidegate_connections") == 0
    })
    .await;
}
