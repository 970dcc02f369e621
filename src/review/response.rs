//! The answer to a review.

use serde::Serialize;

use super::{API_VERSION, KIND};

/// The answer to one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    /// The uid of the request.
    pub uid: &'a str,
    /// Whether the operation may go on.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Shown to the client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Kept in the API server's audit log, each key behind the webhook's name.
    #[serde(skip_serializing_if = "AuditAnnotations::is_empty")]
    pub audit_annotations: AuditAnnotations,
}

/// Audit annotations in a fixed order. Keys hold no `/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditAnnotations(pub Vec<(&'static str, String)>);

impl AuditAnnotations {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for AuditAnnotations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A `metav1.Status`, as far as a denial needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// `Failure`
    pub status: &'static str,
    /// What the user reads.
    pub message: String,
    /// `Forbidden` or `Invalid`.
    pub reason: &'static str,
    /// One cause a field.
    pub details: Details,
    /// The HTTP status: 403 or 422.
    pub code: u16,
}

/// `status.details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The object's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What is wrong, field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
}

/// One of `status.details.causes`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Cause {
    /// `control/check`, or the reason upstream gives for a malformed label.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// The field's path.
    pub field: String,
}

impl Response<'_> {
    /// The complete `AdmissionReview` as JSON.
    pub fn encode(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Review<'r> {
            kind: &'static str,
            api_version: &'static str,
            response: &'r Response<'r>,
        }
        let review = Review {
            kind: KIND,
            api_version: API_VERSION,
            response: self,
        };
        // Serialising strings, numbers and maps with string keys into memory cannot fail.
        serde_json::to_vec(&review).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_encoded_with_only_what_it_holds() {
        let response = Response {
            uid: "u",
            allowed: true,
            ..Response::default()
        };
        assert_eq!(
            String::from_utf8(response.encode()).unwrap(),
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u","allowed":true}}"#
        );
    }
}
