//! What a test sees of a running pod, and does to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{items, text};
use crate::bed::{self, Bed, Call, relay};

/// One pod, as it was when the handle was made; its process is looked up with every call.
#[derive(Clone, Debug)]
pub struct PodHandle {
    bed: &'static Bed,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's address, empty while it has none.
    pub address: String,
    container: String,
    folder: PathBuf,
}

impl PodHandle {
    pub(super) fn new(bed: &'static Bed, pods: &Path, pod: &Value) -> Self {
        Self {
            bed,
            namespace: text(&pod["metadata"]["namespace"]).to_owned(),
            name: text(&pod["metadata"]["name"]).to_owned(),
            address: text(&pod["status"]["podIP"]).to_owned(),
            container: text(&pod["spec"]["containers"][0]["name"]).to_owned(),
            folder: pods.join(text(&pod["metadata"]["uid"])),
        }
    }

    /// The path of the pod at the API server.
    pub fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }

    /// The pod as it is now, `null` when it is gone.
    pub fn object(&self) -> Value {
        let answer = self.bed.call(&Call::new("GET", self.path()));
        if answer.succeeded() {
            answer.body
        } else {
            Value::Null
        }
    }

    /// Whether the condition `Ready` is true.
    pub fn is_ready(&self) -> bool {
        let pod = self.object();
        items(&pod["status"]["conditions"])
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    }

    /// How often its first container was started again.
    pub fn restarts(&self) -> u64 {
        self.object()["status"]["containerStatuses"][0]["restartCount"]
            .as_u64()
            .unwrap_or(0)
    }

    /// What its first container has written in all its lives.
    pub fn log(&self) -> String {
        let path = self.folder.join(format!("{}.log", self.container));
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// The folder of one of its volumes, as the node wrote it.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    /// The id of its first container's process, when there is one.
    pub fn pid(&self) -> Option<u32> {
        let file = self.folder.join(format!("{}.pid", self.container));
        let pid = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
        Path::new("/proc")
            .join(format!("{pid}"))
            .exists()
            .then_some(pid)
    }

    /// Memory of that process that is not shared, in KiB (`VmRSS` less `RssFile`).
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some(field("VmRSS")? - field("RssFile")?)
    }

    /// Sends a signal by its name (KILL, STOP, CONT, TERM) to that process.
    pub fn signal(&self, signal: &str) {
        let pid = self
            .pid()
            .unwrap_or_else(|| panic!("{} runs no process", self.name));
        let sent = Command::new("kill")
            .args(["-s", signal, &pid.to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "{signal} cannot be sent to {}", self.name);
    }

    /// Status and body of a GET at a port of the pod, by HTTP.
    pub fn get(&self, port: u16, path: &str) -> Option<(u16, String)> {
        let address: SocketAddr = format!("{}:{port}", self.address).parse().ok()?;
        relay::get(address, path)
    }

    /// The sum of one of tidegate's own metrics over the series with these labels.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (status, text) = self
            .get(8080, "/metrics")
            .unwrap_or_else(|| panic!("{} serves no metrics", self.name));
        assert_eq!(status, 200, "{text}");
        bed::sum(&text, name, labels)
    }

    /// Deletes the pod; the API server's answer comes before its process has ended.
    pub fn delete(&self) {
        self.bed.api().must(&Call::new("DELETE", self.path()));
    }
}
