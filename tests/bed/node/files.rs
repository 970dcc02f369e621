//! Folders of files that change in one step, as a kubelet writes them.

use std::collections::BTreeMap;
use std::io::Result;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path};

/// The files of a volume by their paths in it.
pub type Files = BTreeMap<String, File>;

/// One file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// What is in it.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
}

/// Writes the files into `folder` as generation `generation`, and removes those of the one before.
///
/// The files are links through a folder `..data`, which is itself a link that is swapped; a reader
/// sees all files of one generation or all of the other.
pub fn write(folder: &Path, files: &Files, group: Option<u32>, generation: u64) -> Result<()> {
    let version = format!("..generation_{generation}");
    let path = folder.join(&version);
    std::fs::create_dir_all(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    for (name, file) in files {
        let target = path.join(name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&target, &file.content)?;
        let mut mode = file.mode;
        if let Some(group) = group {
            chown(&target, None, Some(group))?;
            mode |= 0o440;
        }
        std::fs::set_permissions(&target, PermissionsExt::from_mode(mode))?;
    }

    let old = std::fs::read_link(folder.join("..data")).ok();
    symlink(&version, folder.join("..data_tmp"))?;
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    let mut entries: Vec<_> = files.keys().filter_map(|name| first(name)).collect();
    entries.dedup();
    for entry in &entries {
        if !folder.join(entry).exists() {
            let _ = std::fs::remove_file(folder.join(entry));
            symlink(Path::new("..data").join(entry), folder.join(entry))?;
        }
    }
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !entries.contains(&name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        std::fs::remove_dir_all(folder.join(old))?;
    }
    Ok(())
}

/// The first part of a path, which must lead down.
fn first(path: &str) -> Option<&str> {
    match Path::new(path).components().next()? {
        Component::Normal(name) => name.to_str(),
        _ => None,
    }
}
