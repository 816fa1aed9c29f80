//! Files: sealed here, sent as blobs, fetched and opened again.
//!
//! A file is sealed piece by piece into the client's own folder, uploaded from there, and named in a message only when the server has all
//! of it. What lies in the folder is ciphertext; its key is in memory until the message holds it. A download keeps its ciphertext there
//! until it is whole, so that it can go on after a crash, and opens it into the file the user asked for.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use rcseal_crypto::secret::Secret;
use rcseal_engine::media::{BlobOpener, BlobSealer, SEALED_SEGMENT_LEN, sealed_len};
use rcseal_wire::b64;
use rcseal_wire::content::{BlobReference, Body, Media, NAME_LEN_MAX};
use rcseal_wire::frame::TTL_SECONDS_MAX;
use rcseal_wire::id::{AccountId, ConversationId, Digest, MessageId};
use rcseal_wire::origin::Origin;
use rcseal_wire::problem::ProblemCode;
use tokio::time::sleep;

use super::core::{Core, blocking};
use super::{Client, ClientError};
use crate::backoff::Backoff;
use crate::files;
use crate::net::{NetError, OnProgress, Progress};
use crate::thumbnail::{self, Picture};

/// Attempts without a single byte moved after which a transfer is given up: some ten minutes of a server that is away.
const ATTEMPTS_MAX: u32 = 10;
/// What sealing leaves and uploading reads. Of no use after a restart, because its key was in memory.
const SEALED_SUFFIX: &str = "sealed";
/// What a download has so far. Kept over a restart.
const PARTIAL_SUFFIX: &str = "part";
/// Age at which a download that nobody went on with is deleted: the server has deleted the blob by then.
const PARTIAL_AGE: Duration = Duration::from_secs(TTL_SECONDS_MAX as u64);

/// Which file of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaPart {
    /// The file itself.
    File,
    /// The small picture that the sender made.
    Thumbnail,
}

/// A file that has been sealed and not yet uploaded. Deleted when dropped.
struct Sealed {
    path: PathBuf,
    digest: Digest,
    key: Secret<32>,
    size: u64,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // What cannot be deleted now is deleted when the client is opened next.
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// Sends a file. Returns when the file is at the server and the message is durable here.
    ///
    /// # Errors
    /// [`ClientError::Media`] when the file is too large, [`ClientError::File`] when it cannot be read, [`ClientError::Net`] when the
    /// upload was given up. Nothing was sent then.
    pub async fn send_media(
        &self,
        conversation: ConversationId,
        file: &Path,
        caption: String,
        progress: OnProgress<'_>,
    ) -> Result<MessageId, ClientError> {
        let origin = self.core.account().await?.origin;
        let (folder, source) = (self.core.media_folder(), file.to_owned());
        let (sealed, picture) = blocking(move || {
            let picture = thumbnail::of(&source).map_err(ClientError::File)?;
            let len = fs::metadata(&source).map_err(ClientError::File)?.len();
            let mut opened = File::open(&source).map_err(ClientError::File)?;
            let sealed = seal(&mut opened, len, &folder)?;
            let small = match &picture {
                Some(Picture { thumbnail, .. }) => Some(seal(&mut &thumbnail[..], thumbnail.len() as u64, &folder)?),
                None => None,
            };
            Ok::<_, ClientError>((sealed, picture.map(|picture| (picture, small))))
        })
        .await??;
        let mut media = Media {
            content_type: content_type(file, picture.as_ref().map(|(picture, _)| picture)).to_owned(),
            file_name: file_name(file),
            caption,
            width: 0,
            height: 0,
            thumbnail: None,
            blob: self.core.upload(sealed, &origin, progress).await?,
        };
        if let Some((picture, small)) = picture {
            (media.width, media.height) = (picture.width, picture.height);
            if let Some(small) = small {
                media.thumbnail = Some(self.core.upload(small, &origin, &mut |_| {}).await?);
            }
        }
        self.send(conversation, Body::Media(Box::new(media)), None).await
    }

