//! Reviews as the tests send them, and what the answers must hold.

use serde_json::Value;

use super::process::Client;

pub(super) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
pub(super) const MIB: usize = 1 << 20;

/// What the namespace `shop` lets pass.
pub(super) const GOOD_SPEC: &str = r#"{"securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}},
    "containers":[{"name":"web","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}"#;
/// What it does not.
pub(super) const BAD_SPEC: &str = r#"{"hostNetwork":true,"containers":[{"name":"web"}]}"#;

/// A review of the creation of a Pod; `object` is JSON text, or is meant to be.
pub(super) fn review(uid: &str, object: &str) -> String {
    review_of("", "v1", "Pod", "pods", uid, "CREATE", object, "null")
}

#[allow(clippy::too_many_arguments, reason = "the fields of a request")]
pub(super) fn review_of(
    group: &str,
    version: &str,
    kind: &str,
    resource: &str,
    uid: &str,
    operation: &str,
    object: &str,
    old: &str,
) -> String {
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"{uid}",
        "kind":{{"group":"{group}","version":"{version}","kind":"{kind}"}},
        "resource":{{"group":"{group}","version":"{version}","resource":"{resource}"}},
        "name":"web","namespace":"shop","operation":"{operation}","userInfo":{{"username":"alice","groups":["a"]}},
        "object":{object},"oldObject":{old},"dryRun":false,"options":{{"kind":"CreateOptions"}}}}}}"#
    )
}

pub(super) fn pod(spec: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"web"}},"spec":{spec}}}"#)
}

/// The answer to a review, which must carry its uid.
pub(super) fn answered(client: &mut Client, review: &[u8]) -> Value {
    let answer = client.post(review);
    assert!(
        answer.text.len() < 64 * 1024,
        "an answer of {} bytes",
        answer.text.len()
    );
    let response = answer.json();
    assert_eq!(response["uid"], UID);
    response
}

pub(super) fn allowed(client: &mut Client, review: &str) {
    let response = answered(client, review.as_bytes());
    assert_eq!(response["allowed"], true, "{response}");
}

/// The message of a denial.
pub(super) fn denied(client: &mut Client, review: &str) -> String {
    let response = answered(client, review.as_bytes());
    assert_eq!(response["allowed"], false, "{response}");
    assert_eq!(response["status"]["code"], 403);
    response["status"]["message"].as_str().unwrap().to_owned()
}

pub(super) fn refused(client: &mut Client, body: &[u8], part: &str) {
    let answer = client.post(body);
    let shown = body[..body.len().min(300)].escape_ascii();
    assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
    assert!(
        answer.text.contains(part),
        "{shown}: {} does not say {part:?}",
        answer.text
    );
}
