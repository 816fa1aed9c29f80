//! Kotlin: Maven over the generated sources and the hand-written layer in `sdk/kotlin`.
//!
//! Maven asks its local repository first and is told to go off line when a run before has filled it, so that a second run needs no network.
//! What the tests of the module `android` compile against is Robolectric's jar of the whole system, the only form of it that Maven Central
//! has. The golden file of the public interface comes from `javap` over the compiled classes: what an app links against, not what the
//! source says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kit, SdkError, answers, failed, golden, install, passed, step, surefire};
use crate::process::{run_lines, say};
use crate::test::Counts;

/// The Maven project, relative to the workspace.
const PROJECT: &str = "sdk/kotlin";
/// Its modules that have tests.
const MODULES: [&str; 3] = ["rcseal", "android", "console"];
/// Those whose classes apps get.
const CLASSES: [&str; 3] = ["ffi", "rcseal", "android"];
/// The golden file.
const GOLDEN: &str = "sdk/kotlin/api/rcseal.api";
/// Where the sources of the public interface are: the face itself, and the key vault for Android.
const SOURCES: [&str; 2] = ["sdk/kotlin/rcseal/src/main/kotlin", "sdk/kotlin/android/src/main/kotlin"];
/// What has to be installed where Java or Maven are missing.
const PACKAGES: [&str; 2] = ["default-jdk-headless", "maven"];
/// Written when Maven has once fetched everything that this `pom.xml` names.
const FETCHED: &str = "fetched";

/// Runs the face: library, sources, compilation, tests, golden file, documentation of every declaration.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    prepare(kit)?;
    let mut counts = maven(kit)?;
    counts.add(&undocumented(kit)?);
    counts.add(&golden(kit, GOLDEN, &interface(kit)?)?);
    Ok(counts)
}

/// Installs, builds and generates: everything before Maven.
pub(super) fn prepare(kit: &Kit<'_>) -> Result<(), SdkError> {
    if !["javac", "javap"].iter().all(|program| answers(program, "-version")) || !answers("mvn", "--version") {
        install(&PACKAGES, "a JDK of version 17 or later with Maven")?;
    }
    kit.build()?;
    kit.generate("kotlin", "kotlin")?;
    for module in ["ffi", "rcseal", "android", "cross", "console"] {
        for kind in ["classes", "test-classes"] {
            // Maven leaves the classes of a source that is gone, and the compiler would find them.
            let folder = output(kit)?.join(module).join(kind);
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(SdkError::file(&folder))?;
            }
        }
    }
    Ok(())
}

/// The driver that `sdk/DRIVER.md` describes, ready to be started: everything it needs is built before.
pub(super) fn driver(kit: &Kit<'_>) -> Result<Command, SdkError> {
    program(kit, "org.rcseal.cross.MainKt")
}

/// A program of the module `cross`, ready to be started with pipes.
pub(super) fn program(kit: &Kit<'_>, class: &str) -> Result<Command, SdkError> {
    prepare(kit)?;
    package(kit)?;
    let libraries = output(kit)?.join("cross").join("libraries").join("*");
    let path = [classes(kit, "cross")?.into_os_string(), libraries.into_os_string()];
    let path = std::env::join_paths(path).map_err(|_| SdkError::step("a class path"))?;
    let mut native = std::ffi::OsString::from("-Djna.library.path=");
    native.push(kit.native());
    let mut command = kit.command("java");
    command.arg(native).arg("-cp").arg(path).arg(class);
    Ok(command)
}

/// Compiles without testing.
fn package(kit: &Kit<'_>) -> Result<(), SdkError> {
    step(maven_command(kit)?.args(["-DskipTests", "package"]))
}

/// Where Maven puts what it makes.
fn output(kit: &Kit<'_>) -> Result<PathBuf, SdkError> {
    kit.folder("kotlin")
}

/// A call of Maven on the project, without its goals.
pub(super) fn maven_command(kit: &Kit<'_>) -> Result<Command, SdkError> {
    let output = output(kit)?;
    let mut command = kit.command("mvn");
    command.current_dir(kit.workspace.root.join(PROJECT)).args(["--batch-mode", "--no-transfer-progress", "--quiet"]);
    command.arg(format!("-Drcseal.build={}", output.display()));
    if is_fetched(kit)? {
        command.arg("--offline");
    }
    Ok(command)
}

/// Whether a run before has fetched what the project's files name now.
fn is_fetched(kit: &Kit<'_>) -> Result<bool, SdkError> {
    Ok(fs::read_to_string(output(kit)?.join(FETCHED)).is_ok_and(|text| text == manifests(kit)))
}

