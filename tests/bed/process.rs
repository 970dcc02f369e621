//! One child process under a supervisor that ends it when this test binary ends, however that is.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The supervisor waits for the program and, beside it, reads names of signals to pass on.
/// The end of its input (this process ended, even by SIGKILL) kills the program.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ while read -r signal; do kill -s "$signal" "$child"; done; kill -s KILL "$child" 2>/dev/null; } <&3 &
watcher=$!
wait "$child"
code=$?
kill -s KILL "$watcher"
exit "$code"
"#;

/// A running program with its log file.
#[derive(Debug)]
pub struct Process {
    name: String,
    supervisor: Child,
    signals: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in `folder`; both its outputs are appended to `folder/NAME.log`.
    pub fn start(name: &str, folder: &Path, program: &Path, arguments: &[String]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let signals = supervisor.stdin.take();
        Self {
            name: name.to_owned(),
            supervisor,
            signals,
            log,
        }
    }

    /// Sends a signal by its name: TERM, KILL, STOP, CONT.
    pub fn signal(&mut self, signal: &str) {
        if let Some(signals) = &mut self.signals {
            // A program that has already ended has nobody to read this.
            let _ = writeln!(signals, "{signal}");
        }
    }

    /// How the program ended, or nothing while it runs. A death by signal n has the code 128 + n.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().unwrap()
    }

    /// Waits for the end of the program; fails when it takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                start.elapsed() < limit,
                "{} still runs after {limit:?}\n{}",
                self.name,
                self.tail(40)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the program and waits until it is gone.
    pub fn kill(&mut self) {
        self.signals = None;
        self.wait(Duration::from_secs(10));
    }

    /// The memory of the program that is resident, in kilobytes.
    pub fn resident_kb(&self) -> u64 {
        let parent = format!("PPid:\t{}", self.supervisor.id());
        let statuses = std::fs::read_dir("/proc").unwrap().flatten();
        let mut own = statuses
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok())
            .filter(|status| status.lines().any(|line| line == parent))
            // The supervisor's other child is a shell.
            .filter(|status| !status.starts_with("Name:\tsh\n"));
        let status = own.next().expect("the program runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = resident.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// The program's whole output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of the program's output under a headline.
    pub fn tail(&self, lines: usize) -> String {
        let output = self.output();
        let all: Vec<&str> = output.lines().collect();
        let shown = &all[all.len().saturating_sub(lines)..];
        format!(
            "--- {} (last {} lines) ---\n{}\n",
            self.name,
            shown.len(),
            shown.join("\n")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signals = None;
        let _ = self.supervisor.wait();
    }
}

/// Removes `folder` once this process has ended, unless a file `keep` is in it.
/// The returned child must be held as long as the folder is needed.
pub fn remove_at_exit(folder: &Path) -> Child {
    const SCRIPT: &str = r#"
cat >/dev/null
sleep 1
if [ -e "$1/keep" ]; then rm -rf "$1/etcd"; touch "$1/ended"; else rm -rf "$1" || { sleep 2; rm -rf "$1"; }; fi
"#;
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}
