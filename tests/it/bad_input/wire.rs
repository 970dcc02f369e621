//! What is wrong below the review: HTTP, TLS and time. All the while a good client is served.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::mutate::{Random, mutate};
use super::process::{Server, head};
use super::reviews::{BAD_SPEC, GOOD_SPEC, review};

/// Runs `bad` while two good clients, one on a kept connection and one on new ones, ask for an
/// allowed and a denied Pod in turn; how many good answers there were.
fn beside_good_clients(server: &Server, bad: impl FnOnce()) -> usize {
    let over = AtomicBool::new(false);
    let answers = AtomicUsize::new(0);
    let good = |keep: bool| {
        let mut client = server.connect();
        for number in 0.. {
            if over.load(Ordering::SeqCst) && number > 3 {
                return;
            }
            let (spec, allowed) = if number % 2 == 0 {
                (GOOD_SPEC, true)
            } else {
                (BAD_SPEC, false)
            };
            let uid = format!("good-{keep}-{number}");
            let response = client
                .post(review(&uid, &format!(r#"{{"spec":{spec}}}"#)).as_bytes())
                .json();
            assert_eq!(
                (response["uid"].as_str(), response["allowed"].as_bool()),
                (Some(&*uid), Some(allowed))
            );
            answers.fetch_add(1, Ordering::SeqCst);
            if !keep {
                client = server.connect();
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(|| good(true)), scope.spawn(|| good(false))];
        // Also when `bad` panics: the clients must end for the scope to.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(bad));
        over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("good clients are served");
        }
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(!server.log().contains("panicked"), "{}", server.log());
    answers.into_inner()
}

#[test]
fn wrong_methods_paths_and_types_are_refused_by_their_codes() {
    let server = Server::start();
    let good = head(2);
    beside_good_clients(&server, || {
        for (head, status) in [
            (good.replacen("POST", "GET", 1), 405),
            (good.replacen("POST", "PUT", 1), 405),
            (good.replacen("POST", "BREW", 1), 405),
            (good.replace("/validate?", "/?"), 404),
            (good.replace("/validate?", "/mutate?"), 404),
            (good.replace("/validate?", "//validate?"), 404),
            (good.replace("/validate?", "/validate/../livez?"), 404),
            (
                good.replace("application/json\r\n\r\n", "application/yaml\r\n\r\n"),
                415,
            ),
            (
                good.replace(
                    "application/json\r\n\r\n",
                    "application/vnd.kubernetes.protobuf\r\n\r\n",
                ),
                415,
            ),
            (good.replace("Content-Type: application/json\r\n", ""), 415),
            (
                good.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n"),
                415,
            ),
            (
                good.replace("\r\n\r\n", "\r\nContent-Encoding: identity, br\r\n\r\n"),
                415,
            ),
        ] {
            let answer = server.connect().exchange(&head, b"{}");
            assert_eq!(answer.status, status, "{head}");
            assert!(answer.text.trim().len() > 10, "{head}: {:?}", answer.text);
        }
    });
}

#[test]
fn heads_that_are_no_http_are_refused_or_cut() {
    let server = Server::start();
    beside_good_clients(&server, || {
        let many = format!(
            "POST /validate HTTP/1.1\r\n{}\r\n",
            "X-A: b\r\n".repeat(5_000)
        );
        let long = format!(
            "POST /validate HTTP/1.1\r\nX-A: {}\r\n\r\n",
            "b".repeat(1 << 20)
        );
        let heads: [&[u8]; 9] = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a second handshake inside\r\n\r\n",
            b"POST /validate HTTP/9.9\r\n\r\n",
            b"POST /validate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /validate HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            b"POST /validate HTTP/1.1\r\nno colon\r\n\r\n",
            b"\x00\x00\x00\x00\r\n\r\n",
            many.as_bytes(),
            long.as_bytes(),
        ];
        for head in heads {
            let mut client = server.connect();
            let _ = client.0.write_all(head).and_then(|()| client.0.flush());
            let mut answer = Vec::new();
            // A reset is as good as an end.
            let _ = client.0.read_to_end(&mut answer);
            let shown = answer.escape_ascii();
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
                "{}: {shown}",
                head.escape_ascii()
            );
        }
    });
}

#[test]
fn what_is_no_tls_is_cut_and_nobody_else_notices() {
    let server = Server::start();
    let mut random = Random(7);
    let answers = beside_good_clients(&server, || {
        let noise: Vec<u8> = (0..4_096).map(|_| random.next().to_le_bytes()[0]).collect();
        let mut record = vec![0x16, 3, 1, 0x02, 0x00, 1, 0, 1, 0xfc, 3, 3];
        record.extend(noise.iter().take(505));
        for bytes in [
            &noise[..],
            &record,
            b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
            b"\x15\x03\x01\x00\x02\x02\x28",
            &vec![0; 20_000],
            b"SSH-2.0-nobody\r\n",
        ] {
            for _ in 0..5 {
                let mut tcp = server.connect_tcp();
                let _ = tcp.write_all(bytes);
                let _ = tcp.shutdown(Shutdown::Write);
                let mut answer = Vec::new();
                let _ = tcp.read_to_end(&mut answer);
                assert!(
                    answer.is_empty() || answer[0] == 0x15,
                    "only an alert: {}",
                    answer.escape_ascii()
                );
            }
        }
    });
    assert!(answers > 5, "{answers}");
}

#[test]
fn slow_and_half_open_clients_hold_nobody_up() {
    let server = Server::start();
    let mut silent: Vec<TcpStream> = Vec::new();
    let mut slow = Vec::new();
    let start = Instant::now();
    let answers = beside_good_clients(&server, || {
        for _ in 0..100 {
            // Connected and silent, and half of a handshake.
            silent.push(server.connect_tcp());
            let mut half = server.connect_tcp();
            half.write_all(&[0x16, 3, 1, 0x02, 0x00, 1, 0]).unwrap();
            silent.push(half);
        }
        for number in 0..100 {
            let mut client = server.connect();
            let start = head(6 << 20);
            // Half a head, a head without its body, half a body, and one that reads no answer.
            let bytes = match number % 4 {
                0 => start.as_bytes()[..60].to_vec(),
                1 => start.into_bytes(),
                2 => [start.as_bytes(), b"{\"kind\":"].concat(),
                _ => [head(2).as_bytes(), b"{}"].concat().repeat(50),
            };
            client.0.write_all(&bytes).unwrap();
            slow.push(client);
        }
        for client in &mut slow {
            for _ in 0..5 {
                let _ = client.0.write_all(b" ");
            }
        }
        thread::sleep(Duration::from_secs(2));
        for (number, client) in slow.iter().enumerate() {
            // Gone without a word, each in its own way.
            let way = if number % 2 == 0 {
                Shutdown::Both
            } else {
                Shutdown::Write
            };
            let _ = client.0.sock.shutdown(way);
        }
    });
    let took = start.elapsed();
    assert!(
        answers as u64 > 10 * took.as_secs(),
        "{answers} good answers in {took:?}"
    );
}

#[test]
fn after_all_of_it_the_server_is_as_large_as_before_and_still_right() {
    let server = Server::start();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/reviews/");
    let files = [
        "pod-create.json",
        "pod-create-everything-wrong.json",
        "namespace-update-raised.json",
        "cronjob-create.json",
    ];
    let files = files.map(|name| std::fs::read(format!("{corpus}{name}")).unwrap());
    let mut random = Random(20_261_122);
    let deep = review("u", &"[".repeat(100_000));
    let wide = review(
        "u",
        &format!(
            r#"{{"spec":{{"containers":[{{}}{}]}}}}"#,
            ",{}".repeat(2_000_000)
        ),
    );
    let mut round = |number: usize| {
        let mut client = server.connect();
        for _ in 0..10 {
            let (one, other) = (random.below(files.len()), random.below(files.len()));
            let body = mutate(&files[one], &files[other], &mut random);
            let answer = client.post(&body);
            assert!(
                matches!(answer.status, 200 | 400),
                "{}: {}",
                answer.text,
                body.escape_ascii()
            );
        }
        assert_eq!(client.post(deep.as_bytes()).status, 400);
        if number.is_multiple_of(20) {
            assert_eq!(client.post(wide.as_bytes()).json()["allowed"], false);
        }
        let _ = server.connect_tcp().write_all(&[0x16, 3, 1]);
        let _ = server
            .connect()
            .0
            .write_all(&head(1 << 20).as_bytes()[..100]);
    };
    beside_good_clients(&server, || {
        // The allocator keeps what the largest bodies took, so the most is what would grow.
        (0..80).for_each(&mut round);
        let before = server.memory("VmHWM");
        (0..200).for_each(&mut round);
        let (after, now) = (server.memory("VmHWM"), server.memory("VmRSS"));
        println!("at most {before} KiB in 80 rounds, {after} KiB in 280, {now} KiB now");
        assert!(
            after < before + 12 * 1024,
            "grew from {before} to {after} KiB"
        );
        assert!(after < 128 * 1024, "at most {after} KiB");
    });
}
