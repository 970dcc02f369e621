//! The node stand-in itself: what the tests of the chart take for granted.

use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::bed::{self, Call, Cluster, Helm, PodHandle, compliant_pod};

const SOON: Duration = Duration::from_secs(30);
const NAMESPACE: &str = "tg";
const PODS: &str = "/api/v1/namespaces/tg/pods";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/tg/deployments/web";

/// Two replicas as the chart makes them, with a setting in a Secret and one in a `ConfigMap`.
fn objects() -> Vec<(&'static str, Value)> {
    let probe = |path: &str, period: u64, failures: u64| json!({"httpGet": {"path": path, "port": "ops"}, "periodSeconds": period, "failureThreshold": failures});
    let container = json!({
        "name": "tidegate", "image": bed::IMAGE,
        "args": [
            "serve", "--standalone", "--self-signed", "/tls", "--dns-name", "web.$(NAMESPACE).svc",
            "--listen", "0.0.0.0:8443", "--ops-listen", "0.0.0.0:8080", "--log-format", "json",
            "--policy", "/etc/tidegate/policy.yaml", "--drain-delay", "2s", "--drain-timeout", "5s",
        ],
        "env": [
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "TIDEGATE_LOG_LEVEL", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "level"}}},
        ],
        "ports": [{"name": "https", "containerPort": 8443}, {"name": "ops", "containerPort": 8080}],
        "startupProbe": probe("/livez", 1, 30),
        "readinessProbe": probe("/readyz", 1, 2),
        "livenessProbe": probe("/livez", 1, 2),
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tls", "mountPath": "/tls"},
            {"name": "policy", "mountPath": "/etc/tidegate", "readOnly": true},
        ],
    });
    let pod = json!({
        "terminationGracePeriodSeconds": 8,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tls", "emptyDir": {}}, {"name": "policy", "configMap": {"name": "policy"}}],
    });
    let policy = "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {name: bed}\n\
                  spec: {mode: enforce, controls: {pod-security: {settings: {default: {enforce: baseline}}}}}\n";
    let labels = json!({"app": "web"});
    vec![
        (
            "/api/v1/namespaces/tg/secrets",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "settings"}, "stringData": {"level": "info"}}),
        ),
        (
            "/api/v1/namespaces/tg/configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "policy"}, "data": {"policy.yaml": policy}}),
        ),
        (
            "/api/v1/namespaces/tg/services",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
                "selector": labels, "ports": [{"name": "https", "port": 443, "targetPort": "https"}],
            }}),
        ),
        (
            "/apis/apps/v1/namespaces/tg/deployments",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
                "replicas": 2, "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            }}),
        ),
    ]
}

fn addresses(pods: &[PodHandle]) -> Vec<String> {
    let mut addresses: Vec<String> = pods.iter().map(|pod| pod.address.clone()).collect();
    addresses.sort();
    addresses
}

#[test]
fn pods_run_are_probed_and_end_as_on_a_node() {
    bed::inside(|cluster| {
        cluster.create_namespace(NAMESPACE, &[]);
        for (path, object) in objects() {
            cluster.api().must(&Call::post(path, &object));
        }
        cluster.wait_until_rolled_out(NAMESPACE, "web", SOON);
        two_pods_are_behind_the_service(cluster);
        the_api_server_reaches_them_through_the_service(cluster);
        a_changed_configuration_reaches_the_running_pod(cluster);
        a_killed_process_starts_again_in_the_same_pod(cluster);
        a_frozen_process_is_unready_and_then_replaced(cluster);
        a_paused_node_leaves_processes_alone(cluster);
        a_deleted_pod_drains_before_it_goes(cluster);
        a_rollout_replaces_one_pod_after_the_other(cluster);
        an_image_that_is_not_there_is_said_to_be_missing(cluster);
        both_helms_install_and_remove(cluster);
        scaling_down_ends_every_process(cluster);
    });
}

