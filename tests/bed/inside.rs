//! Runs a test again inside namespaces of its own, where a whole cluster has the addresses it wants
//! and everything it started ends with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::place::{API_ADDRESS, NODE_ADDRESS};
use super::process::{self, Process};
use super::{Cluster, Door, door, setup};

/// Names the bed's folder to the process inside; it is how that process knows where it is.
const FOLDER: &str = "TIDEGATE_BED_INSIDE";
/// How long a test may take inside unless it says otherwise.
const LIMIT: Duration = Duration::from_mins(5);

/// One such test at a time, since each has a whole cluster.
static TURN: Mutex<()> = Mutex::new(());

/// The first process inside. It gives the API server and the node their addresses, keeps what is
/// mounted at `/run` to these namespaces, and runs the test; when it ends, the kernel ends everything.
const FIRST: &str = r#"
set -eu
ip link set lo up
ip address add "$1/32" dev lo
ip address add "$2/32" dev lo
echo 1 >/proc/sys/net/ipv4/ip_forward
mount -t tmpfs bed /run
mkdir /run/netns
shift 2
code=0
"$@" || code=$?
exit $code
"#;

/// Runs a test on a cluster of its own, in which pods run. Call it with a closure, as the only thing
/// that the test does: this process only starts the test once more inside namespaces and waits for it.
///
/// Such tests run one after another; each takes about ten seconds more than what it does.
pub fn inside<F: FnOnce(&Cluster)>(test: F) {
    inside_within(LIMIT, test);
}

/// [`inside`] for a test that may take longer, or must be faster, than five minutes.
pub fn inside_within<F: FnOnce(&Cluster)>(limit: Duration, test: F) {
    if folder().is_some() {
        test(&Cluster::start());
        return;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = run_again(&test_name::<F>(), limit, |_| {});
    drop(turn);
    if let Err(report) = outcome {
        panic!("{report}");
    }
}

/// [`inside`] without an end, for a cluster that somebody outside uses: `announce` is called there
/// once the API server can be reached through the door.
pub fn inside_open<F: FnOnce(&Cluster)>(announce: impl Fn(&Door), test: F) {
    if let Some(folder) = folder() {
        let cluster = Cluster::start();
        door::frame(&folder);
        test(&cluster);
        return;
    }
    let mut open = None;
    let outcome = run_again(&test_name::<F>(), Duration::MAX, |folder| {
        if open.is_none() && door::is_there(folder) {
            announce(open.insert(Door::open(folder)));
        }
    });
    if let Err(report) = outcome {
        panic!("{report}");
    }
}

/// The bed's folder, when this process is one inside.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// The root file system of the image of this source, with the static binary in it; built once.
pub fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let rootfs = source.join("target/image/rootfs");
        // Built outside, where there is a network; see `run_again`.
        if folder().is_none() {
            let build = Command::new(source.join("tests/bed/image.sh"))
                .output()
                .unwrap();
            assert!(
                build.status.success(),
                "tests/bed/image.sh: {}\n{}",
                build.status,
                String::from_utf8_lossy(&build.stderr)
            );
        }
        assert!(
            rootfs.join("tidegate").is_file(),
            "{} holds no tidegate; run tests/bed/image.sh",
            rootfs.display()
        );
        rootfs
    })
}

/// `meanwhile` is called again and again with the bed's folder while the test runs.
fn run_again(test: &str, limit: Duration, meanwhile: impl FnMut(&Path)) -> Result<(), String> {
    image();
    let folder = setup::run_folder();
    let mut janitor = process::remove_at_exit(&folder);
    let outcome = run_in(&folder, test, limit, meanwhile);
    // It removes the folder once it is told so; nobody has to wait for that.
    std::thread::spawn(move || janitor.wait());
    outcome
}

fn run_in(
    folder: &Path,
    test: &str,
    limit: Duration,
    mut meanwhile: impl FnMut(&Path),
) -> Result<(), String> {
    let program = std::env::current_exe().unwrap();
    let mut arguments = setup::flags(&["--net", "--mount", "--pid", "--mount-proc", "--fork"]);
    // Whoever kills this process thereby ends the first process inside, and so all of them.
    arguments.push("--kill-child".to_owned());
    if !is_root() {
        // Pods have users of their own, so one user in the namespace is not enough.
        arguments.extend(setup::flags(&["--map-root-user", "--map-auto"]));
    }
    arguments.extend(setup::flags(&[
        "sh",
        "-c",
        FIRST,
        "sh",
        API_ADDRESS,
        NODE_ADDRESS,
    ]));
    arguments.extend(["env".to_owned(), format!("{FOLDER}={}", folder.display())]);
    arguments.push(program.to_string_lossy().into_owned());
    arguments.extend(setup::flags(&[
        "--exact",
        test,
        "--include-ignored",
        "--nocapture",
    ]));
    let mut process = Process::start("test", folder, Path::new("unshare"), &arguments);
    let start = Instant::now();
    let mut status = process.ended();
    while status.is_none() && start.elapsed() < limit {
        meanwhile(folder);
        std::thread::sleep(Duration::from_millis(20));
        status = process.ended();
    }
    let output = process.output();
    if status.is_some_and(|status| status.success()) && output.contains("test result: ok. 1 passed")
    {
        // Figures and the like, for who runs it with --nocapture.
        print!("{output}");
        return Ok(());
    }
    let _ = std::fs::write(folder.join("keep"), "");
    let end = status.map_or_else(
        || format!("did not end within {limit:?}"),
        |status| format!("ended with {status}"),
    );
    let hint = if output.contains("unshare:") {
        "\nSuch a test makes namespaces: it needs root, or user namespaces with\n\
         a range of ids for this user (newuidmap, /etc/subuid)."
    } else {
        ""
    };
    Err(format!(
        "inside its namespaces {test} {end}; files in {}{hint}\n{output}",
        folder.display()
    ))
}

/// The harness' name of the test whose closure `F` is.
fn test_name<F>() -> String {
    let name = std::any::type_name::<F>();
    name.strip_suffix("::{{closure}}")
        .and_then(|path| path.split_once("::"))
        .map_or_else(
            || panic!("{name} is no closure of a test"),
            |(_, path)| path.to_owned(),
        )
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
