//! The fields a finding names are in the pod, where it says they are.

use serde_json::Value;

use super::{PodLine, found, frozen};

/// Checks that demand a field: its path is named where it is to be set.
const DEMANDING: [&str; 4] = [
    "allowPrivilegeEscalation",
    "capabilities_restricted",
    "runAsNonRoot",
    "seccompProfile_restricted",
];

/// Checks of a profile whose type is missing.
const TYPED: [&str; 3] = [
    "appArmorProfile",
    "seccompProfile_baseline",
    "seccompProfile_restricted",
];

/// The steps of a path, as they were put together: names and keys, or indexes of lists.
fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut rest = path;
    while let Some(character) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let end = quoted.find("\"]").unwrap();
            steps.push(quoted[..end].to_owned());
            rest = &quoted[end + 2..];
            continue;
        }
        match character {
            '.' | '[' => steps.push(String::new()),
            ']' => {}
            other => steps.last_mut().unwrap().push(other),
        }
        rest = &rest[character.len_utf8()..];
    }
    steps
}

/// The value at a path, and how many of its last steps are not there.
fn resolve<'v>(pod: &'v Value, path: &str) -> (&'v Value, usize) {
    let steps = steps(path);
    let mut value = pod;
    for (done, step) in steps.iter().enumerate() {
        let next = match value {
            Value::Object(entries) => entries.get(step),
            Value::Array(elements) => elements.get(step.parse::<usize>().unwrap()),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return (value, steps.len() - done),
        }
    }
    (value, 0)
}

#[test]
fn every_finding_names_fields_that_are_in_the_pod() {
    let mut seen = 0;
    for line in frozen("pods.jsonl").lines() {
        let line: PodLine = serde_json::from_str(line).unwrap();
        let pod: Value = serde_json::from_str(line.pod.get()).unwrap();
        for verdict in &line.verdicts {
            for (check, failure) in found(line.pod.get(), verdict) {
                let id = check.check.id;
                assert!(
                    !failure.fields.is_empty(),
                    "{id} names no field: {}",
                    line.pod
                );
                let mut unique = failure.fields.clone();
                unique.sort();
                unique.dedup();
                assert_eq!(
                    unique.len(),
                    failure.fields.len(),
                    "{id} repeats {:?}",
                    failure.fields
                );
                for path in &failure.fields {
                    // A key with characters that are written as escapes is not looked up.
                    if path.as_str().contains('\\') {
                        continue;
                    }
                    seen += 1;
                    let (_, missing) = resolve(&pod, path.as_str());
                    let depth = if DEMANDING.contains(&id) {
                        3
                    } else {
                        usize::from(TYPED.contains(&id))
                    };
                    assert!(missing <= depth, "{id} names {path}: {}", line.pod);
                }
            }
        }
    }
    assert!(seen > 1_000, "{seen} fields");
}

#[test]
fn paths_are_taken_apart_as_they_are_put_together() {
    let path = "spec.containers[0].securityContext.capabilities.add[12]";
    let parts = [
        "spec",
        "containers",
        "0",
        "securityContext",
        "capabilities",
        "add",
        "12",
    ];
    assert_eq!(steps(path), parts);
    assert_eq!(
        steps("metadata.annotations[\"a.b/c\"]"),
        ["metadata", "annotations", "a.b/c"]
    );
}
