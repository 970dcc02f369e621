//! What the parts of the bed are given: programs, folder, addresses, certificates, flags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::api::{Api, Call};
use super::certificates::{self, Authority};
use super::place::{API_ADDRESS, NODE_ADDRESS, Place};
use super::process::Process;

/// Where the programs are.
pub fn programs() -> PathBuf {
    let folder = match std::env::var_os("KUBEBUILDER_ASSETS") {
        Some(folder) if !folder.is_empty() => std::path::absolute(folder).unwrap(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bed/bin"),
    };
    for program in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kubectl",
    ] {
        let path = folder.join(program);
        assert!(
            path.is_file(),
            "{} is missing. Run `make test`, or `tests/bed/build.sh` once (about 8 minutes), \
             or set KUBEBUILDER_ASSETS to a folder that has it.",
            path.display()
        );
    }
    folder
}

/// A program that `tests/bed/build.sh` builds beside those of the cluster.
pub fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/bed/bin")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing. Run `make bed`, or `tests/bed/build.sh`, once.",
        path.display()
    );
    path
}

/// A fresh folder for a bed of this process; folders of failed runs are kept until the next run.
pub fn run_folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bed");
    std::fs::create_dir_all(&base).unwrap();
    for entry in std::fs::read_dir(&base).unwrap().flatten() {
        if entry.path().join("ended").exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = base.join(format!("{}-{count}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// A random 127.X.Y.0/24 in which nobody listens on the first Service's address, as `127.X.Y`.
pub fn free_service_range() -> String {
    loop {
        let [x, y, ..] = random();
        let x = x.clamp(1, 254);
        if TcpListener::bind((Ipv4Addr::new(127, x, y, 1), 0)).is_ok() {
            return format!("127.{x}.{y}");
        }
    }
}

/// An address on loopback that was free a moment ago. Its port is below those that Linux gives to
/// outgoing connections, so that none of them can take it before it is listened on.
pub fn free_address() -> SocketAddr {
    loop {
        let [low, high, ..] = random();
        let port = 20_000 + u16::from_le_bytes([low, high]) % 12_000;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Random enough to keep beds on one machine apart: the keys of the standard library's hash maps.
fn random() -> [u8; 8] {
    use std::hash::{BuildHasher, Hasher};
    let state = std::collections::hash_map::RandomState::new();
    state.build_hasher().finish().to_le_bytes()
}

/// Writes certificates, keys, kubeconfigs and the audit policy into the bed's folder.
pub fn write_files(folder: &Path, authority: &Authority, place: &Place) {
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    authority
        .server(&[
            "kubernetes.default.svc",
            "localhost",
            "127.0.0.1",
            API_ADDRESS,
            NODE_ADDRESS,
        ])
        .write(folder, "apiserver");
    authority
        .client("admin", Some("system:masters"))
        .write(folder, "admin");
    authority
        .client("system:kube-controller-manager", None)
        .write(folder, "controller-manager");
    authority.client("tidegate", None).write(folder, "tidegate");
    let (key, public_key) = certificates::key_pair();
    std::fs::write(folder.join("sa.key"), key).unwrap();
    std::fs::write(folder.join("sa.pub"), public_key).unwrap();
    std::fs::write(folder.join("audit-policy.json"), audit_policy().to_string()).unwrap();
    for user in ["admin", "controller-manager", "tidegate"] {
        let text = kubeconfig(folder, user, &place.url()).to_string();
        std::fs::write(folder.join(format!("{user}.kubeconfig")), text).unwrap();
    }
}

/// Every write of everybody is recorded, with the annotations of the webhooks.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [
                {"group": "coordination.k8s.io", "resources": ["leases"]},
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io", "resources": ["events"]},
            ]},
            {"level": "Metadata"},
        ],
    })
}

/// A kubeconfig by which `user` reaches the API server at `url`.
pub fn kubeconfig(folder: &Path, user: &str, url: &str) -> Value {
    let path = |name: String| folder.join(name).to_string_lossy().into_owned();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bed",
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
        "clusters": [{"name": "bed", "cluster": {
            "server": url, "certificate-authority": path("ca.crt".to_owned()),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate": path(format!("{user}.crt")), "client-key": path(format!("{user}.key")),
        }}],
    })
}

/// How etcd is started: over Unix sockets, so that no port can collide.
pub fn etcd_flags() -> Vec<String> {
    // `unix://client:0` is a socket called `client:0` in the current folder; absolute paths are refused.
    flags(&[
        "--name=bed",
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--listen-client-urls=unix://client:0",
        "--advertise-client-urls=unix://client:0",
        "--listen-peer-urls=unix://peer:0",
        "--initial-advertise-peer-urls=unix://peer:0",
        "--initial-cluster=bed=unix://peer:0",
    ])
}

/// Starts the API server in the bed's folder.
pub fn start_apiserver(folder: &Path, programs: &Path, place: &Place) -> Process {
    let mut arguments = flags(&[
        "--etcd-servers=unix://client:0",
        "--allow-privileged=true",
        // What is left is decided by tidegate alone.
        "--disable-admission-plugins=PodSecurity",
        "--tls-cert-file=apiserver.crt",
        "--tls-private-key-file=apiserver.key",
        "--client-ca-file=ca.crt",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=sa.pub",
        "--service-account-signing-key-file=sa.key",
        "--audit-policy-file=audit-policy.json",
        "--audit-log-path=audit.log",
        "--audit-log-maxsize=1000",
    ]);
    arguments.extend(place.flags.iter().cloned());
    arguments.push(format!("--secure-port={}", place.port));
    arguments.push(format!("--service-cluster-ip-range={}", place.services));
    Process::start(
        "kube-apiserver",
        folder,
        &programs.join("kube-apiserver"),
        &arguments,
    )
}

/// How the controller-manager is started: all controllers but those of nodes.
pub fn controller_manager_flags() -> Vec<String> {
    flags(&[
        "--kubeconfig=controller-manager.kubeconfig",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        "--service-account-private-key-file=sa.key",
        "--root-ca-file=ca.crt",
        "--controllers=*,-node-lifecycle-controller,-node-ipam-controller,-taint-eviction-controller,\
         -device-taint-eviction-controller",
    ])
}

/// Owned copies of flags.
pub fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(ToString::to_string).collect()
}
