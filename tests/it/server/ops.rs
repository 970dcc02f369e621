use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::{Running, Setup, exchange, get, head, post, response};

#[tokio::test]
async fn probes_and_metrics_are_on_the_ops_port_and_reviews_are_not() {
    let server = Running::start(Setup::default());
    assert_eq!(get(server.ops, "/livez").await.body, "ok\n");
    assert_eq!(get(server.ops, "/readyz").await.status, 200);
    let verbose = get(server.ops, "/readyz?verbose").await;
    assert_eq!(verbose.header("content-type"), Some("application/json"));
    assert!(
        verbose
            .body
            .starts_with(r#"{"ready":true,"conditions":[{"name":"serving","ok":true"#)
    );
    assert!(
        verbose.body.contains(r#""name":"certificate","ok":true"#),
        "{}",
        verbose.body
    );

    assert_eq!(server.post(b"{}").await.status, 200);
    let metrics = get(server.ops, "/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let line = r#"tidegate_requests_total{endpoint="validate",code="200"} 1"#;
    assert!(metrics.body.lines().any(|l| l == line), "{}", metrics.body);
    assert!(metrics.body.contains("\ntidegate_ready 1\n"));

    let mut stream = TcpStream::connect(server.ops).await.unwrap();
    assert_eq!(post(&mut stream, b"{}").await.status, 404);
    assert_eq!(get(server.ops, "/").await.status, 404);
}

#[tokio::test]
async fn the_ops_port_takes_only_reads_and_keeps_connections() {
    let server = Running::start(Setup::default());
    let mut stream = TcpStream::connect(server.ops).await.unwrap();
    let request = |method: &str| format!("{method} /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    let refused = exchange(&mut stream, &request("POST"), b"").await;
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(
        exchange(&mut stream, &request("GET"), b"").await.status,
        200
    );
    stream.write_all(head(1 << 30).as_bytes()).await.unwrap();
    assert!(
        response(&mut stream).await.unwrap().closes(),
        "nobody reads a body there"
    );
}
