//! A real etcd, kube-apiserver and kube-controller-manager on loopback, with tidegate registered by
//! Service references as in a cluster.
//!
//! The bed is started once per test process and shared: every test has namespaces of its own, and the
//! webhook of every tidegate selects only those. A test that disturbs the whole bed (it kills the API
//! server, or stalls etcd) asks for it exclusively. Everything ends with this process, also when it is
//! killed.
//!
//! How Service references work without a cluster network: the Service range lies inside 127/8, so the
//! API server's connection to a `ClusterIP` is one to loopback, and tidegate listens exactly there.
//!
//! A [`Cluster`] is a bed in a network namespace of its own with a node stand-in beside it, so that
//! pods run; a test gets one by [`inside`].
#![allow(
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub
)]

mod api;
mod certificates;
mod cluster;
pub mod definitions;
mod direct;
mod door;
mod helm;
mod inside;
mod load;
mod node;
mod options;
mod place;
mod pods;
mod process;
mod relay;
mod rights;
mod schemas;
mod scripted;
mod setup;
mod tidegate;
mod upkeep;
mod webhook;

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use api::{Answer, Api, Call, sum};
pub use certificates::{Authority, Leaf};
pub use cluster::{Cluster, IMAGE};
pub use direct::{Direct, DirectAnswer};
pub use door::Door;
pub use helm::Helm;
pub use inside::{image, inside, inside_open, inside_within};
pub use load::{Tally, during};
pub use node::{Node, PodHandle};
pub use options::TidegateOptions;
pub use place::{API_ADDRESS, NODE_ADDRESS, Place};
pub use pods::{compliant_pod, deployment, plain_pod};
pub use process::Process;
pub use schemas::{MINORS, validate};
pub use scripted::{Reply, Scripted};
pub use setup::free_address;
pub use setup::tool;
pub use tidegate::Tidegate;
pub use upkeep::{Bundle, WEBHOOKS, secret_text};
pub use webhook::TEMPLATE_RESOURCES;

/// How long the bed may take to become ready; 13 s were seen beside much other work.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The running parts and how to reach them.
#[derive(Debug)]
pub struct Bed {
    folder: PathBuf,
    programs: PathBuf,
    authority: Authority,
    place: Place,
    api: Api,
    parts: Mutex<Parts>,
    _janitor: Option<Child>,
}

#[derive(Debug)]
struct Parts {
    controller_manager: Process,
    apiserver: Process,
    etcd: Process,
}

static BED: OnceLock<Result<Bed, String>> = OnceLock::new();
static USE: RwLock<()> = RwLock::new(());

/// The bed beside other tests. The first caller waits while it starts, about ten seconds.
pub fn shared() -> Shared {
    let guard = USE.read().unwrap_or_else(PoisonError::into_inner);
    Shared {
        bed: started(),
        _guard: guard,
    }
}

/// The bed alone, for a test that disturbs it; afterwards everything runs again.
pub fn exclusive() -> Exclusive {
    let guard = USE.write().unwrap_or_else(PoisonError::into_inner);
    Exclusive {
        bed: started(),
        _guard: guard,
    }
}

fn started() -> &'static Bed {
    match BED.get_or_init(|| {
        std::panic::catch_unwind(Bed::start).map_err(|panic| match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(_) => "the test bed did not start".to_owned(),
        })
    }) {
        Ok(bed) => bed,
        Err(message) => panic!("{message}"),
    }
}

/// The bed as one of several users.
#[derive(Debug)]
pub struct Shared {
    bed: &'static Bed,
    _guard: RwLockReadGuard<'static, ()>,
}

impl Deref for Shared {
    type Target = Bed;
    fn deref(&self) -> &Bed {
        self.bed
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.bed.explain_failure();
    }
}

/// The bed with nobody else using it.
#[derive(Debug)]
pub struct Exclusive {
    bed: &'static Bed,
    _guard: RwLockWriteGuard<'static, ()>,
}

impl Deref for Exclusive {
    type Target = Bed;
    fn deref(&self) -> &Bed {
        self.bed
    }
}

impl Exclusive {
    /// Kills the API server as a crash would, and starts it again; returns once it is ready.
    pub fn restart_apiserver(&self) {
        self.kill_apiserver();
        self.start_apiserver();
    }

    /// Kills the API server as a crash would.
    pub fn kill_apiserver(&self) {
        self.bed.parts().apiserver.kill();
    }

    /// Starts a killed API server again with the same flags; returns once it is ready.
    pub fn start_apiserver(&self) {
        self.bed.parts().apiserver = self.bed.apiserver();
        self.bed.wait_until_ready(&mut self.bed.parts().apiserver);
    }

    /// Deletes the definitions of tidegate's objects, and with them all its objects.
    pub fn remove_definitions(&self) {
        definitions::remove(&self.bed.api);
    }

    /// Stops etcd from running without ending it.
    pub fn stall_etcd(&self) {
        self.bed.parts().etcd.signal("STOP");
    }

    /// Lets etcd go on.
    pub fn continue_etcd(&self) {
        self.bed.parts().etcd.signal("CONT");
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.bed.explain_failure();
        self.continue_etcd();
        let crashed = self.bed.parts().apiserver.ended().is_some();
        if crashed {
            self.start_apiserver();
        }
    }
}

