//! The election against a scripted API server that keeps one Lease, with tokio's clock stopped where
//! time matters.

use std::sync::Mutex;

use http::Response;
use kube::client::Body;
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// An API server that holds one Lease and can be made to fail.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    version: AtomicU64,
    writes: AtomicU64,
    /// Requests fail while it is set.
    away: std::sync::atomic::AtomicBool,
}

impl Server {
    fn with_lease() -> Arc<Self> {
        let server = Arc::new(Server::default());
        server.set(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "tidegate", "namespace": "tg", "labels": {"a": "b"}},
        }));
        server
    }

    fn set(&self, mut lease: Value) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        lease["metadata"]["resourceVersion"] = json!(version.to_string());
        *self.lease.lock().unwrap() = Some(lease);
    }

    fn spec(&self, key: &str) -> Value {
        self.lease.lock().unwrap().as_ref().unwrap()["spec"][key].clone()
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut lease = self.lease.lock().unwrap().clone().unwrap();
        change(&mut lease);
        self.set(lease);
    }

    fn answer(&self, put: Option<Value>) -> (u16, Value) {
        let status = |code: u16| (code, json!({"kind": "Status", "code": code, "message": "no"}));
        if self.away.load(Ordering::SeqCst) {
            return status(503);
        }
        let Some(lease) = self.lease.lock().unwrap().clone() else {
            return status(404);
        };
        match put {
            None => (200, lease),
            Some(new) if new["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"] => {
                status(409)
            }
            Some(new) => {
                self.writes.fetch_add(1, Ordering::SeqCst);
                self.set(new);
                (200, self.lease.lock().unwrap().clone().unwrap())
            }
        }
    }

    /// A client of this server, without a network between.
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower_service(move |request: http::Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                let is_put = request.method() == http::Method::PUT;
                let body = request.into_body().collect_bytes().await.unwrap();
                let put = is_put.then(|| serde_json::from_slice(&body).unwrap());
                let (code, json) = server.answer(put);
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(json.to_string().into_bytes()));
                Ok::<_, std::convert::Infallible>(response.unwrap())
            }
        });
        Client::new(service, "tg")
    }

    fn candidate(self: &Arc<Self>, holder: &str) -> Candidate {
        let stop = CancellationToken::new();
        let api = Api::new(self.client());
        let name = "tg/tidegate".parse().unwrap();
        let (elector, leadership) = Elector::new(api, name, holder.to_owned());
        let task = AbortOnDropHandle::new(tokio::spawn(elector.run(stop.clone())));
        Candidate {
            leadership,
            stop,
            task,
        }
    }
}

struct Candidate {
    leadership: Leadership,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Candidate {
    fn leads(&self) -> bool {
        self.leadership.leading_since().is_some()
    }

    async fn leads_within(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        while !self.leads() {
            assert!(start.elapsed() < limit, "not leading after {limit:?}");
            sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }
}

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_spec_is_taken_at_once_and_what_else_is_in_it_stays() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    assert_eq!(server.spec("holderIdentity"), "one");
    assert_eq!(server.spec("leaseDurationSeconds"), 15);
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["metadata"]["labels"]["a"], "b");
}

#[tokio::test(start_paused = true)]
async fn of_two_only_one_leads_and_the_other_takes_over_once_it_stops_renewing() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let two = server.candidate("two");
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        assert!(one.leads() && !two.leads());
    }
    drop(one);
    let took = two.leads_within(Duration::from_secs(20)).await;
    assert!(took > Duration::from_secs(9), "{took:?}: too soon");
    assert_eq!(server.spec("leaseTransitions"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_another_replica_does_not_matter() {
    for renewed in ["1990-01-01T00:00:00.000000Z", "2190-01-01T00:00:00.000000Z"] {
        let server = Server::with_lease();
        server.change(|lease| {
            lease["spec"] = json!({
                "holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": renewed, "leaseTransitions": 4,
            });
        });
        let one = server.candidate("one");
        let took = one.leads_within(Duration::from_secs(17)).await;
        assert!(took >= Duration::from_secs(14), "{renewed}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_of_the_same_name_that_came_before_is_waited_for() {
    let server = Server::with_lease();
    let one = server.candidate("pod");
    one.leads_within(SOON).await;
    let again = server.candidate("pod");
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        assert!(one.leads() && !again.leads(), "two of one name lead together");
    }
    drop(one);
    again.leads_within(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn leading_ends_before_the_lease_does_when_it_cannot_be_renewed() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let work = one.leadership.clone();
    let work = tokio::spawn(async move {
        let never = std::future::pending::<()>();
        let done = work.while_leading(never).await;
        (done, Instant::now())
    });
    sleep(Duration::from_secs(7)).await;
    let away_at = Instant::now();
    server.away.store(true, Ordering::SeqCst);
    let (done, ended) = work.await.unwrap();
    assert_eq!(done, None);
    // The last renewal was at most five seconds before.
    let took = ended - away_at;
    assert!(took <= DURATION - MARGIN && took >= Duration::from_secs(6), "{took:?}");
    assert!(!one.leads());
    server.away.store(false, Ordering::SeqCst);
    one.leads_within(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_over_renewals_and_a_break_ends_it() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    assert_eq!(one.leadership.while_leading(async {}).await, None);
    one.leads_within(SOON).await;
    let minute = sleep(Duration::from_mins(1));
    assert_eq!(one.leadership.while_leading(minute).await, Some(()));
    server.change(|lease| {
        lease["spec"]["holderIdentity"] = json!("thief");
        lease["spec"]["acquireTime"] = json!("x");
    });
    let longer = sleep(Duration::from_mins(1));
    assert_eq!(one.leadership.while_leading(longer).await, None);
    assert_eq!(server.spec("holderIdentity"), "thief", "it was not taken back");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_its_labels_does_not_cost_the_lease() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let since = one.leadership.leading_since();
    for _ in 0..30 {
        server.change(|lease| lease["metadata"]["labels"]["a"] = json!("c"));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(one.leadership.leading_since(), since);
    }
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["metadata"]["labels"]["a"], "c", "it was overwritten");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_the_lease_is_given_back_and_the_next_leads_at_once() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let two = server.candidate("two");
    sleep(Duration::from_secs(3)).await;
    one.stop.cancel();
    one.task.await.unwrap();
    assert_eq!(server.spec("holderIdentity"), "");
    two.leads_within(Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_waited_for_and_never_made() {
    let server = Arc::new(Server::default());
    let one = server.candidate("one");
    sleep(Duration::from_secs(30)).await;
    assert!(!one.leads());
    assert_eq!(server.writes.load(Ordering::SeqCst), 0);
    server.set(json!({"metadata": {"name": "tidegate"}}));
    one.leads_within(Duration::from_secs(3)).await;
}

/// A tower service of a closure, as kube's client wants it.
fn tower_service<F, R>(call: F) -> Closure<F>
where
    F: FnMut(http::Request<Body>) -> R,
{
    Closure(call)
}

#[derive(Clone)]
struct Closure<F>(F);