    /// Fetches a file of a message and writes it to `to`, which appears only when it is whole and authentic.
    ///
    /// # Errors
    /// [`ClientError::NoMedia`] when the message has no such file, [`ClientError::Net`] when the download was given up (the next one goes
    /// on there), [`ClientError::Media`] when the bytes are not what the sender sealed.
    pub async fn download_media(
        &self,
        conversation: ConversationId,
        sender: AccountId,
        message: MessageId,
        part: MediaPart,
        to: &Path,
        progress: OnProgress<'_>,
    ) -> Result<(), ClientError> {
        let (own, contact) = self
            .core
            .engine(move |engine| {
                let own = engine.account_view()?.map(|account| account.origin);
                let contact = engine.contacts()?.into_iter().find(|contact| contact.account == sender);
                Ok::<_, ClientError>((own, contact.map(|contact| contact.origin)))
            })
            .await?;
        let view = self.message(conversation, sender, message).await?.ok_or(ClientError::UnknownMessage)?;
        let body = view.content.map(rcseal_wire::content::Content::into_body);
        let Some(Body::Media(media)) = body else { return Err(ClientError::NoMedia) };
        let blob = match part {
            MediaPart::File => media.blob,
            MediaPart::Thumbnail => media.thumbnail.ok_or(ClientError::NoMedia)?,
        };
        if ![own, contact].contains(&Some(blob.origin.clone())) {
            return Err(ClientError::ForeignServer);
        }
        self.core.download(blob, to, progress).await
    }
}

impl Core {
    async fn upload(
        &self,
        sealed: Sealed,
        origin: &Origin,
        progress: OnProgress<'_>,
    ) -> Result<BlobReference, ClientError> {
        let server = self.authenticated().await?;
        let size = sealed_len(sealed.size);
        let mut patience = Patience::new();
        let mut blob = None;
        loop {
            let attempt = async {
                let created = match blob.take() {
                    Some(created) => created,
                    None => server.create_blob(size, sealed.digest, TTL_SECONDS_MAX).await?,
                };
                let created = blob.insert(created);
                let mut report = |moved| {
                    patience.note(moved);
                    progress(moved);
                };
                server.upload_blob(created, &sealed.path, &mut report).await
            };
            match attempt.await {
                Ok(()) => break,
                Err(error) => {
                    if matches!(
                        error.problem(),
                        Some(ProblemCode::NotFound | ProblemCode::Gone | ProblemCode::DigestMismatch)
                    ) {
                        // The server has lost what it had; it is declared anew.
                        blob = None;
                    } else if !error.is_retryable() {
                        return Err(error.into());
                    }
                    patience.wait(error).await?;
                }
            }
        }
        let id = blob.as_ref().ok_or(ClientError::NoMedia)?.id;
        Ok(BlobReference {
            id,
            key: sealed.key.duplicate(),
            digest: sealed.digest,
            size: sealed.size,
            origin: origin.clone(),
        })
    }

    async fn download(&self, blob: BlobReference, to: &Path, progress: OnProgress<'_>) -> Result<(), ClientError> {
        let server = self.anonymous(&blob.origin)?;
        let size = sealed_len(blob.size);
        // Named by the digest: the same blob goes on in the same file, and its id, which is the leave to fetch it, is not a file name.
        let partial = self.media_folder().join(format!("{}.{PARTIAL_SUFFIX}", b64::encode(blob.digest.as_bytes())));
        let alone = self.downloads.of(blob.digest);
        let _alone = alone.lock().await;
        let mut patience = Patience::new();
        loop {
            let mut report = |moved| {
                patience.note(moved);
                progress(moved);
            };
            match server.download_blob(&blob.id, size, &blob.digest, &partial, &mut report).await {
                Ok(()) => break,
                Err(error) if error.is_retryable() => patience.wait(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let to = to.to_owned();
        blocking(move || {
            open(&partial, blob, &to)?;
            fs::remove_file(&partial).map_err(ClientError::File)
        })
        .await?
    }
}

/// Keeps two downloads of one blob from writing into one file. The second finds what the first has fetched so far.
#[derive(Default)]
pub(super) struct Downloads(Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>);

impl Downloads {
    fn of(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, lock| lock.strong_count() > 0);
        let entry = running.entry(*digest.as_bytes()).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let lock = Arc::default();
            *entry = Arc::downgrade(&lock);
            lock
        })
    }
}

