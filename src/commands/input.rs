//! Manifests from files, directories and standard input.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::document::MAX_BYTES;
use crate::document::source::{Object, Source, Unreadable, objects};

/// How standard input is named.
pub const STDIN: &str = "<stdin>";

/// The most files that are read.
pub const MAX_FILES: usize = 100_000;

/// The most bytes all files may hold together.
pub const MAX_TOTAL_BYTES: usize = 512 * 1024 * 1024;

/// The deepest nesting of directories.
const MAX_DIRECTORY_DEPTH: usize = 64;

/// What the paths hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// The objects: paths in the order given, directories sorted by the bytes of their names.
    pub objects: Vec<Object>,
    /// What could not be read, in the same order.
    pub unreadable: Vec<Unreadable>,
}

/// Reads `paths`; `-` is `stdin`.
///
/// A directory stands for its files that end in `.yaml`, `.yml` or `.json`, in it and below.
/// Hidden files count, since kubectl applies them; hidden directories (`.git`, `.github`, the
/// `..data` of a mounted `ConfigMap`) do not. Links are followed, and no directory is read twice.
/// A file named by itself is read whatever its name.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Input {
    let mut reader = Reader {
        input: Input::default(),
        files: 0,
        bytes: 0,
        directories: HashSet::new(),
        stdin: Some(stdin),
    };
    for path in paths {
        reader.path(path);
    }
    reader.input
}

struct Reader<'s> {
    input: Input,
    files: usize,
    bytes: usize,
    /// The directories that were read, under their real paths.
    directories: HashSet<PathBuf>,
    stdin: Option<&'s mut dyn Read>,
}

impl Reader<'_> {
    fn path(&mut self, path: &Path) {
        if path == Path::new("-") {
            match self.stdin.take() {
                Some(stdin) => self.content(STDIN, stdin),
                None => self.fail(STDIN, "`-` is named twice: standard input can be read once"),
            }
            return;
        }
        let name = path.to_string_lossy();
        match fs::metadata(path) {
            Err(error) => self.fail(&name, cannot_read(&error)),
            Ok(metadata) if metadata.is_dir() => {
                self.directories.clear();
                let before = (self.files, self.input.unreadable.len());
                self.directory(path, 0);
                if before == (self.files, self.input.unreadable.len()) {
                    self.fail(
                        &name,
                        "no .yaml, .yml or .json file in this directory or below",
                    );
                }
            }
            Ok(_) => self.file(path),
        }
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        let name = path.to_string_lossy();
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return self.fail(&name, cannot_read(&error)),
        };
        if !self.directories.insert(real) {
            return;
        }
        if depth > MAX_DIRECTORY_DEPTH {
            return self.fail(
                &name,
                format!("directories nest deeper than {MAX_DIRECTORY_DEPTH}"),
            );
        }
        let names = match entries(path) {
            Ok(names) => names,
            Err(error) => return self.fail(&name, cannot_read(&error)),
        };
        for entry in names {
            if self.files > MAX_FILES {
                return;
            }
            let path = path.join(&entry);
            let manifest = is_manifest(&path);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    if !entry.as_encoded_bytes().starts_with(b".") {
                        self.directory(&path, depth + 1);
                    }
                }
                Ok(metadata) if manifest && metadata.is_file() => self.file(&path),
                Ok(_) if manifest => self.fail(&path.to_string_lossy(), "not a regular file"),
                Err(error) if manifest => self.fail(&path.to_string_lossy(), cannot_read(&error)),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn file(&mut self, path: &Path) {
        self.files += 1;
        let name = path.to_string_lossy();
        if self.files > MAX_FILES {
            return self.fail(
                &name,
                format!("more than {MAX_FILES} files: check them in parts"),
            );
        }
        match File::open(path) {
            Ok(mut file) => self.content(&name, &mut file),
            Err(error) => self.fail(&name, cannot_read(&error)),
        }
    }

    fn content(&mut self, name: &str, content: &mut dyn Read) {
        let limit = u64::try_from(MAX_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut bytes = Vec::new();
        if let Err(error) = content.take(limit).read_to_end(&mut bytes) {
            return self.fail(name, cannot_read(&error));
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_TOTAL_BYTES {
            let mebibytes = MAX_TOTAL_BYTES / (1024 * 1024);
            return self.fail(
                name,
                format!("the files hold more than {mebibytes} MiB: check them in parts"),
            );
        }
        let (objects, unreadable) = objects(name, bytes);
        self.input.objects.extend(objects);
        self.input.unreadable.extend(unreadable);
    }

    fn fail(&mut self, name: &str, error: impl Into<String>) {
        self.input.unreadable.push(Unreadable {
            source: Source::file(name),
            error: error.into(),
        });
    }
}

fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory: check the path".into(),
        io::ErrorKind::PermissionDenied => "no permission to read it".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The names in a directory, sorted by their bytes.
fn entries(path: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort_by(|one, other| one.as_encoded_bytes().cmp(other.as_encoded_bytes()));
    Ok(names)
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
