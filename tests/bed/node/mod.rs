//! A node stand-in: what a scheduler, a kubelet and a container runtime are to pods of tidegate.
//!
//! It binds every pod whose images it has, gives it an address and its volumes, runs its containers
//! as processes in namespaces of their own, probes them, reports their status, and ends them as a
//! kubelet does. Everything it made lies in `pods/UID` of the bed's folder, logs and pids too.
//!
//! What it leaves out: init and ephemeral containers, probes and hooks that run commands, host paths,
//! limits on memory and processors, the cluster's DNS and `ClusterIP`s (but the API server's).
//! Shorter than on a kubelet are the delay before a crashed container runs again (at most
//! [`container::LONGEST_BACKOFF`]) and the time until a changed Secret is in its volume (a second).

mod container;
mod environment;
mod files;
mod handle;
mod launch;
mod network;
mod pod;
mod probe;
mod status;
mod volumes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::NODE_ADDRESS;
use super::{Bed, Call};

pub use handle::PodHandle;

/// The Node's name.
pub const NAME: &str = "node";
/// Between two looks at the pods of the API server, and at a pod's processes.
const PAUSE: Duration = Duration::from_millis(50);

/// The running stand-in. It ends with this process.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What the threads of the stand-in have in common.
#[derive(Debug)]
struct Shared {
    bed: &'static Bed,
    folder: PathBuf,
    images: Mutex<BTreeMap<String, PathBuf>>,
    paused: AtomicBool,
    addresses: AtomicU32,
}

/// Where the newest state of one pod is put for the thread that runs it; nothing once it is gone.
type Slot = Arc<Mutex<Option<Value>>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a field, empty when there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list, none when there is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Node {
    /// Makes the Node object and runs pods from then on. Images are named by the references that pods
    /// use, each with the folder that is its root file system.
    pub fn start(bed: &'static Bed, images: &[(&str, &Path)]) -> Self {
        let folder = bed.folder().join("pods");
        std::fs::create_dir_all(&folder).unwrap();
        let shared = Arc::new(Shared {
            bed,
            folder,
            images: Mutex::default(),
            paused: AtomicBool::new(false),
            addresses: AtomicU32::new(1),
        });
        let node = Self { shared };
        for (reference, root) in images {
            node.offer_image(reference, root);
        }
        register(bed);
        let shared = Arc::clone(&node.shared);
        std::thread::spawn(move || shared.follow_pods());
        node
    }

    /// Lets pods use a further image, such as one of another build.
    pub fn offer_image(&self, reference: &str, root: &Path) {
        locked(&self.shared.images).insert(reference.to_owned(), root.to_owned());
    }

    /// Stops looking after pods as a kubelet that has crashed: their processes go on, but nothing is
    /// probed, reported, started or ended.
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::SeqCst);
        // What had begun before is over by then.
        std::thread::sleep(PAUSE * 4);
    }

    /// Looks after pods again.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::SeqCst);
    }

    /// A way to a pod's process, given its object.
    pub fn handle(&self, pod: &Value) -> PodHandle {
        PodHandle::new(self.shared.bed, &self.shared.folder, pod)
    }

    /// Every pod's status and the ends of the logs of those it ran, for the report of a failed test.
    pub fn describe(&self) -> String {
        const SHOWN: usize = 12;
        let list = self.shared.bed.call(&Call::new("GET", "/api/v1/pods")).body;
        let mut report = String::new();
        for pod in items(&list["items"]).take(SHOWN) {
            let (namespace, name) = (&pod["metadata"]["namespace"], &pod["metadata"]["name"]);
            let status = &pod["status"]["containerStatuses"];
            let _ = writeln!(
                report,
                "--- pod {}/{}: {} {status}",
                text(namespace),
                text(name),
                text(&pod["status"]["phase"])
            );
            let log = self.handle(pod).log();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(15)..] {
                let _ = writeln!(report, "    {line}");
            }
        }
        report
    }
}

/// Makes the Node object, ready and without the taint that admission puts on new Nodes.
fn register(bed: &Bed) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NAME, "labels": {
            "kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "bed-a",
        }},
    });
    bed.api().must(&Call::post("/api/v1/nodes", &node));
    let path = format!("/api/v1/nodes/{NAME}");
    bed.api().must(&Call::new("PATCH", &path).body(
        "application/merge-patch+json",
        r#"{"spec":{"taints":null}}"#,
    ));
    let size = json!({"cpu": "8", "memory": "16Gi", "pods": "250"});
    let status = json!({"status": {
        "capacity": size, "allocatable": size,
        "addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": NAME}],
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the stand-in runs",
            "lastHeartbeatTime": status::now(), "lastTransitionTime": status::now(),
        }],
    }});
    bed.api()
        .must(&Call::patch(format!("{path}/status"), &status));
}

impl Shared {
    fn paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// The root file system of an image, when the node has it.
    fn image(&self, reference: &str) -> Option<PathBuf> {
        locked(&self.images).get(reference).cloned()
    }

    /// Gives each pod of the API server to a thread that runs it, and keeps that thread informed.
    fn follow_pods(self: Arc<Self>) {
        let mut running: HashMap<String, Slot> = HashMap::new();
        let mut refused: HashSet<String> = HashSet::new();
        let mut pause = PAUSE;
        loop {
            std::thread::sleep(pause);
            if self.paused() {
                continue;
            }
            // From the API server's cache, and with thousands of pods less often.
            let start = Instant::now();
            let call = Call::new("GET", "/api/v1/pods?resourceVersion=0");
            let answer = self.bed.call(&call);
            pause = PAUSE.max(start.elapsed() * 4);
            if answer.status != 200 {
                continue;
            }
            let mut seen = HashSet::new();
            for pod in items(&answer.body["items"]) {
                let uid = text(&pod["metadata"]["uid"]).to_owned();
                seen.insert(uid.clone());
                if let Some(slot) = running.get(&uid) {
                    *locked(slot) = Some(pod.clone());
                } else if !is_new(pod) {
                    // Ended before, or somebody else's.
                } else if let Some(image) = self.missing_image(pod) {
                    if refused.insert(uid) {
                        status::refuse_image(self.bed, pod, &image);
                    }
                } else {
                    let slot = Slot::default();
                    *locked(&slot) = Some(pod.clone());
                    running.insert(uid, Arc::clone(&slot));
                    let runner = pod::Runner::new(Arc::clone(&self), slot, pod.clone());
                    std::thread::spawn(move || runner.run());
                }
            }
            running.retain(|uid, slot| {
                let there = seen.contains(uid);
                if !there {
                    *locked(slot) = None;
                }
                there
            });
            refused.retain(|uid| seen.contains(uid));
        }
    }

    fn missing_image(&self, pod: &Value) -> Option<String> {
        items(&pod["spec"]["containers"])
            .map(|container| text(&container["image"]))
            .find(|image| self.image(image).is_none())
            .map(str::to_owned)
    }
}

/// Whether a pod that nobody runs yet is to be run here.
fn is_new(pod: &Value) -> bool {
    let ended = matches!(text(&pod["status"]["phase"]), "Succeeded" | "Failed");
    let elsewhere = !matches!(text(&pod["spec"]["nodeName"]), "" | NAME);
    !ended && !elsewhere && pod["metadata"]["deletionTimestamp"].is_null()
}
