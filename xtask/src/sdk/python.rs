//! The Python face: tests run by pytest in an environment of their own, the public interface compared with its golden file.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Kit, SdkError, answers, failed, golden, install, passed, step};
use crate::process::{run_lines, say};
use crate::test::Counts;

/// The public names with their signatures.
const GOLDEN: &str = "sdk/python/api/rcseal.api";

/// Runs the face's tests.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    if !answers("python3", "--version") {
        install(&["python3", "python3-venv"], "Python 3")?;
    }
    kit.build()?;
    let source = kit.workspace.root.join("sdk").join("python");
    let generated = kit.generate("python", "python")?;
    let folder = kit.folder("python")?;
    // The package as it is shipped: the generated module and the library lie beside the hand-written layer.
    let package = folder.join("package");
    if package.exists() {
        fs::remove_dir_all(&package).map_err(SdkError::file(&package))?;
    }
    for part in ["rcseal", "tests", "scripts"] {
        copy_folder(&source.join(part), &package.join(part))?;
    }
    for file in ["pyproject.toml", "hatch_build.py", "README.md", "requirements.txt"] {
        copy(&source.join(file), &package.join(file))?;
    }
    copy(&generated.join("rcseal.py"), &package.join("rcseal").join("_ffi.py"))?;
    let library = kit.library();
    copy(&library, &package.join("rcseal").join(library.file_name().unwrap_or_default()))?;

    let environment = folder.join("venv");
    if !environment.exists() {
        step(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let python = environment.join("bin").join("python");
    let requirements = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
    step(Command::new(&python).args(requirements).current_dir(&package))?;

    let mut counts = tests(kit, &python, &package)?;
    counts.add(&described(kit, &python, &package)?);
    Ok(counts)
}

/// Runs pytest and reads its last line, such as `1 failed, 21 passed in 11.38s`.
fn tests(kit: &Kit<'_>, python: &Path, package: &Path) -> Result<Counts, SdkError> {
    let mut counts = Counts::default();
    let mut command = kit.command(python);
    command.args(["-m", "pytest", "-q", "--tb=short", "tests"]).args(&kit.rest);
    command.env("PYTHONPATH", ".:tests").current_dir(package);
    let status = run_lines(&mut command, |line| {
        say(line);
        if let Some(summary) = summary(line) {
            counts = summary;
        }
    })?;
    if !status.success() && counts.failed == 0 {
        return Err(SdkError::step("pytest"));
    }
    Ok(counts)
}

/// The counts of a line, if it is a summary. What could not even be set up has failed.
fn summary(line: &str) -> Option<Counts> {
    let (what, _) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    let mut counts = Counts::default();
    for part in what.split(", ") {
        let (count, word) = part.split_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match word {
            "passed" => counts.passed += count,
            "failed" | "error" | "errors" => counts.failed += count,
            _ => {}
        }
    }
    Some(counts)
}

/// Compares the public interface, and asks for a docstring on everything public. Two tests.
fn described(kit: &Kit<'_>, python: &Path, package: &Path) -> Result<Counts, SdkError> {
    let (mut interface, mut bare) = (String::new(), Vec::new());
    let mut command = kit.command(python);
    command.arg("scripts/interface.py").env("PYTHONPATH", ".").current_dir(package);
    let status = run_lines(&mut command, |line| match line.strip_prefix("BARE ") {
        Some(name) => bare.push(name.to_owned()),
        None => {
            interface.push_str(line);
            interface.push('\n');
        }
    })?;
    if !status.success() {
        return Err(SdkError::step("interface.py"));
    }
    let mut counts = golden(kit, GOLDEN, &interface)?;
    bare.iter().for_each(|name| say(&format!("without a docstring: {name}")));
    counts.add(&if bare.is_empty() { passed() } else { failed() });
    Ok(counts)
}

fn copy(from: &Path, to: &Path) -> Result<(), SdkError> {
    fs::copy(from, to).map(drop).map_err(SdkError::file(from))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), SdkError> {
    fs::create_dir_all(to).map_err(SdkError::file(to))?;
    for entry in fs::read_dir(from).map_err(SdkError::file(from))?.filter_map(Result::ok) {
        if entry.path().is_file() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_and_nothing_else_is() {
        let counts = summary("== 1 failed, 21 passed, 1 error in 11.38s ==").unwrap_or_default();
        assert_eq!((counts.passed, counts.failed), (21, 2));
        assert!(summary("tests/test_client.py::a in b").is_none());
    }
}
