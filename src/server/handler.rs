//! One admission request: the checks before its body, the body, the answer.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::report::text::visible;

use super::answer::{Answer, Endpoint};
use super::body::{self, BodyError};
use super::deadline::Deadline;
use super::drain::Stage;
use super::metrics::{BadRequest, Metrics, Shed};
use super::progress::{Phase, Progress};
use super::throttle::Throttle;
use super::{Shared, client_auth::Standing};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const POST: HeaderValue = HeaderValue::from_static("POST");
const SECOND: HeaderValue = HeaderValue::from_static("1");

static BAD_REVIEWS: Throttle = Throttle::new();
static LATE: Throttle = Throttle::new();
static PANICS: Throttle = Throttle::new();

fn endpoint_of(path: &str) -> Option<Endpoint> {
    Endpoint::ALL
        .into_iter()
        .find(|endpoint| endpoint.path() == path)
}

/// What the requests of one connection share.
pub(super) struct Handler<'a, A> {
    pub(super) shared: &'a Shared<A>,
    pub(super) progress: &'a Progress,
    /// What the client's certificate is worth.
    pub(super) standing: Standing,
    /// From when on answers ask for a new connection.
    pub(super) old_at: Instant,
    /// The generation of the client CA this connection was accepted under.
    pub(super) generation: u64,
}

/// An answer without a review: why, in words for the caller.
struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Refusal {
            status,
            text: text.into(),
        }
    }
}

/// Counts a request as in flight for as long as it lives, also when it is dropped half-way.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.request_began();
        InFlight(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

impl<A: Answer> Handler<'_, A> {
    /// Answers one request. Dropping the future, as hyper does when the client leaves, ends all
    /// work for it.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let start = Instant::now();
        self.progress.enter(Phase::Body, start);
        let in_flight = InFlight::new(&self.shared.metrics);
        let endpoint = endpoint_of(request.uri().path());
        let mut response = match self.answer(request, endpoint, start).await {
            Ok(body) => {
                self.progress.set_served();
                let mut response = Response::new(Full::new(body));
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                response
            }
            Err(refusal) => refused(refusal),
        };
        let end = Instant::now();
        if self.should_close(end) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        if let Some(endpoint) = endpoint {
            let code = response.status().as_u16();
            self.shared.metrics.request(endpoint, code, end - start);
        }
        self.progress.enter(Phase::Writing, end);
        drop(in_flight);
        Ok(response)
    }

    fn should_close(&self, now: Instant) -> bool {
        self.progress.unread()
            || self.shared.drain.stage() >= Stage::Closing
            || self.shared.tls.generation() != self.generation
            || now >= self.old_at
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        endpoint: Option<Endpoint>,
        start: Instant,
    ) -> Result<Bytes, Refusal> {
        let (head, mut body) = request.into_parts();
        let endpoint = match self.check_head(&head, endpoint) {
            Ok(endpoint) => endpoint,
            Err((reason, refusal)) => {
                self.shared.metrics.bad_request(reason);
                self.leave(&mut body).await;
                return Err(refusal);
            }
        };
        let deadline = Deadline::from_query(head.uri.query(), start);
        drop(head);
        let mut charge = self.shared.budget.open();
        let max = self.shared.limits.max_body;
        let read = body::read(&mut body, max, &mut charge, self.progress, deadline.answer).await;
        let whole = match read {
            Ok(whole) => whole,
            Err(error) => {
                self.leave(&mut body).await;
                return Err(self.body_refused(error));
            }
        };
        drop(body);
        self.progress.rename(Phase::Answering);
        let answer = AssertUnwindSafe(self.shared.answer.answer(endpoint, whole, deadline.answer));
        match timeout_at(deadline.give_up, answer.catch_unwind()).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(bad))) => Err(self.bad_review(&bad.0)),
            Ok(Err(_panic)) => Err(panicked()),
            Err(_elapsed) => Err(late()),
        }
    }

    /// Turns away from a body: a small one is read to its end so that the connection can go on.
    async fn leave(&self, body: &mut Incoming) {
        if !body::discard(body, self.progress).await {
            self.progress.set_unread();
        }
    }

    /// Everything that can be refused without reading the body.
    fn check_head(
        &self,
        head: &http::request::Parts,
        endpoint: Option<Endpoint>,
    ) -> Result<Endpoint, (BadRequest, Refusal)> {
        if self.standing == Standing::NameRefused {
            return Err((
                BadRequest::ClientName,
                Refusal::new(
                    StatusCode::FORBIDDEN,
                    "the name in the client certificate is not among the allowed names",
                ),
            ));
        }
        let Some(endpoint) = endpoint else {
            return Err((
                BadRequest::Path,
                Refusal::new(
                    StatusCode::NOT_FOUND,
                    "no such path; reviews go to /validate",
                ),
            ));
        };
        if head.method != Method::POST {
            return Err((
                BadRequest::Method,
                Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "reviews are sent with POST"),
            ));
        }
        media_type(&head.headers).map_err(|text| {
            (
                BadRequest::MediaType,
                Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text),
            )
        })?;
        Ok(endpoint)
    }

    fn body_refused(&self, error: BodyError) -> Refusal {
        let metrics = &self.shared.metrics;
        match error {
            BodyError::TooLarge => {
                metrics.bad_request(BadRequest::TooLarge);
                Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is over {} bytes", self.shared.limits.max_body),
                )
            }
            BodyError::NoRoom => {
                metrics.shed(Shed::InflightBytes);
                Refusal::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many bytes in flight; try again in a second",
                )
            }
            BodyError::Slow => {
                metrics.bad_request(BadRequest::SlowBody);
                Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body did not arrive in time",
                )
            }
            BodyError::Broken => {
                metrics.bad_request(BadRequest::BrokenBody);
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "the body could not be read to its end",
                )
            }
        }
    }

    /// The API server does not show a 400 to anybody, so the reason goes to our log as well.
    fn bad_review(&self, text: &str) -> Refusal {
        self.shared.metrics.bad_request(BadRequest::Review);
        if let Some(held_back) = BAD_REVIEWS.pass() {
            let reason: String = text.chars().take(500).collect();
            tracing::warn!(
                reason = %visible(&reason), held_back,
                "a request body was not a review and was answered 400"
            );
        }
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }
}

