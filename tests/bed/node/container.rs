//! One container of a pod: a process in namespaces of its own, on a bare root.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::launch::Launch;
use super::probe::Probe;
use super::status::now;
use super::text;

/// The longest pause before a container that ended is started again; on a kubelet five minutes.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(8);

/// A container and what became of it.
#[derive(Debug)]
pub struct Container {
    /// The container's entry in the pod.
    pub spec: Value,
    folder: PathBuf,
    name: String,
    state: State,
    last: Value,
    restarts: u32,
    lives: u32,
    /// Whether its startup probe has succeeded in this life.
    started: bool,
    ready: bool,
    probes: Probes,
    /// When it is killed, once it was told to end.
    deadline: Option<Instant>,
    /// Whether it was told that its pod is being deleted.
    told: bool,
}

#[derive(Debug)]
enum State {
    Waiting {
        reason: &'static str,
        message: String,
        until: Instant,
    },
    Running {
        child: Child,
        since: String,
    },
    Ended {
        code: i32,
        status: Value,
    },
}

#[derive(Debug, Default)]
struct Probes {
    startup: Option<Probe>,
    readiness: Option<Probe>,
    liveness: Option<Probe>,
}

impl Container {
    /// A container that has not run yet, with its files in the pod's folder.
    pub fn new(spec: &Value, folder: &Path) -> Self {
        Self {
            spec: spec.clone(),
            folder: folder.to_owned(),
            name: text(&spec["name"]).to_owned(),
            state: State::Waiting {
                reason: "ContainerCreating",
                message: String::new(),
                until: Instant::now(),
            },
            last: json!({}),
            restarts: 0,
            lives: 0,
            started: false,
            ready: false,
            probes: Probes::default(),
            deadline: None,
            told: false,
        }
    }

    /// Whether it waits and its pause is over.
    pub fn is_due(&self) -> bool {
        matches!(&self.state, State::Waiting { until, .. } if Instant::now() >= *until)
    }

    /// Whether its process is there.
    pub fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it has run at least once.
    pub fn has_run(&self) -> bool {
        self.lives > 0
    }

