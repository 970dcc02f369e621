//! The cluster adapter against a scripted HTTP server, for what a real API server does only when
//! something is wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// What the scripted server does with one request.
pub(super) enum Reply {
    /// This status and this JSON.
    Json(u16, String),
    /// These lines, one watch event each, and then nothing for a while.
    Events(Vec<String>, Duration),
    /// Nothing at all.
    Silence,
}

pub(super) struct Scripted {
    pub(super) cluster: Arc<Cluster>,
    requests: Arc<Mutex<Vec<String>>>,
    _server: AbortOnDropHandle<()>,
    _watch: AbortOnDropHandle<()>,
}

impl Scripted {
    pub(super) async fn start(
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
        watch: bool,
    ) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), Arc::clone(&requests));
        let server = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                tokio::spawn(async move { serve(tcp, &*script, &seen).await });
            }
        }));
        let mut config = Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let cluster = Arc::new(Cluster::with_client(client));
        let watched = Arc::clone(&cluster);
        Scripted {
            cluster,
            requests,
            _server: server,
            _watch: AbortOnDropHandle::new(tokio::spawn(async move {
                if watch {
                    watched.watch_namespaces().await;
                }
            })),
        }
    }

    async fn synced(&self) {
        eventually("synced", || self.cluster.synced()).await;
    }

    /// The label `l` of a namespace.
    async fn label(&self, name: &str) -> Result<Option<String>, String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        match self.cluster.namespace(name, deadline).await {
            Fact::Known(labels) => Ok(labels.get("l").map(str::to_owned)),
            Fact::Unavailable(why) => Err(why),
            Fact::NotAsked => panic!("it was asked"),
        }
    }

    fn asked_for(&self, part: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.contains(part))
            .count()
    }
}

async fn serve(tcp: TcpStream, script: &(dyn Fn(&str) -> Reply + Sync), seen: &Mutex<Vec<String>>) {
    let mut tcp = BufReader::new(tcp);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if tcp.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(path.clone());
    let _ = match script(&path) {
        Reply::Silence => {
            sleep(Duration::from_secs(30)).await;
            Ok(())
        }
        Reply::Json(status, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}");
            tcp.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
                .await
        }
        Reply::Events(events, hold) => {
            let mut text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
            for event in events {
                text.push_str(&event);
                text.push('\n');
            }
            let written = tcp.write_all(text.as_bytes()).await;
            sleep(hold).await;
            written
        }
    };
}

pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(15), poll).await.is_ok(),
        "never: {what}"
    );
}

const LONG: Duration = Duration::from_secs(30);

fn namespace(name: &str, label: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}","labels":{{"l":"{label}"}}}}}}"#
    )
}

fn list(items: &[String], next: &str, version: u32) -> Reply {
    let items = items.join(",");
    Reply::Json(
        200,
        format!(
            r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{items}]}}"#
        ),
    )
}

pub(super) fn event(kind: &str, object: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

pub(super) fn failure(code: u16, message: &str) -> Reply {
    Reply::Json(code, status(code, message))
}

pub(super) fn status(code: u16, message: &str) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{message}","reason":"X","code":{code}}}"#
    )
}

#[tokio::test]
async fn pages_are_put_together_and_events_are_followed() {
    let scripted = Scripted::start(
        |path| match path {
            p if p.contains("watch=true") => {
                assert!(p.contains("resourceVersion=7"), "{p}");
                let events = vec![
                    event("ADDED", &namespace("new", "n", 8)),
                    event("MODIFIED", &namespace("a", "changed", 9)),
                    event("BOOKMARK", r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"resourceVersion":"9"}}"#),
                    event("DELETED", &namespace("b", "x", 10)),
                ];
                Reply::Events(events, LONG)
            }
            p if p.contains("continue=t1") => list(&[namespace("b", "2", 2)], "", 7),
            p if p.starts_with("/api/v1/namespaces?") => list(&[namespace("a", "1", 1)], "t1", 7),
            _ => failure(404, "namespaces not found"),
        },
        true,
    )
    .await;
    scripted.synced().await;
    let index = &scripted.cluster.index;
    eventually("the events are in", || {
        index.get("b").is_none() && index.len() == 2
    })
    .await;
    assert_eq!(
        scripted.label("a").await.unwrap().as_deref(),
        Some("changed")
    );
    assert_eq!(scripted.label("new").await.unwrap().as_deref(), Some("n"));
    assert_eq!(
        scripted.label("b").await.unwrap_err(),
        "namespace \"b\" not found"
    );
    assert_eq!(
        scripted.asked_for("namespaces/"),
        1,
        "only what the index lacks is read live"
    );
    let metrics = Metrics::new();
    scripted.cluster.report(&metrics);
    let text = metrics.text();
    assert!(text.contains("tidegate_namespace_index_size 2"), "{text}");
    assert!(text.contains(r#"tidegate_namespace_live_reads_total{outcome="not_found"} 1"#));
}

#[tokio::test]
async fn after_410_everything_is_listed_again() {
    for in_stream in [true, false] {
        let lists = AtomicUsize::new(0);
        let scripted = Scripted::start(
            move |path| {
                let expired = "too old resource version: 1 (5)";
                match path {
                    p if p.contains("watch=true") && !p.contains("resourceVersion=50") => {
                        if in_stream {
                            Reply::Events(vec![event("ERROR", &status(410, expired))], LONG)
                        } else {
                            failure(410, expired)
                        }
                    }
                    p if p.contains("watch=true") => Reply::Events(Vec::new(), LONG),
                    _ if lists.fetch_add(1, Ordering::SeqCst) == 0 => {
                        list(&[namespace("old", "1", 1)], "", 1)
                    }
                    _ => list(&[namespace("fresh", "2", 5)], "", 50),
                }
            },
            true,
        )
        .await;
        let index = &scripted.cluster.index;
        eventually("it is listed again", || index.get("fresh").is_some()).await;
        assert_eq!(index.get("old"), None, "what is gone is gone");
    }
}

#[tokio::test]
async fn a_broken_watch_goes_on_where_it_ended() {
    let watches = AtomicUsize::new(0);
    let scripted = Scripted::start(
        move |path| match path {
            p if p.contains("watch=true") => match watches.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::Events(
                    vec![event("ADDED", &namespace("a", "1", 33))],
                    Duration::ZERO,
                ),
                1 => {
                    assert!(p.contains("resourceVersion=33"), "{p}");
                    failure(500, "etcdserver: request timed out")
                }
                _ => {
                    assert!(p.contains("resourceVersion=33"), "{p}");
                    Reply::Events(vec![event("ADDED", &namespace("b", "2", 34))], LONG)
                }
            },
            _ => list(&[], "", 7),
        },
        true,
    )
    .await;
    let index = &scripted.cluster.index;
    eventually("both are there", || {
        index.get("a").is_some() && index.get("b").is_some()
    })
    .await;
    assert_eq!(scripted.asked_for("limit=500"), 1, "listed once");
}

