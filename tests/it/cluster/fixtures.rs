//! Upstream's pod security fixtures, posted to the API server as Pods and inside Deployments.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bed::{self, Bed, Call, Tidegate};

/// The newest version upstream has fixtures for; `latest` means the same.
const VERSION: &str = "v1.37";

/// A Pod of upstream's corpus.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The file's name without extension: the check in lower case and a number.
    pub(super) name: String,
    yaml: String,
}

impl Fixture {
    /// The Pod as the API server takes it: upstream's names may hold `_`, which no Pod's name may.
    pub(super) fn pod(&self) -> String {
        let name = format!("  name: {}", self.name);
        let valid = format!("  name: {}", self.name.replace('_', "-"));
        self.yaml.replacen(&name, &valid, 1)
    }

    /// A Deployment whose template is the Pod.
    fn deployment(&self) -> String {
        let pod = self.pod();
        let body = pod
            .lines()
            .filter(|line| !line.starts_with("apiVersion:") && !line.starts_with("kind:"));
        let template = body.fold(String::new(), |text, line| text + "    " + line + "\n");
        let labelled = template.replacen(
            "    metadata:\n",
            "    metadata:\n      labels: {app: fixture}\n",
            1,
        );
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {}}}\nspec:\n  \
             selector: {{matchLabels: {{app: fixture}}}}\n  template:\n{labelled}",
            self.name.replace('_', "-")
        )
    }
}

/// The fixtures of a level that must pass or fail, by name.
pub(super) fn fixtures(level: &str, outcome: &str) -> Vec<Fixture> {
    let folder = testdata().join(level).join(VERSION).join(outcome);
    let mut fixtures: Vec<Fixture> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| Fixture {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            yaml: std::fs::read_to_string(&path).unwrap(),
        })
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures
}

/// Where Go keeps the module with upstream's fixtures, in the version that the oracle is built from;
/// it is fetched when it is not there.
fn testdata() -> PathBuf {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let output = Command::new("go")
        .args(["mod", "download", "-json", "k8s.io/pod-security-admission"])
        .current_dir(oracle)
        .output()
        .expect("Go is needed for upstream's fixtures (https://go.dev/dl)");
    let module: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(folder) = module["Dir"].as_str() else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("upstream's fixtures cannot be had, run `make test`: {module} {stderr}");
    };
    Path::new(folder).join("test/testdata")
}

/// Fixtures of v1.37 that this API server refuses before it asks anybody: it demands
/// `hostUsers: false` of Pods that unmask /proc, which these must fail for not having.
const REFUSED: [&str; 2] = ["procmount0", "procmount1"];

/// Which check speaks for another at the level restricted: upstream lists only the stricter one.
const OVERRIDDEN: [(&str, &str); 4] = [
    ("capabilities_baseline", "capabilities_restricted"),
    ("hostpathvolumes", "restrictedvolumes"),
    ("procmount", "procmount_restricted"),
    ("seccompprofile_baseline", "seccompprofile_restricted"),
];

/// The check that a fixture was made for, in lower case.
fn expected_check(level: &str, fixture: &str) -> String {
    let check = fixture.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let overridden = OVERRIDDEN
        .iter()
        .find(|(baseline, _)| level == "restricted" && *baseline == check);
    overridden
        .map_or(check, |(_, restricted)| restricted)
        .to_owned()
}

/// A denial as one line: `CHECK at FIELD, FIELD; CHECK at FIELD`.
fn describe(causes: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut last = "";
    for (check, field) in causes {
        let check = check
            .strip_prefix("pod-security/")
            .expect("only pod-security is in force");
        if check == last {
            text.push_str(", ");
        } else {
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{check} at ");
            last = check;
        }
        text.push_str(field);
    }
    text
}

