//! tidegate in front of the bed's API server: its Service, certificate, webhook and processes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::options::TidegateOptions;
use super::process::Process;
use super::relay::{self, Relay};
use super::setup;
use super::upkeep;
use super::webhook::Registration;
use super::{Answer, Bed, Call, Direct, compliant_pod, definitions};

const CONFIGURATIONS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// A running tidegate, registered at the API server.
#[derive(Debug)]
pub struct Tidegate<'a> {
    bed: &'a Bed,
    name: String,
    webhook: String,
    arguments: Vec<String>,
    address: SocketAddr,
    server_name: String,
    folder: PathBuf,
    generation: u32,
    replicas: Vec<Replica>,
    relay: Option<Relay>,
    /// Whether the certificate comes from a Secret at the API server.
    kept: bool,
}

/// One process of tidegate.
#[derive(Debug)]
struct Replica {
    process: Process,
    serves: SocketAddr,
    ops: SocketAddr,
}

impl<'a> Tidegate<'a> {
    pub(super) fn start(options: TidegateOptions<'a>) -> Self {
        let folder = options.bed.folder().join(&options.name);
        let certificates = folder.join("tls");
        std::fs::create_dir_all(&certificates).unwrap();
        let own_namespace = format!("tg-{}", options.name);
        let port = service_port();
        let address = make_service(options.bed, &own_namespace, port);

        let mut arguments = options.arguments.clone();
        if let Some(policy) = &options.policy {
            std::fs::write(folder.join("policy.yaml"), policy).unwrap();
            arguments.extend(["--policy".to_owned(), "policy.yaml".to_owned()]);
        }
        let webhook = format!("{}.tidegate.dev", options.name);
        if let Some(mode) = options.certificates {
            upkeep::grant(options.bed, &own_namespace, &webhook);
            arguments.extend(upkeep::arguments(&own_namespace, &webhook, mode));
        }
        let mut tidegate = Tidegate {
            bed: options.bed,
            webhook,
            name: options.name,
            arguments,
            address,
            server_name: format!("tidegate.{own_namespace}.svc"),
            folder,
            generation: 0,
            replicas: Vec::new(),
            relay: None,
            kept: options.certificates.is_some(),
        };
        tidegate.rotate_certificate();
        if options.custom_resources {
            options.bed.install_definitions();
        }
        let own_objects = format!("{}-", tidegate.name);
        let registration = Registration {
            webhook: &tidegate.webhook,
            service_namespace: &own_namespace,
            port,
            namespaces: (!options.every_namespace).then_some(&options.namespaces),
            failure_policy: options.failure_policy,
            authority: (!tidegate.kept).then(|| options.bed.authority().pem()),
            timeout: options.timeout,
            own_objects: options.custom_resources.then_some(own_objects.as_str()),
        };
        std::fs::write(
            tidegate.folder.join("installed.yaml"),
            registration.configuration().to_string(),
        )
        .unwrap();
        tidegate.register(
            &registration,
            options.namespaces.first().map_or("default", String::as_str),
        );
        tidegate.launch(options.replicas, options.relayed);
        tidegate
    }

    /// The full name of a namespace of this test.
    pub fn namespace(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// The API server it stands in front of.
    pub fn bed(&self) -> &'a Bed {
        self.bed
    }

    /// The namespace of its Service, and of the Secret and the Lease.
    pub fn own_namespace(&self) -> String {
        format!("tg-{}", self.name)
    }

    /// The webhook's name, which the API server puts before messages and audit annotations.
    pub fn webhook(&self) -> &str {
        &self.webhook
    }

    /// Where the API server reaches tidegate: the Service's `ClusterIP` and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name that the API server asks for (SNI) and verifies: `<service>.<namespace>.svc`.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The name of the entry for tidegate's own objects.
    pub fn guard(&self) -> String {
        format!("policies.{}", self.webhook)
    }

    /// Does something while tidegate is not asked about its own objects, as when its webhook was
    /// deleted or is not there yet.
    pub fn without_guard<R>(&self, work: impl FnOnce() -> R) -> R {
        let configuration = format!("{CONFIGURATIONS}/{}", self.webhook);
        let before = self.bed.api().must(&Call::new("GET", &configuration)).body;
        let mut without = before["webhooks"].clone();
        without.as_array_mut().unwrap().truncate(1);
        let webhooks = |list: &Value| {
            let patch = json!([{"op": "replace", "path": "/webhooks", "value": list}]);
            self.bed
                .api()
                .must(&Call::json_patch(&configuration, &patch));
        };
        webhooks(&without);
        self.wait_until_guarded(false);
        let result = work();
        webhooks(&before["webhooks"]);
        self.wait_until_guarded(true);
        result
    }

