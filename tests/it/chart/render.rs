//! What Helm makes of the chart in each of its variants.

use serde_json::json;
use tidegate::server::Metrics;

use crate::bed::{MINORS, validate};

use super::{
    HELMS, KUBERNETES, chart, has, helm, object, objects, release, rendered, variants, words,
};

/// Kinds of other projects, whose schemas Kubernetes does not have.
const FOREIGN: [&str; 5] = [
    "CiliumNetworkPolicy",
    "Certificate",
    "Issuer",
    "ServiceMonitor",
    "PrometheusRule",
];

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

#[test]
fn every_variant_is_valid_for_every_supported_version() {
    let mut all = String::new();
    for (_, values) in variants() {
        all.push_str(&rendered("helm", &words(&values)));
    }
    for minor in MINORS {
        let report = validate(minor, &all, &FOREIGN);
        assert_eq!(report, Ok(()), "{minor}");
    }
    let wrong = all.replace("maxUnavailable: 0", "maxUnavailabel: 0");
    assert!(
        validate("1.36", &wrong, &FOREIGN).is_err(),
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

/// A copy of the chart with a definition of its own among the files.
fn with_definition() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp")
        .arg("-R")
        .arg(chart().join("."))
        .arg(copy.path())
        .status();
    assert!(status.unwrap().success());
    let folder = copy.path().join("crd-files");
    std::fs::create_dir_all(&folder).unwrap();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.dev", "annotations": {"example.dev/kept": "yes"}},
        "spec": {"group": "example.dev", "maximum": 3_000_000},
    });
    std::fs::write(folder.join("things.yaml"), definition.to_string()).unwrap();
    copy
}

#[test]
fn definitions_are_rendered_as_they_are_and_kept_unless_told_otherwise() {
    let copy = with_definition();
    let definition = |words: &[&str]| {
        let mut all = vec!["template", "tidegate", copy.path().to_str().unwrap()];
        all.extend(["--kube-version", KUBERNETES]);
        all.extend(words);
        let made = HELMS.map(|program| {
            let output = helm(program, &all);
            assert!(output.status.success(), "{program} {words:?}");
            let made = objects(&String::from_utf8(output.stdout).unwrap());
            let mut made = made.into_iter();
            made.find(|object| object["metadata"]["name"] == "things.example.dev")
        });
        assert_eq!(made[0], made[1], "{words:?}");
        made.into_iter().next().flatten()
    };
    let kept = definition(&[]).unwrap();
    assert_eq!(
        kept["spec"],
        json!({"group": "example.dev", "maximum": 3_000_000})
    );
    assert_eq!(
        kept["metadata"]["annotations"],
        json!({"example.dev/kept": "yes", "helm.sh/resource-policy": "keep"})
    );
    assert_eq!(
        kept["metadata"]["labels"]["app.kubernetes.io/part-of"],
        "tidegate"
    );
    let loose = definition(&["--set", "crds.keep=false"]).unwrap();
    assert_eq!(
        loose["metadata"]["annotations"],
        json!({"example.dev/kept": "yes"})
    );
    assert_eq!(definition(&["--set", "crds.install=false"]), None);
}