impl Bed {
    fn start() -> Self {
        let programs = setup::programs();
        let (folder, place, janitor) = if let Some(folder) = inside::folder() {
            // Made, and in the end removed, by the process outside.
            (folder, Place::namespace(), None)
        } else {
            let folder = setup::run_folder();
            let janitor = process::remove_at_exit(&folder);
            (folder, Place::loopback(), Some(janitor))
        };
        let authority = Authority::new("bed");
        setup::write_files(&folder, &authority, &place);

        let etcd = Process::start(
            "etcd",
            &folder,
            &programs.join("etcd"),
            &setup::etcd_flags(),
        );
        let apiserver = setup::start_apiserver(&folder, &programs, &place);
        let controller_manager = Process::start(
            "kube-controller-manager",
            &folder,
            &programs.join("kube-controller-manager"),
            &setup::controller_manager_flags(),
        );
        let bed = Self {
            api: Api::new(&folder, &place.url()),
            parts: Mutex::new(Parts {
                controller_manager,
                apiserver,
                etcd,
            }),
            folder,
            programs,
            authority,
            place,
            _janitor: janitor,
        };
        bed.wait_until_ready(&mut bed.parts().apiserver);
        // The controller-manager ends when the API server is not up within ten seconds of its start.
        let mut parts = bed.parts();
        if parts.controller_manager.ended().is_some() {
            parts.controller_manager = bed.controller_manager();
        }
        drop(parts);
        // A whole cluster is empty: the chart brings rights of the same names.
        if inside::folder().is_none() {
            bed.grant_tidegate_its_rights();
        }
        bed.wait_for_service_account("default");
        bed
    }

    /// The API server's client.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Makes a call to the API server.
    pub fn call(&self, call: &Call) -> Answer {
        self.api.call(call)
    }

    /// A kubeconfig with the rights of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// The kubectl of the same version.
    pub fn kubectl_program(&self) -> PathBuf {
        self.programs.join("kubectl")
    }

    /// The authority that the API server and every tidegate's webhook trust.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The bed's folder: logs, certificates, kubeconfigs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A tidegate to be started in front of some namespaces; `name` must be used once only.
    pub fn tidegate(&self, name: &str) -> TidegateOptions<'_> {
        TidegateOptions::new(self, name)
    }

    /// Makes the definitions of tidegate's objects unless they are there.
    pub fn install_definitions(&self) {
        definitions::install(&self.api);
    }

    /// Makes a namespace and waits until Pods can be created in it.
    pub fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let labels: serde_json::Map<String, Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.api.must(&Call::post("/api/v1/namespaces", &namespace));
        self.wait_for_service_account(name);
    }

    /// Runs kubectl as an administrator with `input` as its standard input.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        use std::io::Write as _;
        let mut kubectl = Command::new(self.kubectl_program())
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("--cache-dir")
            .arg(self.folder.join("kubectl-cache"))
            .args(["--request-timeout", "30s"])
            .args(arguments)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // kubectl may end before it has read everything; its output says why.
        let _ = kubectl.stdin.take().unwrap().write_all(input.as_bytes());
        kubectl.wait_with_output().unwrap()
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apiserver(&self) -> Process {
        setup::start_apiserver(&self.folder, &self.programs, &self.place)
    }

    fn controller_manager(&self) -> Process {
        let program = self.programs.join("kube-controller-manager");
        Process::start(
            "kube-controller-manager",
            &self.folder,
            &program,
            &setup::controller_manager_flags(),
        )
    }

    fn wait_until_ready(&self, apiserver: &mut Process) {
        let start = Instant::now();
        loop {
            let answer = self.api.call(&Call::new("GET", "/readyz"));
            if answer.status == 200 {
                return;
            }
            let ended = apiserver.ended();
            if ended.is_some() || start.elapsed() > START_LIMIT {
                self.keep_folder();
                panic!(
                    "the API server is not ready after {:?}; its end: {ended:?}; last answer: {} {}\n{}",
                    start.elapsed(),
                    answer.status,
                    answer.body,
                    apiserver.tail(30)
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_for_service_account(&self, namespace: &str) {
        let start = Instant::now();
        for object in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            let call = Call::new("GET", format!("/api/v1/namespaces/{namespace}/{object}"));
            while !self.api.call(&call).succeeded() {
                if start.elapsed() > START_LIMIT {
                    self.keep_folder();
                    let tail = self.parts().controller_manager.tail(30);
                    panic!("namespace {namespace} has no {object} after {START_LIMIT:?}\n{tail}");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn keep_folder(&self) {
        let _ = std::fs::write(self.folder.join("keep"), "");
    }

    /// Prints the ends of the logs, and keeps them, when the current test is failing.
    fn explain_failure(&self) {
        if !std::thread::panicking() {
            return;
        }
        self.keep_folder();
        let parts = self.parts();
        let mut text = String::new();
        for part in [&parts.apiserver, &parts.controller_manager, &parts.etcd] {
            text.push_str(&part.tail(15));
        }
        let _ = write!(text, "all logs are kept in {}", self.folder.display());
        eprintln!("{text}");
    }
}
