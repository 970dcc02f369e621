//! The fuzz targets' properties over seeded mutations of the corpus, for as long as a test may take.

use std::path::Path;

use super::mutate::{Random, mutate};
use super::properties;

/// The seed; set it to repeat a run or to look elsewhere.
const SEED: &str = "TIDEGATE_FUZZ_SEED";

fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", path.display());
    files
}

/// Runs `property` on every file of the corpus and on `rounds` mutations of them.
fn search(folders: &[&str], rounds: usize, property: fn(&[u8])) {
    let seed: u64 = match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => 20_261_122,
    };
    println!(
        "{rounds} mutations of {}, {SEED}={seed}",
        folders.join(" and ")
    );
    let files: Vec<_> = folders.iter().flat_map(|folder| corpus(folder)).collect();
    for (name, bytes) in &files {
        println!("{name}");
        property(bytes);
    }
    let mut random = Random(seed);
    for round in 0..rounds {
        let (name, bytes) = random.pick(&files);
        let (_, other) = random.pick(&files);
        let mutated = mutate(bytes, other, &mut random);
        // Only shown when the property does not hold.
        let shown = Shown {
            round,
            name,
            mutated: &mutated,
        };
        property(&mutated);
        std::mem::forget(shown);
    }
}

/// Says what the input was when the property panics.
struct Shown<'m> {
    round: usize,
    name: &'m str,
    mutated: &'m [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let start = &self.mutated[..self.mutated.len().min(4_096)];
        println!(
            "round {}, made of {}:\n{}",
            self.round,
            self.name,
            start.escape_ascii()
        );
    }
}

#[test]
fn damaged_reviews_are_answered_within_every_limit_or_refused() {
    search(&["tests/corpus/reviews"], 4_000, properties::review);
}

#[test]
fn damaged_json_reads_as_serde_json_reads_it() {
    search(&["tests/corpus/reviews"], 3_000, properties::json);
    search(&["tests/corpus/objects"], 6_000, properties::json);
}

#[test]
fn damaged_documents_are_read_within_every_limit_or_refused() {
    search(&["tests/corpus/documents"], 4_000, properties::document);
}

#[test]
fn damaged_policies_are_refused_in_words_or_decide() {
    search(
        &["tests/corpus/policies", "policies"],
        4_000,
        properties::policy,
    );
}
