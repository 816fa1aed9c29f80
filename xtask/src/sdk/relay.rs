//! A relay for the tests of a face: the development relay as a child process, on a port of its own, in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Kit, SdkError};

/// A relay that stops when this value goes.
#[derive(Debug)]
pub(crate) struct Relay {
    child: Child,
    /// Its address.
    pub(crate) server: String,
    /// The certificate of its authority, in PEM.
    pub(crate) authority: PathBuf,
}

impl Relay {
    /// Starts one in a folder, and waits until it serves.
    pub(crate) fn start(kit: &Kit<'_>, folder: &Path) -> Result<Self, SdkError> {
        let mut command = Command::new(kit.program("rcseal"));
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--dir"]).arg(folder);
        let name = crate::process::program_name(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(SdkError::file(&kit.program("rcseal")))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            // The relay prints nothing but this line on its standard output, so nobody has to read on.
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let serving: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        match (serving["server"].as_str(), serving["ca"].as_str()) {
            (Some(server), Some(authority)) => {
                Ok(Self { server: server.to_owned(), authority: PathBuf::from(authority), child })
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(SdkError::step(name))
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