/// The project's files, which decide what Maven has to fetch.
fn manifests(kit: &Kit<'_>) -> String {
    let files =
        ["pom.xml", "ffi/pom.xml", "rcseal/pom.xml", "android/pom.xml", "cross/pom.xml", "samples/console/pom.xml"];
    files.iter().filter_map(|file| kit.workspace.read(&format!("{PROJECT}/{file}")).ok()).collect()
}

/// Compiles and tests. A test that fails is counted and does not stop the others.
fn maven(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let reports: Vec<PathBuf> = MODULES
        .iter()
        .map(|module| Ok(output(kit)?.join(module).join("surefire-reports")))
        .collect::<Result<_, SdkError>>()?;
    for folder in reports.iter().filter(|folder| folder.exists()) {
        // Reports of a run before would be counted again.
        fs::remove_dir_all(folder).map_err(SdkError::file(folder))?;
    }
    let mut status = None;
    // A local repository that somebody has emptied makes an off-line run fail before it has tested anything; it is run again on line.
    for _ in 0..2 {
        let was_fetched = is_fetched(kit)?;
        let mut command = maven_command(kit)?;
        command.args(["-Dmaven.test.failure.ignore=true", "verify"]).args(&kit.rest);
        let ended = crate::process::run(&mut command)?;
        status = Some(ended);
        let marker = output(kit)?.join(FETCHED);
        if ended.success() {
            fs::write(&marker, manifests(kit)).map_err(SdkError::file(&marker))?;
            break;
        }
        if !was_fetched {
            break;
        }
        fs::remove_file(&marker).map_err(SdkError::file(&marker))?;
    }
    let mut counts = Counts::default();
    for folder in &reports {
        counts.add(&surefire::count(folder)?);
    }
    match status {
        Some(status) if status.success() && counts.passed + counts.failed > 0 => Ok(counts),
        _ => Err(SdkError::step("mvn verify")),
    }
}

/// The folder of a module's compiled classes.
fn classes(kit: &Kit<'_>, module: &str) -> Result<PathBuf, SdkError> {
    Ok(output(kit)?.join(module).join("classes"))
}

/// The public interface of the compiled classes, sorted by class.
fn interface(kit: &Kit<'_>) -> Result<String, SdkError> {
    let shown = Shown::read(kit)?;
    let mut files = BTreeSet::new();
    for module in CLASSES {
        collect(&classes(kit, module)?, &|path| shown.has(path), &mut files)?;
    }
    let mut command = Command::new("javap");
    command.arg("-public").args(&files);
    let mut text = String::new();
    let mut is_public = false;
    let status = run_lines(&mut command, |line| {
        let line = line.trim_end();
        if line.starts_with("Compiled from") || is_internal(line) {
            return;
        }
        // A class and its end stand at the margin. The nested ones that are private come without the word.
        if line.ends_with('{') {
            is_public = line.starts_with("public ");
        }
        if is_public {
            text.push_str(line);
            text.push('\n');
        }
    })?;
    if status.success() { Ok(text) } else { Err(SdkError::step("javap")) }
}

/// What the sources declare public. For the JVM what Kotlin calls internal is public as well.
struct Shown {
    /// Types that are written by hand, by their names without packages.
    own: BTreeSet<String>,
    /// Generated types that the face shows under names of its own.
    aliased: BTreeSet<String>,
}

impl Shown {
    fn read(kit: &Kit<'_>) -> Result<Self, SdkError> {
        let mut files = BTreeSet::new();
        for source in SOURCES {
            let folder = kit.workspace.root.join(source);
            collect(&folder, &|path| path.extension().is_some_and(|extension| extension == "kt"), &mut files)?;
        }
        let mut shown = Self { own: BTreeSet::new(), aliased: BTreeSet::new() };
        for file in files {
            shown.take(&fs::read_to_string(&file).map_err(SdkError::file(&file))?);
        }
        Ok(shown)
    }

    /// Takes in what one source declares at its margin.
    fn take(&mut self, source: &str) {
        for line in source.lines().filter_map(|line| line.strip_prefix("public ")) {
            if let Some((_, name)) = line.split_once("= org.rcseal.ffi.") {
                self.aliased.insert(name.trim().to_owned());
                continue;
            }
            let mut words = line.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
            if words.any(|word| ["class", "interface", "object"].contains(&word)) {
                self.own.extend(words.next().map(str::to_owned));
            }
        }
    }

    /// Whether a class file belongs to the interface. Lambdas, coroutines and other classes without a name of their own have a number or a
    /// small letter after the last `$`.
    fn has(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".class"));
        let Some(name) = name else { return false };
        let mut parts = name.split('$');
        let outer = parts.next().unwrap_or_default();
        if parts.any(|part| !part.starts_with(|letter: char| letter.is_ascii_uppercase()) || part == "DefaultImpls") {
            return false;
        }
        let is_generated = path.parent().is_some_and(|folder| folder.ends_with("org/rcseal/ffi"));
        if is_generated { self.aliased.contains(outer) } else { self.own.contains(outer) }
    }
}

