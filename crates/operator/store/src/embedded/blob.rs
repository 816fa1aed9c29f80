//! [`BlobIndex`] on fjall.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, BlobId, Digest};

use super::directory::account_row;
use super::engine::read_error;
use super::rows::{self, BlobRow, Space};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::blob::{BeginBlobError, BlobIndex, BlobRecord, BlobState, NewBlob};
use crate::limits::{BLOB_CHARGE_MIN, BLOB_CHUNK_LEN};
use crate::{StoreError, UnixMillis};

fn parse(id: BlobId, row: &[u8]) -> Result<BlobRecord, StoreError> {
    let row: BlobRow = rows::decode(row, "blobs")?;
    let corrupt = |_| StoreError::Corrupt { space: "blobs" };
    Ok(BlobRecord {
        id,
        owner: AccountId::parse(&row.owner).map_err(corrupt)?,
        size: row.size,
        digest: Digest::parse(&row.digest).map_err(corrupt)?,
        chunk_len: row.chunk_len,
        received: row.received,
        state: if row.complete { BlobState::Complete } else { BlobState::Uploading },
        expires_at: UnixMillis::new(row.expires_at),
    })
}

fn write(record: &BlobRecord) -> fjall::Slice {
    rows::encode(&BlobRow {
        owner: record.owner.as_bytes().to_vec(),
        size: record.size,
        digest: record.digest.as_bytes().to_vec(),
        chunk_len: record.chunk_len,
        received: record.received,
        complete: match record.state {
            BlobState::Uploading => false,
            BlobState::Complete => true,
        },
        expires_at: record.expires_at.get(),
    })
}

fn blob(txn: &Txn<'_>, id: BlobId) -> Result<Option<BlobRecord>, StoreError> {
    txn.get(Space::Records, &rows::blob_key(id))?.map(|row| parse(id, &row)).transpose()
}

/// What a blob of this length counts for.
fn charge(size: u64) -> u64 {
    size.max(BLOB_CHARGE_MIN)
}

fn begin(txn: &mut Txn<'_>, new: &NewBlob) -> Result<Result<BlobRecord, BeginBlobError>, StoreError> {
    if let Some(record) = blob(txn, new.id)? {
        let same = record.owner == new.owner && record.size == new.size && record.digest == new.digest;
        return Ok(if same { Ok(record) } else { Err(BeginBlobError::IdTaken) });
    }
    if new.size == 0 {
        return Ok(Err(BeginBlobError::Empty));
    }
    let Some(mut account) = account_row(txn, new.owner)? else { return Ok(Err(BeginBlobError::UnknownAccount)) };
    let charged = account.blob_bytes.saturating_add(charge(new.size));
    if charged > txn.limits.account_blob_bytes_max {
        return Ok(Err(BeginBlobError::QuotaExceeded));
    }
    account.blob_bytes = charged;
    let record = BlobRecord {
        id: new.id,
        owner: new.owner,
        size: new.size,
        digest: new.digest,
        chunk_len: u32::try_from(BLOB_CHUNK_LEN).unwrap_or(u32::MAX),
        received: 0,
        state: BlobState::Uploading,
        expires_at: new.expires_at,
    };
    txn.put(Space::Records, rows::account_key(new.owner), rows::encode(&account));
    txn.put(Space::Records, rows::blob_key(new.id), write(&record));
    txn.put(Space::Records, rows::blob_expiry_key(new.expires_at, new.id), fjall::Slice::from([]));
    Ok(Ok(record))
}

#[async_trait]
impl BlobIndex for FjallStore {
    async fn begin_blob(&self, new: NewBlob) -> Result<BlobRecord, BeginBlobError> {
        self.write(Need::Space(0), move |txn| begin(txn, &new)).await?
    }

    async fn blob(&self, id: BlobId) -> Result<Option<BlobRecord>, StoreError> {
        self.read(move |engine| engine.get(Space::Records, &rows::blob_key(id))?.map(|row| parse(id, &row)).transpose())
            .await
    }

    async fn advance_blob(&self, id: BlobId, from: u64, to: u64) -> Result<bool, StoreError> {
        self.write(Need::Space(0), move |txn| {
            let Some(mut record) = blob(txn, id)? else { return Ok(false) };
            if record.state == BlobState::Complete || record.received != from || to > record.size {
                return Ok(false);
            }
            record.received = to;
            txn.put(Space::Records, rows::blob_key(id), write(&record));
            Ok(true)
        })
        .await
    }

    async fn complete_blob(&self, id: BlobId) -> Result<bool, StoreError> {
        self.write(Need::Little, move |txn| {
            let Some(mut record) = blob(txn, id)? else { return Ok(false) };
            record.state = BlobState::Complete;
            txn.put(Space::Records, rows::blob_key(id), write(&record));
            Ok(true)
        })
        .await
    }

    async fn remove_blob(&self, id: BlobId) -> Result<Option<BlobRecord>, StoreError> {
        self.write(Need::Little, move |txn| {
            let Some(record) = blob(txn, id)? else { return Ok(None) };
            txn.remove(Space::Records, rows::blob_key(id));
            txn.remove(Space::Records, rows::blob_expiry_key(record.expires_at, id));
            if let Some(mut account) = account_row(txn, record.owner)? {
                account.blob_bytes = account.blob_bytes.saturating_sub(charge(record.size));
                txn.put(Space::Records, rows::account_key(record.owner), rows::encode(&account));
            }
            Ok(Some(record))
        })
        .await
    }

    async fn expired_blobs(&self, now: UnixMillis, limit: usize) -> Result<Vec<BlobRecord>, StoreError> {
        self.read(move |engine| {
            let mut expired = Vec::new();
            for entry in engine.keyspace(Space::Records).prefix(rows::BLOB_EXPIRY_PREFIX) {
                let (ends_at, id) = rows::parse_tagged_expiry::<32>(&entry.key().map_err(read_error)?, "blobs")?;
                if expired.len() == limit || ends_at > now {
                    break;
                }
                let id = BlobId::from_bytes(id);
                if let Some(row) = engine.get(Space::Records, &rows::blob_key(id))? {
                    expired.push(parse(id, &row)?);
                }
            }
            Ok(expired)
        })
        .await
    }
}
