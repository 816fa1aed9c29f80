//! The TypeScript face: types checked, tests run by Node's own runner, the public declarations compared with their golden file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kit, SdkError, answers, failed, golden, install, passed, step};
use crate::process::{run_lines, say};
use crate::test::Counts;

/// The public declarations, as the compiler writes them.
const GOLDEN: &str = "sdk/typescript/api/rcseal.api";

/// Runs the face's tests.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let folder = package(kit)?;
    let mut counts = tests(kit, &folder)?;
    counts.add(&golden(kit, GOLDEN, &declarations(&folder.join("dist").join("src"))?)?);
    counts.add(&documented(&folder.join("src"))?);
    Ok(counts)
}

/// The program that measures what this face costs.
pub(super) fn bench(kit: &Kit<'_>) -> Result<Command, SdkError> {
    let folder = package(kit)?;
    let mut command = kit.command("node");
    command.arg(folder.join("dist").join("bench").join("bench.js"));
    Ok(command)
}

/// Builds the library and the package; answers the package's folder.
fn package(kit: &Kit<'_>) -> Result<PathBuf, SdkError> {
    if !answers("npm", "--version") {
        install(&["nodejs", "npm"], "Node and npm")?;
    }
    kit.build()?;
    let source = kit.workspace.root.join("sdk").join("typescript");
    // Built on a copy: what npm and the compiler write stays out of the source folder.
    let folder = kit.folder("typescript")?;
    for part in ["src", "test", "samples", "bench"] {
        let copy = folder.join(part);
        if copy.exists() {
            fs::remove_dir_all(&copy).map_err(SdkError::file(&copy))?;
        }
        copy_folder(&source.join(part), &copy)?;
    }
    for file in ["package.json", "package-lock.json", "tsconfig.json"] {
        let from = source.join(file);
        fs::copy(&from, folder.join(file)).map_err(SdkError::file(&from))?;
    }
    let dist = folder.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(SdkError::file(&dist))?;
    }
    step(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder))?;
    step(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&folder))?;
    Ok(folder)
}

/// Runs the tests and reads what the runner counted.
fn tests(kit: &Kit<'_>, folder: &Path) -> Result<Counts, SdkError> {
    let mut counts = Counts::default();
    let mut command = kit.command("node");
    command.args(["--test", "--test-reporter=tap", "dist/test/"]).args(&kit.rest).current_dir(folder);
    let status = run_lines(&mut command, |line| {
        say(line);
        if let Some(count) = line.strip_prefix("# pass ") {
            counts.passed += count.trim().parse::<u64>().unwrap_or(0);
        } else if let Some(count) = line.strip_prefix("# fail ") {
            counts.failed += count.trim().parse::<u64>().unwrap_or(0);
        }
    })?;
    if !status.success() && counts.failed == 0 {
        return Err(SdkError::step("node --test"));
    }
    Ok(counts)
}

/// The declarations that apps see, file by file in the order of their names.
fn declarations(folder: &Path) -> Result<String, SdkError> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .map_err(SdkError::file(folder))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".d.ts"))
        // What loads the library is for nobody else.
        .filter(|path| !path.ends_with("native.d.ts"))
        .collect();
    files.sort();
    let mut all = String::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(SdkError::file(&file))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.push_str(&format!("// {name}\n"));
        let shown = text.lines().filter(|line| !is_comment(line) && !line.trim().is_empty());
        shown.for_each(|line| {
            all.push_str(line.trim_end());
            all.push('\n');
        });
    }
    Ok(all)
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("/**") || line.starts_with("* ") || line == "*" || line.starts_with("*/")
}

/// Whether every exported declaration, and every member of an exported class or interface, has a comment. One test.
fn documented(folder: &Path) -> Result<Counts, SdkError> {
    let mut bare = Vec::new();
    for entry in fs::read_dir(folder).map_err(SdkError::file(folder))?.filter_map(Result::ok) {
        let path = entry.path();
        if path.ends_with("native.ts") || path.ends_with("index.ts") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(SdkError::file(&path))?;
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let above = index.checked_sub(1).and_then(|above| lines.get(above)).map_or("", |line| line.trim());
            if is_public(line) && !above.ends_with("*/") {
                bare.push(format!(
                    "{}:{}: {}",
                    path.file_name().unwrap_or_default().to_string_lossy(),
                    index + 1,
                    line.trim()
                ));
            }
        }
    }
    if bare.is_empty() {
        return Ok(passed());
    }
    say("without a comment:");
    bare.iter().for_each(|line| say(line));
    Ok(failed())
}

/// Whether a line begins what apps see: an export, or a member two spaces in that is neither private nor a continuation.
fn is_public(line: &str) -> bool {
    if line.starts_with("export ") {
        return true;
    }
    let Some(member) = line.strip_prefix("  ").filter(|member| member.starts_with(char::is_alphabetic)) else {
        return false;
    };
    member.starts_with("readonly ") && !member.contains('#')
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), SdkError> {
    fs::create_dir_all(to).map_err(SdkError::file(to))?;
    for entry in fs::read_dir(from).map_err(SdkError::file(from))?.filter_map(Result::ok) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(SdkError::file(&path))?;
        }
    }
    Ok(())
}
