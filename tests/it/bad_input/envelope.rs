//! Bodies that are no review that could be answered: 400, in words.

use super::process::Server;
use super::reviews::{GOOD_SPEC, UID, allowed, answered, pod, refused, review};

#[test]
fn a_review_cut_short_anywhere_is_400() {
    let server = Server::start();
    let mut client = server.connect();
    let review = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/corpus/reviews/pod-create.json"
    ))
    .unwrap();
    let whole = review.trim_ascii_end();
    for end in (0..whole.len())
        .step_by(7)
        .chain(whole.len() - 40..whole.len())
    {
        refused(&mut client, &whole[..end], "at byte");
    }
    answered(&mut client, whole);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn what_is_wrong_with_the_envelope_is_400_and_says_what() {
    let server = Server::start();
    let mut client = server.connect();
    let good = review(UID, &pod(GOOD_SPEC));
    allowed(&mut client, &good);
    let replaced = |from: &str, to: &str| {
        assert_eq!(good.matches(from).count(), 1, "{from}");
        good.replace(from, to)
    };
    let uid = format!(r#""uid":"{UID}","#);
    for (body, part) in [
        (String::new(), "end of the text"),
        ("   ".into(), "end of the text"),
        ("null".into(), "not AdmissionReview"),
        ("{}".into(), "not AdmissionReview"),
        ("[]".into(), "invalid type: sequence"),
        ("7".into(), "invalid type"),
        ("\"AdmissionReview\"".into(), "invalid type: string"),
        ("NaN".into(), "expected a value"),
        (format!("\u{feff}{good}"), "found '\\u{feff}'"),
        (
            format!("{good} {good}"),
            "expected the end of the text, found '{'",
        ),
        (format!("{good},"), "expected the end of the text"),
        (good.replace('"', "'"), "found '\\''"),
        (replaced(&uid, ""), "has no uid"),
        (replaced(&uid, r#""uid":"","#), "has no uid"),
        (replaced(&uid, r#""uid":null,"#), "has no uid"),
        (
            replaced(&uid, r#""uid":7,"#),
            "request.uid: invalid type: number 7, expected a string",
        ),
        (
            replaced(&uid, r#""uid":["u"],"#),
            "request.uid: invalid type: sequence",
        ),
        (replaced(&uid, &uid.repeat(2)), "duplicate field `uid`"),
        (
            replaced(&uid, &format!(r#"{uid}"\u0075id":"v","#)),
            "duplicate field `uid`",
        ),
        (
            replaced(&uid, r#""uid":"\ud800","#),
            "request.uid: half a surrogate pair",
        ),
        (
            replaced(&uid, r#""uid":"\udc00x","#),
            "half a surrogate pair",
        ),
        (
            replaced(
                "\"name\":\"web\",\"namespace\"",
                "\"name\":\"\u{1}\",\"namespace\"",
            ),
            "request.name",
        ),
        (
            replaced(r#""namespace":"shop""#, r#""namespace":{"name":"shop"}"#),
            "request.namespace: invalid type: map",
        ),
        (
            replaced(r#""operation":"CREATE""#, r#""operation":1"#),
            "request.operation: invalid type",
        ),
        (
            replaced(r#""groups":["a"]"#, r#""groups":["a",1]"#),
            "request.userInfo.groups[1]: invalid type",
        ),
        (
            replaced(r#"{"username":"alice","groups":["a"]}"#, "[]"),
            "request.userInfo: invalid type",
        ),
        (
            replaced(r#""dryRun":false"#, r#""dryRun":"false""#),
            "request.dryRun: invalid type",
        ),
        (
            replaced(r#""oldObject":null"#, r#""oldObject":null,"object":{}"#),
            "duplicate field `object`",
        ),
        (
            replaced(r#""oldObject":null"#, r#""oldObject":{},"oldObject":{}"#),
            "duplicate field `oldObject`",
        ),
        (
            replaced(r#""dryRun":false"#, r#""options":{},"dryRun":false"#),
            "duplicate field `options`",
        ),
        (
            replaced(r#","request":{"#, r#","request":{},"request":{"#),
            "duplicate field `request`",
        ),
        (
            replaced(
                r#""kind":"AdmissionReview","#,
                r#""kind":"A","kind":"AdmissionReview","#,
            ),
            "duplicate field `kind`",
        ),
        (
            replaced(r#""kind":"AdmissionReview","#, r#""kind":"TokenReview","#),
            "\"TokenReview\"",
        ),
        (
            replaced("admission.k8s.io/v1", "admission.k8s.io/v1beta1"),
            "\"admission.k8s.io/v1beta1\"",
        ),
        (
            replaced("admission.k8s.io/v1", "admission.k8s.io/v2"),
            "\"admission.k8s.io/v2\"",
        ),
        (
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#.into(),
            "has no request",
        ),
        (
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}"#
                .into(),
            "has no request",
        ),
        (
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":[]}"#.into(),
            "request: invalid type",
        ),
    ] {
        refused(&mut client, body.as_bytes(), part);
    }
    allowed(&mut client, &good);
}

#[test]
fn bytes_that_are_no_utf_8_are_400_wherever_they_stand() {
    let server = Server::start();
    let mut client = server.connect();
    let good = review(UID, &pod(GOOD_SPEC)).into_bytes();
    for bytes in [
        &b"\xff"[..],
        b"\x80",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x82",
    ] {
        for at in [0, 10, good.len() / 2, good.len() - 3, good.len()] {
            let body = [&good[..at], bytes, &good[at..]].concat();
            refused(&mut client, &body, "not UTF-8");
        }
    }
    let utf_16: Vec<u8> = String::from_utf8(good)
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    refused(&mut client, &utf_16, "found '\\0'");
}