#[tokio::test]
async fn without_an_index_every_namespace_is_read_live_or_unavailable() {
    let scripted = Scripted::start(
        |path| match path {
            "/api/v1/namespaces/shop" => Reply::Json(200, namespace("shop", "live", 3)),
            "/api/v1/namespaces/secret" => failure(403, "namespaces is forbidden"),
            _ => Reply::Silence,
        },
        false,
    )
    .await;
    assert!(!scripted.cluster.synced());
    assert!(scripted.cluster.condition().is_err());
    assert_eq!(
        scripted.label("shop").await.unwrap().as_deref(),
        Some("live")
    );
    let why = scripted.label("secret").await.unwrap_err();
    assert!(why.contains("403") && why.contains("forbidden"), "{why}");
    let begun = Instant::now();
    let late = scripted
        .cluster
        .namespace("slow", begun + Duration::from_millis(200))
        .await;
    assert!(matches!(late, Fact::Unavailable(why) if why.contains("longer")));
    assert!(begun.elapsed() < Duration::from_secs(2));
    for bad in ["../../apis", "a/b", "", "A?x=y"] {
        assert!(scripted.label(bad).await.is_err());
        let deadline = Instant::now() + LONG;
        let pods = scripted.cluster.existing_pods(bad, deadline).await;
        assert!(matches!(pods, Fact::Unavailable(_)));
    }
    assert_eq!(
        scripted.requests.lock().unwrap().len(),
        3,
        "no name of a caller's making was asked for"
    );
}

fn pods(count: usize, next: &str, remaining: usize) -> Reply {
    let items = vec![r#"{"metadata":{"name":"p"}, "spec": {}}"#; count].join(",");
    Reply::Json(
        200,
        format!(
            r#"{{"kind":"PodList","metadata":{{"continue":"{next}","remainingItemCount":{remaining}}},"items":[{items}]}}"#
        ),
    )
}

async fn existing(scripted: &Scripted) -> Fact<ExistingPods> {
    let deadline = Instant::now() + Duration::from_secs(10);
    scripted.cluster.existing_pods("shop", deadline).await
}

#[tokio::test]
async fn pods_are_listed_page_by_page_up_to_their_limit_and_the_rest_is_counted() {
    let scripted = Scripted::start(
        |path| {
            assert!(path.starts_with("/api/v1/namespaces/shop/pods?"), "{path}");
            let page: usize = path
                .split_once("continue=")
                .map_or(0, |(_, token)| token.parse().unwrap());
            pods(500, &(page + 1).to_string(), 4000 - 500 * (page + 1))
        },
        false,
    )
    .await;
    let Fact::Known(found) = existing(&scripted).await else {
        panic!("known")
    };
    assert_eq!((found.pods.len(), found.total), (3000, 4000));
    assert_eq!(&*found.pods[0], r#"{"metadata":{"name":"p"}, "spec": {}}"#);
    assert_eq!(scripted.asked_for("/pods"), 6);
}

#[tokio::test]
async fn a_part_of_the_pods_is_known_when_the_rest_does_not_come_and_none_is_unavailable() {
    let scripted = Scripted::start(
        |path| match path {
            p if p.contains("continue=") => Reply::Silence,
            _ => pods(500, "more", 100),
        },
        false,
    )
    .await;
    let begun = Instant::now();
    let Fact::Known(found) = existing(&scripted).await else {
        panic!("known")
    };
    assert_eq!((found.pods.len(), found.total), (500, 600));
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "a second at most"
    );

    let scripted = Scripted::start(|_| failure(403, "pods is forbidden"), false).await;
    assert!(matches!(existing(&scripted).await, Fact::Unavailable(why) if why.contains("403")));
    let scripted = Scripted::start(|_| pods(0, "", 0), false).await;
    assert_eq!(
        existing(&scripted).await,
        Fact::Known(ExistingPods::default())
    );
}

#[tokio::test]
async fn a_missing_kubeconfig_is_told_with_its_path_and_a_way_out() {
    let options = ConnectOptions {
        kubeconfig: Some("/nonexistent/config".into()),
        context: None,
    };
    let error = Cluster::connect(&options).await.err().unwrap().to_string();
    assert!(
        error.contains("/nonexistent/config") && error.contains("--kubeconfig"),
        "{error}"
    );
}
