//! Keeps CI's target folder below a limit.
//!
//! Dependencies are the costly part and the same for every clone; our own crates are built anew in each, because cargo names
//! what it builds after the folder it came from. So when the folder has grown too large, what belongs to us goes first, and
//! the whole only if that was not enough.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::PartError;
use crate::process::say;
use crate::workspace::Workspace;

/// Twice what one clean run leaves behind, so that pruning is rare, and little enough for a small disk.
const LIMIT_BYTES: u64 = 20 * 1024 * 1024 * 1024;

/// Prunes `target` if it is above the limit.
pub(crate) fn prune(target: &Path, workspace: &Workspace) -> Result<(), PartError> {
    prune_above(LIMIT_BYTES, target, workspace).map_err(|source| PartError::File { path: target.to_owned(), source })
}

fn prune_above(limit: u64, target: &Path, workspace: &Workspace) -> io::Result<()> {
    let before = size(target)?;
    if before <= limit {
        return Ok(());
    }
    let names = our_names(workspace);
    for entry in fs::read_dir(target)?.flatten().filter(is_folder) {
        for part in ["deps", ".fingerprint", "build", "examples", "incremental"] {
            let Ok(entries) = fs::read_dir(entry.path().join(part)) else { continue };
            for entry in entries.flatten() {
                if part == "incremental" || is_ours(&entry.file_name().to_string_lossy(), &names) {
                    remove(&entry)?;
                }
            }
        }
    }
    let mut after = size(target)?;
    if after > limit {
        for entry in fs::read_dir(target)?.flatten() {
            remove(&entry)?;
        }
        after = size(target)?;
    }
    say(&format!("pruned the target folder from {} to {} MiB", before >> 20, after >> 20));
    Ok(())
}

/// What cargo calls the files it makes of our crates: packages and targets, with `_` as in file names.
fn our_names(workspace: &Workspace) -> BTreeSet<String> {
    let names = workspace.members.iter().flat_map(|member| member.targets.iter().chain([&member.package]));
    names.map(|name| name.replace('-', "_")).collect()
}

/// Whether `lib<name>-<hash>.rlib`, `<name>-<hash>` or the like carries one of our names.
fn is_ours(file: &str, names: &BTreeSet<String>) -> bool {
    let stem = file.split('.').next().unwrap_or(file);
    let Some((name, _hash)) = stem.rsplit_once('-') else { return false };
    let name = name.replace('-', "_");
    names.contains(&name) || name.strip_prefix("lib").is_some_and(|name| names.contains(name))
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn remove(entry: &DirEntry) -> io::Result<()> {
    if is_folder(entry) { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

/// Bytes on disk; a file with several names, which cargo makes of every program, counts once.
fn size(folder: &Path) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                total += metadata.blocks() * 512;
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::workspace::Member;

    fn workspace(target: &Path) -> Workspace {
        let member = Member {
            package: "rcseal-wire".to_owned(),
            folder: "crates/shared/wire".to_owned(),
            uses: BTreeSet::new(),
            targets: ["rcseal_wire".to_owned(), "it".to_owned()].into(),
        };
        Workspace { root: target.to_owned(), target: target.to_owned(), members: vec![member] }
    }

    fn filled() -> tempfile::TempDir {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir_all(target.path().join("debug/deps")).unwrap();
        fs::create_dir_all(target.path().join("debug/.fingerprint/rcseal-wire-0123456789abcdef")).unwrap();
        for name in ["librcseal_wire-0123456789abcdef.rlib", "it-0123456789abcdef", "libserde-0123456789abcdef.rlib"] {
            fs::write(target.path().join("debug/deps").join(name), vec![1; 64 * 1024]).unwrap();
        }
        target
    }

    fn exists(target: &tempfile::TempDir, name: &str) -> bool {
        target.path().join("debug").join(name).exists()
    }

    #[test]
    fn below_the_limit_nothing_is_removed() {
        let target = filled();
        prune_above(1 << 30, target.path(), &workspace(target.path())).unwrap();
        assert!(exists(&target, "deps/it-0123456789abcdef"));
    }

    #[test]
    fn our_own_crates_go_first_and_dependencies_stay() {
        let target = filled();
        prune_above(100 * 1024, target.path(), &workspace(target.path())).unwrap();
        assert!(exists(&target, "deps/libserde-0123456789abcdef.rlib"));
        for gone in ["deps/librcseal_wire-0123456789abcdef.rlib", "deps/it-0123456789abcdef"] {
            assert!(!exists(&target, gone), "{gone}");
        }
        assert!(!exists(&target, ".fingerprint/rcseal-wire-0123456789abcdef"));
    }

    #[test]
    fn everything_goes_if_that_is_not_enough() {
        let target = filled();
        prune_above(1024, target.path(), &workspace(target.path())).unwrap();
        assert!(!target.path().join("debug").exists());
        assert!(target.path().exists());
    }
}
