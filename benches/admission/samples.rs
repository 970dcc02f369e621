//! The request bodies: `AdmissionReview`s as a Go API server encodes them, made anew each run,
//! always the same.
//!
//! Field order is that of the Go structs in `k8s.io/api`; defaulted fields are filled in, and
//! `managedFields` are there on CREATE too, as the API server sets them before admission.

use std::fmt::Write as _;
use std::path::Path;

use crate::Failure;
use crate::json::{Json, map, texts};
use crate::pod::{self, Shape};
use crate::servers::OUT;

/// Where the request's uid is, so that a client can write a new one for every request.
pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-000000000000";

/// What the right answer to a sample is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expect {
    Allowed,
    Denied,
}

/// One request body and the answer it must get.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) body: String,
    pub(crate) expect: Expect,
}

/// All samples, in the order of the report.
pub(crate) fn all() -> Result<Vec<Sample>, String> {
    let samples = vec![
        pod_create("pod-8k-allow", 1, Expect::Allowed, (7_800, 8_000)),
        pod_create("pod-8k-deny", 1, Expect::Denied, (7_800, 8_000)),
        pod_create("pod-17k-allow", 3, Expect::Allowed, (16_500, 17_900)),
        pod_update("update-41k-allow", Expect::Allowed),
        pod_update("update-41k-deny", Expect::Denied),
        exempt("exempt-8k"),
        deployment("deployment-8k"),
        configmap("configmap-2.6m"),
    ];
    samples.into_iter().collect()
}

/// The sample called `name`.
pub(crate) fn named(name: &str) -> Result<Sample, String> {
    let samples = all()?;
    let names: Vec<_> = samples.iter().map(|sample| sample.name).collect();
    let unknown = format!(
        "no sample is called {name:?}; there are {}",
        names.join(", ")
    );
    samples
        .into_iter()
        .find(|sample| sample.name == name)
        .ok_or(unknown)
}

/// Writes every sample to a file, for other clients and for looking at.
pub(crate) fn write() -> Result<(), Failure> {
    let folder = Path::new(OUT).join("samples");
    std::fs::create_dir_all(&folder)?;
    for sample in all()? {
        let file = folder.join(format!("{}.json", sample.name));
        std::fs::write(&file, &sample.body)?;
        println!(
            "{:>9} bytes  {:?}  {}",
            sample.body.len(),
            sample.expect,
            file.display()
        );
    }
    Ok(())
}

fn sized(
    name: &'static str,
    body: String,
    expect: Expect,
    (min, max): (usize, usize),
) -> Result<Sample, String> {
    if (min..=max).contains(&body.len()) {
        Ok(Sample { name, body, expect })
    } else {
        Err(format!(
            "sample {name} has {} bytes, not {min} to {max}",
            body.len()
        ))
    }
}

/// A pod as its `ReplicaSet` creates it. The denied twin breaks most checks of baseline and
/// restricted at once.
fn pod_create(
    name: &'static str,
    containers: usize,
    expect: Expect,
    size: (usize, usize),
) -> Result<Sample, String> {
    let shape = Shape {
        containers,
        bad: expect == Expect::Denied,
        ..Shape::default()
    };
    sized(name, create_pod("shop", &shape), expect, size)
}

/// The same pod in a namespace that no policy of the bench covers: decided without its object.
fn exempt(name: &'static str) -> Result<Sample, String> {
    sized(
        name,
        create_pod("kube-system", &Shape::default()),
        Expect::Allowed,
        (7_800, 8_100),
    )
}

fn create_pod(namespace: &str, shape: &Shape) -> String {
    Review {
        kind: ("", "v1", "Pod", "pods"),
        name: pod::NAME,
        namespace,
        operation: "CREATE",
        user: "system:serviceaccount:kube-system:replicaset-controller",
        object: pod::pod(namespace, shape),
        old_object: Json::Null,
        options: map([
            ("kind", "CreateOptions".into()),
            ("apiVersion", "meta.k8s.io/v1".into()),
            ("fieldManager", "kube-controller-manager".into()),
        ]),
    }
    .encode()
}

/// A running pod whose image changes, which makes the update significant: status on both sides.
/// The denied one is from before its namespace's level was raised.
fn pod_update(name: &'static str, expect: Expect) -> Result<Sample, String> {
    let bad = expect == Expect::Denied;
    let old = Shape {
        containers: 3,
        running: true,
        bad,
        ..Shape::default()
    };
    let new = Shape {
        image: "1.42.1",
        ..old
    };
    let body = Review {
        kind: ("", "v1", "Pod", "pods"),
        name: pod::NAME,
        namespace: "shop",
        operation: "UPDATE",
        user: "release-bot@shop.example",
        object: pod::pod("shop", &new),
        old_object: pod::pod("shop", &old),
        options: update_options(),
    }
    .encode();
    sized(name, body, expect, (39_500, 42_000))
}

