//! What users, administrators and auditors see of a decision.

use serde_json::json;

use super::until;
use crate::bed::{self, Call, compliant_pod, plain_pod};

/// A Pod in YAML that breaks two checks of the level restricted.
const TWO_FINDINGS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostNetwork: true
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: web
    image: registry.example/web:1
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

#[test]
fn a_denial_says_in_kubectl_what_is_wrong_where_and_how_to_fix_it() {
    let bed = bed::shared();
    let restricted = ("pod-security.kubernetes.io/enforce", "restricted");
    let tidegate = bed
        .tidegate("kubectl")
        .namespace("shop", &[restricted])
        .start();
    let output = bed.kubectl(
        &["-n", &tidegate.namespace("shop"), "apply", "-f", "-"],
        TWO_FINDINGS,
    );
    assert_eq!(output.status.code(), Some(1));
    let expected = r#"Error from server (Forbidden): error when creating "STDIN": admission webhook "kubectl.tidegate.dev" denied the request: tidegate denies Pod "web" in namespace "kubectl-shop": 2 findings
- pod-security/hostNamespaces at spec.hostNetwork: host namespaces (hostNetwork=true). Remove hostNetwork.
- pod-security/runAsNonRoot at spec.containers[0].securityContext.runAsNonRoot: runAsNonRoot != true (pod or container "web" must set securityContext.runAsNonRoot=true). Set runAsNonRoot: true on the pod or on every container.
"#;
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    let stored = bed.call(&Call::new(
        "GET",
        "/api/v1/namespaces/kubectl-shop/pods/web",
    ));
    assert_eq!(stored.status, 404, "{}", stored.body);
}

#[test]
fn a_denial_carries_one_cause_for_every_field() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("causes").namespace("shop", &[]).start();
    let mut pod = compliant_pod("web");
    pod["spec"]["hostPID"] = json!(true);
    pod["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 80, "hostPort": 80}, {"containerPort": 81}]);
    pod["spec"]["initContainers"] = json!([{
        "name": "init", "image": "registry.example/init:1", "securityContext": {"privileged": true},
    }]);
    let answer = bed.call(&Call::post(
        format!("/api/v1/namespaces/{}/pods", tidegate.namespace("shop")),
        &pod,
    ));
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["reason"], "Forbidden");
    assert_eq!(
        answer.causes(),
        [
            ("pod-security/hostNamespaces", "spec.hostPID"),
            (
                "pod-security/hostPorts",
                "spec.containers[0].ports[0].hostPort"
            ),
            (
                "pod-security/privileged",
                "spec.initContainers[0].securityContext.privileged"
            ),
        ]
    );
}

#[test]
fn what_is_only_warned_of_is_stored_and_said() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("warnings").namespace("shop", &[]).start();
    let path = format!("/api/v1/namespaces/{}/pods", tidegate.namespace("shop"));
    let answer = bed.api().must(&Call::post(&path, &plain_pod("web")));
    let checks: Vec<&str> = answer
        .warnings
        .iter()
        .filter_map(|text| text.split([' ', ':']).next())
        .collect();
    assert_eq!(
        checks,
        [
            "pod-security/allowPrivilegeEscalation",
            "pod-security/capabilities_restricted",
            "pod-security/runAsNonRoot",
            "pod-security/seccompProfile_restricted",
        ],
        "{:?}",
        answer.warnings
    );
    assert!(
        answer.warnings.iter().all(|text| text.len() <= 256),
        "{:?}",
        answer.warnings
    );
    assert!(
        bed.call(&Call::new("GET", format!("{path}/web")))
            .succeeded()
    );

    let silent = bed.api().must(&Call::post(&path, &compliant_pod("good")));
    assert!(silent.warnings.is_empty(), "{:?}", silent.warnings);
}

#[test]
fn the_audit_log_tells_a_denial_a_warning_and_a_plain_allow_apart() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("auditlog").namespace("shop", &[]).start();
    let path = format!("/api/v1/namespaces/{}/pods", tidegate.namespace("shop"));
    let mut privileged = compliant_pod("bad");
    privileged["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});

    let denied = bed.call(&Call::post(&path, &privileged));
    assert_eq!(denied.status, 403, "{}", denied.body);
    let annotations = tidegate.annotations(&denied);
    assert_eq!(annotations["verdict"], "deny", "{annotations:?}");
    let findings: serde_json::Value = serde_json::from_str(&annotations["findings"]).unwrap();
    let enforced: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["mode"] == "enforce")
        .collect();
    assert_eq!(enforced.len(), 1, "{findings}");
    assert_eq!(
        enforced[0]["fields"],
        json!(["spec.containers[0].securityContext.privileged"])
    );
    assert_eq!(enforced[0]["check"], "pod-security/privileged");
    assert_eq!(annotations["policies"], "recommended");

    let warned = bed.call(&Call::post(&path, &plain_pod("plain")));
    assert!(warned.succeeded(), "{}", warned.body);
    assert_eq!(tidegate.annotations(&warned)["verdict"], "warn");

    let allowed = bed.call(&Call::post(&path, &compliant_pod("good")));
    assert!(allowed.succeeded(), "{}", allowed.body);
    let annotations = tidegate.annotations(&allowed);
    assert_eq!(
        annotations.get("verdict").map_or("allow", String::as_str),
        "allow",
        "{annotations:?}"
    );
}

