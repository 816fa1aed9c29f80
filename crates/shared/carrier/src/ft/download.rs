//! Download: a file that is fetched in as many pieces as it takes.
//!
//! A cut transfer is continued where it stopped (`Range`), guarded by the server's validator (`If-Range`), so that two versions of a file
//! are never joined. What is received goes to a [`BlobSink`], which outlives a call: the same sink handed in again continues. The length
//! is known beforehand from the descriptor, and a server that sends anything else has failed, not just more.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use http::header;
use rcseal_crypto::hash::{Sha256, sha256};
use rcseal_rcs::ft::{ContentUrl, FileInfo};
use rcseal_wire::id::Digest;
use tokio::time::{Instant, sleep};

use super::FtClient;
use super::error::{FtError, Stage};
use super::http::Answer;

/// Times that one download is taken up at all: a server that hangs up after every few bytes is given up.
const ROUNDS_MAX: u32 = 64;

/// A file on a content server, as its descriptor names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where.
    pub url: ContentUrl,
    /// Its bytes.
    pub len: u64,
    /// The ciphertext's digest, where it is known. A descriptor of the carrier's has none; a reference of ours has.
    pub digest: Option<Digest>,
}

impl From<&FileInfo> for Source {
    /// The file that a descriptor of the carrier's names.
    fn from(file: &FileInfo) -> Self {
        Self { url: file.url.clone(), len: file.size, digest: None }
    }
}

/// Where received bytes go, in order, and stay between calls.
pub trait BlobSink: Send {
    /// Bytes that are there.
    fn len(&self) -> u64;

    /// Whether none are.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts bytes behind those that are there.
    ///
    /// # Errors
    /// What the medium says.
    fn append(&mut self, piece: &[u8]) -> io::Result<()>;

    /// The SHA-256 digest of all bytes.
    ///
    /// # Errors
    /// What the medium says.
    fn digest(&mut self) -> io::Result<[u8; 32]>;

    /// Forgets all bytes.
    ///
    /// # Errors
    /// What the medium says.
    fn clear(&mut self) -> io::Result<()>;
}

impl BlobSink for Vec<u8> {
    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }

    fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        self.extend_from_slice(piece);
        Ok(())
    }

    fn digest(&mut self) -> io::Result<[u8; 32]> {
        Ok(sha256(&[self]))
    }

    fn clear(&mut self) -> io::Result<()> {
        Vec::clear(self);
        Ok(())
    }
}

/// A file as a sink.
#[derive(Debug)]
pub struct FileSink {
    file: std::fs::File,
    len: u64,
}

impl FileSink {
    /// A file that was opened for reading and writing; what is in it counts as received.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(mut file: std::fs::File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }
}

impl BlobSink for FileSink {
    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(piece)?;
        self.len += piece.len() as u64;
        Ok(())
    }

    fn digest(&mut self) -> io::Result<[u8; 32]> {
        self.file.seek(SeekFrom::Start(0))?;
        let (mut digest, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(digest.finish()),
                read => digest.update(&buffer[..read]),
            }
        }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.len = 0;
        Ok(())
    }
}

