//! What a replica keeps at a real API server: certificates, the Lease, the `caBundle`; and what it
//! tells of the webhook configuration.

mod certificates;
mod drift;
mod heal;
mod leader;
mod rotation;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Call, Direct, Tidegate, compliant_pod};

/// Waits for something that other processes bring about; fails after `limit`.
fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "{limit:?} passed before {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

const SOON: Duration = Duration::from_secs(15);

/// Whether a write goes through tidegate.
fn write(tidegate: &Tidegate<'_>, namespace: &str) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let call = Call::post(path, &compliant_pod("web")).dry_run();
    let answer = tidegate.bed().call(&call);
    match answer.status {
        201 => Ok(()),
        status => Err(format!("{status}: {}", answer.message())),
    }
}

/// A client that connects anew for every call and trusts what the API server trusts, as far as it has
/// heard: what it trusts is read anew all the time, and is at most half a second old.
struct Connecting<'a> {
    tidegate: &'a Tidegate<'a>,
    client: Mutex<(Arc<Direct>, Instant)>,
}

impl<'a> Connecting<'a> {
    fn new(tidegate: &'a Tidegate<'a>) -> Self {
        let client = Arc::new(tidegate.as_api_server(None));
        Connecting {
            tidegate,
            client: Mutex::new((client, Instant::now())),
        }
    }

    fn client(&self) -> Arc<Direct> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.1.elapsed() > Duration::from_millis(500) {
            *client = (Arc::new(self.tidegate.as_api_server(None)), Instant::now());
        }
        Arc::clone(&client.0)
    }

    /// The certificate that a call was answered with.
    fn call(&self, namespace: &str) -> Result<Vec<u8>, String> {
        let pod: Value = compliant_pod("web");
        let answer = self.client().review_pod(namespace, &pod);
        let answer = answer.map_err(|error| format!("a new connection: {error}"))?;
        match answer.review["response"]["allowed"].as_bool() {
            Some(true) => Ok(answer.certificate),
            _ => Err(answer.review.to_string()),
        }
    }
}
