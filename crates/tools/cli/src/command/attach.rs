//! Files: sent with a progress bar, saved under harmless names, never over another file.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rcseal_client::client::{Client, ClientError, MediaPart};
use rcseal_client::net::Progress;
use rcseal_engine::message::MessageView;
use rcseal_wire::content::{Body, Content};
use rcseal_wire::id::{ConversationId, MessageId};

use crate::error::CliError;
use crate::output::Output;
use crate::profile::create_private_dir;
use crate::safe_text;

/// Numbers tried after a name that is taken.
const NUMBERS_MAX: u32 = 10_000;

/// Sends a file; returns when the relay has it and the message is durable here.
///
/// # Errors
/// Those of the client.
pub(crate) async fn send(
    client: &Client,
    conversation: ConversationId,
    file: &Path,
    caption: String,
    output: Output,
) -> Result<MessageId, CliError> {
    let bar = Bar::new(output, "sending");
    let sent = client.send_media(conversation, file, caption, &mut |progress| bar.show(progress)).await;
    bar.done();
    sent.map_err(|error| match error {
        // People look for the file that was meant.
        ClientError::File(source) => CliError::File { path: file.to_owned(), source },
        other => other.into(),
    })
}

/// Fetches a message's file into a folder, under the sender's name for it if that is free. Answers where it is.
///
/// # Errors
/// Those of the client; [`CliError::File`].
pub(crate) async fn save(
    client: &Client,
    message: &MessageView,
    folder: &Path,
    output: Output,
) -> Result<PathBuf, CliError> {
    let claimed = match message.content.as_ref().map(Content::body) {
        Some(Body::Media(media)) => media.file_name.as_str(),
        Some(_) | None => "",
    };
    create_private_dir(folder).map_err(|source| CliError::File { path: folder.to_owned(), source })?;
    let path = claim(folder, &safe_text::file_name(claimed))?;
    let bar = Bar::new(output, "saving");
    let fetched = client
        .download_media(
            message.conversation,
            message.sender.account,
            message.id,
            MediaPart::File,
            &path,
            &mut |progress| bar.show(progress),
        )
        .await;
    bar.done();
    if let Err(error) = fetched {
        // The claimed name is given back; it holds nothing.
        let _ = std::fs::remove_file(&path);
        return Err(error.into());
    }
    Ok(path)
}

/// Takes a free name by creating an empty file under it, which nobody else can do at the same time.
fn claim(folder: &Path, name: &str) -> Result<PathBuf, CliError> {
    let (stem, suffix) = match name.rsplit_once('.') {
        Some((stem, suffix)) if !stem.is_empty() => (stem, format!(".{suffix}")),
        Some(_) | None => (name, String::new()),
    };
    let mut path = folder.join(name);
    for number in 1..NUMBERS_MAX {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = folder.join(format!("{stem} ({number}){suffix}"));
            }
            Err(source) => return Err(CliError::File { path, source }),
        }
    }
    Err(CliError::File { path, source: io::ErrorKind::AlreadyExists.into() })
}

/// A progress bar on standard error, if a person watches it.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(output: Output, what: &'static str) -> Self {
        if !output.shows_progress() {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(Some(bar))
    }

    fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
    }

    fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tar.gz"), "mine").unwrap();
        assert_eq!(claim(folder.path(), "a.tar.gz").unwrap(), folder.path().join("a.tar (1).gz"));
        assert_eq!(claim(folder.path(), "a.tar.gz").unwrap(), folder.path().join("a.tar (2).gz"));
        assert_eq!(claim(folder.path(), "plain").unwrap(), folder.path().join("plain"));
        assert_eq!(std::fs::read(folder.path().join("a.tar.gz")).unwrap(), b"mine");
    }
}