    /// Whether it counts as ready.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The exit code, once it has ended for good.
    pub fn ended(&self) -> Option<i32> {
        match self.state {
            State::Ended { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Notes why it cannot be started now; it is tried again after half a second.
    pub fn postpone(&mut self, reason: &'static str, message: String) {
        self.state = State::Waiting {
            reason,
            message,
            until: Instant::now() + Duration::from_millis(500),
        };
    }

    /// Starts its process, with probes from the beginning.
    pub fn start(&mut self, launch: &Launch) -> Result<(), String> {
        let pid = self.pid_file();
        let _ = std::fs::remove_file(&pid);
        let child = launch
            .spawn(&self.folder, &self.name)
            .map_err(|error| format!("the process cannot be started: {error}"))?;
        self.lives += 1;
        self.state = State::Running {
            child,
            since: now(),
        };
        self.deadline = None;
        let probe = |kind: &str| Probe::new(&self.spec[kind], &self.spec);
        self.probes = Probes {
            startup: probe("startupProbe"),
            readiness: probe("readinessProbe"),
            liveness: probe("livenessProbe"),
        };
        self.started = self.probes.startup.is_none();
        self.ready = self.started && self.probes.readiness.is_none();
        // Nobody is to find the process without its id.
        let begin = Instant::now();
        while !pid.exists() && begin.elapsed() < Duration::from_secs(10) && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.state {
            State::Running { child, .. } => child.try_wait().ok().flatten().is_some(),
            _ => true,
        }
    }

    /// Notes the end of its process, kills one that was told to end and does not, and arranges the
    /// next life when `again` says for an exit code that there is to be one.
    pub fn observe(&mut self, again: impl Fn(i32) -> bool) {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            self.signal("KILL");
        }
        let State::Running { child, since } = &mut self.state else {
            return;
        };
        let Some(status) = child.try_wait().ok().flatten() else {
            return;
        };
        let (code, since) = (exit_code(status), since.clone());
        let reason = if code == 0 { "Completed" } else { "Error" };
        let status = json!({"terminated": {
            "exitCode": code, "reason": reason, "startedAt": since, "finishedAt": now(),
        }});
        self.ready = false;
        self.started = false;
        let _ = std::fs::remove_file(self.pid_file());
        if !again(code) {
            self.state = State::Ended { code, status };
            return;
        }
        self.last = status;
        // The first time at once, then after 1, 2, 4 … seconds.
        let pause = match self.restarts {
            0 => Duration::ZERO,
            restarts => Duration::from_secs(1 << (restarts - 1).min(10)).min(LONGEST_BACKOFF),
        };
        self.restarts += 1;
        self.state = State::Waiting {
            reason: "CrashLoopBackOff",
            message: format!("back-off {pause:?} restarting failed container"),
            until: Instant::now() + pause,
        };
    }

    /// Probes what is due. `grace` is how long the container has to end when it is not alive any more;
    /// without it the container is ending anyway and only its readiness matters.
    pub fn probe(&mut self, address: &str, grace: Option<Duration>) {
        if !self.runs() {
            return;
        }
        if !self.started {
            match self
                .probes
                .startup
                .as_mut()
                .and_then(|probe| probe.poll(address))
            {
                Some(true) => {
                    self.started = true;
                    self.ready = self.probes.readiness.is_none();
                }
                Some(false) => self.end_for_probe(grace),
                None => {}
            }
            return;
        }
        if let Some(ready) = self
            .probes
            .readiness
            .as_mut()
            .and_then(|probe| probe.poll(address))
        {
            self.ready = ready;
        }
        if grace.is_some()
            && self
                .probes
                .liveness
                .as_mut()
                .and_then(|probe| probe.poll(address))
                == Some(false)
        {
            self.end_for_probe(grace);
        }
    }

    fn end_for_probe(&mut self, grace: Option<Duration>) {
        if let (Some(grace), None) = (grace, self.deadline) {
            self.ready = false;
            self.signal("TERM");
            self.deadline = Some(Instant::now() + grace);
        }
    }

    /// Sends a signal to its process, if there is one.
    pub fn signal(&self, signal: &str) {
        if !self.runs() {
            return;
        }
        if let Ok(pid) = std::fs::read_to_string(self.pid_file()) {
            let _ = Command::new("kill")
                .args(["-s", signal, pid.trim()])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Ends it, as far as it is time to: its pod was deleted `elapsed` ago and has `grace` to end.
    pub fn end(&mut self, elapsed: Duration, grace: Duration) {
        self.retire();
        let pause = self.spec["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        if elapsed >= grace {
            self.signal("KILL");
        } else if !self.told && elapsed >= Duration::from_secs(pause.unwrap_or(0)) {
            self.signal("TERM");
            self.told = true;
        }
    }

    /// Does not start it any more.
    fn retire(&mut self) {
        if let State::Waiting { .. } = self.state {
            let status = json!({"terminated": {
                "exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": now(),
            }});
            self.state = State::Ended { code: 137, status };
        }
    }

    /// Its entry in `containerStatuses`.
    pub fn status(&self) -> Value {
        let state = match &self.state {
            State::Waiting {
                reason, message, ..
            } => {
                let mut waiting = json!({"reason": reason});
                if !message.is_empty() {
                    waiting["message"] = json!(message);
                }
                json!({"waiting": waiting})
            }
            State::Running { since, .. } => json!({"running": {"startedAt": since}}),
            State::Ended { status, .. } => status.clone(),
        };
        json!({
            "name": self.name, "image": self.spec["image"], "imageID": self.spec["image"],
            "containerID": format!("bed://{}-{}", self.name, self.lives),
            "ready": self.ready, "started": self.started, "restartCount": self.restarts,
            "state": state, "lastState": self.last,
        })
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join(format!("{}.pid", self.name))
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
