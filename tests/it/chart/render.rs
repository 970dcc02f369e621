//! What Helm makes of the chart in each of its variants.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidegate::server::Metrics;

use super::{
    HELMS, KUBERNETES, chart, has, helm, object, objects, program, release, rendered, repository,
    template, tidegate, variants, words,
};

/// Kinds of other projects, whose schemas Kubernetes does not have.
const FOREIGN: &str = "CiliumNetworkPolicy,Certificate,Issuer,ServiceMonitor,PrometheusRule";

#[test]
fn both_helms_lint_every_variant_without_a_word() {
    let chart = chart();
    for program in HELMS {
        for (variant, values) in variants() {
            let mut all = vec!["lint", "--strict", chart.to_str().unwrap()];
            all.extend(["--namespace", "tidegate", "--kube-version", KUBERNETES]);
            all.extend(words(&values));
            let output = helm(program, &all);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success(),
                "{program} {variant}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let complaints: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with('[') && !line.contains("icon is recommended"))
                .collect();
            assert!(
                complaints.is_empty(),
                "{program} {variant}: {complaints:#?}"
            );
        }
    }
}

#[test]
fn the_same_values_give_the_same_text_and_both_helms_the_same_objects() {
    for (variant, values) in variants() {
        let values = words(&values);
        let mut made = HELMS.map(|program| {
            let text = rendered(program, &values);
            assert_eq!(text, rendered(program, &values), "{program} {variant}");
            objects(&text)
        });
        // The order of kinds is Helm's own and differs between the two.
        for list in &mut made {
            list.sort_by_key(|object| {
                format!(
                    "{} {} {}",
                    object["apiVersion"], object["kind"], object["metadata"]["name"]
                )
            });
        }
        let [four, three] = made;
        assert_eq!(four, three, "{variant}");
    }
}

