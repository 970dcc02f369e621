//! The closed sets of label values. Their order is that of the tables in [`super::Metrics`].

/// Why a request was answered 429.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shed {
    /// The bytes in flight are at their limit.
    InflightBytes,
}

/// Why a request was not answered with a review.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadRequest {
    /// No such path.
    Path,
    /// A method other than POST.
    Method,
    /// No `application/json`, or compressed.
    MediaType,
    /// The body is above its limit.
    TooLarge,
    /// The body did not arrive in time.
    SlowBody,
    /// The body ended early.
    BrokenBody,
    /// The body is no `AdmissionReview` v1.
    Review,
    /// The name in the client's certificate is not among the allowed ones.
    ClientName,
    /// The head could not be read, or did not arrive in time.
    Head,
}

/// Why a TLS handshake ended without a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum HandshakeFailure {
    /// It took too long.
    Timeout,
    /// The peer spoke no TLS, an old version, or trusts another certificate.
    Tls,
    /// The peer went away.
    Closed,
    /// The client's certificate was missing or not valid, and is required.
    ClientCertificate,
}

/// Why a client's certificate was not accepted, or would not have been.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum ClientAuthFailure {
    /// There was none.
    Missing,
    /// It was not valid.
    Invalid,
    /// Its names are not among the allowed ones.
    Name,
}

/// What an answered review came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerdictLabel {
    /// Nothing found.
    Allow,
    /// Allowed, with warnings.
    Warn,
    /// Allowed, with findings that are only recorded.
    Audit,
    /// Denied.
    Deny,
}