fn deployment(name: &'static str) -> Result<Sample, String> {
    let body = Review {
        kind: ("apps", "v1", "Deployment", "deployments"),
        name: "checkout",
        namespace: "shop",
        operation: "CREATE",
        user: "release-bot@shop.example",
        object: pod::deployment("shop"),
        old_object: Json::Null,
        options: map([
            ("kind", "CreateOptions".into()),
            ("apiVersion", "meta.k8s.io/v1".into()),
            ("fieldManager", "kubectl-client-side-apply".into()),
            ("fieldValidation", "Strict".into()),
        ]),
    }
    .encode();
    sized(name, body, Expect::Allowed, (6_000, 9_000))
}

/// A `ConfigMap` near the limit of 1 MiB of data, full of characters that are escaped: the largest
/// review a cluster sends in ordinary work.
fn configmap(name: &'static str) -> Result<Sample, String> {
    let body = Review {
        kind: ("", "v1", "ConfigMap", "configmaps"),
        name: "edge-routes",
        namespace: "shop",
        operation: "UPDATE",
        user: "release-bot@shop.example",
        object: configmap_object(1),
        old_object: configmap_object(0),
        options: update_options(),
    }
    .encode();
    sized(name, body, Expect::Allowed, (2_550_000, 2_700_000))
}

fn configmap_object(version: i64) -> Json {
    let lines = |file: usize| {
        let mut text = String::new();
        for line in 0..1_300 {
            let _ = writeln!(
                text,
                "location ~ \"^/api/v{}/{line:04}\" {{ proxy_pass http://backend-{file}/{line}?a=1&b=<id>; \
                 add_header X-Route \"r-{file}-{line}\"; }}",
                version + 1
            );
        }
        text
    };
    let data: Vec<(String, Json)> = (0..8)
        .map(|file| (format!("routes-{file}.conf"), lines(file).into()))
        .collect();
    let mut metadata = map([
        ("name", "edge-routes".into()),
        ("namespace", "shop".into()),
        ("uid", "6f2a7c1e-52f1-4f0e-9d0e-3a4b5c6d7e8f".into()),
        ("resourceVersion", (48_213_377 + version).to_string().into()),
        ("creationTimestamp", "2026-10-02T08:15:30Z".into()),
    ]);
    let data = Json::Map(data);
    let owned = map([("data", data.clone())]);
    metadata.push(
        "managedFields",
        [pod::managed("kubectl-replace", &owned, None)].into(),
    );
    map([
        ("kind", "ConfigMap".into()),
        ("apiVersion", "v1".into()),
        ("metadata", metadata),
        ("data", data),
    ])
}

fn update_options() -> Json {
    map([
        ("kind", "UpdateOptions".into()),
        ("apiVersion", "meta.k8s.io/v1".into()),
        ("fieldManager", "kubectl-replace".into()),
        ("fieldValidation", "Strict".into()),
    ])
}

struct Review<'a> {
    /// Group, version, kind, resource.
    kind: (&'a str, &'a str, &'a str, &'a str),
    name: &'a str,
    namespace: &'a str,
    operation: &'a str,
    user: &'a str,
    object: Json,
    old_object: Json,
    options: Json,
}

impl Review<'_> {
    /// `admission.k8s.io/v1`, fields in the order of `AdmissionRequest` in `k8s.io/api`.
    fn encode(self) -> String {
        let (group, version, kind, resource) = self.kind;
        let gvk = map([
            ("group", group.into()),
            ("version", version.into()),
            ("kind", kind.into()),
        ]);
        let gvr = map([
            ("group", group.into()),
            ("version", version.into()),
            ("resource", resource.into()),
        ]);
        let credential = texts(["JTI=0f4e4a6a-5d0d-4d4c-8a7e-f3c1c7c8b111"]);
        let user = map([
            ("username", self.user.into()),
            ("uid", "9b1c6a2e-0d8f-4c55-a3c4-1d2e3f405162".into()),
            (
                "groups",
                texts(["system:serviceaccounts", "system:authenticated"]),
            ),
            (
                "extra",
                map([("authentication.kubernetes.io/credential-id", credential)]),
            ),
        ]);
        let request = map([
            ("uid", UID.into()),
            ("kind", gvk.clone()),
            ("resource", gvr.clone()),
            ("requestKind", gvk),
            ("requestResource", gvr),
            ("name", self.name.into()),
            ("namespace", self.namespace.into()),
            ("operation", self.operation.into()),
            ("userInfo", user),
            ("object", self.object),
            ("oldObject", self.old_object),
            ("dryRun", false.into()),
            ("options", self.options),
        ]);
        map([
            ("kind", "AdmissionReview".into()),
            ("apiVersion", "admission.k8s.io/v1".into()),
            ("request", request),
        ])
        .encode()
    }
}
