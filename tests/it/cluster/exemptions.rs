//! Upstream's exemptions: by user, namespace and runtime class.

use serde_json::json;

use crate::bed::{self, Call, plain_pod};

const POLICY: &str = "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: exempting}
spec:
  mode: enforce
  controls:
    pod-security:
      settings:
        default: {enforce: restricted}
        exemptions:
          usernames: [deployer]
          namespaces: [exempt-system]
          runtimeClasses: [sandbox]
";

#[test]
fn the_exempt_are_let_through_and_the_audit_log_says_why() {
    let bed = bed::shared();
    let class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandbox"}, "handler": "sandbox",
    });
    bed.api()
        .must(&Call::post("/apis/node.k8s.io/v1/runtimeclasses", &class));
    let tidegate = bed
        .tidegate("exempt")
        .policy(POLICY)
        .namespace("shop", &[])
        .namespace("system", &[])
        .start();
    let pods = |suffix: &str| format!("/api/v1/namespaces/{}/pods", tidegate.namespace(suffix));
    let mut sandboxed = plain_pod("sandboxed");
    sandboxed["spec"]["runtimeClassName"] = json!("sandbox");

    let denied = bed.call(&Call::post(pods("shop"), &plain_pod("web")).user("somebody"));
    assert_eq!(denied.status, 403, "{}", denied.body);
    assert!(denied.causes().contains(&(
        "pod-security/runAsNonRoot",
        "spec.containers[0].securityContext.runAsNonRoot"
    )));

    let exempt = [
        (
            "user",
            Call::post(pods("shop"), &plain_pod("web")).user("deployer"),
        ),
        ("namespace", Call::post(pods("system"), &plain_pod("web"))),
        ("runtimeClass", Call::post(pods("shop"), &sandboxed)),
    ];
    for (why, call) in exempt {
        let answer = bed.call(&call);
        assert!(
            answer.succeeded() && answer.warnings.is_empty(),
            "{why}: {answer:?}"
        );
        let annotations = tidegate.annotations(&answer);
        assert_eq!(
            annotations.get("exempt").map(String::as_str),
            Some(why),
            "{annotations:?}"
        );
    }
}
