//! Encrypted blobs, from and to files, piece by piece and resumable, with never more than one piece in memory; and short ones, whole.
//!
//! Uploads belong to the account and go over the authenticated plane; downloads are by id alone and go over the anonymous one. Both use a
//! connection of their own, so that a photo does not hold up a message. Each call here is one attempt; when it fails, the next call goes
//! on where this one ended.

use std::io::SeekFrom;
use std::path::Path;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use rcseal_crypto::hash::{Sha256, sha256};
use rcseal_wire::api::{BLOB_CHUNK_LEN, BlobCreate, BlobCreated, UPLOAD_OFFSET_HEADER, path};
use rcseal_wire::id::{BlobId, Digest};
use rcseal_wire::problem::ProblemCode;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::anonymous::Anonymous;
use super::authenticated::Authenticated;
use super::error::{Fault, NetError};
use super::http::{Answer, Call, next_piece, read_all};
use super::login::LoggedIn;

/// Times that a server may say in one attempt that an upload continues elsewhere.
const CONFLICTS_MAX: u32 = 3;
/// Bytes read from a file at once while hashing what is there already.
const HASH_BUFFER_LEN: usize = 64 * 1024;

/// Told how many bytes of how many have been moved.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are where they should be.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Authenticated {
    /// Declares a blob of `size` bytes of ciphertext with this SHA-256.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn create_blob(&self, size: u64, digest: Digest, ttl_seconds: u32) -> Result<BlobCreated, NetError> {
        let call = Call::new(Method::POST, path::BLOBS).json(&BlobCreate { size, digest, ttl_seconds });
        let created: BlobCreated = self.call(call).await?.json()?;
        // A piece is held in memory, so its length is not the server's to choose freely.
        if created.chunk_len == 0 || created.chunk_len > BLOB_CHUNK_LEN as u64 {
            return Err(NetError::Protocol(Fault::Body));
        }
        Ok(created)
    }

    /// Uploads a declared blob from a file, from wherever the server stands.
    ///
    /// # Errors
    /// [`NetError`]. After [`ProblemCode::DigestMismatch`], [`ProblemCode::NotFound`] or [`ProblemCode::Gone`] the blob has to be declared
    /// anew.
    pub async fn upload_blob(&self, blob: &BlobCreated, file: &Path, progress: OnProgress<'_>) -> Result<(), NetError> {
        let mut file = File::open(file).await.map_err(NetError::File)?;
        let total = file.metadata().await.map_err(NetError::File)?.len();
        let mut connection = self.dedicated().await?;
        let mut offset = standing(&mut connection, &blob.id).await?;
        let mut conflicts = 0;
        loop {
            progress(Progress { done: offset.min(total), total });
            let piece = read_piece(&mut file, offset, blob.chunk_len).await?;
            if piece.is_empty() && offset > 0 {
                return Ok(());
            }
            let end = offset + piece.len() as u64;
            let call = Call::new(Method::PATCH, path::blob(&blob.id))
                .header(HeaderName::from_static(UPLOAD_OFFSET_HEADER), HeaderValue::from(offset))
                .bytes("application/octet-stream", piece);
            match connection.call(&call).await {
                Ok(answer) => {
                    offset = upload_offset(&answer)?;
                    if offset != end {
                        return Err(NetError::Protocol(Fault::Header));
                    }
                }
                Err(error) if error.problem() == Some(ProblemCode::OffsetConflict) && conflicts < CONFLICTS_MAX => {
                    // An earlier attempt got further than its answer.
                    conflicts += 1;
                    offset = standing(&mut connection, &blob.id).await?;
                }
                Err(error) => return Err(error),
            }
            if offset >= total {
                progress(Progress { done: total, total });
                return Ok(());
            }
        }
    }

    /// Uploads something short from memory, in one attempt. Answers its id.
    ///
    /// # Errors
    /// [`NetError`]. What was declared and not finished expires by itself.
    pub async fn put_blob(&self, bytes: Bytes, digest: Digest, ttl_seconds: u32) -> Result<BlobId, NetError> {
        let created = self.create_blob(bytes.len() as u64, digest, ttl_seconds).await?;
        let piece_len = usize::try_from(created.chunk_len).unwrap_or(BLOB_CHUNK_LEN);
        let mut connection = self.dedicated().await?;
        let mut offset = 0;
        while offset < bytes.len() {
            let end = bytes.len().min(offset + piece_len);
            let call = Call::new(Method::PATCH, path::blob(&created.id))
                .header(HeaderName::from_static(UPLOAD_OFFSET_HEADER), HeaderValue::from(offset as u64))
                .bytes("application/octet-stream", bytes.slice(offset..end));
            if upload_offset(&connection.call(&call).await?)? != end as u64 {
                return Err(NetError::Protocol(Fault::Header));
            }
            offset = end;
        }
        Ok(created.id)
    }

    /// Removes a blob before its time.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn delete_blob(&self, id: &BlobId) -> Result<(), NetError> {
        self.call(Call::new(Method::DELETE, path::blob(id))).await.map(drop)
    }
}

