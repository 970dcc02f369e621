//! The containers of the samples' pods.

use crate::json::{Json, map, texts};
use crate::pod::Shape;

/// The container at `index`, fields in the order of `k8s.io/api/core/v1`.
pub(crate) fn container(index: usize, shape: &Shape) -> Json {
    let name = ["app", "metrics-exporter", "log-shipper"]
        .get(index)
        .copied()
        .unwrap_or("extra");
    let tag = if index == 0 { shape.image } else { "2.8.0" };
    let port = 8_080 + i64::try_from(index).unwrap_or(0);
    let mut container = map([
        ("name", name.into()),
        (
            "image",
            format!("registry.shop.example/shop/{name}:{tag}").into(),
        ),
        (
            "args",
            texts(["--config=/etc/checkout/config.yaml", "--log-format=json"]),
        ),
        (
            "ports",
            [map([
                ("name", "http".into()),
                ("containerPort", port.into()),
                ("protocol", "TCP".into()),
            ])]
            .into(),
        ),
        ("env", env(index)),
        ("resources", resources()),
        ("volumeMounts", mounts()),
        ("livenessProbe", probe("/livez", 10, 3)),
        ("readinessProbe", probe("/readyz", 5, 2)),
        (
            "lifecycle",
            map([("preStop", map([("sleep", map([("seconds", 5.into())]))]))]),
        ),
        ("terminationMessagePath", "/dev/termination-log".into()),
        ("terminationMessagePolicy", "File".into()),
        ("imagePullPolicy", "IfNotPresent".into()),
    ]);
    container.push("securityContext", security_context(shape.bad && index == 0));
    container
}

fn env(index: usize) -> Json {
    let plain = |name: &str, value: &str| map([("name", name.into()), ("value", value.into())]);
    let field = |name: &str, path: &str| {
        let reference = map([("apiVersion", "v1".into()), ("fieldPath", path.into())]);
        map([
            ("name", name.into()),
            ("valueFrom", map([("fieldRef", reference)])),
        ])
    };
    let secret = map([("name", "checkout-db".into()), ("key", "password".into())]);
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        plain(
            "DATABASE_URL",
            "postgres://checkout@db.shop.svc:5432/checkout?sslmode=verify-full&pool=16",
        ),
        map([
            ("name", "DATABASE_PASSWORD".into()),
            ("valueFrom", map([("secretKeyRef", secret)])),
        ]),
        plain(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://otel-collector.monitoring.svc:4317",
        ),
        plain(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=checkout,deployment.environment=production",
        ),
        plain("FEATURE_FLAGS", "new-basket=<off>,express-checkout=on"),
    ];
    let upstreams = if index == 0 { 0 } else { 5 };
    env.extend((0..upstreams).map(|number| {
        plain(
            &format!("UPSTREAM_{number}_ADDRESS"),
            &format!("http://service-{number}.shop.svc.cluster.local:8080"),
        )
    }));
    env.into()
}

fn resources() -> Json {
    let limits = map([("cpu", "500m".into()), ("memory", "256Mi".into())]);
    let requests = map([("cpu", "100m".into()), ("memory", "128Mi".into())]);
    map([("limits", limits), ("requests", requests)])
}

fn mounts() -> Json {
    let mount = |name: &str, read_only: bool, path: &str| {
        let mut mount = map([("name", name.into())]);
        if read_only {
            mount.push("readOnly", true.into());
        }
        mount.push("mountPath", path.into());
        mount
    };
    [
        mount("config", true, "/etc/checkout"),
        mount("scratch", false, "/tmp"),
        mount(
            "kube-api-access-7k2qp",
            true,
            "/var/run/secrets/kubernetes.io/serviceaccount",
        ),
    ]
    .into()
}

fn probe(path: &str, period: i64, failures: i64) -> Json {
    map([
        (
            "httpGet",
            map([
                ("path", path.into()),
                ("port", "http".into()),
                ("scheme", "HTTP".into()),
            ]),
        ),
        ("timeoutSeconds", 1.into()),
        ("periodSeconds", period.into()),
        ("successThreshold", 1.into()),
        ("failureThreshold", failures.into()),
    ])
}

fn security_context(bad: bool) -> Json {
    if bad {
        return map([
            ("capabilities", map([("add", texts(["SYS_ADMIN"]))])),
            ("privileged", true.into()),
            ("readOnlyRootFilesystem", false.into()),
            ("allowPrivilegeEscalation", true.into()),
        ]);
    }
    map([
        ("capabilities", map([("drop", texts(["ALL"]))])),
        ("readOnlyRootFilesystem", true.into()),
        ("allowPrivilegeEscalation", false.into()),
    ])
}
