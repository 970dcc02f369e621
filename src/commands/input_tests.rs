use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const POD: &str = "apiVersion: v1\nkind: Pod\n";

/// A directory with the given files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn read_all(paths: &[PathBuf]) -> Input {
    read(paths, &mut io::empty())
}

/// The paths of the objects, relative to `directory`.
fn found(input: &Input, directory: &TempDir) -> Vec<String> {
    let prefix = format!("{}/", directory.path().display());
    let objects = input.objects.iter();
    objects
        .map(|object| object.source.path.strip_prefix(&prefix).unwrap().to_owned())
        .collect()
}

fn errors(input: &Input) -> Vec<&str> {
    input
        .unreadable
        .iter()
        .map(|unreadable| unreadable.error.as_str())
        .collect()
}

#[test]
fn a_directory_stands_for_its_manifests_in_the_order_of_their_bytes() {
    let directory = tree(&[
        ("b.yaml", POD),
        ("B.yml", POD),
        ("a/z.json", r#"{"apiVersion":"v1","kind":"Pod"}"#),
        ("a/y.txt", "not: a manifest"),
        (".hidden.yaml", POD),
        (".git/config.yaml", POD),
        ("c.YAML", POD),
    ]);
    let input = read_all(&[directory.path().into()]);
    assert_eq!(
        found(&input, &directory),
        [".hidden.yaml", "B.yml", "a/z.json", "b.yaml"]
    );
    assert_eq!(errors(&input), [""; 0]);
}

#[test]
fn a_file_named_by_itself_is_read_whatever_its_name() {
    let directory = tree(&[("pod.txt", POD)]);
    let path = directory.path().join("pod.txt");
    assert_eq!(read_all(&[path.clone(), path]).objects.len(), 2);
}

#[test]
fn a_directory_without_manifests_is_unreadable() {
    let directory = tree(&[("a.txt", "")]);
    let input = read_all(&[directory.path().into()]);
    assert_eq!(
        errors(&input),
        ["no .yaml, .yml or .json file in this directory or below"]
    );
    assert_eq!(
        input.unreadable[0].source.path,
        directory.path().to_str().unwrap()
    );
}

#[test]
fn a_missing_path_is_unreadable_and_hides_nothing() {
    let directory = tree(&[("a.yaml", POD)]);
    let missing = directory.path().join("missing.yaml");
    let input = read_all(&[missing.clone(), directory.path().join("a.yaml")]);
    assert_eq!(input.objects.len(), 1);
    assert_eq!(
        errors(&input),
        ["no such file or directory: check the path"]
    );
    assert_eq!(
        input.unreadable[0].source,
        Source::file(missing.to_str().unwrap())
    );
}

#[test]
fn standard_input_is_read_once() {
    let input = read(&["-".into(), "-".into()], &mut POD.as_bytes());
    assert_eq!(input.objects[0].source.path, "<stdin>");
    assert_eq!(input.objects.len(), 1);
    assert_eq!(
        errors(&input),
        ["`-` is named twice: standard input can be read once"]
    );
}

#[test]
fn links_are_followed_and_their_loops_end() {
    let directory = tree(&[("real/a.yaml", POD), ("outside/b.yaml", POD)]);
    let real = directory.path().join("real");
    symlink(&real, real.join("loop")).unwrap();
    symlink("loop", real.join("again")).unwrap();
    symlink(directory.path().join("outside"), real.join("linked")).unwrap();
    symlink("a.yaml", real.join("c.yaml")).unwrap();
    symlink("nowhere", real.join("d.yaml")).unwrap();
    let input = read_all(&[real]);
    assert_eq!(
        found(&input, &directory),
        ["real/a.yaml", "real/c.yaml", "real/linked/b.yaml"]
    );
    assert_eq!(
        errors(&input),
        ["no such file or directory: check the path"]
    );
    assert!(input.unreadable[0].source.path.ends_with("d.yaml"));
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let directory = tree(&[("..2026/a.yaml", POD)]);
    symlink("..2026", directory.path().join("..data")).unwrap();
    symlink("..data/a.yaml", directory.path().join("a.yaml")).unwrap();
    let input = read_all(&[directory.path().into()]);
    assert_eq!(found(&input, &directory), ["a.yaml"]);
}

#[test]
fn a_file_over_the_limit_is_unreadable_and_only_its_start_is_read() {
    let directory = tree(&[("b.yaml", POD)]);
    let large = directory.path().join("a.yaml");
    File::create(&large).unwrap().set_len(1 << 40).unwrap();
    let input = read_all(&[directory.path().into()]);
    assert_eq!(input.objects.len(), 1);
    assert_eq!(errors(&input), ["the text is larger than 32 MiB: split it"]);
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_file_document_and_line() {
    let directory = tree(&[(
        "a.yaml",
        "apiVersion: v1\nkind: Pod\n---\na: 1\nb: [\n---\nkind: Pod\n",
    )]);
    let input = read_all(&[directory.path().into()]);
    assert_eq!(input.objects.len(), 1);
    let places: Vec<_> = input
        .unreadable
        .iter()
        .map(|unreadable| unreadable.source.document)
        .collect();
    assert_eq!(places, [1, 2]);
    assert!(input.unreadable[0].source.line >= 5);
    assert_eq!(input.unreadable[1].source.line, 7);
}
