//! The pods of the samples: an ordinary web service under PSS *restricted*, and its bad twin.

use crate::container::container;
use crate::json::{Json, fields_v1, map};

/// The name of every sample's pod.
pub(crate) const NAME: &str = "checkout-7d9c5b6f4d-x2x9k";
const TIME: &str = "2026-11-21T10:04:31Z";

/// What differs between the samples' pods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many containers, at least 1.
    pub(crate) containers: usize,
    /// The tag of the first container's image.
    pub(crate) image: &'static str,
    /// Breaks PSS: host namespaces, hostPath, privileged, an added capability.
    pub(crate) bad: bool,
    /// Carries what the scheduler and the kubelet add.
    pub(crate) running: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            containers: 1,
            image: "1.42.0",
            bad: false,
            running: false,
        }
    }
}

/// A Pod object, fields in the order of `k8s.io/api/core/v1`.
pub(crate) fn pod(namespace: &str, shape: &Shape) -> Json {
    let spec = spec(shape);
    let mut metadata = map([
        ("name", NAME.into()),
        ("generateName", "checkout-7d9c5b6f4d-".into()),
        ("namespace", namespace.into()),
        ("uid", "3f1f0a54-3c8e-4a55-b9c0-c2f3c1f7d0aa".into()),
    ]);
    if shape.running {
        metadata.push("resourceVersion", "48213377".into());
    }
    metadata.push("generation", 1.into());
    metadata.push("creationTimestamp", TIME.into());
    let meta = [
        ("labels", labels(true)),
        ("annotations", annotations()),
        ("ownerReferences", owner()),
    ];
    let mut owned = map([("generateName", Json::Null)]);
    for (key, value) in meta {
        owned.push(key, value.clone());
        metadata.push(key, value);
    }
    let mut managers = vec![managed(
        "kube-controller-manager",
        &map([("metadata", owned), ("spec", owned_spec(&spec))]),
        None,
    )];
    let status = if shape.running {
        running_status(shape)
    } else {
        pending_status()
    };
    if shape.running {
        managers.push(managed(
            "kubelet",
            &map([("status", status.clone())]),
            Some("status"),
        ));
    }
    metadata.push("managedFields", managers.into());
    map([
        ("kind", "Pod".into()),
        ("apiVersion", "v1".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", status),
    ])
}

/// A Deployment whose template is the compliant pod with one container.
pub(crate) fn deployment(namespace: &str) -> Json {
    let shape = Shape::default();
    let template = map([
        (
            "metadata",
            map([
                ("creationTimestamp", Json::Null),
                ("labels", labels(false)),
                ("annotations", annotations()),
            ]),
        ),
        ("spec", spec(&shape)),
    ]);
    let selector = map([("app.kubernetes.io/name", "checkout".into())]);
    let rolling = map([("maxUnavailable", "25%".into()), ("maxSurge", "25%".into())]);
    let spec = map([
        ("replicas", 3.into()),
        ("selector", map([("matchLabels", selector)])),
        ("template", template),
        (
            "strategy",
            map([("type", "RollingUpdate".into()), ("rollingUpdate", rolling)]),
        ),
        ("revisionHistoryLimit", 10.into()),
        ("progressDeadlineSeconds", 600.into()),
    ]);
    let owned = map([
        ("metadata", map([("labels", labels(false))])),
        ("spec", spec.clone()),
    ]);
    map([
        ("kind", "Deployment".into()),
        ("apiVersion", "apps/v1".into()),
        (
            "metadata",
            map([
                ("name", "checkout".into()),
                ("namespace", namespace.into()),
                ("uid", "b54b2f0c-6f4a-4a5e-8e6e-6a5bb0d3d1c2".into()),
                ("generation", 1.into()),
                ("creationTimestamp", TIME.into()),
                ("labels", labels(false)),
                (
                    "managedFields",
                    [managed("kubectl-client-side-apply", &owned, None)].into(),
                ),
            ]),
        ),
        ("spec", spec),
        ("status", Json::Map(Vec::new())),
    ])
}

/// One entry of `managedFields` for a manager that owns all of `object`.
pub(crate) fn managed(manager: &str, object: &Json, subresource: Option<&str>) -> Json {
    let mut entry = map([
        ("manager", manager.into()),
        ("operation", "Update".into()),
        ("apiVersion", "v1".into()),
        ("time", TIME.into()),
        ("fieldsType", "FieldsV1".into()),
        ("fieldsV1", fields_v1(object)),
    ]);
    if let Some(subresource) = subresource {
        entry.push("subresource", subresource.into());
    }
    entry
}

fn labels(hashed: bool) -> Json {
    let mut labels = map([
        ("app.kubernetes.io/component", "api".into()),
        ("app.kubernetes.io/instance", "checkout-production".into()),
        ("app.kubernetes.io/name", "checkout".into()),
        ("app.kubernetes.io/part-of", "shop".into()),
    ]);
    if hashed {
        labels.push("pod-template-hash", "7d9c5b6f4d".into());
    }
    labels
}

fn annotations() -> Json {
    map([
        (
            "checksum/config",
            "5b3f1c0d9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c".into(),
        ),
        ("prometheus.io/port", "9090".into()),
        ("prometheus.io/scrape", "true".into()),
        (
            "shop.example/notes",
            "alert if p99 > 250ms && errors < 1%; see <https://runbooks.shop.example/checkout>"
                .into(),
        ),
    ])
}

fn owner() -> Json {
    [map([
        ("apiVersion", "apps/v1".into()),
        ("kind", "ReplicaSet".into()),
        ("name", "checkout-7d9c5b6f4d".into()),
        ("uid", "0a4d5c66-2f5c-4d0e-9a4a-54b1f6a3b111".into()),
        ("controller", true.into()),
        ("blockOwnerDeletion", true.into()),
    ])]
    .into()
}

/// What the `ReplicaSet` controller owns of a pod's spec: all but the token volume and the node name,
/// which admission and the scheduler put in.
fn owned_spec(spec: &Json) -> Json {
    let Json::Map(entries) = spec else {
        return Json::Null;
    };
    Json::Map(
        entries
            .iter()
            .filter(|(key, _)| key != "nodeName" && key != "tolerations")
            .map(|(key, value)| match value {
                Json::List(items) if key == "volumes" => (
                    key.clone(),
                    Json::List(items.iter().skip(1).cloned().collect()),
                ),
                _ => (key.clone(), value.clone()),
            })
            .collect(),
    )
}

fn spec(shape: &Shape) -> Json {
    let mut spec = map([
        ("volumes", volumes(shape.bad)),
        (
            "containers",
            (0..shape.containers)
                .map(|index| container(index, shape))
                .collect::<Vec<_>>()
                .into(),
        ),
        ("restartPolicy", "Always".into()),
        ("terminationGracePeriodSeconds", 30.into()),
        ("dnsPolicy", "ClusterFirst".into()),
        ("serviceAccountName", "checkout".into()),
        ("serviceAccount", "checkout".into()),
    ]);
    if shape.running {
        spec.push("nodeName", "node-3.shop.example".into());
    }
    if shape.bad {
        spec.push("hostPID", true.into());
    }
    let unconfined = shape.bad;
    let mut security = map([("runAsUser", 10_001.into())]);
    if !unconfined {
        security.push("runAsNonRoot", true.into());
    }
    security.push("fsGroup", 10_001.into());
    if !unconfined {
        security.push("seccompProfile", map([("type", "RuntimeDefault".into())]));
    }
    spec.push("securityContext", security);
    spec.push("schedulerName", "default-scheduler".into());
    spec.push("tolerations", tolerations());
    spec.push("priority", 0.into());
    spec.push("enableServiceLinks", true.into());
    spec.push("preemptionPolicy", "PreemptLowerPriority".into());
    spec
}

fn tolerations() -> Json {
    [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    .map(|key| {
        map([
            ("key", key.into()),
            ("operator", "Exists".into()),
            ("effect", "NoExecute".into()),
            ("tolerationSeconds", 300.into()),
        ])
    })
    .into()
}

fn volumes(bad: bool) -> Json {
    let token = map([
        ("expirationSeconds", 3_607.into()),
        ("path", "token".into()),
    ]);
    let ca = map([
        ("name", "kube-root-ca.crt".into()),
        (
            "items",
            [map([("key", "ca.crt".into()), ("path", "ca.crt".into())])].into(),
        ),
    ]);
    let namespace = map([
        ("path", "namespace".into()),
        (
            "fieldRef",
            map([
                ("apiVersion", "v1".into()),
                ("fieldPath", "metadata.namespace".into()),
            ]),
        ),
    ]);
    let sources: Json = [
        map([("serviceAccountToken", token)]),
        map([("configMap", ca)]),
        map([("downwardAPI", map([("items", [namespace].into())]))]),
    ]
    .into();
    let projected = map([("sources", sources), ("defaultMode", 420.into())]);
    let config = map([
        ("name", "checkout-config".into()),
        ("defaultMode", 420.into()),
    ]);
    let scratch = if bad {
        (
            "hostPath",
            map([("path", "/var/lib/checkout".into()), ("type", "".into())]),
        )
    } else {
        ("emptyDir", map([("sizeLimit", "64Mi".into())]))
    };
    [
        map([
            ("name", "kube-api-access-7k2qp".into()),
            ("projected", projected),
        ]),
        map([("name", "config".into()), ("configMap", config)]),
        map([("name", "scratch".into()), scratch]),
    ]
    .into()
}

fn pending_status() -> Json {
    map([
        ("phase", "Pending".into()),
        ("qosClass", "Burstable".into()),
    ])
}

fn running_status(shape: &Shape) -> Json {
    let condition = |kind: &str| {
        map([
            ("type", kind.into()),
            ("observedGeneration", 1.into()),
            ("status", "True".into()),
            ("lastProbeTime", Json::Null),
            ("lastTransitionTime", TIME.into()),
        ])
    };
    let running: Vec<Json> = (0..shape.containers)
        .map(|index| {
            let container = container(
                index,
                &Shape {
                    image: "1.42.0",
                    ..*shape
                },
            );
            let of = |key: &str| container.get(key).cloned().unwrap_or(Json::Null);
            map([
                ("name", of("name")),
                (
                    "state",
                    map([("running", map([("startedAt", TIME.into())]))]),
                ),
                ("lastState", Json::Map(Vec::new())),
                ("ready", true.into()),
                ("restartCount", 0.into()),
                ("image", of("image")),
                (
                    "imageID",
                    format!(
                        "registry.shop.example/shop/image@sha256:{:064x}",
                        0x1234_5678_u64 + index as u64
                    )
                    .into(),
                ),
                (
                    "containerID",
                    format!("containerd://{:064x}", 0x8765_4321_u64 + index as u64).into(),
                ),
                ("started", true.into()),
            ])
        })
        .collect();
    map([
        ("observedGeneration", 1.into()),
        ("phase", "Running".into()),
        (
            "conditions",
            [
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            ]
            .map(condition)
            .into(),
        ),
        ("hostIP", "10.0.3.17".into()),
        ("hostIPs", [map([("ip", "10.0.3.17".into())])].into()),
        ("podIP", "10.42.3.120".into()),
        ("podIPs", [map([("ip", "10.42.3.120".into())])].into()),
        ("startTime", TIME.into()),
        ("containerStatuses", running.into()),
        ("qosClass", "Burstable".into()),
    ])
}
