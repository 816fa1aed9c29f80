//! `cargo xtask sdk FACE`: one face of the SDK, from the library to its tests.
//!
//! Every face goes the same way: what it needs is installed, the one library is built (never per face), the face's sources are generated
//! from it into `target/sdk/FACE`, the hand-written layer is built on top, and its tests run against a real relay, which the tests start
//! as a child process. The last line is `N passed, N failed`. What a face's tests may rely on is in their environment ([`Kit::describe`]),
//! so that no build file knows a path of the machine.
//!
//! The generator reads the library's symbols, so it is given the library as cargo left it, before anything is stripped.

pub(crate) mod bench;
mod cross;
mod kotlin;
#[cfg(test)]
mod manual;
mod python;
mod relay;
mod size;
mod store;
mod surefire;
mod swift;
mod typescript;

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::process::{ProcessError, cargo, run, say};
use crate::test::{Counts, ensure};
use crate::workspace::{Workspace, WorkspaceError};

/// What `cargo xtask sdk` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which face, or what belongs to one.
    #[arg(value_enum)]
    face: Face,
    /// Accept the public interface as it is now: write the golden file instead of comparing with it.
    #[arg(long)]
    bless: bool,
    /// Passed on to the face's own tool, after `--`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// What the command can be asked for. A face's own file has one function `run`, and one line here, in [`Face::TESTED`] and in
/// [`Face::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Face {
    /// Kotlin on the JVM, with the key vault for Android compiled and tested behind its seam.
    Kotlin,
    /// The reference pages of the Kotlin face.
    KotlinDocs,
    /// The Android archive from what is there: library of this machine, classes, consumer rules.
    Aar,
    /// Swift on Linux, with what needs Apple's frameworks tested behind its seams.
    Swift,
    /// TypeScript on Node.
    Typescript,
    /// A device in Kotlin and a device in Swift talk to each other.
    Cross,
    /// Python.
    Python,
    /// A wheel for this platform, installed and imported. `-- --profile dev` makes it of the library in the dev profile.
    PythonWheel,
}

impl Face {
    /// What `cargo xtask test` runs, in this order.
    pub(crate) const TESTED: &[Self] = &[Self::Kotlin, Self::Swift, Self::Typescript, Self::Cross, Self::Python];

    /// Runs it to its end.
    pub(crate) fn run(self, kit: &Kit<'_>) -> Result<Counts, SdkError> {
        match self {
            Self::Kotlin => kotlin::run(kit),
            Self::KotlinDocs => kotlin::documentation(kit),
            Self::Aar => kotlin::archive(kit),
            Self::Swift => swift::tests(kit),
            Self::Typescript => typescript::run(kit),
            Self::Cross => cross::run(kit),
            Self::Python => python::run(kit),
            Self::PythonWheel => python::wheel(kit),
        }
    }
}

/// Why a face could not be run to its end. Tests that fail are counts, not errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SdkError {
    /// A program that is needed is not there, and could not be installed.
    #[error("{what} is needed and not installed")]
    Missing {
        /// What it is called.
        what: &'static str,
    },
    /// A step said no, and printed why.
    #[error("{step} failed")]
    Step {
        /// Which step.
        step: String,
    },
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The workspace could not be read.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A file or folder could not be used.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SdkError {
    /// A step that said no.
    pub(crate) fn step(step: impl Into<String>) -> Self {
        Self::Step { step: step.into() }
    }

    /// For `map_err` on what the standard library does with a path.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// How the library is compiled that a face is built on. Programs, such as the relay, are always in the dev profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// In the dev profile: for tests.
    Dev,
    /// As it is shipped: for what is measured.
    Shipped,
}

impl Library {
    /// The profile's name, and the folder that cargo puts its output in.
    const fn profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Dev => ("dev", "debug"),
            Self::Shipped => ("sdk", "sdk"),
        }
    }
}

/// What every face is given.
#[derive(Debug)]
pub(crate) struct Kit<'a> {
    /// The workspace.
    pub(crate) workspace: &'a Workspace,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// Which library.
    pub(crate) library: Library,
    /// Whether golden files are written instead of compared.
    pub(crate) bless: bool,
    /// What came after `--`.
    pub(crate) rest: Vec<String>,
}

