//! The Python face: tests run by pytest in an environment of their own, types checked by mypy, the public interface compared with its
//! golden file; the program that measures; the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kit, SdkError, answers, failed, golden, install, passed, step};
use crate::process::{self, run_lines, say};
use crate::test::Counts;

/// The public names with their signatures.
const GOLDEN: &str = "sdk/python/api/rcseal.api";

/// Runs the face's tests: pytest, the types of the hand-written layer, and the public interface.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let (python, package) = package(kit)?;
    let mut counts = typed(&python, &package)?;
    counts.add(&tests(kit, &python, &package)?);
    counts.add(&described(kit, &python, &package)?);
    Ok(counts)
}

/// The program that measures, without its arguments.
pub(super) fn bench(kit: &Kit<'_>) -> Result<Command, SdkError> {
    let (python, package) = package(kit)?;
    let mut command = kit.command(python);
    command.arg(package.join("bench").join("bench.py")).env("PYTHONPATH", &package);
    Ok(command)
}

/// Makes a wheel by maturin, and imports it in a new environment. Counts as one test.
///
/// Maturin asks a program named `uniffi-bindgen` for the generated module; the one it finds first is ours. What came after `--` is
/// maturin's; without it the library is the one that is shipped, which takes a quarter of an hour to build.
pub(super) fn wheel(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let source = kit.workspace.root.join("sdk").join("python");
    let folder = kit.folder("python")?;
    let python = environment(&folder.join("venv"))?;
    pip(&python, &["-r"], &source.join("requirements-wheel.txt"))?;
    kit.cargo(&["build", "--locked", "--package", "rcseal-bindgen"])?;
    let programs = emptied(&folder.join("programs"))?;
    copy(&kit.program("rcseal-bindgen"), &programs.join(format!("uniffi-bindgen{}", std::env::consts::EXE_SUFFIX)))?;
    let wheels = emptied(&folder.join("wheel"))?;
    let mut path = vec![programs];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).map_err(|_| SdkError::step("PATH"))?;

    let mut maturin = Command::new(python.with_file_name("maturin"));
    maturin.args(["build", "--locked", "--compatibility", "linux", "--out"]).arg(&wheels);
    if kit.rest.is_empty() {
        maturin.args(["--profile", "sdk"]);
    }
    maturin.args(&kit.rest).current_dir(&source).env("CARGO_TARGET_DIR", &kit.target).env("PATH", path);
    step(&mut maturin)?;

    let fresh = emptied(&folder.join("fresh"))?;
    let python = environment(&fresh)?;
    for made in fs::read_dir(&wheels).map_err(SdkError::file(&wheels))?.filter_map(Result::ok) {
        say(&format!("made {}", made.path().strip_prefix(&kit.workspace.root).unwrap_or(&made.path()).display()));
        pip(&python, &[], &made.path())?;
    }
    let mut import = Command::new(&python);
    // Calls that go through the library, from a folder that has no sources in it.
    import.args(["-c", "import rcseal; assert rcseal.words_languages() and rcseal.generate_backup_secret()"]);
    import.current_dir(&fresh).env_remove("PYTHONPATH");
    Ok(if process::run(&mut import)?.success() { passed() } else { failed() })
}

/// The package as it is shipped, with the generated module and the library beside the hand-written layer, and the Python that runs it.
fn package(kit: &Kit<'_>) -> Result<(PathBuf, PathBuf), SdkError> {
    kit.build()?;
    let source = kit.workspace.root.join("sdk").join("python");
    let generated = kit.generate("python", "python")?;
    let folder = kit.folder("python")?;
    let package = emptied(&folder.join("package"))?;
    for part in ["rcseal", "tests", "scripts", "bench"] {
        copy_folder(&source.join(part), &package.join(part))?;
    }
    for file in ["pyproject.toml", "README.md"] {
        copy(&source.join(file), &package.join(file))?;
    }
    copy(&generated.join("rcseal.py"), &package.join("rcseal").join("_ffi.py"))?;
    let library = kit.library();
    copy(&library, &package.join("rcseal").join(library.file_name().unwrap_or_default()))?;
    let python = environment(&folder.join("venv"))?;
    pip(&python, &["-r"], &source.join("requirements.txt"))?;
    Ok((python, package))
}

/// An environment of its own in a folder, made if it is not there: its Python.
fn environment(folder: &Path) -> Result<PathBuf, SdkError> {
    if !answers("python3", "--version") {
        install(&["python3", "python3-venv"], "Python 3")?;
    }
    let python = folder.join("bin").join("python");
    if !python.exists() {
        step(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    }
    Ok(python)
}

/// Installs something into an environment.
fn pip(python: &Path, options: &[&str], what: &Path) -> Result<(), SdkError> {
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    step(Command::new(python).args(quiet).args(options).arg(what))
}

/// Asks mypy for the hand-written layer, with everything that it can ask for. One test.
fn typed(python: &Path, package: &Path) -> Result<Counts, SdkError> {
    let mut command = Command::new(python);
    let status = process::run(command.args(["-m", "mypy", "--no-error-summary"]).current_dir(package))?;
    Ok(if status.success() { passed() } else { failed() })
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

/// A folder with nothing in it.
fn emptied(folder: &Path) -> Result<PathBuf, SdkError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(SdkError::file(folder))?;
    }
    fs::create_dir_all(folder).map_err(SdkError::file(folder))?;
    Ok(folder.to_owned())
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