impl FtClient {
    /// Fetches a file, from where the sink stands.
    ///
    /// # Errors
    /// [`FtError`]. What was received stays in the sink and is continued by another call, except after [`FtError::Digest`] and
    /// [`FtError::Changed`], where the sink is empty.
    pub async fn download(&self, source: &Source, sink: &mut dyn BlobSink) -> Result<(), FtError> {
        if source.len > self.config.limits.file_len_max {
            return Err(FtError::TooLarge);
        }
        if sink.len() > source.len {
            return Err(FtError::Length);
        }
        let deadline = self.deadline(source.len - sink.len());
        let (mut validator, mut failures, mut rounds) = (None, 0, 0);
        while sink.len() < source.len {
            let had = sink.len();
            match self.fetch(source, sink, &mut validator, deadline).await {
                Ok(()) => break,
                Err(FtError::Changed) => {
                    sink.clear().map_err(FtError::Store)?;
                    return Err(FtError::Changed);
                }
                Err(error) if error.is_cut() => {
                    rounds += 1;
                    failures = if sink.len() > had { 0 } else { failures + 1 };
                    if failures >= self.config.limits.attempts || rounds >= ROUNDS_MAX {
                        return Err(named(error, sink.len()));
                    }
                    let pause = Duration::from_millis(100 << failures.min(5));
                    if Instant::now() + pause >= deadline {
                        return Err(FtError::Timeout(Stage::Whole));
                    }
                    sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.check_digest(source, sink)
    }

    fn check_digest(&self, source: &Source, sink: &mut dyn BlobSink) -> Result<(), FtError> {
        let Some(expected) = &source.digest else { return Ok(()) };
        let digest = Digest::from_bytes(sink.digest().map_err(FtError::Store)?);
        if digest != *expected {
            sink.clear().map_err(FtError::Store)?;
            return Err(FtError::Digest);
        }
        Ok(())
    }

    /// One request for what is missing.
    async fn fetch(
        &self,
        source: &Source,
        sink: &mut dyn BlobSink,
        validator: &mut Option<String>,
        deadline: Instant,
    ) -> Result<(), FtError> {
        let from = sink.len();
        let mut headers = Vec::new();
        if from > 0 {
            headers.push((header::RANGE, format!("bytes={from}-{}", source.len - 1)));
            if let Some(validator) = validator.as_ref() {
                headers.push((header::IF_RANGE, validator.clone()));
            }
        }
        let mut answer = self.get(&source.url, &headers, deadline).await?;
        if answer.text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(FtError::Protocol);
        }
        let tag = strong_tag(&answer);
        let mut skip = match answer.status.as_u16() {
            206 if from > 0 => {
                check_content_range(&answer, from, source.len)?;
                0
            }
            200 => {
                // With a validator, the whole file instead of the rest says that it is another one. Without one, a server that does not
                // know ranges sends all of it again, and what we have already is passed over.
                if validator.is_some() && tag != *validator {
                    return Err(FtError::Changed);
                }
                from
            }
            416 => return Err(FtError::Length),
            201..=299 => return Err(FtError::Protocol),
            _ => return Err(answer.refusal()),
        };
        if validator.is_some() && tag.is_some() && tag != *validator {
            return Err(FtError::Changed);
        }
        if validator.is_none() {
            *validator = tag;
        }
        let expected = source.len - from + skip;
        if answer
            .text(header::CONTENT_LENGTH)
            .and_then(|text| text.parse().ok())
            .is_some_and(|len: u64| len != expected)
        {
            return Err(FtError::Length);
        }
        while let Some(piece) = answer.next_piece(self, deadline).await? {
            let passed = usize::try_from(skip.min(piece.len() as u64)).map_err(|_| FtError::Length)?;
            skip -= passed as u64;
            let fresh = &piece[passed..];
            // More than was announced: none of the surplus is stored.
            if sink.len() + fresh.len() as u64 > source.len {
                return Err(FtError::Length);
            }
            sink.append(fresh).map_err(FtError::Store)?;
        }
        if sink.len() < source.len { Err(FtError::Cut { transferred: sink.len() }) } else { Ok(()) }
    }
}

/// A cut, with the bytes that are there.
fn named(error: FtError, transferred: u64) -> FtError {
    match error {
        FtError::Cut { .. } => FtError::Cut { transferred },
        other => other,
    }
}

/// The entity tag, if it stands for the very bytes: a weak one does not.
fn strong_tag(answer: &Answer) -> Option<String> {
    answer.text(header::ETAG).filter(|tag| tag.starts_with('"') && tag.len() <= 256).map(str::to_owned)
}

/// Whether the part that comes is the one that was asked for.
fn check_content_range(answer: &Answer, from: u64, len: u64) -> Result<(), FtError> {
    let text = answer.text(header::CONTENT_RANGE).ok_or(FtError::Protocol)?;
    let (range, total) =
        text.trim().strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or(FtError::Protocol)?;
    let (first, last) = range.split_once('-').ok_or(FtError::Protocol)?;
    let (first, last): (u64, u64) =
        (first.parse().map_err(|_| FtError::Protocol)?, last.parse().map_err(|_| FtError::Protocol)?);
    if total != "*" && total.parse::<u64>().map_err(|_| FtError::Protocol)? != len {
        return Err(FtError::Length);
    }
    if first != from || last != len - 1 {
        return Err(FtError::Protocol);
    }
    Ok(())
}