fn two_pods_are_behind_the_service(cluster: &Cluster) {
    let pods = cluster.pods(NAMESPACE, "app=web");
    assert_eq!(pods.len(), 2);
    cluster.until("both are endpoints", SOON, || {
        cluster.endpoints(NAMESPACE, "web") == addresses(&pods)
    });
    for pod in &pods {
        assert!(pod.is_ready());
        assert_eq!(pod.get(8080, "/livez").unwrap().0, 200);
        let (status, text) = pod.get(8080, "/metrics").unwrap();
        assert!(status == 200 && text.contains("tidegate_"), "{text}");
        assert!(pod.log().contains("\"level\":\"INFO\""), "{}", pod.log());

        let process = format!("/proc/{}", pod.pid().unwrap());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let has = |line: &str| status.lines().any(|have| have == line);
        assert!(has("Uid:\t65532\t65532\t65532\t65532"), "{status}");
        assert!(has("Gid:\t65532\t65532\t65532\t65532"), "{status}");
        assert!(has("CapPrm:\t0000000000000000"), "{status}");
        assert!(has("CapEff:\t0000000000000000"), "{status}");
        assert!(has("NoNewPrivs:\t1"), "{status}");
        // The process is the first of its own, and there is nothing on its root but what it needs.
        assert!(
            status
                .lines()
                .any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
        );
        assert!(!std::path::Path::new(&process).join("root/bin").exists());
        let token = "root/var/run/secrets/kubernetes.io/serviceaccount/token";
        let token = std::fs::read_to_string(std::path::Path::new(&process).join(token)).unwrap();
        assert_eq!(token.split('.').count(), 3);
        let mounts = std::fs::read_to_string(format!("{process}/mountinfo")).unwrap();
        let root = mounts
            .lines()
            .filter(|line| line.contains("tidegate.root "))
            .collect::<Vec<_>>();
        assert!(root.iter().any(|line| line.contains(" ro,")), "{mounts}");
    }
}

/// A webhook that leads to the Service denies, and its message says that tidegate did.
fn the_api_server_reaches_them_through_the_service(cluster: &Cluster) {
    let authorities: String = cluster
        .pods(NAMESPACE, "app=web")
        .iter()
        .map(|pod| std::fs::read_to_string(pod.volume("tls").join("ca.crt")).unwrap())
        .collect();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "web"},
        "webhooks": [{
            "name": "web.tidegate.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "timeoutSeconds": 3,
            "clientConfig": {
                "service": {"namespace": NAMESPACE, "name": "web", "path": "/validate"},
                "caBundle": ByteString(authorities.into_bytes()),
            },
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"],
            }],
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    cluster.api().must(&Call::post(path, &configuration));
    let mut pod = compliant_pod("bad");
    pod["spec"]["hostNetwork"] = json!(true);
    let call = Call::post("/api/v1/namespaces/default/pods", &pod).dry_run();
    cluster.until("the API server asks tidegate", SOON, || {
        let answer = cluster.call(&call);
        answer.status == 403
            && answer.causes() == [("pod-security/hostNamespaces", "spec.hostNetwork")]
    });
    cluster
        .api()
        .must(&Call::new("DELETE", format!("{path}/web")));
}

fn a_changed_configuration_reaches_the_running_pod(cluster: &Cluster) {
    let pod = &cluster.pods(NAMESPACE, "app=web")[0];
    let path = "/api/v1/namespaces/tg/configmaps/policy";
    cluster
        .api()
        .must(&Call::patch(path, &json!({"data": {"note": "second"}})));
    let note = pod.volume("policy").join("note");
    cluster.until("the new file is in the volume", SOON, || {
        std::fs::read_to_string(&note).is_ok_and(|text| text == "second")
    });
    cluster
        .api()
        .must(&Call::patch(path, &json!({"data": {"note": null}})));
    cluster.until("the file is gone again", SOON, || {
        std::fs::symlink_metadata(&note).is_err()
    });
    assert!(pod.volume("policy").join("policy.yaml").exists());
}

