//! Values that are refused before anything is installed.

use super::{HELMS, template};

/// What a bad call is told by each Helm.
fn refusals(values: &[&str]) -> [String; 2] {
    let mut words = Vec::new();
    for value in values {
        words.extend(["--set", value]);
    }
    HELMS.map(|program| {
        let output = template(program, &words);
        assert!(!output.status.success(), "{program} took {values:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    })
}

#[test]
fn bad_values_are_refused_and_named() {
    for (values, expected) in [
        (&["replica=3"][..], "replica"),
        (&["policy.mode=deny"][..], "/policy/mode"),
        (&["policy.controls.pod-securty=enforce"][..], "pod-securty"),
        (
            &["policy.namespaces.shop=strict"][..],
            "/policy/namespaces/shop",
        ),
        (
            &["image.repository=registry.example/other"][..],
            "/image/repository",
        ),
        (&["image.digest=sha256:1"][..], "/image/digest"),
        (&["failurePolicy=Maybe"][..], "/failurePolicy"),
        (&["ports.webhook=443"][..], "/ports/webhook"),
        (
            &["limits.maxInflightBytes=64MB"][..],
            "/limits/maxInflightBytes",
        ),
        (
            &["excludedNamespaces[0]=Kube_System"][..],
            "/excludedNamespaces/0",
        ),
    ] {
        // Helm before 3.18 writes paths with dots.
        let dotted = expected.trim_start_matches('/').replace('/', ".");
        for text in refusals(values) {
            assert!(
                text.contains(expected) || text.contains(&dotted),
                "{values:?}: {text}"
            );
        }
    }
    for (values, expected) in [
        (
            &["auditOnly=false", "replicas=1"][..],
            "set replicas (or autoscaling.minReplicas) to 2 or more",
        ),
        (
            &[
                "auditOnly=false",
                "autoscaling.enabled=true",
                "autoscaling.minReplicas=1",
            ][..],
            "set replicas (or autoscaling.minReplicas) to 2 or more",
        ),
        (
            &["autoscaling.enabled=true", "autoscaling.maxReplicas=1"][..],
            "autoscaling.maxReplicas is below",
        ),
        (
            &["tls.mode=secret"][..],
            "name the Secret in tls.secretName",
        ),
        (&["tls.secretName=mine"][..], "set tls.mode to secret"),
        (&["clientAuth.mode=audit"][..], "clientAuth.caConfigMap"),
        (
            &["drain.delaySeconds=25"][..],
            "drain.timeoutSeconds includes",
        ),
        (&["ports.ops=8443"][..], "are the same"),
        (
            &["limits.maxBody=65MiB"][..],
            "limits.maxInflightBytes is below",
        ),
        (
            &["policy.namespaces.kube-system=enforce"][..],
            "policy.namespaces.kube-system has no effect",
        ),
        (
            &["policy.namespaces.tidegate=enforce"][..],
            "policy.namespaces.tidegate has no effect",
        ),
        (
            &["policy.preset=none", "policy.mode=audit"][..],
            "have nothing to change",
        ),
    ] {
        for text in refusals(values) {
            assert!(text.contains(expected), "{values:?}: {text}");
        }
    }
}