/// Members that Kotlin calls internal and the JVM has no word for.
fn is_internal(line: &str) -> bool {
    line.contains("access$")
        || line.contains("$rcseal(")
        || line.contains("$rcseal_android(")
        || line.contains("$stable")
}

/// Every file below a folder that `wanted` takes.
fn collect(folder: &Path, wanted: &dyn Fn(&Path) -> bool, into: &mut BTreeSet<PathBuf>) -> Result<(), SdkError> {
    for entry in fs::read_dir(folder).map_err(SdkError::file(folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, wanted, into)?;
        } else if wanted(&path) {
            into.insert(path);
        }
    }
    Ok(())
}

/// Whether every public declaration says what it is for. Counts as one test.
fn undocumented(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let mut missing = Vec::new();
    for source in SOURCES {
        let mut files = BTreeSet::new();
        let folder = kit.workspace.root.join(source);
        collect(&folder, &|path| path.extension().is_some_and(|extension| extension == "kt"), &mut files)?;
        for file in files {
            let text = fs::read_to_string(&file).map_err(SdkError::file(&file))?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            missing.extend(without_comment(&text).into_iter().map(|line| format!("{name}: {line}")));
        }
    }
    missing.iter().for_each(|line| say(&format!("no comment: {line}")));
    Ok(if missing.is_empty() { passed() } else { failed() })
}

/// Public declarations of a source with no comment before them. The compiler's explicit mode sees to it that `public` is written.
fn without_comment(source: &str) -> Vec<&str> {
    let mut is_documented = false;
    let mut missing = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.ends_with("*/") {
            is_documented = true;
        } else if line.starts_with('@') {
            // An annotation stands between a comment and what it is about.
        } else {
            if line.starts_with("public ") && !line.starts_with("public companion object") && !is_documented {
                missing.push(line);
            }
            is_documented = false;
        }
    }
    missing
}

/// Writes the reference pages to `target/sdk/kotlin/docs`.
pub(super) fn documentation(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    prepare(kit)?;
    let mut command = kit.command("mvn");
    command.current_dir(kit.workspace.root.join(PROJECT)).args(["--batch-mode", "--no-transfer-progress", "--quiet"]);
    command.arg(format!("-Drcseal.build={}", output(kit)?.display()));
    step(command.args([
        "--projects",
        "rcseal",
        "--also-make",
        "--activate-profiles",
        "docs",
        "-DskipTests",
        "package",
    ]))?;
    let index = output(kit)?.join("docs").join("index.html");
    say(&format!("{}", index.display()));
    Ok(if index.is_file() { passed() } else { failed() })
}

/// Makes an Android archive out of the library of this machine, and checks it.
pub(super) fn archive(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    prepare(kit)?;
    package(kit)?;
    let folder = kit.folder("aar")?;
    let mut command = kit.command("sh");
    command.arg(kit.workspace.root.join(PROJECT).join("scripts/aar.sh"));
    for module in CLASSES {
        command.arg("--classes").arg(classes(kit, module)?);
    }
    command.arg("--library").arg(format!("host={}", kit.library().display()));
    command.arg("--out").arg(folder.join("rcseal.aar"));
    step(&mut command)?;
    Ok(passed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_without_a_comment_is_named() {
        let source = "/** What it is. */\n@JvmStatic\npublic fun one() {}\n\npublic fun two() {}\nfun three() {}\n";
        assert_eq!(without_comment(source), ["public fun two() {}"]);
    }

    #[test]
    fn classes_without_names_internal_ones_and_generated_ones_are_not_shown() {
        let mut shown = Shown { own: BTreeSet::new(), aliased: BTreeSet::new() };
        shown.take(
            "/** A contact. */\npublic typealias Contact = org.rcseal.ffi.Contact\n\
             public class RcsealClient private constructor() {\npublic sealed class RcsealException(\ninternal class Generations {\n",
        );
        assert!(shown.has(Path::new("c/org/rcseal/RcsealClient.class")));
        assert!(shown.has(Path::new("c/org/rcseal/RcsealException$Vault.class")));
        assert!(shown.has(Path::new("c/org/rcseal/ffi/Contact.class")));
        assert!(!shown.has(Path::new("c/org/rcseal/android/Generations.class")));
        assert!(!shown.has(Path::new("c/org/rcseal/ffi/UniffiLib.class")));
        assert!(!shown.has(Path::new("c/org/rcseal/RcsealClient$open$2.class")));
    }
}
