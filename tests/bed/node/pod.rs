//! The life of one pod, in a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::container::Container;
use super::launch::{self, Launch};
use super::network::Network;
use super::status::{Facts, Report};
use super::volumes::{Source, Volumes};
use super::{NAME, NODE_ADDRESS, PAUSE, Shared, Slot, environment, items, locked, text};
use crate::bed::Call;

/// Runs one pod until it is gone or has ended.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    slot: Slot,
    pod: Value,
    path: String,
    uid: String,
    folder: PathBuf,
    network: Option<Network>,
    address: Option<String>,
    volumes: Volumes,
    containers: Vec<Container>,
    report: Report,
    /// Since when it is being deleted.
    ending: Option<Instant>,
}

impl Runner {
    /// A runner for a pod that nobody runs yet.
    pub fn new(shared: Arc<Shared>, slot: Slot, pod: Value) -> Self {
        let metadata = &pod["metadata"];
        let uid = text(&metadata["uid"]).to_owned();
        let folder = shared.folder.join(&uid);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            path: format!(
                "/api/v1/namespaces/{}/pods/{}",
                text(&metadata["namespace"]),
                text(&metadata["name"])
            ),
            volumes: Volumes::new(folder.join("volumes")),
            containers: items(&pod["spec"]["containers"])
                .map(|container| Container::new(container, &folder))
                .collect(),
            shared,
            slot,
            pod,
            uid,
            folder,
            network: None,
            address: None,
            report: Report::default(),
            ending: None,
        }
    }

    /// Returns when the pod is gone or all its containers have ended for good.
    pub fn run(mut self) {
        while self.step() {
            std::thread::sleep(PAUSE);
        }
        for container in &self.containers {
            container.signal("KILL");
        }
    }

    /// Looks after the pod once; whether there is more to do.
    fn step(&mut self) -> bool {
        if self.shared.paused() {
            return true;
        }
        match locked(&self.slot).clone() {
            Some(pod) => self.pod = pod,
            None => return false,
        }
        if !self.pod["metadata"]["deletionTimestamp"].is_null() {
            return self.end();
        }
        if text(&self.pod["spec"]["nodeName"]) != NAME {
            self.bind();
            return true;
        }
        match self.prepare() {
            Ok(()) => self.look_after_containers(),
            Err(message) => {
                for container in self.containers.iter_mut().filter(|c| !c.has_run()) {
                    container.postpone("ContainerCreating", message.clone());
                }
            }
        }
        self.tell();
        // One that ended for good is still to be ended when it is deleted, which needs nobody's help
        // but this thread's.
        true
    }

    fn bind(&self) {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": self.pod["metadata"]["name"], "uid": self.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NAME},
        });
        // A failure shows in the next step: the pod has no node still.
        let call = Call::post(format!("{}/binding", self.path), &binding);
        self.shared.bed.call(&call);
    }

    /// Network and volumes, up to date.
    fn prepare(&mut self) -> Result<(), String> {
        let spec = &self.pod["spec"];
        if items(&spec["initContainers"]).next().is_some() {
            return Err("the stand-in runs no init containers".to_owned());
        }
        if self.address.is_none() {
            if spec["hostNetwork"] == true {
                self.address = Some(NODE_ADDRESS.to_owned());
            } else {
                let number = self.shared.addresses.fetch_add(1, Ordering::SeqCst) + 1;
                let network = Network::new(number)?;
                self.address = Some(network.address.clone());
                self.network = Some(network);
            }
        }
        let source = Source {
            bed: self.shared.bed,
            pod: &self.pod,
            address: self.address.as_deref().unwrap_or_default(),
        };
        let result = self.volumes.refresh(&source);
        // Once a container runs, a Secret that is gone leaves its old files in place.
        if self.containers.iter().any(Container::has_run) {
            return Ok(());
        }
        result
    }

    fn look_after_containers(&mut self) {
        let address = self.address.clone().unwrap_or_default();
        let policy = text(&self.pod["spec"]["restartPolicy"]).to_owned();
        let grace = self.pod["spec"]["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(30);
        for index in 0..self.containers.len() {
            self.containers[index].observe(|code| match policy.as_str() {
                "Never" => false,
                "OnFailure" => code != 0,
                _ => true,
            });
            self.containers[index].probe(&address, Some(Duration::from_secs(grace)));
            if self.containers[index].is_due() {
                let started = match self.launch(&self.containers[index]) {
                    Ok(launch) => self.containers[index]
                        .start(&launch)
                        .map_err(|error| ("RunContainerError", error)),
                    Err(error) => Err(("CreateContainerConfigError", error)),
                };
                if let Err((reason, error)) = started {
                    self.containers[index].postpone(reason, error);
                }
            }
        }
    }

    fn launch(&self, container: &Container) -> Result<Launch, String> {
        let (pod, spec) = (&self.pod, &container.spec);
        let address = self.address.as_deref().unwrap_or_default();
        let source = Source {
            bed: self.shared.bed,
            pod,
            address,
        };
        let variables = environment::variables(&source, spec, address)?;
        let image = text(&spec["image"]);
        let image = self
            .shared
            .image(image)
            .ok_or_else(|| format!("the node has no image {image}"))?;
        let user = launch::user(pod, spec);
        let either = |field: &str| {
            let (inner, outer) = (
                &spec["securityContext"][field],
                &pod["spec"]["securityContext"][field],
            );
            if inner.is_null() {
                outer == true
            } else {
                inner == true
            }
        };
        if either("runAsNonRoot") && user.0 == 0 {
            return Err("container has runAsNonRoot and image will run as root".to_owned());
        }
        let mut command = environment::command(spec, &variables);
        if command.is_empty() {
            command.push("/tidegate".to_owned());
        }
        command.extend(environment::arguments(spec, &variables));
        let mut mounts: Vec<(PathBuf, String, bool)> =
            ["null", "zero", "full", "random", "urandom"]
                .map(|device| {
                    (
                        format!("/dev/{device}").into(),
                        format!("/dev/{device}"),
                        true,
                    )
                })
                .into();
        for mount in items(&spec["volumeMounts"]) {
            let (source, writable) = self.volumes.mounted(pod, mount);
            mounts.push((source, text(&mount["mountPath"]).to_owned(), writable));
        }
        // Outer mounts before those inside them.
        mounts.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
        Ok(Launch {
            network: self.network.as_ref().map(Network::path),
            image,
            variables: variables
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            command,
            mounts,
            user,
            writable: spec["securityContext"]["readOnlyRootFilesystem"] != true,
        })
    }

    /// Ends a pod that is being deleted, step by step; whether there is more to do.
    fn end(&mut self) -> bool {
        let elapsed = self.ending.get_or_insert_with(Instant::now).elapsed();
        let grace = self.pod["metadata"]["deletionGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(0);
        let address = self.address.clone().unwrap_or_default();
        for container in &mut self.containers {
            container.observe(|_| false);
            container.end(elapsed, Duration::from_secs(grace));
            container.probe(&address, None);
        }
        self.tell();
        if self.containers.iter().any(Container::runs) {
            return true;
        }
        let precondition = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}});
        let call =
            Call::new("DELETE", &self.path).body("application/json", precondition.to_string());
        let answer = self.shared.bed.call(&call);
        // Its Finalizers may keep it; it is done with here, and gone from the list in the end.
        !(answer.succeeded() || answer.status == 404 || answer.status == 409)
    }

    fn tell(&mut self) {
        let codes: Option<Vec<i32>> = self.containers.iter().map(Container::ended).collect();
        let phase = match &codes {
            Some(codes) if codes.iter().all(|code| *code == 0) => "Succeeded",
            Some(_) => "Failed",
            None if self.containers.iter().any(Container::has_run) => "Running",
            None => "Pending",
        };
        let facts = Facts {
            phase,
            address: self.address.as_deref(),
            initialized: self.containers.iter().all(Container::has_run),
            ready: codes.is_none() && self.containers.iter().all(Container::is_ready),
            containers: self.containers.iter().map(Container::status).collect(),
        };
        self.report
            .tell(self.shared.bed, &self.path, &self.uid, &facts);
    }
}
