//! The seam between the HTTP half of the server and the engine: bytes in, bytes out.

use std::future::Future;

use bytes::Bytes;
use tokio::time::Instant;

/// An admission path of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// `POST /validate`: local controls.
    Validate,
    /// `POST /validate/images`: controls that ask a registry.
    Images,
    /// `POST /validate/policies`: tidegate's own objects.
    Policies,
}

impl Endpoint {
    /// Every path, in the order of the endpoint's number.
    pub const ALL: [Endpoint; 3] = [Endpoint::Validate, Endpoint::Images, Endpoint::Policies];

    /// The path of the URL.
    pub const fn path(self) -> &'static str {
        match self {
            Endpoint::Validate => "/validate",
            Endpoint::Images => "/validate/images",
            Endpoint::Policies => "/validate/policies",
        }
    }

    /// The endpoint's name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Endpoint::Validate => "validate",
            Endpoint::Images => "images",
            Endpoint::Policies => "policies",
        }
    }
}

/// A body that is no `AdmissionReview` v1 we can answer: HTTP 400 with this text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadReview(pub String);

/// Answers one complete request body. Implemented by the admission service and by the echo server
/// of the benchmarks, so that both run on the same stack.
pub trait Answer: Send + Sync + 'static {
    /// The response body for `body`, at the latest at `deadline`.
    fn answer(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, BadReview>> + Send;
}
