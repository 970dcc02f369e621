//! The lines the source keeps: the pure half stays pure, and files stay small.

use std::path::{Path, PathBuf};

/// Modules of the pure half: `src/<name>.rs` and everything in `src/<name>/`.
const PURE: [&str; 12] = [
    "objects", "json", "review", "subject", "path", "control", "controls", "policy", "facts",
    "evaluate", "document", "drift",
];

/// Also pure; apart, because the list above reads in the order of the crate's documentation.
const RENDERERS: &str = "report";

/// What the pure half must not name: asynchrony, the clock, the environment, files, the network,
/// other processes, and the crates that bring them.
const FORBIDDEN: [&str; 20] = [
    "async ",
    ".await",
    "tokio",
    "hyper",
    "axum",
    "kube::",
    "k8s_openapi",
    "reqwest",
    "rustls",
    "tracing::",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant",
    "OffsetDateTime::now",
    "println!",
    "crate::commands",
];

/// The longest file, in lines.
const LONGEST: usize = 400;

/// Files that may be longer, how long, and why.
const LONGER: [(&str, usize, &str); 1] = [(
    "document/tests.rs",
    500,
    "one table of what YAML and JSON texts mean; no code",
)];

fn source() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below `folder`, as its path from `src` and its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(source())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The lines of code that are compiled outside tests, with their numbers. By the project's habit
/// tests are the last part of a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_pure(file: &str) -> bool {
    let module = file
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    PURE.contains(&module) || module == RENDERERS
}

#[test]
fn the_pure_half_does_nothing_but_compute() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (file, text) in files(&source()).iter().filter(|(file, _)| is_pure(file)) {
        seen += 1;
        for (number, line) in code(text) {
            let named = FORBIDDEN.iter().filter(|word| line.contains(**word));
            wrong.extend(
                named.map(|word| format!("src/{file}:{number} names {word:?}: {}", line.trim())),
            );
        }
    }
    assert!(seen > 40, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_one_half() {
    let adapters = [
        "cli", "cluster", "commands", "lib", "main", "registry", "server",
    ];
    for (file, _) in files(&source()) {
        let module = file.split('/').next().unwrap().trim_end_matches(".rs");
        assert!(
            is_pure(&file) != adapters.contains(&module),
            "src/{file}: say here which half it belongs to"
        );
    }
}

#[test]
fn files_stay_readable_in_one_sitting() {
    let mut wrong = Vec::new();
    for (file, text) in files(&source()) {
        let lines = text.lines().count();
        let limit = LONGER
            .iter()
            .find(|(name, ..)| *name == file)
            .map_or(LONGEST, |(_, limit, _)| *limit);
        if lines > limit {
            wrong.push(format!(
                "src/{file} has {lines} lines, at most {limit} are wanted"
            ));
        }
    }
    for (name, _, why) in LONGER {
        let lines = std::fs::read_to_string(source().join(name))
            .unwrap()
            .lines()
            .count();
        if lines <= LONGEST {
            wrong.push(format!("src/{name} needs no exception any more ({why})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
