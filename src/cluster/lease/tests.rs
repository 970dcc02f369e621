//! The election against a scripted API server that keeps one Lease, with all times a thirtieth of the
//! real ones: what is called a second here is that.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use http::{Method, Response};
use kube::Client;
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
    away: AtomicBool,
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
        let status = |code: u16| {
            (
                code,
                json!({"kind": "Status", "code": code, "message": "no"}),
            )
        };
        if self.away.load(Ordering::SeqCst) {
            return status(503);
        }
        let Some(lease) = self.lease.lock().unwrap().clone() else {
            return status(404);
        };
        match put {
            None => (200, lease),
            Some(new)
                if new["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"] =>
            {
                status(409)
            }
            Some(new) => {
                self.writes.fetch_add(1, Ordering::SeqCst);
                self.set(new);
                (200, self.lease.lock().unwrap().clone().unwrap())
            }
        }
    }

    fn candidate(self: &Arc<Self>, holder: &str) -> Candidate {
        let stop = CancellationToken::new();
        let api = Api::new(Client::new(Door(Arc::clone(self)), "tg"));
        let name = "tg/tidegate".parse().unwrap();
        let (mut elector, leadership) = Elector::new(api, name, holder.to_owned());
        elector.times = Times {
            duration: seconds(15),
            margin: seconds(3),
            renew_every: seconds(5),
            look_every: seconds(2),
            retry: seconds(1),
        };
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
            sleep(Duration::from_millis(2)).await;
        }
        start.elapsed()
    }
}

/// Seconds of the election.
fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds) / 30
}

/// A second of the election is short for a busy machine; nothing waits for this to pass.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_lease_without_a_spec_is_taken_at_once_and_what_else_is_in_it_stays() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    assert_eq!(server.spec("holderIdentity"), "one");
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["metadata"]["labels"]["a"], "b");
}

#[tokio::test]
async fn of_two_only_one_leads_and_the_other_takes_over_once_it_stops_renewing() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let two = server.candidate("two");
    for _ in 0..200 {
        sleep(seconds(1) / 3).await;
        assert!(one.leads() && !two.leads());
    }
    drop(one);
    let took = two.leads_within(SOON).await;
    assert!(took > seconds(9), "{took:?}: too soon");
    assert_eq!(server.spec("leaseTransitions"), 2);
}

#[tokio::test]
async fn the_clock_of_another_replica_does_not_matter() {
    for renewed in ["1990-01-01T00:00:00.000000Z", "2190-01-01T00:00:00.000000Z"] {
        let server = Server::with_lease();
        server.change(|lease| {
            lease["spec"] = json!({
                "holderIdentity": "other", "leaseDurationSeconds": 0, "renewTime": renewed, "leaseTransitions": 4,
            });
        });
        let one = server.candidate("one");
        let took = one.leads_within(SOON).await;
        assert!(took >= seconds(14), "{renewed}: {took:?}");
    }
}

#[tokio::test]
async fn a_process_of_the_same_name_that_came_before_is_waited_for() {
    let server = Server::with_lease();
    let one = server.candidate("pod");
    one.leads_within(SOON).await;
    let again = server.candidate("pod");
    for _ in 0..100 {
        sleep(seconds(1) / 3).await;
        assert!(
            one.leads() && !again.leads(),
            "two of one name lead together"
        );
    }
    drop(one);
    again.leads_within(SOON).await;
}

#[tokio::test]
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
    sleep(seconds(7)).await;
    let away_at = Instant::now();
    server.away.store(true, Ordering::SeqCst);
    let (done, ended) = work.await.unwrap();
    assert_eq!(done, None);
    // The last renewal was at most five seconds before.
    let took = ended - away_at;
    assert!(took <= seconds(14) && took >= seconds(5), "{took:?}");
    assert!(!one.leads());
    server.away.store(false, Ordering::SeqCst);
    one.leads_within(SOON).await;
}

#[tokio::test]
async fn work_goes_on_over_renewals_and_a_break_ends_it() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    assert_eq!(one.leadership.while_leading(async {}).await, None);
    one.leads_within(SOON).await;
    let minute = sleep(seconds(60));
    assert_eq!(one.leadership.while_leading(minute).await, Some(()));
    server.change(|lease| {
        lease["spec"]["holderIdentity"] = json!("thief");
        lease["spec"]["acquireTime"] = json!("x");
    });
    let longer = sleep(seconds(60));
    assert_eq!(one.leadership.while_leading(longer).await, None);
    assert_eq!(
        server.spec("holderIdentity"),
        "thief",
        "it was not taken back"
    );
}

#[tokio::test]
async fn a_change_of_its_labels_does_not_cost_the_lease() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let since = one.leadership.leading_since();
    for _ in 0..30 {
        server.change(|lease| lease["metadata"]["labels"]["a"] = json!("c"));
        sleep(seconds(1)).await;
        assert_eq!(one.leadership.leading_since(), since);
    }
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["metadata"]["labels"]["a"], "c", "it was overwritten");
}

#[tokio::test]
async fn at_the_end_the_lease_is_given_back_and_the_next_leads_at_once() {
    let server = Server::with_lease();
    let one = server.candidate("one");
    one.leads_within(SOON).await;
    let two = server.candidate("two");
    sleep(seconds(3)).await;
    one.stop.cancel();
    one.task.await.unwrap();
    assert_eq!(server.spec("holderIdentity"), "");
    let took = two.leads_within(SOON).await;
    assert!(
        took < seconds(9),
        "{took:?}: it waited for the lease to run out"
    );
}

#[tokio::test]
async fn a_missing_lease_is_waited_for_and_never_made() {
    let server = Arc::new(Server::default());
    let one = server.candidate("one");
    sleep(seconds(30)).await;
    assert!(!one.leads());
    assert_eq!(server.writes.load(Ordering::SeqCst), 0);
    server.set(json!({"metadata": {"name": "tidegate"}}));
    one.leads_within(SOON).await;
}

/// The way to the server, without a network between.
#[derive(Clone)]
struct Door(Arc<Server>);

impl tower_service::Service<http::Request<Body>> for Door {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let server = Arc::clone(&self.0);
        Box::pin(async move {
            let is_put = request.method() == Method::PUT;
            let body = request.into_body().collect_bytes().await.unwrap();
            let put = is_put.then(|| serde_json::from_slice(&body).unwrap());
            let (code, json) = server.answer(put);
            let body = Body::from(json.to_string().into_bytes());
            Ok(Response::builder().status(code).body(body).unwrap())
        })
    }
}

#[test]
fn the_real_times_leave_room_to_renew_and_to_finish_before_others_lead() {
    assert_eq!(TIMES.duration, Duration::from_secs(15));
    assert!(TIMES.renew_every * 2 + WRITE_TIMEOUT / 2 + TIMES.margin <= TIMES.duration);
    assert!(TIMES.renew_every + TIMES.look_every + TIMES.duration < Duration::from_secs(25));
}