fn a_killed_process_starts_again_in_the_same_pod(cluster: &Cluster) {
    let pod = &cluster.pods(NAMESPACE, "app=web")[0];
    let before = pod.pid().unwrap();
    pod.signal("KILL");
    cluster.until("it runs again", SOON, || {
        pod.restarts() == 1 && pod.is_ready() && pod.pid().is_some_and(|pid| pid != before)
    });
    let last = &pod.object()["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 137, "{last}");
}

fn a_frozen_process_is_unready_and_then_replaced(cluster: &Cluster) {
    let pod = &cluster.pods(NAMESPACE, "app=web")[1];
    pod.signal("STOP");
    cluster.until("it is unready", SOON, || !pod.is_ready());
    cluster.until("it is no endpoint", SOON, || {
        !cluster.endpoints(NAMESPACE, "web").contains(&pod.address)
    });
    // The liveness probe gives it up, and it gets no longer than its grace period.
    cluster.until("it runs again", SOON, || {
        pod.restarts() == 1 && pod.is_ready()
    });
}

fn a_paused_node_leaves_processes_alone(cluster: &Cluster) {
    let pod = &cluster.pods(NAMESPACE, "app=web")[0];
    cluster.node().pause();
    let pid = pod.pid().unwrap();
    pod.signal("KILL");
    std::thread::sleep(Duration::from_secs(2));
    assert!(pod.is_ready(), "nobody has noticed");
    assert!(pod.pid().is_none());
    cluster.node().resume();
    cluster.until("it runs again", SOON, || {
        pod.is_ready() && pod.pid().is_some_and(|new| new != pid)
    });
}

fn a_deleted_pod_drains_before_it_goes(cluster: &Cluster) {
    let pod = &cluster.pods(NAMESPACE, "app=web")[0];
    let start = Instant::now();
    pod.delete();
    cluster.until("it is gone", SOON, || pod.object().is_null());
    let took = start.elapsed();
    // Two seconds of unreadiness, then the end of its connections.
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(15),
        "{took:?}"
    );
    assert!(pod.pid().is_none());
    cluster.wait_until_rolled_out(NAMESPACE, "web", SOON);
    let pods = cluster.pods(NAMESPACE, "app=web");
    assert!(pods.iter().all(|other| other.name != pod.name));
}

fn a_rollout_replaces_one_pod_after_the_other(cluster: &Cluster) {
    let before = cluster.pods(NAMESPACE, "app=web");
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"bed": "again"}}}}});
    cluster.api().must(&Call::patch(DEPLOYMENT, &patch));
    let mut fewest = usize::MAX;
    cluster.until("the old pods are gone", SOON * 2, || {
        let endpoints = cluster.endpoints(NAMESPACE, "web");
        fewest = fewest.min(endpoints.len());
        before.iter().all(|pod| pod.object().is_null())
    });
    assert!(fewest >= 2, "at one time only {fewest} pods were ready");
    cluster.wait_until_rolled_out(NAMESPACE, "web", SOON);
    assert_eq!(cluster.pods(NAMESPACE, "app=web").len(), 2);
}

fn an_image_that_is_not_there_is_said_to_be_missing(cluster: &Cluster) {
    let mut pod = compliant_pod("stranger");
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    cluster.api().must(&Call::post(PODS, &pod));
    let path = format!("{PODS}/stranger");
    cluster.until("its status says so", SOON, || {
        let pod = cluster.call(&Call::new("GET", &path)).body;
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
    });
    cluster.api().must(&Call::new("DELETE", &path));
}

fn both_helms_install_and_remove(cluster: &Cluster) {
    let chart = cluster.folder().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: small\nversion: 0.1.0\nkubeVersion: '>=1.33.0-0'\n",
    )
    .unwrap();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}"},
        "data": {"cluster": "{{ .Capabilities.KubeVersion.Version }}"},
    });
    std::fs::write(chart.join("templates/object.yaml"), object.to_string()).unwrap();
    let chart = chart.to_string_lossy();
    let namespace = ["--namespace", NAMESPACE];
    for helm in Helm::ALL {
        // Without a cluster, too, it must take the chart for a current Kubernetes.
        helm.must(cluster, &["template", "small", &chart]);
        helm.must(
            cluster,
            &[&["install", "small", &chart, "--wait"][..], &namespace].concat(),
        );
        let call = Call::new("GET", "/api/v1/namespaces/tg/configmaps/small");
        let made = cluster.api().must(&call).body;
        assert_eq!(made["data"]["cluster"], "v1.36.3", "{helm:?}");
        helm.must(
            cluster,
            &[&["uninstall", "small", "--wait"][..], &namespace].concat(),
        );
        assert_eq!(cluster.call(&call).status, 404, "{helm:?}");
    }
}

fn scaling_down_ends_every_process(cluster: &Cluster) {
    let pods = cluster.pods(NAMESPACE, "app=web");
    let processes: Vec<u32> = pods.iter().filter_map(PodHandle::pid).collect();
    assert_eq!(processes.len(), 2);
    cluster
        .api()
        .must(&Call::patch(DEPLOYMENT, &json!({"spec": {"replicas": 0}})));
    cluster.until("both are gone", SOON, || {
        pods.iter().all(|pod| pod.object().is_null())
    });
    assert!(cluster.endpoints(NAMESPACE, "web").is_empty());
    for pid in processes {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
    cluster.until("their links are gone", SOON, || {
        let links = std::process::Command::new("ip")
            .args(["-o", "link"])
            .output()
            .unwrap();
        !String::from_utf8_lossy(&links.stdout).contains("pod")
    });
}
