//! `rcseal export`: everything readable on this device, one JSON object per line, to standard output or into a new file.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde_json::json;

use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;

/// Runs the command.
///
/// # Errors
/// [`CliError`]; a file that is there already is not written over.
pub(crate) async fn run(to: Option<PathBuf>, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    if let Some(to) = to {
        let summary = client.export(&to).await?;
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
    let copied = io::copy(&mut File::open(&path).map_err(file)?, &mut io::stdout().lock());
    match copied {
        // A reader that has gone away is not an error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(file(error)),
        _ => Ok(()),
    }
}