/// Runs kubeconform for one minor version on a text of manifests.
fn kubeconform(version: &str, yaml: &str) -> std::process::Output {
    let schemas = repository().join("target/bed/schemas");
    assert!(
        schemas.is_dir(),
        "{} is missing. Run `make test`, or `tests/bed/build.sh` once.",
        schemas.display()
    );
    let location = format!(
        "{}/{{{{.NormalizedKubernetesVersion}}}}-local{{{{.StrictSuffix}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        schemas.display()
    );
    let mut child = Command::new(program("kubeconform"))
        .args(["-strict", "-summary", "-skip", FOREIGN])
        .args(["-kubernetes-version", version])
        .args(["-schema-location", &location])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything; its output says why.
    let _ = child.stdin.take().unwrap().write_all(yaml.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn every_variant_is_valid_for_every_supported_version() {
    let mut all = String::new();
    for (_, values) in variants() {
        all.push_str(&rendered("helm", &words(&values)));
    }
    for minor in 33..=37 {
        let output = kubeconform(&format!("1.{minor}.0"), &all);
        assert!(
            output.status.success(),
            "1.{minor}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let wrong = all.replace("maxUnavailable: 0", "maxUnavailabel: 0");
    assert!(
        !kubeconform("1.36.0", &wrong).status.success(),
        "a misspelt field passes, so the schemas are not looked at"
    );
}

#[test]
fn an_older_cluster_is_refused() {
    for program in HELMS {
        let chart = chart();
        let output = helm(
            program,
            &[
                "template",
                "tidegate",
                chart.to_str().unwrap(),
                "--kube-version",
                "1.32.9",
            ],
        );
        assert!(!output.status.success(), "{program}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(">=1.33.0-0"), "{text}");
    }
}

#[test]
fn nothing_is_a_hook_and_nothing_is_made_by_chance() {
    let folder = chart().join("templates");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in [
            "helm.sh/hook",
            "lookup",
            "genCA",
            "genSigned",
            "genSelf",
            "randAlpha",
            "uuidv4",
            "{{ now",
            "(now",
            "| date",
        ] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

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

#[test]
fn everything_is_named_after_the_release() {
    let chart = chart();
    let names = |release: &str| {
        let output = helm(
            "helm",
            &[
                "template",
                release,
                chart.to_str().unwrap(),
                "--namespace",
                "ns",
            ],
        );
        assert!(output.status.success());
        objects(&String::from_utf8(output.stdout).unwrap())
    };
    for (release, expected) in [
        ("tidegate", "tidegate"),
        ("my-tidegate", "my-tidegate"),
        ("guard", "guard-tidegate"),
    ] {
        let made = names(release);
        for kind in [
            "ServiceAccount",
            "Deployment",
            "Lease",
            "PodDisruptionBudget",
            "ValidatingWebhookConfiguration",
        ] {
            assert_eq!(object(&made, kind, expected)["kind"], kind);
        }
        object(&made, "Service", &format!("{expected}-ops"));
        object(&made, "ConfigMap", &format!("{expected}-policy"));
        object(&made, "ConfigMap", &format!("{expected}-installed"));
    }
    let longest = "a".repeat(53);
    // The names of Services are labels of DNS; the others may be longer.
    let made = names(&longest);
    let services = made.iter().filter(|object| object["kind"] == "Service");
    for service in services {
        assert!(service["metadata"]["name"].as_str().unwrap().len() <= 63);
    }
}

#[test]
fn the_pods_pass_what_the_chart_demands_of_others() {
    for (variant, values) in variants() {
        let made = release(&words(&values));
        let deployment = object(&made, "Deployment", "tidegate");
        if deployment["spec"]["template"]["spec"]["hostNetwork"] == json!(true) {
            continue;
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "tidegate", "namespace": "tidegate"},
            "spec": deployment["spec"]["template"]["spec"],
        });
        let output = tidegate(
            &["check", "--preset", "restricted", "--fail-on", "audit", "-"],
            &pod.to_string(),
        );
        assert!(
            output.status.success(),
            "{variant}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn the_pods_hold_a_token_of_an_hour_and_nothing_they_could_write_to() {
    let made = release(&[]);
    let account = object(&made, "ServiceAccount", "tidegate");
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    let spec = &object(&made, "Deployment", "tidegate")["spec"];
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxSurge": 1, "maxUnavailable": 0})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["terminationGracePeriodSeconds"], json!(35));
    assert_eq!(
        pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
        json!(3600)
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"]["readOnlyRootFilesystem"],
        json!(true)
    );
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], json!(true), "{mount}");
    }
    assert_eq!(container["resources"]["limits"], json!({"memory": "192Mi"}));
    let spread: Vec<&Value> = pod["topologySpreadConstraints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|constraint| &constraint["topologyKey"])
        .collect();
    assert_eq!(
        spread,
        ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    );
}

#[test]
fn the_memory_limit_follows_the_byte_budget_unless_it_is_given() {
    for (set, memory) in [
        ("limits.maxInflightBytes=256MiB", "576Mi"),
        ("limits.maxInflightBytes=1GiB", "2112Mi"),
        ("limits.maxInflightBytes=10000KiB", "84Mi"),
        ("resources.limits.memory=1Gi", "1Gi"),
    ] {
        let made = release(&["--set", set]);
        let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
        assert_eq!(
            pod["containers"][0]["resources"]["limits"]["memory"], memory,
            "{set}"
        );
    }
}

/// The flags of `serve` are held by its own tests; here, that what is passed on is what was said.
#[test]
fn the_arguments_follow_the_values() {
    let arguments = |words: &[&str]| -> Vec<String> {
        let made = release(words);
        let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
        let arguments = pod["containers"][0]["args"].as_array().unwrap();
        arguments
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let has = |words: &[&str], argument: &str| {
        let found = arguments(words);
        assert!(
            found.iter().any(|one| one == argument),
            "{argument}: {found:?}"
        );
    };
    has(&[], "--audit-only");
    has(&[], "--tls-mode=own");
    has(&[], "--tls-secret=tidegate/tidegate-tls");
    has(&[], "--dns-name=tidegate.tidegate.svc");
    has(
        &["--set", "limits.maxConnections=5000000"],
        "--max-connections=5000000",
    );
    has(&["--set", "listenAddress=::"], "--listen=[::]:8443");
    has(&["--set", "policy.preset=none"], "--preset=none");
    has(&["--set", "tls.mode=certManager"], "--tls-mode=injected");
    let secret = ["--set", "tls.mode=secret,tls.secretName=mine"];
    has(&secret, "--tls-mode=given");
    has(&secret, "--tls-secret=tidegate/mine");
    assert!(!arguments(&["--set", "auditOnly=false"]).contains(&"--audit-only".to_owned()));
}

#[test]
fn what_selects_pods_does_not_change_with_the_version() {
    let stable =
        json!({"app.kubernetes.io/name": "tidegate", "app.kubernetes.io/instance": "tidegate"});
    let made = release(&[]);
    let spec = |kind: &str, name: &str| &object(&made, kind, name)["spec"];
    assert_eq!(
        spec("Deployment", "tidegate")["selector"]["matchLabels"],
        stable
    );
    assert_eq!(spec("Service", "tidegate")["selector"], stable);
    assert_eq!(spec("Service", "tidegate-ops")["selector"], stable);
    assert_eq!(
        spec("PodDisruptionBudget", "tidegate")["selector"]["matchLabels"],
        stable
    );
    assert_eq!(
        spec("NetworkPolicy", "tidegate")["podSelector"]["matchLabels"],
        stable
    );
}

#[test]
fn a_changed_policy_rolls_the_pods_and_another_change_of_values_does_not() {
    let checksum = |words: &[&str]| {
        let made = release(words);
        object(&made, "Deployment", "tidegate")["spec"]["template"]["metadata"]["annotations"]
            ["checksum/policy"]
            .clone()
    };
    let plain = checksum(&[]);
    assert_eq!(checksum(&["--set", "replicas=5"]), plain);
    assert_ne!(checksum(&["--set", "policy.namespaces.shop=warn"]), plain);
}

#[test]
fn the_parts_that_can_be_chosen_are_there_when_chosen() {
    let of = |file: &str| {
        let path = chart().join("ci").join(file);
        release(&["--values", path.to_str().unwrap()])
    };
    let made = of("autoscaling-values.yaml");
    assert!(has(&made, "HorizontalPodAutoscaler") && has(&made, "ServiceMonitor"));
    let deployment = object(&made, "Deployment", "tidegate");
    assert!(deployment["spec"].get("replicas").is_none());
    assert!(!has(&of("no-policy-values.yaml"), "PodDisruptionBudget"));
    assert!(!has(&of("no-policy-values.yaml"), "NetworkPolicy"));
    let made = of("cilium-values.yaml");
    assert!(has(&made, "CiliumNetworkPolicy") && !has(&made, "NetworkPolicy"));
    let made = of("host-network-values.yaml");
    let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
    assert_eq!(pod["dnsPolicy"], "ClusterFirstWithHostNet");
    assert_eq!(pod["containers"][0]["ports"][0]["containerPort"], 18443);
    let lease = object(&made, "Lease", "tidegate");
    assert!(lease.get("spec").is_none(), "{lease}");
    let made = of("cert-manager-values.yaml");
    assert_eq!(
        object(&made, "Certificate", "tidegate")["spec"]["issuerRef"]["name"],
        "tidegate-ca"
    );
    let made = of("cert-manager-issuer-values.yaml");
    let leaf = object(&made, "Certificate", "tidegate");
    assert_eq!(leaf["spec"]["issuerRef"]["name"], "corporate");
    assert!(!has(&made, "Issuer"));
}

#[test]
fn every_alert_is_about_a_metric_that_exists() {
    let metrics = Metrics::new();
    metrics.register_findings([("pod-security", "privileged")]);
    let known = metrics.text();
    let made = release(&["--set", "prometheusRule.enabled=true"]);
    let rules = &object(&made, "PrometheusRule", "tidegate")["spec"]["groups"][0]["rules"];
    let mut seen = 0;
    for rule in rules.as_array().unwrap() {
        let expression = rule["expr"].as_str().unwrap();
        for name in expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if name.starts_with("tidegate_") {
                seen += 1;
                assert!(
                    known
                        .lines()
                        .any(|line| line.starts_with(&format!("{name}{{"))
                            || line.starts_with(&format!("{name} "))),
                    "{name}"
                );
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn the_chart_is_of_the_version_of_the_program() {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart = &objects(&text)[0];
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let repository = "ghcr.io/tidegate/tidegate";
    let made = release(&[]);
    let pod = &object(&made, "Deployment", "tidegate")["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["image"],
        format!("{repository}:{}", env!("CARGO_PKG_VERSION"))
    );
}
