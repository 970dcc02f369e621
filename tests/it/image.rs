//! The image as `tests/bed/image.sh` lays it out: what is in it, and that it runs from its layers.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn layout() -> PathBuf {
    let folder = repository().join("target/image/oci");
    assert!(
        folder.join("index.json").is_file(),
        "{} holds no image. Run `make test`, or `tests/bed/image.sh` once (about 4 minutes).",
        folder.display()
    );
    folder
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The digest of what a command writes.
fn sha256(command: &mut Command) -> String {
    let mut source = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut sum = Command::new("sha256sum");
    let output = run(sum.stdin(source.stdout.take().unwrap()));
    assert!(source.wait().unwrap().success());
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", text.split_once(' ').unwrap().0)
}

/// The file of a descriptor, whose digest and size are checked.
fn blob(descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    let path = layout()
        .join("blobs/sha256")
        .join(digest.strip_prefix("sha256:").unwrap());
    assert_eq!(sha256(Command::new("cat").arg(&path)), digest);
    assert_eq!(
        json!(fs::metadata(&path).unwrap().len()),
        descriptor["size"]
    );
    path
}

/// Manifest, configuration and the one layer.
fn image() -> (Value, Value, PathBuf) {
    let index = json_of(&layout().join("index.json"));
    let manifest = json_of(&blob(&index["manifests"][0]));
    let configuration = json_of(&blob(&manifest["config"]));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let layer = blob(&manifest["layers"][0]);
    (manifest, configuration, layer)
}

/// The value of an instruction of the last stage of the Dockerfile, in its order.
fn instructions(name: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let (_, last) = text.rsplit_once("\nFROM ").unwrap();
    let joined = last.replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .map(|value| value.trim().to_owned())
        .collect()
}

#[test]
fn the_image_is_what_the_dockerfile_says() {
    let (_, configuration, _) = image();
    let configuration = &configuration["config"];
    assert_eq!(configuration["User"], instructions("USER")[0]);
    assert_eq!(configuration["User"], "65532:65532");
    assert_eq!(configuration["WorkingDir"], instructions("WORKDIR")[0]);
    let entrypoint: Value = serde_json::from_str(&instructions("ENTRYPOINT")[0]).unwrap();
    assert_eq!(configuration["Entrypoint"], entrypoint);
    let labels = configuration["Labels"].as_object().unwrap();
    let said = instructions("LABEL").join(" ");
    assert_eq!(said.matches("=\"").count(), labels.len(), "{said}");
    for (name, value) in labels {
        let value = value.as_str().unwrap();
        let expected = if name == "org.opencontainers.image.version" {
            assert_eq!(value, env!("CARGO_PKG_VERSION"));
            "${VERSION}"
        } else {
            value
        };
        assert!(
            said.contains(&format!("{name}=\"{expected}\"")),
            "{name}: {said}"
        );
    }
    assert!(
        instructions("ARG").contains(&format!("VERSION={}", env!("CARGO_PKG_VERSION"))),
        "the Dockerfile's VERSION is not the program's"
    );
}

#[test]
fn the_layer_holds_one_file_that_nobody_may_write() {
    let (_, configuration, layer) = image();
    let unpacked = sha256(Command::new("gzip").arg("-dc").arg(&layer));
    assert_eq!(configuration["rootfs"]["diff_ids"], json!([unpacked]));
    let list = run(Command::new("tar")
        .args(["--numeric-owner", "-tvzf"])
        .arg(&layer)
        .env("TZ", "UTC"));
    let list = String::from_utf8(list.stdout).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 1, "{list}");
    assert!(lines[0].starts_with("-r-xr-xr-x 0/0 "), "{list}");
    assert!(lines[0].ends_with(" 1970-01-01 00:00 tidegate"), "{list}");
}

#[test]
fn the_program_runs_from_the_layer_with_nothing_beside_it() {
    let (_, _, layer) = image();
    let root = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&layer)
        .arg("-C")
        .arg(root.path()));
    let program = root.path().join("tidegate");
    // In a root of its own nothing could be loaded that is not in the layer. That takes root.
    let is_root = run(Command::new("id").arg("-u")).stdout == b"0\n";
    let mut command = if is_root {
        let mut chroot = Command::new("chroot");
        chroot
            .arg("--userspec=65532:65532")
            .arg(root.path())
            .arg("/tidegate");
        chroot
    } else {
        Command::new(&program)
    };
    let output = run(command
        .arg("--version")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(!asks_for_a_loader(&fs::read(&program).unwrap()));
}

/// Whether a 64-bit little-endian ELF file has a program header of type `PT_INTERP`.
fn asks_for_a_loader(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let first = u64::from_le_bytes(elf[32..40].try_into().unwrap());
    let first = usize::try_from(first).unwrap();
    let (size, count) = (half(54), half(56));
    assert_eq!(&elf[..4], b"\x7fELF");
    (0..count)
        .map(|header| first + header * size)
        .any(|at| elf[at..at + 4] == PT_INTERP.to_le_bytes())
}

#[test]
fn a_program_that_needs_a_loader_is_told_apart() {
    assert!(asks_for_a_loader(
        &fs::read(env!("CARGO_BIN_EXE_tidegate")).unwrap()
    ));
}

#[test]
fn a_registry_takes_the_image_and_gives_it_back() {
    let crane = repository().join("target/bed/bin/crane");
    assert!(
        crane.is_file(),
        "{} is missing. Run `make test`, or `tests/bed/build.sh` once.",
        crane.display()
    );
    let mut registry = Command::new(&crane)
        .args(["registry", "serve", "--address", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Read on to the end, as the registry ends when nobody takes its log.
    let mut lines = BufReader::new(registry.stderr.take().unwrap()).lines();
    // Its first line ends with the port; it ends by itself when it cannot listen.
    let first = lines.next().and_then(Result::ok);
    let port = first.and_then(|line| line.rsplit(' ').next()?.parse::<u16>().ok());
    let log = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let outcome = port.map(|port| {
        let reference = format!("127.0.0.1:{port}/tidegate/tidegate:test");
        let mut outputs = Vec::new();
        for words in [
            &["push", layout().to_str().unwrap(), &reference][..],
            &["validate", "--remote", &reference],
            &["config", &reference],
        ] {
            outputs.push(
                Command::new(&crane)
                    .arg("--insecure")
                    .args(words)
                    .output()
                    .unwrap(),
            );
        }
        outputs
    });
    registry.kill().unwrap();
    registry.wait().unwrap();
    let log = log.join().unwrap();
    let outputs = outcome.expect("crane registry serve says where it listens");
    for output in &outputs {
        assert!(
            output.status.success(),
            "{}{log:#?}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let (_, configuration, _) = image();
    let given: Value = serde_json::from_slice(&outputs[2].stdout).unwrap();
    assert_eq!(given, configuration);
}
