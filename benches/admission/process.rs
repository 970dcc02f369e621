//! The servers under test as processes: started on a core of their own, measured from `/proc`,
//! stopped when dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// The two cores of a run. Without `taskset` or a second core nothing is pinned, which the report
/// says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cores {
    server: Option<String>,
}

impl Cores {
    /// Takes the first two cores this process may use: the server's and, for this process from now
    /// on, the client's.
    pub(crate) fn take() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = field(&status, "Cpus_allowed_list:").unwrap_or_default();
        let cores = cores(list);
        let [server, client, ..] = cores.as_slice() else {
            eprintln!("bench: only one core: server and client share it, figures are worth little");
            return Ok(Cores { server: None });
        };
        let pinned = Command::new("taskset")
            .args(["-cp", &client.to_string(), &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
        if pinned.is_ok_and(|status| status.success()) {
            Ok(Cores {
                server: Some(server.to_string()),
            })
        } else {
            eprintln!("bench: no taskset (util-linux): nothing is pinned, figures will wander");
            Ok(Cores { server: None })
        }
    }

    /// Whether server and client are each on a core of their own.
    pub(crate) fn pinned(&self) -> bool {
        self.server.is_some()
    }

    /// A command whose process runs on the server's core.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some(core) = &self.server else {
            return Command::new(program);
        };
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core).arg(program);
        command
    }
}

fn cores(list: &str) -> Vec<u32> {
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.parse().ok()?..=to.parse().ok()?)
        })
        .flatten()
        .collect()
}

/// A running server.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, Failure> {
        let file = File::create(log)?;
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        Ok(Process {
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of the log when the process has ended.
    pub(crate) fn alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().take(10).collect();
                let tail: Vec<_> = lines.into_iter().rev().collect();
                Err(format!("the server ended with {status}:\n{}", tail.join("\n")).into())
            }
        }
    }

    /// A file of `/proc/PID`.
    fn proc(&self, file: &str) -> Result<String, Failure> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.id()))?)
    }

    /// CPU time used by each thread so far.
    pub(crate) fn cpu(&self) -> Result<Cpu, Failure> {
        let stat = self.proc("stat")?;
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        let ticks = |index: usize| -> u64 {
            fields
                .get(index)
                .and_then(|ticks| ticks.parse().ok())
                .unwrap_or(0)
        };
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let path = entry?.path();
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(path.join("schedstat")) {
                let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
                threads.insert(path, nanoseconds);
            }
        }
        // Fields 14 and 15 of proc(5), counted from the one after the name.
        Ok(Cpu {
            threads,
            ticks: ticks(12) + ticks(13),
        })
    }

    /// Resident memory in kB: now (`VmRSS`) or at its peak (`VmHWM`).
    pub(crate) fn memory(&self, which: &str) -> Result<u64, Failure> {
        let status = self.proc("status")?;
        let value = field(&status, &format!("{which}:")).ok_or("no memory figures in /proc")?;
        Ok(value.trim().trim_end_matches(" kB").parse()?)
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<(), Failure> {
        Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status()?;
        let end = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                return Err("a server did not end on SIGTERM".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// The CPU time of a process at one moment.
#[derive(Debug)]
pub(crate) struct Cpu {
    /// Nanoseconds by thread, from the scheduler.
    threads: BTreeMap<PathBuf, u64>,
    /// 10 ms ticks of all threads, ended ones too.
    ticks: u64,
}

impl Cpu {
    /// Nanoseconds used since `before`: exact while no thread ends, else from the ticks.
    pub(crate) fn since(&self, before: &Cpu) -> u64 {
        let ticks = (self.ticks - before.ticks) * 10_000_000;
        if before
            .threads
            .keys()
            .any(|thread| !self.threads.contains_key(thread))
        {
            return ticks;
        }
        self.threads
            .iter()
            .map(|(thread, now)| {
                now.saturating_sub(before.threads.get(thread).copied().unwrap_or(0))
            })
            .sum()
    }
}