/// Our own deadline has passed and nothing was decided, so nothing is decided: 504, and the API
/// server goes by the webhook's `failurePolicy`. There is no `Retry-After`, since the same request
/// would meet the same fate.
fn late() -> Refusal {
    if let Some(held_back) = LATE.pass() {
        tracing::error!(
            held_back,
            "an answer missed its deadline and was replaced by 504"
        );
    }
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "no answer within the deadline")
}

fn panicked() -> Refusal {
    if let Some(held_back) = PANICS.pass() {
        tracing::error!(
            held_back,
            "answering a review panicked; it was answered 500"
        );
    }
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "answering failed")
}

fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let mut text = refusal.text;
    text.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    match refusal.status {
        StatusCode::METHOD_NOT_ALLOWED => headers.insert(ALLOW, POST),
        StatusCode::TOO_MANY_REQUESTS => headers.insert(RETRY_AFTER, SECOND),
        _ => None,
    };
    response
}

/// Whether a body of these headers may be JSON as it stands.
fn media_type(headers: &HeaderMap) -> Result<(), &'static str> {
    let json = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value == "application/json"
            || value.to_str().is_ok_and(|value| {
                let essence = value.split(';').next().unwrap_or_default();
                essence.trim().eq_ignore_ascii_case("application/json")
            })
    });
    if !json {
        return Err("the Content-Type must be application/json");
    }
    let plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain {
        Ok(())
    } else {
        Err("the body must not be compressed (Content-Encoding other than identity)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn json_with_parameters_is_json_and_everything_else_is_not() {
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON ;x=y",
        ] {
            assert_eq!(
                media_type(&headers(&[(CONTENT_TYPE, good)])),
                Ok(()),
                "{good}"
            );
        }
        for bad in [
            "text/json",
            "application/json-patch+json",
            "application/jsonx",
            "",
        ] {
            assert!(
                media_type(&headers(&[(CONTENT_TYPE, bad)])).is_err(),
                "{bad}"
            );
        }
        assert!(media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn only_the_identity_encoding_is_taken() {
        let json = (CONTENT_TYPE, "application/json");
        let encoded =
            |encoding| media_type(&headers(&[json.clone(), (CONTENT_ENCODING, encoding)]));
        assert_eq!(encoded("identity"), Ok(()));
        assert!(encoded("gzip").is_err());
        assert!(encoded("identity, gzip").is_err());
    }
}