/// How long a transfer is tried again: as long as it gets further.
struct Patience {
    backoff: Backoff,
    furthest: u64,
}

impl Patience {
    fn new() -> Self {
        Self { backoff: Backoff::RECONNECT, furthest: 0 }
    }

    fn note(&mut self, moved: Progress) {
        if moved.done > self.furthest {
            self.furthest = moved.done;
            self.backoff.reset();
        }
    }

    async fn wait(&mut self, error: NetError) -> Result<(), NetError> {
        if self.backoff.attempts() >= ATTEMPTS_MAX {
            return Err(error);
        }
        let wait = self.backoff.next(error.retry_after(), &mut rand::rng());
        sleep(wait).await;
        Ok(())
    }
}

/// Makes the folder, and deletes what an earlier process was about to upload.
pub(super) fn prepare_folder(folder: &Path) -> io::Result<()> {
    files::create_private_dir(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let has = |suffix: &str| path.extension().is_some_and(|found| found == suffix);
        if has(SEALED_SUFFIX) || (has(PARTIAL_SUFFIX) && is_older(&path, PARTIAL_AGE)?) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn is_older(path: &Path, age: Duration) -> io::Result<bool> {
    let modified = fs::metadata(path)?.modified()?;
    Ok(SystemTime::now().duration_since(modified).is_ok_and(|since| since > age))
}

/// Seals `size` bytes into a file of the folder, under a fresh key.
fn seal(plaintext: &mut impl Read, size: u64, folder: &Path) -> Result<Sealed, ClientError> {
    let mut rng = rand::rng();
    let mut sealer = BlobSealer::new(Secret::generate(&mut rng), size)?;
    let mut name = [0; 16];
    rand::Rng::fill_bytes(&mut rng, &mut name);
    let path = folder.join(format!("{}.{SEALED_SUFFIX}", b64::encode(&name)));
    // Made before the first byte is written, so that whatever goes wrong, the file goes away.
    let mut sealed = Sealed { path, digest: Digest::from_bytes([0; 32]), key: Secret::from_bytes([0; 32]), size };
    let file = files::private_options().write(true).create_new(true).open(&sealed.path).map_err(ClientError::File)?;
    let mut file = io::BufWriter::with_capacity(SEALED_SEGMENT_LEN, file);
    let mut segment = Vec::new();
    while let Some(len) = sealer.next_len() {
        segment.resize(len, 0);
        // A file that shrinks meanwhile ends here with an error; one that grows is sent as long as it was.
        plaintext.read_exact(&mut segment).map_err(ClientError::File)?;
        file.write_all(&sealer.seal(&segment)?).map_err(ClientError::File)?;
    }
    file.flush().map_err(ClientError::File)?;
    (sealed.digest, sealed.key) = sealer.finish()?;
    Ok(sealed)
}

/// Opens a sealed file into another, which appears only when it is whole.
fn open(sealed: &Path, blob: BlobReference, to: &Path) -> Result<(), ClientError> {
    let mut opener = BlobOpener::new(blob.key, blob.size, blob.digest)?;
    let mut sealed = File::open(sealed).map_err(ClientError::File)?;
    // A name that nobody can have put anything under, a link for instance, and a file that is new.
    let mut random = [0; 16];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    let mut partial = to.as_os_str().to_owned();
    partial.push(format!(".{}.part", b64::encode(&random)));
    let partial = PathBuf::from(partial);
    let mut file = files::private_options().write(true).create_new(true).open(&partial).map_err(ClientError::File)?;
    let opened = (|| {
        let mut segment = Vec::new();
        while let Some(len) = opener.next_len() {
            segment.resize(len, 0);
            sealed.read_exact(&mut segment).map_err(ClientError::File)?;
            file.write_all(&opener.open(&segment)?).map_err(ClientError::File)?;
        }
        opener.finish()?;
        file.sync_all().map_err(ClientError::File)?;
        fs::rename(&partial, to).map_err(ClientError::File)
    })();
    if opened.is_err() {
        let _ = fs::remove_file(&partial);
    }
    opened
}

/// The last part of the path, cut to what a message may hold. A name that is not Unicode loses what is not. A backslash is a part of a
/// name here and a path elsewhere, and no message may hold one.
fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().replace('\\', "_")).unwrap_or_default();
    let mut end = name.len().min(NAME_LEN_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// The media type, by what the file is where that is known, and by its name otherwise.
fn content_type(path: &Path, picture: Option<&Picture>) -> &'static str {
    if let Some(picture) = picture {
        return picture.content_type;
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "ogg" | "opus" => "audio/ogg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_wire::id::BlobId;

    use super::*;

    fn reference(sealed: &Sealed) -> BlobReference {
        BlobReference {
            id: BlobId::from_bytes([0; 32]),
            key: sealed.key.duplicate(),
            digest: sealed.digest,
            size: sealed.size,
            origin: "https://relay.example".parse().unwrap(),
        }
    }

    #[test]
    fn a_sealed_file_opens_again_and_is_gone_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let plaintext: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let sealed = seal(&mut &plaintext[..], plaintext.len() as u64, folder.path()).unwrap();
        let ciphertext = fs::read(&sealed.path).unwrap();
        assert_eq!(ciphertext.len() as u64, sealed_len(sealed.size));
        assert!(!ciphertext.windows(32).any(|window| window == &plaintext[..32]));
        let to = folder.path().join("opened");
        open(&sealed.path, reference(&sealed), &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), plaintext);
        let path = sealed.path.clone();
        drop(sealed);
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = seal(&mut &[7; 100_000][..], 100_000, folder.path()).unwrap();
        let mut bytes = fs::read(&sealed.path).unwrap();
        bytes[90_000] ^= 1;
        fs::write(&sealed.path, bytes).unwrap();
        let to = folder.path().join("opened");
        let error = open(&sealed.path, reference(&sealed), &to).unwrap_err();
        assert!(
            matches!(error, ClientError::Media(rcseal_engine::media::MediaError::Damaged { segment: 1 })),
            "{error:?}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_sealed_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let error = seal(&mut &[7; 10][..], 20, folder.path()).err().unwrap();
        assert!(matches!(error, ClientError::File(_)), "{error:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_an_earlier_process_left_is_cleared_but_for_downloads() {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("media");
        prepare_folder(&media).unwrap();
        fs::write(media.join("a.sealed"), "x").unwrap();
        fs::write(media.join("b.part"), "x").unwrap();
        prepare_folder(&media).unwrap();
        assert!(!media.join("a.sealed").exists());
        assert!(media.join("b.part").exists());
    }

    #[test]
    fn names_are_never_paths_and_never_too_long() {
        assert_eq!(file_name(Path::new("/home/ada/cat.jpg")), "cat.jpg");
        assert_eq!(file_name(Path::new("..")), "");
        #[cfg(unix)]
        assert_eq!(file_name(Path::new("a\\b.jpg")), "a_b.jpg");
        let long = "ä".repeat(NAME_LEN_MAX);
        assert!(file_name(Path::new(&long)).len() <= NAME_LEN_MAX);
    }
}
