//! Jasmin: where it is installed.
//!
//! It is a program in Python out of PyPI, with libraries at versions of its own, so that it gets a folder of its own among the peers in the
//! cache folder. The list of what is installed names exact versions and no place; the folder is named after Jasmin's. RabbitMQ and Redis,
//! which it needs, are Debian packages (`test::packages`). `rcseal-sim` looks for it there, starts it and stops it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::InteropError;
use crate::process::{run, say};
use crate::workspace::{Workspace, cache_folder};

/// What is installed, relative to the workspace.
const REQUIREMENTS: &str = "crates/tools/sim/peers/jasmin/requirements.txt";
/// Debian's package that lets Python make such folders.
pub(crate) const VENV_PACKAGE: &str = "python3-venv";

/// Whether Python is here and can make a folder for libraries.
pub(crate) fn has_python() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs it, unless it is there. A folder that was left half made is made again.
pub(crate) fn install(workspace: &Workspace) -> Result<PathBuf, InteropError> {
    let requirements = workspace.read(REQUIREMENTS)?;
    let folder = cache_folder().join("peers").join(format!("jasmin-{}", version(&requirements)));
    let is_made = folder.join("is-made");
    if std::fs::read_to_string(&is_made).is_ok_and(|made| made == requirements) {
        return Ok(folder);
    }
    if !has_python() {
        return Err(InteropError::Missing { program: "python3" });
    }
    say(&format!("installing jasmin {}", version(&requirements)));
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder).stdout(Stdio::null());
    let mut fill = Command::new(folder.join("bin").join("python"));
    fill.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"])
        .arg(workspace.root.join(REQUIREMENTS))
        // Standard output belongs to the report.
        .stdout(Stdio::null());
    for command in [&mut make, &mut fill] {
        if !run(command)?.success() {
            return Err(InteropError::Install);
        }
    }
    std::fs::write(&is_made, requirements).map_err(|source| InteropError::File { path: is_made, source })?;
    Ok(folder)
}

/// The exact version of Jasmin in the list.
fn version(requirements: &str) -> &str {
    requirements.lines().find_map(|line| line.strip_prefix("jasmin==")).unwrap_or("unknown").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_after_the_exact_version() {
        assert_eq!(version("# a comment\njasmin==1.2.3\namqp==5\n"), "1.2.3");
        assert_eq!(version(""), "unknown");
    }
}
