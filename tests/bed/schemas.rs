//! Kubernetes' own schemas, offline, by kubeconform.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::setup;

/// The minor versions that `tests/bed/build.sh` fetches the schemas of.
pub const MINORS: [&str; 5] = ["1.33", "1.34", "1.35", "1.36", "1.37"];

/// Validates YAML manifests strictly against the schemas of one minor version of Kubernetes, or says
/// what is wrong with them. Kinds that are not Kubernetes' own are listed in `skipped`.
pub fn validate(minor: &str, manifests: &str, skipped: &[&str]) -> Result<(), String> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bed/schemas");
    assert!(
        schemas.join(format!("v{minor}.0-local-strict")).is_dir(),
        "{} holds no schemas of {minor}. Run `make bed`, or `tests/bed/build.sh`, once.",
        schemas.display()
    );
    let location = format!(
        "{}/{{{{.NormalizedKubernetesVersion}}}}-local{{{{.StrictSuffix}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        schemas.display()
    );
    let mut kubeconform = Command::new(setup::tool("kubeconform"))
        .args(["-strict", "-summary", "-kubernetes-version"])
        .arg(format!("{minor}.0"))
        .args(["-schema-location", &location, "-skip", &skipped.join(",")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = kubeconform.stdin.take().unwrap();
    // It may end before it has read everything; its output says why.
    let _ = input.write_all(manifests.as_bytes());
    drop(input);
    let output = kubeconform.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
