//! Swift 6 on a Debian that has none: a folder with the next Debian in it, which does.
//!
//! The folder is made once, beside the project's other costly things, by `debootstrap` and that Debian's own packages, from the mirror
//! that this machine's package manager is set to. A folder that was interrupted half-way has another name and is thrown away. Commands run
//! inside it by `chroot`, in a mount namespace of their own: what is mounted for a command (`/proc`, without which the compiler does
//! not find its own library, the folders that it works on) goes away with it, however it ends. The network is this machine's, so a
//! relay on the loopback interface is reached from inside.
//!
//! All of that needs root. An app's developer on a Mac needs none of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::say;
use crate::sdk::{SdkError, install, step};
use crate::workspace::cache_folder;

/// The Debian that has Swift 6.
const RELEASE: &str = "trixie";
/// What the compiler and a program that uses Foundation need in it.
const PACKAGES: [&str; 4] = ["swiftlang", "libc6-dev", "libstdc++-14-dev", "binutils"];
/// What this machine needs to make it.
const NEEDED: [&str; 2] = ["debootstrap", "debian-archive-keyring"];

/// Mounts, and becomes the command inside. First the root, then pairs of a folder here and a folder there, `--`, and the command.
const ENTER: &str = r#"
set -e
root=$1; shift
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else [ -e "$root$2" ] || : > "$root$2"; fi
    mount --bind "$1" "$root$2"
    shift 2
done
shift
exec chroot "$root" "$@"
"#;

/// A folder with a Debian in it that has Swift.
#[derive(Debug)]
pub(crate) struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// The folder as it is, or a new one.
    pub(crate) fn ready() -> Result<Self, SdkError> {
        let toolchain = Self { root: cache_folder().join(format!("swift-{RELEASE}")) };
        if !toolchain.root.join("usr/bin/swiftc").exists() {
            make(&toolchain.root)?;
        }
        Ok(toolchain)
    }

    /// A command inside, which sees `mounts` (a folder here, and where it is there) and of our environment nothing.
    pub(crate) fn command(&self, mounts: &[(&Path, &str)], program: &str) -> Command {
        let mut command = enter(&self.root, mounts);
        command.args([
            "/usr/bin/env",
            "-i",
            "HOME=/root",
            "LANG=C.UTF-8",
            "PATH=/usr/libexec/swift/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]);
        command.arg(program);
        command
    }
}

fn enter(root: &Path, mounts: &[(&Path, &str)]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "enter"]).arg(root);
    // Names are looked up there as they are here.
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        if Path::new(file).exists() {
            command.args([file, file]);
        }
    }
    for (here, there) in mounts {
        command.arg(here).arg(there);
    }
    command.arg("--");
    command
}

/// Makes the folder under another name first, so that what has the name is whole.
fn make(root: &Path) -> Result<(), SdkError> {
    install(&NEEDED, "debootstrap")?;
    let mirror = mirror()?;
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(SdkError::file(&partial))?;
    }
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).map_err(SdkError::file(parent))?;
    }
    say(&format!("making {} (3.2 GB, once)", root.display()));
    // In a namespace as well: what debootstrap mounts goes away with it.
    let mut bootstrap = Command::new("unshare");
    bootstrap.args(["--mount", "--propagation", "private", "debootstrap", "--variant=minbase", RELEASE]);
    step(bootstrap.arg(&partial).arg(mirror).stdin(Stdio::null()))?;
    let settings = partial.join("etc/apt/apt.conf.d/90host");
    fs::write(&settings, acquire_settings()?).map_err(SdkError::file(&settings))?;
    for arguments in [&["update"][..], &[&["install", "-y", "--no-install-recommends"][..], &PACKAGES].concat()] {
        let mut command = enter(&partial, &[]);
        command.args(["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(arguments);
        step(command.stdin(Stdio::null()))?;
    }
    fs::rename(&partial, root).map_err(SdkError::file(root))
}

/// The mirror of Debian's main archive that this machine's package manager is set to.
fn mirror() -> Result<String, SdkError> {
    let release = output(Command::new("sh").args(["-c", ". /etc/os-release && echo \"$VERSION_CODENAME\""]))?;
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]);
    let lines = output(command.arg(format!("Codename: {}", release.trim())))?;
    let mirrors: BTreeSet<&str> = lines.lines().filter(|line| line.starts_with("http")).collect();
    let mirror = mirrors.first().ok_or(SdkError::Missing { what: "a mirror in apt's configuration" })?;
    Ok((*mirror).to_owned())
}

/// How this machine's package manager fetches (by which proxy, for one), for the one inside.
fn acquire_settings() -> Result<String, SdkError> {
    let all = output(Command::new("apt-config").arg("dump"))?;
    let wanted = ["Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-"];
    Ok(all
        .lines()
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\n"))
        .collect())
}

fn output(command: &mut Command) -> Result<String, SdkError> {
    let name = crate::process::program_name(command);
    match command.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => Err(SdkError::step(name)),
    }
}