    /// Waits until a policy that means nothing is refused, or is not.
    fn wait_until_guarded(&self, guarded: bool) {
        let probe = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlPolicy",
            "metadata": {"name": format!("{}-probe", self.name)}, "spec": {"nothing": true},
        });
        let probe = Call::post(definitions::POLICIES, &probe).dry_run();
        let start = Instant::now();
        while self.bed.call(&probe).succeeded() == guarded {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{} does not come into force",
                self.guard()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A client that calls one of the processes as the API server would.
    pub fn direct_to(&self, replica: usize) -> Direct {
        let address = self.replicas[replica].serves;
        Direct::new(address, &self.server_name, self.bed.authority().der())
    }

    /// The memory of one of the processes, in kilobytes.
    pub fn resident_kb(&self, replica: usize) -> u64 {
        self.replicas[replica].process.resident_kb()
    }

    /// The audit annotations that tidegate gave to a call, without the webhook's name before them.
    pub fn annotations(&self, answer: &Answer) -> BTreeMap<String, String> {
        let event = self.bed.api().audit_event(&answer.audit_id);
        let annotations = event["annotations"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        annotations
            .iter()
            .filter_map(|(key, value)| {
                let key = key.strip_prefix(&self.webhook)?.strip_prefix('/')?;
                Some((
                    key.to_owned(),
                    value.as_str().unwrap_or_default().to_owned(),
                ))
            })
            .collect()
    }

    /// A client that calls tidegate as the API server does.
    pub fn direct(&self) -> Direct {
        Direct::new(self.address, &self.server_name, self.bed.authority().der())
    }

    /// The TLS greetings of all connections that went through the relay.
    pub fn greetings(&self) -> Vec<Vec<u8>> {
        self.relay.as_ref().expect("only with a relay").greetings()
    }

    /// Writes the next certificate of the same authority, as a kubelet does.
    pub fn rotate_certificate(&mut self) {
        self.generation += 1;
        let leaf = self.bed.authority().server(&[&self.server_name]);
        leaf.write_secret_volume(&self.folder.join("tls"), self.generation);
    }

    /// Sends a signal to one of the processes.
    pub fn signal(&mut self, replica: usize, signal: &str) {
        self.replicas[replica].process.signal(signal);
    }

    /// Waits until one of the processes has ended.
    pub fn wait(&mut self, replica: usize, limit: Duration) -> ExitStatus {
        self.replicas[replica].process.wait(limit)
    }

    /// Kills one of the processes.
    pub fn kill(&mut self, replica: usize) {
        self.replicas[replica].process.kill();
    }

    /// Starts a process that has ended again, and waits until it is ready.
    pub fn restart(&mut self, replica: usize) {
        let (serves, ops) = (self.replicas[replica].serves, self.replicas[replica].ops);
        let process = self.launch_one(replica, serves, ops);
        self.replicas[replica].process = process;
        self.wait_until_ready(replica);
    }

    /// Whether one of the processes runs.
    pub fn runs(&mut self, replica: usize) -> bool {
        self.replicas[replica].process.ended().is_none()
    }

    /// What a process has written so far.
    pub fn log(&self, replica: usize) -> String {
        self.replicas[replica].process.output()
    }

    /// Status and body of a GET on the port for probes and metrics.
    pub fn ops(&self, replica: usize, path: &str) -> Option<(u16, String)> {
        relay::get(self.replicas[replica].ops, path)
    }

    /// The same as [`Self::metric`] of something that is counted, which is whole.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts in tests are small"
    )]
    pub fn count(&self, replica: usize, name: &str, labels: &[(&str, &str)]) -> usize {
        self.metric(replica, name, labels).round() as usize
    }

    /// The sum of one of tidegate's own metrics over the series with these labels.
    pub fn metric(&self, replica: usize, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (status, text) = self
            .ops(replica, "/metrics")
            .expect("tidegate serves metrics");
        assert_eq!(status, 200, "{text}");
        super::sum(&text, name, labels)
    }

    fn register(&self, registration: &Registration<'_>, namespace: &str) {
        self.bed
            .api()
            .must(&Call::post(CONFIGURATIONS, &registration.configuration()));
        // Nobody listens yet, so the webhook is in force once it is seen to fail.
        let call = Call::post(
            format!("/api/v1/namespaces/{namespace}/pods"),
            &compliant_pod("probe"),
        )
        .dry_run();
        let start = Instant::now();
        while !self.could_not_be_called(&self.bed.call(&call)) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{} does not come into force",
                self.webhook
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether an answer shows that the API server tried to call this webhook and failed.
    pub fn could_not_be_called(&self, answer: &Answer) -> bool {
        let failed = format!("failed calling webhook \"{}\"", self.webhook);
        if answer.message().contains(&failed) {
            return true;
        }
        answer.succeeded()
            && self.bed.api().audit_event(&answer.audit_id)["annotations"]
                .as_object()
                .is_some_and(|all| {
                    all.iter()
                        .any(|(k, v)| k.starts_with("failed-open.") && *v == self.webhook)
                })
    }

    fn launch(&mut self, replicas: usize, relayed: bool) {
        for index in 0..replicas {
            let serves = if relayed {
                setup::free_address()
            } else {
                self.address
            };
            let ops = setup::free_address();
            let process = self.launch_one(index, serves, ops);
            self.replicas.push(Replica {
                process,
                serves,
                ops,
            });
        }
        if relayed {
            let backends: Vec<_> = self
                .replicas
                .iter()
                .map(|replica| (replica.serves, replica.ops))
                .collect();
            self.relay = Some(Relay::start(self.address, &backends));
        }
    }

    pub(super) fn wait_until_all_ready(&mut self) {
        for index in 0..self.replicas.len() {
            self.wait_until_ready(index);
        }
        if self.relay.is_some() {
            // The relay has to see that they are ready.
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until the ports for probes answer.
    pub(super) fn wait_until_alive(&self) {
        let start = Instant::now();
        for index in 0..self.replicas.len() {
            while self.ops(index, "/livez").is_none() {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "tidegate does not listen"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn launch_one(&self, index: usize, serves: SocketAddr, ops: SocketAddr) -> Process {
        let kubeconfig = self.bed.folder().join("tidegate.kubeconfig");
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(["--log-format".to_owned(), "json".to_owned()]);
        if self.kept {
            arguments.extend(["--holder".to_owned(), format!("{}-{index}", self.name)]);
        } else {
            arguments.extend(["--tls-dir".to_owned(), "tls".to_owned()]);
        }
        arguments.extend([
            "--listen".to_owned(),
            serves.to_string(),
            "--ops-listen".to_owned(),
            ops.to_string(),
        ]);
        arguments.extend([
            "--kubeconfig".to_owned(),
            kubeconfig.to_string_lossy().into_owned(),
        ]);
        arguments.extend(self.arguments.iter().cloned());
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        Process::start(
            &format!("tidegate-{index}"),
            &self.folder,
            program,
            &arguments,
        )
    }

    fn wait_until_ready(&mut self, index: usize) {
        let start = Instant::now();
        loop {
            let ready = self.ops(index, "/readyz?verbose");
            if ready.as_ref().is_some_and(|(status, _)| *status == 200) {
                return;
            }
            let process = &mut self.replicas[index].process;
            let ended = process.ended();
            assert!(
                ended.is_none() && start.elapsed() < Duration::from_secs(20),
                "tidegate is not ready; its end: {ended:?}; its conditions: {ready:?}\n{}",
                process.tail(40)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tidegate<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for replica in &self.replicas {
                eprintln!("{}", replica.process.tail(40));
            }
        }
        // Without its webhook the API server's later writes in these namespaces need nobody.
        let _ = self.bed.call(&Call::new(
            "DELETE",
            format!("{CONFIGURATIONS}/{}", self.webhook),
        ));
    }
}

/// 443 as in a cluster, or 8443 where this user may not listen there.
fn service_port() -> u16 {
    match TcpListener::bind((Ipv4Addr::new(127, 255, 255, 254), 443)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => 8443,
        _ => 443,
    }
}

fn make_service(bed: &Bed, namespace: &str, port: u16) -> SocketAddr {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    bed.api().must(&Call::post("/api/v1/namespaces", &object));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "tidegate"},
        "spec": {"ports": [{"name": "https", "port": port, "targetPort": 8443}]},
    });
    let made = bed.api().must(&Call::post(
        format!("/api/v1/namespaces/{namespace}/services"),
        &service,
    ));
    let ip = made.body["spec"]["clusterIP"].as_str().unwrap();
    SocketAddr::new(ip.parse().unwrap(), port)
}
