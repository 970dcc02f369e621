//! What the node says about a pod: the `status` of its object.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{NODE_ADDRESS, items, text};
use crate::bed::{Bed, Call};

/// The time in the form and precision of the API server.
pub fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    now.format(&Rfc3339).unwrap()
}

/// The status of one pod, told to the API server whenever it differs from what was told before.
#[derive(Debug, Default)]
pub struct Report {
    told: Value,
    since: BTreeMap<&'static str, (bool, String)>,
    started: String,
}

/// What a status is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `Pending`, `Running`, `Succeeded` or `Failed`.
    pub phase: &'a str,
    /// The pod's address, once it has one.
    pub address: Option<&'a str>,
    /// Whether the pod's containers have been started once.
    pub initialized: bool,
    /// Whether all containers are ready.
    pub ready: bool,
    /// The entries of `containerStatuses`.
    pub containers: Vec<Value>,
}

impl Report {
    /// Tells the API server, when there is something new.
    pub fn tell(&mut self, bed: &Bed, path: &str, uid: &str, facts: &Facts<'_>) {
        if self.started.is_empty() {
            self.started = now();
        }
        let conditions = [
            ("PodReadyToStartContainers", facts.address.is_some()),
            ("Initialized", facts.initialized),
            ("ContainersReady", facts.ready),
            ("Ready", facts.ready),
        ]
        .map(|(kind, holds)| self.condition(kind, holds));
        let mut status = json!({
            "phase": facts.phase, "hostIP": NODE_ADDRESS, "hostIPs": [{"ip": NODE_ADDRESS}],
            "startTime": self.started, "conditions": conditions, "containerStatuses": facts.containers,
        });
        if let Some(address) = facts.address {
            status["podIP"] = json!(address);
            status["podIPs"] = json!([{"ip": address}]);
        }
        if status == self.told {
            return;
        }
        // The uid keeps a pod of the same name that came later from being told about.
        let news = json!({"metadata": {"uid": uid}, "status": status});
        if bed
            .call(&Call::patch(format!("{path}/status"), &news))
            .succeeded()
        {
            self.told = status;
        }
    }

    fn condition(&mut self, kind: &'static str, holds: bool) -> Value {
        let entry = self.since.entry(kind).or_insert_with(|| (holds, now()));
        if entry.0 != holds {
            *entry = (holds, now());
        }
        let status = if holds { "True" } else { "False" };
        let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": entry.1});
        if !holds && kind.ends_with("Ready") {
            condition["reason"] = json!("ContainersNotReady");
        }
        condition
    }
}

/// Says of a pod that one of its images cannot be had.
pub fn refuse_image(bed: &Bed, pod: &Value, missing: &str) {
    let statuses: Vec<Value> = items(&pod["spec"]["containers"])
        .map(|container| {
            let image = text(&container["image"]);
            let waiting = if image == missing {
                json!({"reason": "ErrImagePull", "message": format!("the node has no image {image}")})
            } else {
                json!({"reason": "ContainerCreating"})
            };
            json!({
                "name": container["name"], "image": image, "imageID": "", "ready": false,
                "started": false, "restartCount": 0, "state": {"waiting": waiting},
            })
        })
        .collect();
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/status",
        text(&pod["metadata"]["namespace"]),
        text(&pod["metadata"]["name"])
    );
    // It stays without a node, so that nothing has to be ended when it is deleted.
    let news = json!({
        "metadata": {"uid": pod["metadata"]["uid"]},
        "status": {"phase": "Pending", "containerStatuses": statuses},
    });
    bed.call(&Call::patch(path, &news));
}
