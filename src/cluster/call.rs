//! One small request to the API server: its JSON answer within a time and a size, and the time the
//! API server said it was.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{ACCEPT, CONTENT_TYPE, DATE};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::api::PostParams;
use kube::client::Body;
use kube::core::Request;
use kube::core::params::GetParams;
use kube::core::response::Status;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;

use super::wire::{code, explain};

/// How long one request may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Under which name our writes stand in `managedFields`.
const MANAGER: &str = "tidegate";
/// The largest answer read. No object in etcd is over 1.5 MiB.
const MAX_ANSWER: usize = 8 << 20;

/// The API server's clock. It is the API server that verifies certificates, so it is its time that
/// they are made for and judged by; where it says none, our own clock stands in.
#[derive(Debug, Default)]
pub struct Clock {
    /// Seconds that the API server is ahead of us.
    ahead: AtomicI64,
}

impl Clock {
    /// Now, in seconds since 1970.
    pub fn now(&self) -> i64 {
        unix_now().saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// How many seconds the API server's clock was ahead of ours when it was last heard.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    fn heard(&self, date: i64) {
        // The header has whole seconds, and the answer took a moment.
        let ahead = date.saturating_sub(unix_now());
        let ahead = if ahead.abs() <= 2 { 0 } else { ahead };
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

/// This moment as Kubernetes' `MicroTime`.
pub(super) fn micro_time() -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second, micro) = now.to_hms_micro();
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z",
        now.year(),
        u8::from(now.month()),
        now.day()
    )
}

/// The moment of an HTTP `Date` header in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(date.unix_timestamp())
}

/// A client for objects as JSON, whose clones share the API server's clock.
#[derive(Clone)]
pub struct Api {
    client: Client,
    clock: Arc<Clock>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Nothing is sent yet.
    pub fn new(client: Client) -> Self {
        Api {
            client,
            clock: Arc::default(),
        }
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The API server's clock.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// An object, or `None` where there is none. `path` is that of the list it is in.
    pub(super) async fn get(&self, path: &str, name: &str) -> Result<Option<Value>, kube::Error> {
        let request = Request::new(path)
            .get(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        match self.call(request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if code(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Api::get`] with the error in words.
    ///
    /// # Errors
    /// In words: it may not be read, or the API server does not answer.
    pub async fn read(&self, path: &str, name: &str) -> Result<Option<Value>, String> {
        let read = self.get(path, name).await;
        read.map_err(|error| format!("{name} cannot be read: {}", explain(&error)))
    }

    /// Sends one of the reviews that are answered and not stored.
    ///
    /// # Errors
    /// In words.
    pub async fn ask(&self, path: &str, review: &Value) -> Result<Value, String> {
        let answer = self.create(path, review).await;
        answer.map_err(|error| explain(&error))
    }

    /// Creates an object.
    pub(super) async fn create(&self, path: &str, object: &Value) -> Result<Value, kube::Error> {
        let request = Request::new(path)
            .create(&writing(), object.to_string().into_bytes())
            .map_err(kube::Error::BuildRequest)?;
        self.call(request).await
    }

    /// Replaces an object; with the resource version in it, only that version.
    pub(super) async fn replace(
        &self,
        path: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, kube::Error> {
        let request = Request::new(path)
            .replace(name, &writing(), object.to_string().into_bytes())
            .map_err(kube::Error::BuildRequest)?;
        self.call(request).await
    }

    /// Changes an object by a JSON patch (RFC 6902).
    pub(super) async fn json_patch(
        &self,
        list: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, kube::Error> {
        self.patch("application/json-patch+json", list, name, patch)
            .await
    }

    /// Changes an object by a merge patch (RFC 7386).
    pub(super) async fn merge_patch(
        &self,
        list: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, kube::Error> {
        self.patch("application/merge-patch+json", list, name, patch)
            .await
    }

    async fn patch(
        &self,
        kind: &str,
        list: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, kube::Error> {
        let request = http::Request::patch(format!("{list}/{name}?fieldManager={MANAGER}"))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, kind)
            .body(patch.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.call(request).await
    }

    /// Sends `request` and reads the JSON it is answered with.
    pub(super) async fn call(&self, request: http::Request<Vec<u8>>) -> Result<Value, kube::Error> {
        match timeout(CALL_TIMEOUT, answer(&self.client, &self.clock, request)).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(failed(format!("no answer within {CALL_TIMEOUT:?}"))),
        }
    }
}

fn writing() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn failed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> kube::Error {
    kube::Error::Service(why.into())
}

async fn answer(
    client: &Client,
    clock: &Clock,
    request: http::Request<Vec<u8>>,
) -> Result<Value, kube::Error> {
    let response = client.send(request.map(Body::from)).await?;
    let date = response.headers().get(DATE);
    if let Some(date) = date.and_then(|date| http_date(date.to_str().ok()?)) {
        clock.heard(date);
    }
    let code = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(failed)?
        .to_bytes();
    if code.is_success() {
        return serde_json::from_slice(&body).map_err(failed);
    }
    let status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
        Status::failure(&format!("answered {code} without a Status"), "Unknown")
            .with_code(code.as_u16())
    });
    Err(kube::Error::Api(status.boxed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_and_a_bad_one_is_not() {
        assert_eq!(
            http_date("Tue, 10 Mar 2026 08:00:01 GMT"),
            Some(1_773_129_601)
        );
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn a_micro_time_has_six_digits_and_is_in_utc() {
        let text = micro_time();
        assert_eq!(text.len(), "2026-03-10T08:00:01.000000Z".len(), "{text}");
        assert!(text.ends_with('Z'), "{text}");
    }

    #[test]
    fn the_api_servers_clock_counts_once_it_was_heard() {
        let clock = Clock::default();
        assert!((clock.now() - unix_now()).abs() <= 1);
        clock.heard(unix_now() + 31_536_000);
        assert!((clock.now() - unix_now() - 31_536_000).abs() <= 1);
        clock.heard(unix_now() + 1);
        assert_eq!(clock.ahead(), 0, "a second is the header's own error");
    }
}