impl Anonymous {
    /// Downloads a short blob of exactly `len` bytes into memory, on a connection of its own. No more than that is read.
    ///
    /// # Errors
    /// [`NetError`]; [`NetError::DigestMismatch`] when it is another.
    pub async fn blob(&self, id: &BlobId, len: usize, digest: &Digest) -> Result<Vec<u8>, NetError> {
        let mut connection = self.dedicated().await?;
        let response = connection.send(&Call::new(Method::GET, path::blob(id))).await?;
        if response.status() != StatusCode::OK {
            return Err(NetError::Protocol(Fault::Status(response.status().as_u16())));
        }
        let bytes = read_all(response.into_body(), len, self.endpoint().timeouts()).await?;
        if sha256(&[&bytes]) != *digest.as_bytes() {
            return Err(NetError::DigestMismatch);
        }
        Ok(bytes.into())
    }

    /// Downloads a blob of `size` bytes into a file, going on where the file ends. The file counts only after `Ok`; whoever resumes
    /// passes the same path.
    ///
    /// # Errors
    /// [`NetError`]; after [`NetError::DigestMismatch`] the file is gone.
    pub async fn download_blob(
        &self,
        id: &BlobId,
        size: u64,
        digest: &Digest,
        to: &Path,
        progress: OnProgress<'_>,
    ) -> Result<(), NetError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(to)
            .await
            .map_err(NetError::File)?;
        let mut hash = Sha256::new();
        let mut done = hash_existing(&mut file, size, &mut hash).await?;
        progress(Progress { done, total: size });
        if done < size {
            let mut connection = self.dedicated().await?;
            let range =
                HeaderValue::from_str(&format!("bytes={done}-")).map_err(|_| NetError::Protocol(Fault::Header))?;
            let response =
                connection.send(&Call::new(Method::GET, path::blob(id)).header(header::RANGE, range)).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT => {
                    let expected = format!("bytes {done}-{}/{size}", size - 1);
                    if response.headers().get(header::CONTENT_RANGE).map(HeaderValue::as_bytes)
                        != Some(expected.as_bytes())
                    {
                        return Err(NetError::Protocol(Fault::Header));
                    }
                }
                // The server sends the whole, so the file starts over.
                StatusCode::OK => {
                    file.set_len(0).await.map_err(NetError::File)?;
                    file.rewind().await.map_err(NetError::File)?;
                    hash = Sha256::new();
                    done = 0;
                }
                status => return Err(NetError::Protocol(Fault::Status(status.as_u16()))),
            }
            let mut body = response.into_body();
            let outcome = loop {
                match next_piece(&mut body, self.endpoint().timeouts()).await {
                    Ok(Some(piece)) => {
                        done += piece.len() as u64;
                        if done > size {
                            break Err(NetError::Protocol(Fault::Body));
                        }
                        hash.update(&piece);
                        file.write_all(&piece).await.map_err(NetError::File)?;
                        progress(Progress { done, total: size });
                    }
                    Ok(None) if done < size => break Err(NetError::Closed(None)),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            // What has come is kept for the next attempt, whatever became of this one.
            file.flush().await.map_err(NetError::File)?;
            outcome?;
        }
        file.sync_all().await.map_err(NetError::File)?;
        if hash.finish() != *digest.as_bytes() {
            drop(file);
            tokio::fs::remove_file(to).await.map_err(NetError::File)?;
            return Err(NetError::DigestMismatch);
        }
        Ok(())
    }
}

/// Where the server stands with an upload.
async fn standing(connection: &mut LoggedIn, id: &BlobId) -> Result<u64, NetError> {
    match connection.call(&Call::new(Method::HEAD, path::blob(id))).await {
        Ok(answer) => upload_offset(&answer),
        // An answer to HEAD has no body, so its refusal has no problem document.
        Err(NetError::Protocol(Fault::Refusal(404))) => Err(NetError::Problem(super::error::Refused {
            status: 404,
            known: Some(ProblemCode::NotFound),
            retry_after: None,
        })),
        Err(error) => Err(error),
    }
}

fn upload_offset(answer: &Answer) -> Result<u64, NetError> {
    let header = answer.headers.get(UPLOAD_OFFSET_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    header.ok_or(NetError::Protocol(Fault::Header))
}

/// Reads the piece that starts at `offset`: `len` bytes, or fewer at the end of the file.
async fn read_piece(file: &mut File, offset: u64, len: u64) -> Result<Bytes, NetError> {
    file.seek(SeekFrom::Start(offset)).await.map_err(NetError::File)?;
    let mut piece = Vec::with_capacity(usize::try_from(len).unwrap_or(BLOB_CHUNK_LEN).min(BLOB_CHUNK_LEN));
    (&mut *file).take(len).read_to_end(&mut piece).await.map_err(NetError::File)?;
    Ok(piece.into())
}

/// Hashes what an earlier attempt left, and leaves the file's position behind it. More than there should be is cut off to nothing.
async fn hash_existing(file: &mut File, size: u64, hash: &mut Sha256) -> Result<u64, NetError> {
    let len = file.metadata().await.map_err(NetError::File)?.len();
    if len > size {
        file.set_len(0).await.map_err(NetError::File)?;
        return Ok(0);
    }
    let mut buffer = vec![0; HASH_BUFFER_LEN];
    let mut done = 0;
    loop {
        let read = file.read(&mut buffer).await.map_err(NetError::File)?;
        if read == 0 {
            return Ok(done);
        }
        hash.update(&buffer[..read]);
        done += read as u64;
    }
}
