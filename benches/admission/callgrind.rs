//! User-space instructions per request, counted by callgrind: the same on a busy machine as on an
//! idle one, so this is what can fail a build.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::answer::Answers;
use crate::load::Connection;
use crate::samples::{self, Sample};
use crate::servers::{Bench, OUT, Server, name};

/// Counts by sample.
pub(crate) type Counts = BTreeMap<String, u64>;

/// How long a server may take to its first answer under callgrind.
const PATIENCE: Duration = Duration::from_mins(1);

/// The version of the valgrind that is there, with `vgdb`, which comes with it.
pub(crate) fn valgrind() -> Result<String, Failure> {
    const MISSING: &str = "valgrind is missing (or vgdb, which comes with it): \
        instructions per request CANNOT be counted; install the package `valgrind`";
    let run = |program: &str| {
        Command::new(program)
            .arg("--version")
            .stderr(Stdio::null())
            .output()
            .ok()
    };
    run("vgdb").ok_or(MISSING)?;
    let output = run("valgrind")
        .filter(|output| output.status.success())
        .ok_or(MISSING)?;
    Ok(String::from_utf8(output.stdout)?
        .trim()
        .trim_start_matches("valgrind-")
        .to_owned())
}

/// Instructions per request of a whole server, TLS and HTTP included: one connection, one request
/// at a time.
pub(crate) async fn server(bench: &Bench, answers: Answers) -> Result<Counts, Failure> {
    let samples = samples::all()?;
    let first = samples.first().ok_or("no samples")?;
    let out = Path::new(OUT).join(format!("callgrind.{}", name(answers)));
    let wrapper: [OsString; 3] = [
        "valgrind".into(),
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", out.display()).into(),
    ];
    let server = bench.start(answers, first, &wrapper, PATIENCE).await?;
    let mut dumps = Dumps {
        pid: server.process.id(),
        out,
        taken: 0,
    };
    let mut counts = Counts::new();
    for sample in &samples {
        counts.insert(
            sample.name.to_owned(),
            requests(&server, sample, &mut dumps).await?,
        );
    }
    Ok(counts)
}

/// The fewest instructions per request of a few runs, without what a dump itself costs. The fewest,
/// because a request that arrives in two pieces costs a wake-up more, and how often that happens is
/// up to the machine.
async fn requests(server: &Server, sample: &Sample, dumps: &mut Dumps) -> Result<u64, Failure> {
    const RUNS: usize = 5;
    let count = if sample.body.len() > 1_000_000 { 3 } else { 60 };
    let mut connection = Connection::open(&server.target, sample, 0).await?;
    connection.send(count).await?;
    dumps.take()?;
    let empty = dumps.take()?;
    let mut fewest = u64::MAX;
    for _ in 0..RUNS {
        connection.send(count).await?;
        fewest = fewest.min(dumps.take()?.saturating_sub(empty) / count);
    }
    Ok(fewest)
}

/// The dumps of a process under callgrind; each counts from the one before.
struct Dumps {
    pid: u32,
    out: PathBuf,
    taken: u32,
}

impl Dumps {
    fn take(&mut self) -> Result<u64, Failure> {
        let output = Command::new("vgdb")
            .arg(format!("--pid={}", self.pid))
            .arg("dump")
            .output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("vgdb cannot reach the server under callgrind: {why}").into());
        }
        self.taken += 1;
        let file = format!("{}.{}", self.out.display(), self.taken);
        let text = fs::read_to_string(&file)?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total = total
            .ok_or_else(|| format!("{file} holds no totals"))?
            .trim()
            .parse()?;
        fs::remove_file(&file)?;
        Ok(total)
    }
}

/// Instructions of one mode of this program that runs the engine alone, `n` times: the difference
/// of `n` and `2n`, by `n`.
pub(crate) fn engine(sample: &str) -> Result<u64, Failure> {
    const COUNT: u64 = 300;
    let run = |count: u64| -> Result<u64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["engine", sample, &count.to_string()])
            .stdout(Stdio::null())
            .output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("the engine under callgrind failed:\n{log}").into());
        }
        let collected = log.lines().find_map(|line| line.split_once("Collected : "));
        Ok(collected
            .ok_or("callgrind printed no total")?
            .1
            .trim()
            .parse()?)
    };
    Ok(run(2 * COUNT)?.saturating_sub(run(COUNT)?) / COUNT)
}