/// Posts every fixture of a level, and returns what was denied, one line a fixture.
fn post_all(bed: &Bed, tidegate: &Tidegate<'_>, level: &str) -> String {
    let namespace = tidegate.namespace("pods");
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let post = |path: &str, yaml: String| {
        bed.call(&Call::new("POST", path).body("application/yaml", yaml))
    };
    let template = |yaml: String| {
        bed.call(
            &Call::new("POST", &deployments)
                .body("application/yaml", yaml)
                .dry_run(),
        )
    };

    let mut stored = Vec::new();
    for fixture in fixtures(level, "pass") {
        let name = &fixture.name;
        let pod = post(&pods, fixture.pod());
        assert_eq!(pod.status, 201, "{name}: {}", pod.body);
        let deployment = template(fixture.deployment());
        assert_eq!(deployment.status, 201, "{name}: {}", deployment.body);
        for answer in [&pod, &deployment] {
            assert!(
                answer
                    .warnings
                    .iter()
                    .all(|text| !text.starts_with("pod-security/")),
                "{name}: {answer:?}"
            );
        }
        stored.push(pod.body["metadata"]["name"].as_str().unwrap().to_owned());
    }

    let mut denied = String::new();
    for fixture in fixtures(level, "fail") {
        let name = &fixture.name;
        let pod = post(&pods, fixture.pod());
        let deployment = template(fixture.deployment());
        if REFUSED.contains(&name.as_str()) {
            assert_eq!(
                (pod.status, deployment.status),
                (422, 422),
                "{name}: {}",
                pod.body
            );
            assert!(
                pod.message()
                    .contains("`hostUsers` must be false to use `Unmasked`"),
                "{name}: {}",
                pod.body
            );
            continue;
        }
        assert_eq!(pod.status, 403, "{name}: {}", pod.body);
        let causes = pod.causes();
        let expected = format!("pod-security/{}", expected_check(level, name));
        let meant = causes
            .iter()
            .find(|(check, _)| check.eq_ignore_ascii_case(&expected));
        assert!(
            meant.is_some(),
            "{name} must break {expected}, but: {causes:?}"
        );

        // A template is only warned of, for the same checks.
        assert_eq!(deployment.status, 201, "{name}: {}", deployment.body);
        let mut checks: Vec<&str> = causes.iter().map(|(check, _)| *check).collect();
        checks.dedup();
        let ours = deployment
            .warnings
            .iter()
            .filter_map(|text| text.split_once(": "));
        let warned: Vec<&str> = ours
            .map(|(check, _)| check)
            .filter(|check| check.starts_with("pod-security/"))
            .collect();
        assert_eq!(warned, checks, "{name}: {:?}", deployment.warnings);
        let _ = writeln!(denied, "{name}: {}", describe(&causes));
    }

    let list = bed.call(&Call::new("GET", &pods)).body;
    let mut found: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap())
        .collect();
    found.sort_unstable();
    stored.sort_unstable();
    assert_eq!(
        found, stored,
        "the namespace holds other Pods than those that pass"
    );
    denied
}

fn tidegate_at<'a>(bed: &'a Bed, level: &str) -> Tidegate<'a> {
    let policy = "
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: as-upstream}
spec:
  mode: enforce
  controls: {pod-security: {}}
";
    let labels = [
        ("pod-security.kubernetes.io/enforce", level),
        ("pod-security.kubernetes.io/enforce-version", "latest"),
        ("pod-security.kubernetes.io/warn", level),
    ];
    bed.tidegate(&format!("fixtures-{level}"))
        .policy(policy)
        .namespace("pods", &labels)
        .start()
}

#[test]
fn every_fixture_of_baseline_is_stored_or_denied_as_upstream_says() {
    let bed = bed::shared();
    let tidegate = tidegate_at(&bed, "baseline");
    insta::assert_snapshot!("denied_at_baseline", post_all(&bed, &tidegate, "baseline"));
}

#[test]
fn every_fixture_of_restricted_is_stored_or_denied_as_upstream_says() {
    let bed = bed::shared();
    let tidegate = tidegate_at(&bed, "restricted");
    insta::assert_snapshot!(
        "denied_at_restricted",
        post_all(&bed, &tidegate, "restricted")
    );
}
