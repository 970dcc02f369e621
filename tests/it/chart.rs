//! The Helm chart, by what Helm 3 and Helm 4 make of it; no cluster is needed.

mod guide;
mod live;
mod pods;
mod policy;
mod refused;
mod render;
mod rights;
mod schemas;
mod stand_in;
mod values;
mod webhook;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tidegate::document;

/// Both Helms by their programs.
const HELMS: [&str; 2] = ["helm", "helm3"];

/// What Helm takes the cluster for where a test is not about versions.
const KUBERNETES: &str = "1.36.0";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> PathBuf {
    repository().join("charts/tidegate")
}

/// A program of the test bed.
fn program(name: &str) -> PathBuf {
    let path = repository().join("target/bed/bin").join(name);
    assert!(
        path.is_file(),
        "{} is missing. Run `make test`, or `tests/bed/build.sh` once.",
        path.display()
    );
    path
}

/// Runs one of the Helms away from any settings of the caller's.
fn helm(helm: &str, words: &[&str]) -> Output {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(helm);
    Command::new(program(helm))
        .args(words)
        .env_clear()
        .env("HELM_CONFIG_HOME", scratch.join("config"))
        .env("HELM_DATA_HOME", scratch.join("data"))
        .env("HELM_CACHE_HOME", scratch.join("cache"))
        .output()
        .unwrap()
}

/// What a run of `helm template` for the release `tidegate` in the namespace `tidegate` came to.
fn template(program: &str, words: &[&str]) -> Output {
    let chart = chart();
    let mut all = vec!["template", "tidegate", chart.to_str().unwrap()];
    all.extend(["--namespace", "tidegate", "--kube-version", KUBERNETES]);
    all.extend(words);
    helm(program, &all)
}

/// The text of a rendering that must succeed.
fn rendered(program: &str, words: &[&str]) -> String {
    let output = template(program, words);
    assert!(
        output.status.success(),
        "{program} template {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The objects of a YAML text, in order.
fn objects(yaml: &str) -> Vec<Value> {
    document::parse(yaml)
        .into_iter()
        .map(|document| {
            let document = document.unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            serde_json::from_str(&document.node.to_json()).unwrap()
        })
        .collect()
}

/// The objects that Helm 4 makes with these words.
fn release(words: &[&str]) -> Vec<Value> {
    objects(&rendered("helm", words))
}

/// The object of this kind and name, which must be there once.
fn object<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}

/// Whether there is an object of this kind.
fn has(objects: &[Value], kind: &str) -> bool {
    objects.iter().any(|object| object["kind"] == kind)
}

/// The chart's variants: the defaults, and every file of values in `ci/`, as words for Helm.
fn variants() -> Vec<(String, Vec<String>)> {
    let mut variants = vec![("defaults".to_owned(), Vec::new())];
    let mut files: Vec<PathBuf> = std::fs::read_dir(chart().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    variants.extend(files.into_iter().map(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        (
            name,
            vec!["--values".to_owned(), file.to_str().unwrap().to_owned()],
        )
    }));
    assert!(variants.len() > 5, "the variants of ci/ are missing");
    variants
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The built command with these words, and `input` on its standard input.
fn tidegate(words: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}
