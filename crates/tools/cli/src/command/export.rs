//! `rcseal export`: everything readable on this device, one JSON object per line, to standard output or into a new file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use rcseal_client::client::ClientError;
use serde_json::json;

use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::safe_text;

/// Runs the command.
///
/// # Errors
/// [`CliError`]; a file that is there already is not written over.
pub(crate) async fn run(to: Option<PathBuf>, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    if let Some(to) = to {
        let summary = client.export(&to).await.map_err(|error| match error {
            ClientError::File(source) => CliError::File { path: to.clone(), source },
            other => other.into(),
        })?;
        output.result(
            || json!({ "event": "exported", "conversations": summary.conversations, "messages": summary.messages }),
            || format!("{} messages of {} conversations", summary.messages, summary.conversations),
        );
        return Ok(());
    }
    // Inside the profile, so that what is readable lies where everything else of this device does, and goes away with it.
    let file = |source| CliError::File { path: profile.folder().to_owned(), source };
    let folder = tempfile::tempdir_in(profile.folder()).map_err(file)?;
    let path = folder.path().join("export.jsonl");
    client.export(&path).await?;
    let copied = print(&mut BufReader::new(File::open(&path).map_err(file)?), &mut io::stdout().lock());
    match copied {
        // A reader that has gone away is not an error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(file(error)),
        _ => Ok(()),
    }
}

/// Copies line by line, with what a terminal would obey escaped: a file may hold it as it is, a screen may not.
fn print(from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<()> {
    for line in from.lines() {
        writeln!(to, "{}", safe_text::escape_json(&line?))?;
    }
    to.flush()
}
