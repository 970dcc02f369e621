//! How a container's process is started: namespaces, mounts, user, environment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The user of an image that names `65532:65532`, where a pod does not say otherwise.
const IMAGE_USER: u64 = 65532;

/// The parent of a container's first process, which its own first child is in the new process
/// namespace. It only passes on how that one ended (`unshare --fork` of util-linux 2.38 does not), and
/// keeps its own word about it out of the log.
const PARENT: &str = r#"
exec 3>&2 2>/dev/null
"$@" 2>&3 3>&-
exit $?
"#;

/// The first process of a container. It notes its own id (as seen from the node, whose /proc it still
/// has), puts the mounts in place, makes the root read-only and becomes the program.
const ENTRY: &str = r#"
set -eu
root=$1 mounts=$2 pid=$3 write=$4
shift 4
read -r own rest </proc/self/stat
mount --bind "$root" "$root"
tab=$(printf '\t')
while IFS="$tab" read -r access source target; do
    mount --bind "$source" "$root$target"
    mount -o "remount,bind,$access,nosuid" "$root$target"
done <"$mounts"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
[ "$write" = true ] || mount -o remount,bind,ro "$root"
printf '%s\n' "$own" >"$pid.new"
mv "$pid.new" "$pid"
exec env -i "$@"
"#;

/// What a container is started with.
#[derive(Debug)]
pub struct Launch {
    /// The file that names the pod's network namespace, nothing for the node's network.
    pub network: Option<String>,
    /// The image's root file system.
    pub image: PathBuf,
    /// `NAME=VALUE`.
    pub variables: Vec<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// What is mounted: from where, to where, whether it may be written.
    pub mounts: Vec<(PathBuf, String, bool)>,
    /// User, group, further groups.
    pub user: (u64, u64, Vec<u64>),
    /// Whether the root may be written.
    pub writable: bool,
}

impl Launch {
    /// A folder with the image's files, what every container has, and a place for every mount.
    fn prepare_root(&self, folder: &Path, name: &str) -> std::io::Result<PathBuf> {
        let root = folder.join(format!("{name}.root"));
        if root.exists() {
            return Ok(root);
        }
        // Links share the files' content with the image; the folders are the container's own.
        let copied = Command::new("cp")
            .args(["-al"])
            .arg(&self.image)
            .arg(&root)
            .output()?;
        if !copied.status.success() {
            let _ = std::fs::remove_dir_all(&root);
            let said = String::from_utf8_lossy(&copied.stderr).into_owned();
            return Err(std::io::Error::other(said));
        }
        for inner in ["proc", "dev", "etc"] {
            std::fs::create_dir_all(root.join(inner))?;
        }
        for (source, target, _) in &self.mounts {
            let path = root.join(target.trim_start_matches('/'));
            if source.is_dir() {
                std::fs::create_dir_all(path)?;
            } else if !path.exists() {
                std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
                std::fs::write(path, "")?;
            }
        }
        Ok(root)
    }

    /// Starts the process of the container `name`, whose files are `folder/NAME.*`; its id is in
    /// `NAME.pid` once it runs.
    pub fn spawn(&self, folder: &Path, name: &str) -> std::io::Result<Child> {
        let root = self.prepare_root(folder, name)?;
        let list: Vec<String> = self
            .mounts
            .iter()
            .map(|(source, target, writable)| {
                let access = if *writable { "rw" } else { "ro" };
                format!("{access}\t{}\t{target}\n", source.display())
            })
            .collect();
        let mounts = folder.join(format!("{name}.mounts"));
        std::fs::write(&mounts, list.concat())?;
        let log = folder.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log)?;

        let mut command = match &self.network {
            Some(network) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={network}")).arg("unshare");
                command
            }
            None => Command::new("unshare"),
        };
        let (user, group, groups) = &self.user;
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        command
            .args(["--mount", "--pid", "--ipc", "--uts"])
            .args(["sh", "-c", PARENT, "sh"])
            .args(["sh", "-c", ENTRY, "sh"])
            .arg(&root)
            .arg(mounts)
            .arg(folder.join(format!("{name}.pid")))
            .arg(self.writable.to_string())
            .args(&self.variables)
            // A user other than root loses all capabilities, and this way never gets any back.
            .args([
                program("setpriv"),
                "--no-new-privs".to_owned(),
                program("chroot"),
            ])
            .arg(format!("--userspec=+{user}:+{group}"))
            .arg(format!("--groups={}", groups.join(",")))
            .arg(root)
            .args(&self.command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

/// User, group and further groups of a container.
pub fn user(pod: &Value, container: &Value) -> (u64, u64, Vec<u64>) {
    let (outer, inner) = (
        &pod["spec"]["securityContext"],
        &container["securityContext"],
    );
    let either = |field: &str| inner[field].as_u64().or_else(|| outer[field].as_u64());
    let further = super::items(&outer["supplementalGroups"]).chain([&outer["fsGroup"]]);
    (
        either("runAsUser").unwrap_or(IMAGE_USER),
        either("runAsGroup").unwrap_or(IMAGE_USER),
        further.filter_map(Value::as_u64).collect(),
    )
}

/// Where a program of the node is; the container's variables are to say nothing about it.
fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let found =
        found.unwrap_or_else(|| panic!("the program {name} is missing (util-linux, coreutils)"));
    found.to_string_lossy().into_owned()
}
