use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate::server::Limits;
use tokio::io::AsyncWriteExt as _;

use super::support::{Running, Setup, eventually, exchange, head, post, response};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn bodies_up_to_the_limit_are_answered_and_larger_ones_are_413() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    for length in [0, 1, 8 * 1024, 2 * MIB, 3 * MIB, 69 * MIB / 10, 7 * MIB] {
        let answer = post(&mut stream, &vec![b'x'; length]).await;
        assert_eq!(answer.status, 200, "{length}");
        assert_eq!(answer.body, format!("{{\"length\":{length}}}"));
        assert!(!answer.closes(), "one connection for all");
    }
    let answer = post(&mut stream, &vec![b'x'; 71 * MIB / 10]).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("7340032 bytes"), "{}", answer.body);
    assert!(answer.closes());
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="too_large"}"#),
        1
    );
    assert_eq!(server.metric("tidegate_inflight_bytes"), 0);
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_before_the_body_is_sent() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    stream.write_all(head(1 << 40).as_bytes()).await.unwrap();
    assert_eq!(response(&mut stream).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_chunked_body_is_read_whole_and_capped_while_it_streams() {
    let server = Running::start(Setup {
        limits: Limits {
            max_body: MIB,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let chunked = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let mut stream = server.connect().await;
    let answer = exchange(
        &mut stream,
        &chunked,
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"length":11}"#)
    );

    stream.write_all(chunked.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..40 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    assert_eq!(response(&mut stream).await.unwrap().status, 413);
    eventually("nothing stays charged", || {
        server.metric("tidegate_requests_in_flight") == 0
    })
    .await;
    assert_eq!(server.seen.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_answered_as_a_review() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    stream.write_all(head(100).as_bytes()).await.unwrap();
    stream.write_all(b"only this").await.unwrap();
    stream.shutdown().await.unwrap();
    if let Ok(answer) = response(&mut stream).await {
        assert_eq!(answer.status, 400);
    }
    eventually("it is over", || {
        server.metric("tidegate_requests_in_flight") == 0
    })
    .await;
    assert_eq!(server.seen.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn wrong_paths_methods_types_and_encodings_are_refused_by_their_codes() {
    let server = Running::start(Setup::default());
    let good = head(2);
    let cases = [
        (good.replace("/validate?", "/validat?"), 404),
        (good.replace("/validate?", "/validate/?"), 404),
        (good.replace("/validate?", "/metrics?"), 404),
        (good.replace("/validate?", "/livez?"), 404),
        (good.replacen("POST", "PUT", 1), 405),
        (
            good.replace("application/json\r\nAccept-E", "text/plain\r\nAccept-E"),
            415,
        ),
        (good.replace("Content-Type: application/json\r\n", ""), 415),
        (good.replace("Accept-Encoding:", "Content-Encoding:"), 415),
        (
            good.replace("Accept-Encoding: gzip", "Content-Encoding: identity"),
            200,
        ),
        (
            good.replace("json\r\nAccept-E", "json; charset=utf-8\r\nAccept-E"),
            200,
        ),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 200),
    ];
    for (head, status) in cases {
        let mut stream = server.connect().await;
        let answer = exchange(&mut stream, &head, b"{}").await;
        assert_eq!(answer.status, status, "{head}");
        if status == 200 {
            continue;
        }
        assert!(
            answer.body.ends_with('\n') && answer.body.len() > 10,
            "{}",
            answer.body
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"));
        assert!(!answer.closes(), "a small body is no reason to close");
        assert_eq!(
            post(&mut stream, b"{}").await.status,
            200,
            "the connection goes on"
        );
    }
    let mut stream = server.connect().await;
    let get = "GET /validate HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(exchange(&mut stream, get, b"").await.status, 405);
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="media_type"}"#),
        3
    );
}

#[tokio::test]
async fn what_answer_calls_bad_is_a_400_with_its_words_and_a_panic_is_a_500() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    let answer = post(&mut stream, b"bad no uid\x1b[31m").await;
    assert_eq!(
        (answer.status, answer.body.trim_end()),
        (400, "no uid\x1b[31m")
    );
    assert_eq!(post(&mut stream, b"panic").await.status, 500);
    assert_eq!(
        post(&mut stream, b"{}").await.status,
        200,
        "on the same connection"
    );
    assert_eq!(
        server.metric(r#"tidegate_requests_total{endpoint="validate",code="500"}"#),
        1
    );
    assert_eq!(
        server.metric(r#"tidegate_bad_requests_total{reason="review"}"#),
        1
    );
}

#[tokio::test]
async fn over_the_byte_budget_large_bodies_get_429_and_small_ones_are_still_answered() {
    let server = Running::start(Setup {
        limits: Limits {
            max_body: MIB,
            max_inflight_bytes: 2 * MIB,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let mut large = server.connect().await;
    large.write_all(head(MIB).as_bytes()).await.unwrap();
    eventually("the first is charged", || {
        server.metric("tidegate_inflight_bytes") == 1 << 20
    })
    .await;

    let answer = server.post(&vec![b'x'; MIB]).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let mut small = server.connect().await;
    for _ in 0..20 {
        assert_eq!(post(&mut small, &[b'x'; 8192]).await.status, 200);
    }
    assert_eq!(
        server.metric(r#"tidegate_shed_total{reason="inflight_bytes"}"#),
        1
    );

    large.write_all(&vec![b'x'; MIB]).await.unwrap();
    assert_eq!(response(&mut large).await.unwrap().status, 200);
    assert_eq!(
        server.post(&vec![b'x'; MIB]).await.status,
        200,
        "there is room again"
    );
}

#[tokio::test]
async fn a_burst_of_large_bodies_is_served_one_after_the_other() {
    let server = Running::start(Setup {
        limits: Limits {
            max_body: MIB,
            max_inflight_bytes: 3 * MIB,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let body = [b"sleep 30 ".to_vec(), vec![b' '; MIB - 9]].concat();
    let answers = (0..12).map(|_| server.post(&body));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.metric("tidegate_inflight_bytes"), 0);
}

#[tokio::test]
async fn an_answer_that_misses_the_deadline_becomes_a_504_before_the_caller_leaves() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    let start = std::time::Instant::now();
    let head = head(5).replace("timeout=10s", "timeout=3s");
    let answer = exchange(&mut stream, &head, b"stall").await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("retry-after"), None);
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(2750) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(
        post(&mut stream, b"{}").await.status,
        200,
        "the connection goes on"
    );
}

#[tokio::test]
async fn requests_sent_at_once_on_one_connection_are_answered_in_order() {
    let server = Running::start(Setup::default());
    let mut stream = server.connect().await;
    let mut bytes = Vec::new();
    for length in [3, 9000, 1] {
        bytes.extend(head(length).into_bytes());
        bytes.extend(vec![b'x'; length]);
    }
    stream.write_all(&bytes).await.unwrap();
    for length in [3, 9000, 1] {
        let answer = response(&mut stream).await.unwrap();
        assert_eq!(answer.body, format!("{{\"length\":{length}}}"));
    }
}