#[test]
fn the_api_server_reaches_tidegate_by_its_services_name_over_http1() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("service")
        .namespace("shop", &[])
        .relayed()
        .start();
    let path = format!("/api/v1/namespaces/{}/pods", tidegate.namespace("shop"));
    bed.api().must(&Call::post(path, &compliant_pod("web")));

    let greetings = tidegate.greetings();
    assert!(
        !greetings.is_empty(),
        "no connection of the API server was seen"
    );
    // The extension application_layer_protocol_negotiation (16) with one entry (RFC 7301, 3.1).
    let only_http1 = b"\x00\x10\x00\x0b\x00\x09\x08http/1.1";
    for greeting in &greetings {
        let contains = |part: &[u8]| greeting.windows(part.len()).any(|window| window == part);
        assert!(
            contains(tidegate.server_name().as_bytes()),
            "the greeting does not ask for the Service's name"
        );
        assert!(
            contains(only_http1),
            "the greeting offers another protocol than http/1.1"
        );
    }
    let (_, metrics) = tidegate.ops(0, "/metrics").unwrap();
    assert!(
        metrics.contains("tidegate_requests_total{endpoint=\"validate\",code=\"200\"}"),
        "{metrics}"
    );
}

#[test]
fn the_log_and_the_metrics_tell_of_a_denial_but_no_value_of_the_object() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("logged").namespace("shop", &[]).start();
    let namespace = tidegate.namespace("shop");
    let canary = "canary-5f0c2a";
    let mut pod = plain_pod("web");
    pod["metadata"]["annotations"] = json!({"note": canary});
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": canary}]);
    pod["spec"]["containers"][0]["args"] = json!([canary]);
    let answer = bed.call(&Call::post(
        format!("/api/v1/namespaces/{namespace}/pods"),
        &pod,
    ));
    assert_eq!(answer.status, 403, "{}", answer.body);

    let told = |line: &str| {
        ["Pod", &namespace, "web", "pod-security/hostNamespaces"]
            .iter()
            .all(|part| line.contains(part))
    };
    until("the decision is in the log", || {
        tidegate.log(0).lines().any(told)
    });
    let log = tidegate.log(0);
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "not JSON: {line}"
        );
    }
    let (_, metrics) = tidegate.ops(0, "/metrics").unwrap();
    let everything = [
        log,
        metrics,
        answer.body.to_string(),
        format!("{:?}", tidegate.annotations(&answer)),
    ];
    assert!(
        everything.iter().all(|text| !text.contains(canary)),
        "{everything:?}"
    );
    let labels = [
        ("control", "pod-security"),
        ("check", "hostNamespaces"),
        ("mode", "enforce"),
    ];
    assert!((tidegate.metric(0, "tidegate_findings_total", &labels) - 1.0).abs() < f64::EPSILON);
    assert!(
        (tidegate.metric(0, "tidegate_verdicts_total", &[("verdict", "deny")]) - 1.0).abs()
            < f64::EPSILON
    );
}

#[test]
fn a_pod_of_nearly_three_megabytes_is_judged_in_time() {
    let bed = bed::shared();
    let tidegate = bed.tidegate("large").namespace("shop", &[]).start();
    let namespace = tidegate.namespace("shop");
    let mut pod = compliant_pod("web");
    let variables: Vec<_> = (0..28_000)
        .map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(70)}))
        .collect();
    pod["spec"]["containers"][0]["env"] = json!(variables);
    let mut last = pod["spec"]["containers"][0].clone();
    last["name"] = json!("last");
    last["env"] = json!([]);
    last["securityContext"] = json!({"privileged": true});
    pod["spec"]["containers"].as_array_mut().unwrap().push(last);
    assert!(
        (2_700_000..3_000_000).contains(&pod.to_string().len()),
        "{}",
        pod.to_string().len()
    );
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let answer = bed.call(&Call::post(path, &pod).dry_run());
    assert_eq!(
        answer.causes(),
        [(
            "pod-security/privileged",
            "spec.containers[1].securityContext.privileged"
        )]
    );
}