impl Kit<'_> {
    /// A folder of our own below the target folder, which git ignores: `target/sdk/NAME`.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, SdkError> {
        let folder = self.target.join("sdk").join(name);
        fs::create_dir_all(&folder).map_err(SdkError::file(&folder))?;
        Ok(folder)
    }

    /// The folder of the library.
    pub(crate) fn native(&self) -> PathBuf {
        self.target.join(self.library.profile().1)
    }

    /// The library, unstripped.
    pub(crate) fn library(&self) -> PathBuf {
        self.native().join(format!("{}rcseal_sdk{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
    }

    /// A program that cargo made.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// Runs cargo on the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Result<(), SdkError> {
        let mut command = cargo();
        command.current_dir(&self.workspace.root).env("CARGO_TARGET_DIR", &self.target).args(arguments);
        step(&mut command)
    }

    /// Builds the library, the relay and the generator. Each alone, so that the library has the features that it is shipped with and not
    /// those that a relay in the same build would ask for.
    pub(crate) fn build(&self) -> Result<(), SdkError> {
        // The face for Node is in the same library; what it adds is looked for by Node alone.
        let profile = self.library.profile().0;
        self.cargo(&["build", "--locked", "--profile", profile, "--package", "rcseal-sdk", "--features", "node"])?;
        for package in ["rcseal-cli", "rcseal-bindgen"] {
            self.cargo(&["build", "--locked", "--package", package])?;
        }
        Ok(())
    }

    /// Writes a language's sources into `target/sdk/NAME/generated`, which is empty before, and answers that folder.
    pub(crate) fn generate(&self, language: &str, name: &str) -> Result<PathBuf, SdkError> {
        let folder = self.folder(name)?.join("generated");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(SdkError::file(&folder))?;
        }
        let mut command = Command::new(self.program("rcseal-bindgen"));
        // The generator asks cargo for the crate's settings.
        command.current_dir(&self.workspace.root).arg("generate").arg("--library").arg(self.library());
        command.args(["--language", language, "--no-format", "--out-dir"]).arg(&folder);
        step(&mut command)?;
        Ok(folder)
    }

    /// What the tests of every face find in their environment.
    pub(crate) fn describe(&self) -> [(&'static str, OsString); 3] {
        [
            // The folder that has the library in it.
            ("RCSEAL_NATIVE_DIR", self.native().into_os_string()),
            // The program that `serve`s: a relay for a test is `RCSEAL_PROGRAM --json serve --listen 127.0.0.1:0 --dir FOLDER`.
            ("RCSEAL_PROGRAM", self.program("rcseal").into_os_string()),
            ("RCSEAL_WORKSPACE", self.workspace.root.clone().into_os_string()),
        ]
    }

    /// A command with that environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.describe()).stdin(Stdio::null());
        command
    }
}

/// Runs a command that has to succeed.
pub(crate) fn step(command: &mut Command) -> Result<(), SdkError> {
    let name = crate::process::program_name(command);
    if run(command)?.success() { Ok(()) } else { Err(SdkError::step(name)) }
}

/// Whether a program answers.
pub(crate) fn answers(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs Debian packages, if this is a Debian and they are missing. `what` is what they are for.
pub(crate) fn install(packages: &[&str], what: &'static str) -> Result<(), SdkError> {
    match ensure(packages) {
        Ok(crate::test::Outcome::Passed) => Ok(()),
        _ => Err(SdkError::Missing { what }),
    }
}

/// Compares what a face shows to apps with its golden file, or writes that file. Counts as one test.
pub(crate) fn golden(kit: &Kit<'_>, file: &str, now: &str) -> Result<Counts, SdkError> {
    let path = kit.workspace.root.join(file);
    if kit.bless {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(SdkError::file(folder))?;
        }
        fs::write(&path, now).map_err(SdkError::file(&path))?;
        say(&format!("wrote {file}"));
        return Ok(passed());
    }
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(SdkError::File { path, source: error }),
    };
    if before == now {
        return Ok(passed());
    }
    say(&format!("the public interface is no longer what {file} says (`--bless` accepts it):"));
    difference(&before, now).iter().for_each(|line| say(line));
    Ok(failed())
}

/// One check that passed.
pub(crate) fn passed() -> Counts {
    Counts { passed: 1, ..Counts::default() }
}

/// One check that failed.
pub(crate) fn failed() -> Counts {
    Counts { failed: 1, ..Counts::default() }
}

/// Lines that only one of two texts has, in their order. Golden files are sorted and name everything in full, so this reads as a diff.
fn difference(before: &str, now: &str) -> Vec<String> {
    let only = |of: &str, other: &str, sign: char| -> Vec<String> {
        let known: std::collections::BTreeSet<&str> = other.lines().collect();
        of.lines().filter(|line| !known.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(before, now, '-'), only(now, before, '+')].concat()
}

/// Runs the command.
pub(crate) fn run_face(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let kit = Kit {
        workspace: &workspace,
        target: workspace.target.clone(),
        library: Library::Dev,
        bless: arguments.bless,
        rest: arguments.rest.clone(),
    };
    let counts = arguments.face.run(&kit)?;
    counts.skipped_names.iter().for_each(|name| say(&format!("skipped: {name}")));
    say(&format!("{} passed, {} failed", counts.passed, counts.failed));
    Ok(u8::from(counts.failed > 0 || counts.passed == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        assert_eq!(difference("a\nb\nc\n", "a\nc\nd\n"), ["- b", "+ d"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
