//! The file: written under another name and renamed when it is whole, read in chunks, never larger in memory than a few of them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rand::Rng as _;
use rcseal_crypto::secret::Secret;
use rcseal_engine::Engine;
use rcseal_engine::backup::{ArchiveOpener, ArchiveSealer, BackupError, Collector, SEALED_CHUNK_LEN, check_value};
use rcseal_wire::backup::{
    ARCHIVE_LEN_MAX, AccountRow, Cost, END_LEN, HEADER_LEN, Header, Row, RowKind, SALT_LEN, SecretKind, end_mark,
};

use super::{BackupFailure, BackupInfo, BackupProgress, BackupSecret, BackupSummary, kdf};
use crate::client::ClientError;
use crate::files;

/// A file that is not whole yet. Deleted when dropped.
struct Part {
    path: PathBuf,
    is_done: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be deleted now is overwritten by the next attempt.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes an archive. `page` runs one page of the collector in a transaction of its own.
pub(crate) fn create(
    to: &Path,
    secret: &BackupSecret,
    now_ms: u64,
    mut page: impl FnMut(&mut Collector) -> Result<Option<Vec<Row>>, ClientError>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupSummary, ClientError> {
    secret.check().map_err(ClientError::Backup)?;
    let cost = match secret.kind() {
        SecretKind::Passphrase => kdf::calibrate(),
        SecretKind::Generated => Cost::FLOOR,
    };
    let mut salt = [0; SALT_LEN];
    rand::rng().fill_bytes(&mut salt);
    let stretched = kdf::stretch(cost, secret.bytes(), &salt);
    let header =
        Header { secret: secret.kind(), cost, created_at_ms: now_ms, salt, check: check_value(&stretched, &salt) };
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let mut part = Part { path: part.into(), is_done: false };
    // What an attempt that was killed has left is begun anew: a page of it may be older than what follows.
    let file = files::private_options().write(true).create(true).truncate(true).open(&part.path);
    let mut file = BufWriter::new(file.map_err(ClientError::File)?);
    let mut len = 0;
    let mut write = |file: &mut BufWriter<File>, bytes: &[u8]| {
        len += bytes.len() as u64;
        file.write_all(bytes).map_err(ClientError::File).map(|()| len)
    };
    write(&mut file, &header.to_bytes())?;
    let mut collector = Collector::new(secret.kind() == SecretKind::Generated);
    let mut sealer = ArchiveSealer::new(&stretched, &header);
    let (mut done, mut has_account_key, mut sealed) = (0, false, Vec::new());
    while let Some(rows) = page(&mut collector)? {
        for row in &rows {
            has_account_key |= row.kind == RowKind::AccountKey;
            sealer.add(row, &mut sealed).map_err(archive)?;
            if !sealed.is_empty() && write(&mut file, &std::mem::take(&mut sealed))? > ARCHIVE_LEN_MAX {
                return Err(archive(BackupError::TooLarge));
            }
        }
        done += rows.len() as u64;
        progress(BackupProgress { done, total: 0 });
    }
    let rows = sealer.finish(&mut sealed).map_err(archive)?;
    let before = write(&mut file, &sealed)?;
    let bytes = write(&mut file, &end_mark(before))?;
    let file = file.into_inner().map_err(|error| ClientError::File(error.into_error()))?;
    file.sync_all().map_err(ClientError::File)?;
    fs::rename(&part.path, to).map_err(ClientError::File)?;
    part.is_done = true;
    files::sync_dir(to.parent().unwrap_or(Path::new("."))).map_err(ClientError::File)?;
    Ok(BackupSummary { rows, bytes, secret: secret.kind(), has_account_key })
}

fn archive(error: BackupError) -> ClientError {
    ClientError::Backup(BackupFailure::Archive(error))
}

/// What a file says of itself.
pub(crate) fn inspect(path: &Path) -> Result<BackupInfo, ClientError> {
    let file = ArchiveFile::open(path)?;
    let Header { secret, cost, created_at_ms, .. } = file.header;
    Ok(BackupInfo { secret, created_at_ms, bytes: file.len, memory_kib: cost.memory_kib(), passes: cost.passes() })
}

/// A file whose header and end are those of an archive.
struct ArchiveFile {
    file: File,
    header: Header,
    len: u64,
}

impl ArchiveFile {
    fn open(path: &Path) -> Result<Self, ClientError> {
        let mut file = File::open(path).map_err(ClientError::File)?;
        let len = file.metadata().map_err(ClientError::File)?.len();
        let mut header = Vec::with_capacity(HEADER_LEN);
        (&mut file).take(HEADER_LEN as u64).read_to_end(&mut header).map_err(ClientError::File)?;
        let header = Header::parse(&header).map_err(|error| archive(error.into()))?;
        if len > ARCHIVE_LEN_MAX {
            return Err(archive(BackupError::TooLarge));
        }
        // A file that was copied by halves, or written to behind its end, is not whole; what it would open to does not matter.
        let Some(before) = len.checked_sub(END_LEN as u64).filter(|before| *before > HEADER_LEN as u64) else {
            return Err(archive(BackupError::Truncated));
        };
        let mut mark = [0; END_LEN];
        let read = file.seek(SeekFrom::Start(before)).and_then(|_| file.read_exact(&mut mark));
        read.map_err(ClientError::File)?;
        if mark != end_mark(before) {
            return Err(archive(BackupError::Truncated));
        }
        file.seek(SeekFrom::Start(HEADER_LEN as u64)).map_err(ClientError::File)?;
        Ok(Self { file, header, len })
    }
}

/// An archive whose secret is known to be right.
pub(crate) struct OpenedArchive {
    path: PathBuf,
    header: Header,
    stretched: Secret<32>,
    /// Whose it is.
    pub(crate) account: AccountRow,
    /// Its account key, where it holds one.
    pub(crate) account_key: Option<Secret<32>>,
}

impl OpenedArchive {
    /// Stretches the secret and reads the first rows.
    pub(crate) fn open(path: &Path, secret: &BackupSecret) -> Result<Self, ClientError> {
        let file = ArchiveFile::open(path)?;
        if file.header.secret != secret.kind() {
            return Err(archive(BackupError::OtherSecret));
        }
        let stretched = kdf::stretch(file.header.cost, secret.bytes(), &file.header.salt);
        let header = file.header;
        let (mut account, mut account_key) = (None, None);
        read(file, &stretched, &mut |_| {}, |row| {
            match row.kind {
                RowKind::Account => {
                    let row = AccountRow::parse(&row.value);
                    account = Some(row.map_err(|_| malformed(RowKind::Account))?);
                    return Ok(true);
                }
                RowKind::AccountKey if header.secret == SecretKind::Generated => {
                    let key = row.value.split_first().filter(|(version, _)| **version == 1);
                    let key = key.and_then(|(_, key)| Secret::from_slice(key));
                    account_key = Some(key.ok_or(malformed(RowKind::AccountKey))?);
                }
                RowKind::AccountKey => return Err(malformed(RowKind::AccountKey)),
                _ => {}
            }
            Ok(false)
        })?;
        let account = account.ok_or(malformed(RowKind::Account))?;
        Ok(Self { path: path.to_owned(), header, stretched, account, account_key })
    }

    /// Hands every row out, from the first to the last, and only then answers `Ok`.
    pub(crate) fn rows(
        &self,
        progress: &mut dyn FnMut(BackupProgress),
        mut take: impl FnMut(&Row) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let file = ArchiveFile::open(&self.path)?;
        // Between the two readings somebody may have put another file there.
        if file.header != self.header {
            return Err(archive(BackupError::WrongSecret));
        }
        read(file, &self.stretched, progress, |row| take(row).map(|()| true))
    }
}

fn malformed(kind: RowKind) -> ClientError {
    archive(BackupError::Malformed { kind: Some(kind) })
}

/// Reads rows for as long as they are wanted.
fn read(
    archive_file: ArchiveFile,
    stretched: &Secret<32>,
    progress: &mut dyn FnMut(BackupProgress),
    mut take: impl FnMut(&Row) -> Result<bool, ClientError>,
) -> Result<(), ClientError> {
    let ArchiveFile { mut file, header, len } = archive_file;
    let mut opener = ArchiveOpener::new(stretched, &header).map_err(archive)?;
    let mut left = len - (HEADER_LEN + END_LEN) as u64;
    let mut chunk = vec![0; SEALED_CHUNK_LEN];
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(SEALED_CHUNK_LEN).min(SEALED_CHUNK_LEN);
        file.read_exact(&mut chunk[..size]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => archive(BackupError::Truncated),
            _ => ClientError::File(error),
        })?;
        left -= size as u64;
        opener.open(&chunk[..size], left == 0).map_err(archive)?;
        while let Some(row) = opener.next_row().map_err(archive)? {
            if !take(&row)? {
                return Ok(());
            }
        }
        progress(BackupProgress { done: len - left, total: len });
    }
    opener.finish().map_err(archive)
}

/// One page, for [`create`].
pub(crate) fn page(engine: &Engine<'_>, collector: &mut Collector) -> Result<Option<Vec<Row>>, ClientError> {
    engine.collect(collector).map_err(archive)
}
