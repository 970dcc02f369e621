//! A bed with a node: pods that controllers make run as processes of the image of this source.

use std::ops::Deref;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::helm::Helm;
use super::node::{Node, PodHandle};
use super::{Bed, Call, Exclusive, exclusive, inside};

/// The reference under which the node has the image of this source.
pub const IMAGE: &str = "registry.example/tidegate:bed";
/// The reference that the chart names unless told otherwise; the node has the same image under it, so
/// that `helm install` needs no value.
const RELEASED: &str = concat!("ghcr.io/tidegate/tidegate:", env!("CARGO_PKG_VERSION"));

/// A whole cluster, alone in its network namespace. See [`inside`](super::inside).
#[derive(Debug)]
pub struct Cluster {
    bed: Exclusive,
    node: Node,
}

impl Deref for Cluster {
    type Target = Exclusive;
    fn deref(&self) -> &Exclusive {
        &self.bed
    }
}

impl Cluster {
    pub(super) fn start() -> Self {
        let bed = exclusive();
        let node = Node::start(
            bed.bed,
            &[(IMAGE, inside::image()), (RELEASED, inside::image())],
        );
        Self { bed, node }
    }

    /// The node stand-in: to pause it, and to give it further images.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Calls one of the two Helms.
    pub fn helm(&self, helm: Helm, arguments: &[&str]) -> Output {
        helm.run(self, arguments)
    }

    /// The pods of a namespace that a label selector such as `app=web` selects, oldest first, but not
    /// those that have ended; empty selects all.
    pub fn pods(&self, namespace: &str, selector: &str) -> Vec<PodHandle> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
        let list = self.api().must(&Call::new("GET", path)).body;
        let mut pods: Vec<&Value> = list["items"].as_array().unwrap().iter().collect();
        pods.retain(|pod| {
            pod["status"]["phase"] != "Succeeded" && pod["status"]["phase"] != "Failed"
        });
        pods.sort_by_key(|pod| {
            let text = |field: &str| {
                pod["metadata"][field]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            (text("creationTimestamp"), text("name"))
        });
        pods.into_iter().map(|pod| self.node.handle(pod)).collect()
    }

    /// Waits until the newest state of a Deployment is rolled out and all its replicas are available,
    /// with no pod of an older state left in its status.
    pub fn wait_until_rolled_out(&self, namespace: &str, deployment: &str, limit: Duration) {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}");
        let mut last = Value::Null;
        let done = holds_within(limit, || {
            last = self.call(&Call::new("GET", &path)).body;
            let (spec, status) = (&last["spec"], &last["status"]);
            let count = |value: &Value| value.as_u64().unwrap_or(0);
            let wanted = count(&spec["replicas"]);
            status["observedGeneration"] == last["metadata"]["generation"]
                && [
                    "replicas",
                    "updatedReplicas",
                    "readyReplicas",
                    "availableReplicas",
                ]
                .iter()
                .all(|field| count(&status[field]) == wanted)
        });
        assert!(
            done,
            "{namespace}/{deployment} is not rolled out after {limit:?}: {}\n{}",
            last["status"],
            self.node.describe()
        );
    }

    /// Waits for something that others bring about, or fails saying what did not come.
    pub fn until(&self, what: &str, limit: Duration, holds: impl FnMut() -> bool) {
        assert!(
            holds_within(limit, holds),
            "{limit:?} passed before {what}\n{}",
            self.node.describe()
        );
    }

    /// The addresses that a Service's `EndpointSlices` name as ready, in order.
    pub fn endpoints(&self, namespace: &str, service: &str) -> Vec<String> {
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name={service}"
        );
        let list = self.api().must(&Call::new("GET", path)).body;
        let mut addresses: Vec<String> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
            .filter(|endpoint| endpoint["conditions"]["ready"] == true)
            .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
            .filter_map(|address| address.as_str().map(str::to_owned))
            .collect();
        addresses.sort();
        addresses
    }
}

/// Whether something comes to hold in time.
fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.node.describe());
        }
    }
}
