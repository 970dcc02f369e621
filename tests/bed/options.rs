//! What a test asks of the tidegate it starts.

use super::Bed;
use super::tidegate::Tidegate;

/// What a test wants of its tidegate.
#[derive(Debug)]
pub struct TidegateOptions<'a> {
    pub(super) bed: &'a Bed,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) policy: Option<String>,
    pub(super) namespaces: Vec<String>,
    pub(super) every_namespace: bool,
    pub(super) failure_policy: &'static str,
    pub(super) replicas: usize,
    pub(super) relayed: bool,
    pub(super) custom_resources: bool,
    pub(super) timeout: u8,
    pub(super) certificates: Option<&'static str>,
}

impl<'a> TidegateOptions<'a> {
    pub(super) fn new(bed: &'a Bed, name: &str) -> Self {
        Self {
            bed,
            name: name.to_owned(),
            arguments: Vec::new(),
            policy: None,
            namespaces: Vec::new(),
            every_namespace: false,
            failure_policy: "Fail",
            replicas: 1,
            relayed: false,
            custom_resources: false,
            timeout: 3,
            certificates: None,
        }
    }

    /// Further arguments of `tidegate serve`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// A policy file in YAML.
    pub fn policy(mut self, yaml: &str) -> Self {
        self.policy = Some(yaml.to_owned());
        self
    }

    /// Makes a namespace called `NAME-SUFFIX` with these labels, whose objects tidegate judges.
    pub fn namespace(mut self, suffix: &str, labels: &[(&str, &str)]) -> Self {
        let name = format!("{}-{suffix}", self.name);
        self.bed.create_namespace(&name, labels);
        self.namespaces.push(name);
        self
    }

    /// Lets tidegate judge a namespace called `NAME-SUFFIX` that the test makes later.
    pub fn later_namespace(mut self, suffix: &str) -> Self {
        self.namespaces.push(format!("{}-{suffix}", self.name));
        self
    }

    /// Lets tidegate judge every namespace but the system's and its own.
    pub fn every_namespace(mut self) -> Self {
        self.every_namespace = true;
        self
    }

    /// Makes the definitions of tidegate's objects, and lets tidegate judge policies called `NAME-…`
    /// and the exceptions of namespaces called so. A policy is in force in every tidegate of the
    /// bed: it must include namespaces of this test alone.
    pub fn custom_resources(mut self) -> Self {
        self.custom_resources = true;
        self
    }

    /// How many seconds the API server waits for an answer.
    pub fn timeout(mut self, seconds: u8) -> Self {
        self.timeout = seconds;
        self
    }

    /// `Ignore` instead of `Fail` when tidegate cannot be called.
    pub fn ignore_failures(mut self) -> Self {
        self.failure_policy = "Ignore";
        self
    }

    /// Several processes behind a relay on the Service's address instead of one that listens there.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self.relayed()
    }

    /// A relay between the Service's address and tidegate, to see what goes by.
    pub fn relayed(mut self) -> Self {
        self.relayed = true;
        self
    }

    /// Registers the webhook only: nobody is at its address unless the test puts somebody there.
    pub fn absent(mut self) -> Self {
        self.replicas = 0;
        self
    }

    /// A certificate from a Secret at the API server, in this `--tls-mode`, and everything else that
    /// a replica keeps there: as the chart starts tidegate. The settling time is a second.
    pub fn certificates(mut self, mode: &'static str) -> Self {
        self.certificates = Some(mode);
        self
    }

    /// Registers the webhook, waits until it is in force, then starts tidegate and waits until it is
    /// ready. The first namespace must exist.
    pub fn start(self) -> Tidegate<'a> {
        let mut tidegate = Tidegate::start(self);
        tidegate.wait_until_all_ready();
        tidegate
    }

    /// As [`TidegateOptions::start`], but does not wait until it is ready.
    pub fn start_unready(self) -> Tidegate<'a> {
        let tidegate = Tidegate::start(self);
        tidegate.wait_until_alive();
        tidegate
    }
}
