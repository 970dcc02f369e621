//! Objects inside good reviews that are broken, of wrong types or unknown: answered with the uid.

use serde_json::json;

use super::process::Server;
use super::reviews::{
    BAD_SPEC, GOOD_SPEC, UID, allowed, answered, denied, pod, refused, review, review_of,
};

#[test]
fn broken_json_anywhere_in_the_object_is_400() {
    let server = Server::start();
    let mut client = server.connect();
    for object in [
        "{",
        "[}",
        "{\"spec\":}",
        "{\"spec\" {}}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":NaN}",
        "\"",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "/* */ {}",
    ] {
        refused(&mut client, review(UID, object).as_bytes(), "at byte");
        let inside = format!(r#"{{"status":{object},"spec":{GOOD_SPEC}}}"#);
        refused(&mut client, review(UID, &inside).as_bytes(), "at byte");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn what_is_wrong_with_the_object_is_a_denial_with_its_uid_and_the_path() {
    let server = Server::start();
    let mut client = server.connect();
    let in_container = |field: &str| pod(&format!(r#"{{"containers":[{{}},{{{field}}}]}}"#));
    for (object, path, part) in [
        ("7".into(), "", "invalid type: number 7"),
        ("\"pod\"".into(), "", "invalid type: string"),
        ("[]".into(), "", "invalid type: sequence"),
        ("null".into(), "", "holds no such object"),
        (pod("7"), "spec", "invalid type: number 7"),
        (pod("[]"), "spec", "invalid type: sequence"),
        (
            pod(r#"{"containers":{}}"#),
            "spec.containers",
            "invalid type: map",
        ),
        (
            pod(r#"{"containers":[[]]}"#),
            "spec.containers[0]",
            "invalid type: sequence",
        ),
        (
            in_container(r#""name":7"#),
            "spec.containers[1].name",
            "invalid type: number 7",
        ),
        (
            in_container(r#""name":"\ud800""#),
            "spec.containers[1].name",
            "half a surrogate pair",
        ),
        (
            in_container(r#""securityContext":{"privileged":"yes"}"#),
            ".securityContext.privileged",
            "string \"yes\"",
        ),
        (
            in_container(r#""securityContext":{"privileged":1}"#),
            ".securityContext.privileged",
            "number 1",
        ),
        (
            in_container(r#""securityContext":{"runAsUser":9223372036854775808}"#),
            ".securityContext.runAsUser",
            "number",
        ),
        (
            in_container(r#""securityContext":{"runAsUser":1e400}"#),
            ".securityContext.runAsUser",
            "number 1e400",
        ),
        (
            in_container(r#""ports":[{"hostPort":80.0}]"#),
            "spec.containers[1].ports[0].hostPort",
            "number 80.0",
        ),
        (
            in_container(r#""ports":[{"hostPort":4294967376}]"#),
            "spec.containers[1].ports[0].hostPort",
            "4294967376",
        ),
        (
            pod(r#"{"hostNetwork":false,"hostNetwork":true}"#),
            "spec",
            "duplicate field `hostNetwork`",
        ),
        (
            pod(r#"{"containers":[],"contain\u0065rs":[]}"#),
            "spec",
            "duplicate field `containers`",
        ),
        (
            pod(r#"{"volumes":[{"hostPath":{},"hostPath":null}]}"#),
            "spec.volumes[0]",
            "duplicate field `hostPath`",
        ),
        (
            r#"{"metadata":{"annotations":{"a":1}}}"#.into(),
            "metadata.annotations.a",
            "invalid type",
        ),
        (
            r#"{"metadata":{"ownerReferences":[{"controller":0}]}}"#.into(),
            "metadata.ownerReferences[0].controller",
            "0",
        ),
        (
            r#"{"kind":"Deployment","apiVersion":"apps/v1","spec":{}}"#.into(),
            "",
            "unexpectedly a \"Deployment\"",
        ),
    ] {
        let message = denied(&mut client, &review(UID, &object));
        let said = message.contains("pod-security/unreadable")
            && message.contains(path)
            && message.contains(part);
        assert!(said, "{object}: {message}");
    }
    // A template is not denied for it: its pods would be.
    let deployment = review_of(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        UID,
        "CREATE",
        r#"{"spec":7}"#,
        "null",
    );
    let response = answered(&mut client, deployment.as_bytes());
    assert_eq!(
        (
            &response["allowed"],
            &response["auditAnnotations"]["verdict"]
        ),
        (&json!(true), &json!("warn"))
    );
    assert!(
        response["auditAnnotations"]["findings"]
            .as_str()
            .unwrap()
            .contains("pod-security/unreadable")
    );
}

#[test]
fn kinds_and_versions_nobody_knows_are_allowed_and_what_looks_like_a_pod_is_not() {
    let server = Server::start();
    let mut client = server.connect();
    for (group, version, kind, resource) in [
        ("example.org", "v1", "Ring", "rings"),
        ("", "v7", "Thing", "things"),
        ("apps", "v1beta1", "Deployment", "nothings"),
        ("", "", "", ""),
    ] {
        for operation in ["CREATE", "UPDATE", "DELETE", "CONNECT", "TELEPORT", ""] {
            let object = pod(BAD_SPEC);
            let body = review_of(
                group, version, kind, resource, UID, operation, &object, &object,
            );
            let body = body.replace(
                r#""apiVersion":"v1","kind":"Pod""#,
                &format!(r#""kind":"{kind}""#),
            );
            allowed(&mut client, &body);
        }
    }
    // The resource decides what is asked; the object only what it is read as.
    let message = denied(
        &mut client,
        &review_of(
            "",
            "v1",
            "Pod",
            "pods",
            UID,
            "CREATE",
            r#"{"kind":"Ring"}"#,
            "null",
        ),
    );
    assert!(message.contains("pod-security/unreadable"), "{message}");
    let body = review_of("", "v1", "", "pods", UID, "CREATE", &pod(BAD_SPEC), "null");
    assert!(denied(&mut client, &body).contains("pod-security/hostNamespaces"));
}
