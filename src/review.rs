//! The `AdmissionReview` v1 envelope, in and out.
//!
//! The envelope is read apart from the object, which stays text until a rule wants it: an object
//! that cannot be read is then still answered with the uid of its request. The API server treats
//! any other answer as a failed call (`VerifyAdmissionResponse` in `k8s.io/apiserver`), and with
//! `failurePolicy: Ignore` a failed call is a bypass.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::json::{self, Raw};
use crate::objects::Text;

pub use response::{AuditAnnotations, Cause, Details, Response, Status};

mod response;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What the API server asks about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Request<'a> {
    /// Identifies this one request; the answer carries it back.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// The kind of the object, converted to the version the webhook is registered for.
    #[serde(borrow)]
    pub kind: Kind<'a>,
    /// The resource of the object, converted likewise.
    #[serde(borrow)]
    pub resource: Resource<'a>,
    /// The kind before conversion; not read, but giving it twice is refused.
    #[serde(borrow)]
    pub request_kind: Option<Raw<'a>>,
    /// The resource before conversion, likewise.
    #[serde(borrow)]
    pub request_resource: Option<Raw<'a>>,
    /// The subresource the webhook matched.
    #[serde(borrow)]
    pub sub_resource: Text<'a>,
    /// The subresource of the original request; the one that decides.
    #[serde(borrow)]
    pub request_sub_resource: Text<'a>,
    /// The object's name; empty while `generateName` is to make one.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The object's namespace; for a Namespace its own name; else empty.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    #[serde(borrow)]
    pub user_info: UserInfo<'a>,
    /// The object after the operation; none for DELETE.
    #[serde(borrow)]
    pub object: Option<Raw<'a>>,
    /// The object before it; none for CREATE.
    #[serde(borrow)]
    pub old_object: Option<Raw<'a>>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The options of the operation, likewise.
    #[serde(borrow)]
    pub options: Option<Raw<'a>>,
}

/// Group, version and kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// Version.
    #[serde(borrow)]
    pub version: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}

impl Kind<'_> {
    /// Group and version as objects write them: `apps/v1`, `v1`.
    pub fn api_version(&self) -> Cow<'_, str> {
        if self.group.is_empty() {
            Cow::Borrowed(&self.version)
        } else {
            Cow::Owned(format!("{}/{}", self.group, self.version))
        }
    }
}

/// Group, version and resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resource<'a> {
    /// API group; empty for the core group.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// Version.
    #[serde(borrow)]
    pub version: Text<'a>,
    /// Resource, the plural as in URLs.
    #[serde(borrow)]
    pub resource: Text<'a>,
}

/// The authenticated caller.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UserInfo<'a> {
    /// User name.
    #[serde(borrow)]
    pub username: Text<'a>,
    /// Groups.
    #[serde(borrow)]
    pub groups: Vec<Text<'a>>,
    /// The user's uid.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// What else the authenticator said; not read, but giving it twice is refused.
    #[serde(borrow)]
    pub extra: Option<Raw<'a>>,
}

/// What is done to the object.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operation {
    /// The object is made.
    Create,
    /// The object is changed.
    Update,
    /// The object is removed.
    Delete,
    /// A connection to it is opened.
    Connect,
    /// Something newer than this program, or nothing at all.
    #[default]
    Other,
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match &*Text::deserialize(deserializer)? {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            _ => Operation::Other,
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
            Operation::Other => "OTHER",
        })
    }
}

/// A body that is no review which could be answered: there is no uid to answer with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadReview {
    /// The body is not UTF-8.
    #[error("the body is not UTF-8: {0}")]
    NotText(std::str::Utf8Error),
    /// The body is not JSON, or a field of the envelope is of the wrong type or comes twice.
    #[error("the body cannot be read as an AdmissionReview: {0}")]
    Unreadable(String),
    /// The body is of another kind or version.
    #[error(
        "the body is {kind:?} of {api_version:?}, not AdmissionReview of \"admission.k8s.io/v1\""
    )]
    OtherKind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// There is no request in the review.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// The request has no uid.
    #[error("the AdmissionReview's request has no uid")]
    NoUid,
}

impl<'a> Request<'a> {
    /// Reads the envelope of a review.
    ///
    /// # Errors
    /// When there is no request with a uid to be had; see [`BadReview`].
    pub fn decode(body: &'a [u8]) -> Result<Request<'a>, BadReview> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Review<'a> {
            #[serde(borrow)]
            api_version: Text<'a>,
            #[serde(borrow)]
            kind: Text<'a>,
            #[serde(borrow)]
            request: Option<Request<'a>>,
            #[serde(borrow)]
            response: Option<Raw<'a>>,
        }

        let text = std::str::from_utf8(body).map_err(BadReview::NotText)?;
        let review: Review = match json::from_str(text) {
            Ok(review) => review,
            Err(error) => {
                let (field, error) = json::locate::<Review>(text, error);
                return Err(BadReview::Unreadable(match field {
                    Some(path) => format!("{path}: {error}"),
                    None => error.to_string(),
                }));
            }
        };
        if review.api_version != API_VERSION || review.kind != KIND {
            return Err(BadReview::OtherKind {
                api_version: review.api_version.0.into_owned(),
                kind: review.kind.0.into_owned(),
            });
        }
        let _ = review.response;
        let request = review.request.ok_or(BadReview::NoRequest)?;
        if request.uid.is_empty() {
            return Err(BadReview::NoUid);
        }
        Ok(request)
    }

    /// The subresource of the original request, empty for the object itself.
    pub fn subresource(&self) -> &str {
        &self.request_sub_resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Request<'_>, BadReview> {
        Request::decode(text.as_bytes())
    }

    #[test]
    fn the_envelope_is_read_and_the_objects_stay_text() {
        let request = decode(
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1",
            "kind":{"group":"","version":"v1","kind":"Pod"},"operation":"UPDATE","userInfo":{"username":"alice"},
            "object":{"spec":[not read]},"oldObject":null,"dryRun":true}}"#
                .replace("[not read]", "7")
                .leak(),
        )
        .unwrap();
        assert_eq!(request.uid, "u-1");
        assert_eq!(request.operation, Operation::Update);
        assert_eq!(request.user_info.username, "alice");
        assert_eq!(request.object.unwrap().text(), r#"{"spec":7}"#);
        assert!(request.old_object.is_none() && request.dry_run);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let review = |request: &str| {
            format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}"#
            )
        };
        for (text, part) in [
            (review(r#"{"uid":""}"#), "has no uid"),
            (review("null"), "has no request"),
            (review(r#"{"uid":7}"#), "request.uid: invalid type"),
            (review(r#"{"uid":"a","uid":"b"}"#), "duplicate field `uid`"),
            (
                review(r#"{"uid":"a","object":{},"object":{}}"#),
                "duplicate field `object`",
            ),
            (
                review(r#"{"uid":"a","userInfo":{"extra":{},"extra":{}}}"#),
                "duplicate field `extra`",
            ),
            (
                review(r#"{"uid":"a","object":{"a":}}"#),
                "request.object: expected value at byte 96",
            ),
            (
                r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#.into(),
                "v1beta1",
            ),
            ("[]".into(), "invalid type"),
            (String::new(), "end of the text"),
        ] {
            let error = decode(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(matches!(
            Request::decode(b"\xff"),
            Err(BadReview::NotText(_))
        ));
    }
}
