//! The live webhook configuration against the one that was installed.

use std::time::Duration;

use serde_json::json;

use super::{SOON, within, write};
use crate::bed;

#[test]
fn what_was_installed_is_no_drift_and_each_change_is_told_within_seconds() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("drift")
        .certificates("own")
        .namespace("shop", &[])
        .start();
    let name = tidegate.namespace("shop");
    within(SOON, "a write goes through", || {
        write(&tidegate, &name).is_ok()
    });
    let detail = || tidegate.ops(0, "/readyz?verbose").unwrap();
    within(SOON, "it is as installed", || {
        detail().1.contains("as installed")
    });
    let drift = |field| tidegate.metric(0, "tidegate_webhook_drift", &[("field", field)]);
    assert!(tidegate.metric(0, "tidegate_webhook_drift", &[]).abs() < f64::EPSILON);
    let original = tidegate.configuration()["webhooks"][0].clone();

    for (field, patch, told) in [
        (
            "failurePolicy",
            json!({"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}),
            "drift.tidegate.dev: failurePolicy is Ignore, installed was Fail",
        ),
        (
            "timeoutSeconds",
            json!({"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 30}),
            "timeoutSeconds is 30, installed was 3",
        ),
        (
            "namespaceSelector",
            json!({"op": "remove", "path": "/webhooks/0/namespaceSelector"}),
            "namespaceSelector is",
        ),
        (
            "rules",
            json!({"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}),
            "rules is",
        ),
        (
            "resources",
            json!({"op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["pods", "pods/resise"]}),
            "resources is unknown to the API server, which never matches it, installed was pods/resise of v1",
        ),
        (
            "entry",
            json!({"op": "replace", "path": "/webhooks/0/name", "value": "other.tidegate.dev"}),
            "entry drift.tidegate.dev is missing",
        ),
    ] {
        tidegate.patch_configuration(&json!([patch]));
        within(Duration::from_secs(10), field, || drift(field) > 0.0);
        let (status, text) = detail();
        assert_eq!(status, 200, "a drift makes nobody unready");
        assert!(text.contains(told), "{field}: {text}");
        let mut whole = original.clone();
        whole["clientConfig"]["caBundle"] =
            tidegate.configuration()["webhooks"][0]["clientConfig"]["caBundle"].clone();
        tidegate.patch_configuration(
            &json!([{"op": "replace", "path": "/webhooks/0", "value": whole}]),
        );
        within(Duration::from_secs(10), "it is as installed again", || {
            tidegate.metric(0, "tidegate_webhook_drift", &[]) < 0.5
        });
    }
    assert!(
        tidegate
            .log(0)
            .contains("webhook drift: drift.tidegate.dev: timeoutSeconds")
    );
}
