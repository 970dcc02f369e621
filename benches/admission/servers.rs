//! The two servers: tidegate itself, and an echo server on the same stack as the yardstick.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::Failure;
use crate::answer::Answers;
use crate::load::{Connection, Target};
use crate::process::{Cores, Process};
use crate::samples::Sample;

/// Where logs, certificates, samples and the report go, from the root of the repository.
pub(crate) const OUT: &str = "target/bench";
/// The policy and the cluster the measured server works with.
pub(crate) const POLICY: &str = "benches/policy.yaml";
pub(crate) const CLUSTER: &str = "benches/cluster.yaml";

/// What is measured and where it runs.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The tidegate binary.
    pub(crate) tidegate: PathBuf,
    pub(crate) cores: Cores,
}

/// A server that has given its first right answer.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) target: Target,
    /// From the start of the process to the first connection accepted.
    pub(crate) listening: Duration,
    /// From the start of the process to the first right answer.
    pub(crate) answering: Duration,
}

impl Bench {
    /// The command line of a server, and the folder it writes its certificates to.
    pub(crate) fn server(
        &self,
        answers: Answers,
        address: SocketAddr,
    ) -> Result<(PathBuf, Vec<OsString>, PathBuf), Failure> {
        let name = name(answers);
        let certificates = Path::new(OUT).join(format!("{name}-tls"));
        let mut arguments: Vec<OsString> = match answers {
            Answers::Echo => vec!["echo".into()],
            Answers::Tidegate => {
                let ops = free_address()?.to_string();
                [
                    "serve",
                    "--standalone",
                    "--policy",
                    POLICY,
                    "--cluster",
                    CLUSTER,
                    "--ops-listen",
                    &ops,
                ]
                .map(OsString::from)
                .into()
            }
        };
        arguments.extend(["--listen".into(), address.to_string().into()]);
        arguments.extend(["--self-signed".into(), certificates.clone().into()]);
        let program = match answers {
            Answers::Echo => std::env::current_exe()?,
            Answers::Tidegate => self.tidegate.clone(),
        };
        Ok((program, arguments, certificates))
    }

    /// Starts a server and waits, at most `patience`, for its right answer to `sample`. `wrapper` is a
    /// program and its arguments to run the server under.
    pub(crate) async fn start(
        &self,
        answers: Answers,
        sample: &Sample,
        wrapper: &[OsString],
        patience: Duration,
    ) -> Result<Server, Failure> {
        let address = free_address()?;
        let (program, arguments, certificates) = self.server(answers, address)?;
        if certificates.exists() {
            std::fs::remove_dir_all(&certificates)?;
        }
        let mut command = match wrapper.split_first() {
            Some((wrapper, rest)) => {
                let mut command = self.cores.command(Path::new(wrapper));
                command.args(rest).arg(&program);
                command
            }
            None => self.cores.command(&program),
        };
        command.args(arguments);
        let log = Path::new(OUT).join(format!("{}.log", name(answers)));
        wait(
            command,
            &log,
            address,
            answers,
            sample,
            &certificates,
            patience,
        )
        .await
    }
}

async fn wait(
    command: Command,
    log: &Path,
    address: SocketAddr,
    answers: Answers,
    sample: &Sample,
    certificates: &Path,
    patience: Duration,
) -> Result<Server, Failure> {
    let started = Instant::now();
    let mut process = Process::start(command, log)?;
    while TcpStream::connect(address).await.is_err() {
        process.alive()?;
        if started.elapsed() > patience {
            return Err(format!("the server does not listen after {patience:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let listening = started.elapsed();
    let ca = std::fs::read(certificates.join("ca.crt"))?;
    let target = Target::new(address, answers, &ca)?;
    Connection::open(&target, sample, 0).await?.send(1).await?;
    Ok(Server {
        process,
        target,
        listening,
        answering: started.elapsed(),
    })
}

/// The name of a server in files and tables.
pub(crate) fn name(answers: Answers) -> &'static str {
    match answers {
        Answers::Echo => "echo",
        Answers::Tidegate => "tidegate",
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
