//! The Swift package as it is built: what is written by hand, what is generated, and the library, in one folder.
//!
//! A file that is the same already is left alone, so that the compiler's own record of what has changed stays good from run to run; what
//! is no longer there is taken away.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::sdk::{Kit, SdkError};

/// The module of the C header, and where the package expects header and module map.
const HEADER: &str = "Sources/RcsealFFIC/include/RcsealFFIC.h";
/// The module map for SwiftPM. The generator's own names Apple's modules, which Linux lacks.
const MODULE_MAP: &str = "module RcsealFFIC {\n    header \"RcsealFFIC.h\"\n    export *\n}\n";

/// Brings `target/sdk/swift/package` up to date and answers it.
pub(super) fn assemble(kit: &Kit<'_>) -> Result<PathBuf, SdkError> {
    let generated = kit.generate("swift", "swift")?;
    let folder = kit.folder("swift")?.join("package");
    let mut wanted = BTreeSet::new();
    let source = kit.workspace.root.join("sdk/swift");
    for file in files_below(&source)? {
        let from = source.join(&file);
        place(&folder, &file, &read(&from)?)?;
        wanted.insert(file);
    }
    for (file, content) in [
        ("Sources/RcsealFFI/RcsealFFI.swift", read(&generated.join("RcsealFFI.swift"))?),
        (HEADER, read(&generated.join("RcsealFFIC.h"))?),
        ("Sources/RcsealFFIC/include/module.modulemap", MODULE_MAP.into()),
        ("Sources/RcsealFFIC/empty.c", "/* The header is all there is; the code is in the Rust library. */\n".into()),
        ("native/librcseal_sdk.so", read(&kit.library())?),
    ] {
        place(&folder, Path::new(file), &content)?;
        wanted.insert(PathBuf::from(file));
    }
    for file in files_below(&folder)? {
        let is_ours = ["Sources", "Tests"].iter().any(|part| file.starts_with(part));
        if is_ours && !wanted.contains(&file) {
            let path = folder.join(&file);
            fs::remove_file(&path).map_err(SdkError::file(&path))?;
        }
    }
    Ok(folder)
}

fn read(path: &Path) -> Result<Vec<u8>, SdkError> {
    fs::read(path).map_err(SdkError::file(path))
}

/// Writes a file that is missing or different.
fn place(folder: &Path, file: &Path, content: &[u8]) -> Result<(), SdkError> {
    let path = folder.join(file);
    match fs::read(&path) {
        Ok(before) if before == content => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SdkError::File { path, source }),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(SdkError::file(parent))?;
    }
    fs::write(&path, content).map_err(SdkError::file(&path))
}

/// The files below a folder, relative to it, without those that begin with a dot.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, SdkError> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(part) = waiting.pop() {
        let path = folder.join(&part);
        for entry in fs::read_dir(&path).map_err(SdkError::file(&path))? {
            let entry = entry.map_err(SdkError::file(&path))?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let is_folder = entry.file_type().map_err(SdkError::file(&path))?.is_dir();
            if is_folder { waiting.push(part.join(name)) } else { found.push(part.join(name)) }
        }
    }
    Ok(found)
}
