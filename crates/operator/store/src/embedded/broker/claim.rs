//! [`ClaimStore`] on fjall.

use async_trait::async_trait;
use rcseal_wire::id::{DeviceAddress, MappingHash};
use rcseal_wire::number::E164;

use super::FjallBrokerStore;
use super::quota::charge;
use super::rows::{self, ClaimRow};
use crate::broker::{
    BeginClaim, BeginClaimError, Begun, ClaimId, ClaimRecord, ClaimStore, CodeMac, TryCode, TryCodeError,
};
use crate::embedded::Need;
use crate::embedded::rows::Space;
use crate::embedded::txn::Txn;
use crate::{StoreError, UnixMillis};

pub(super) const CLAIMS: &str = "broker_claims";

const CORRUPT: StoreError = StoreError::Corrupt { space: CLAIMS };

pub(super) fn get(txn: &Txn<'_>, id: ClaimId) -> Result<Option<ClaimRow>, StoreError> {
    txn.get(Space::Broker, &rows::claim_key(id))?.map(|row| rows::decode(&row, CLAIMS)).transpose()
}

pub(super) fn put(txn: &mut Txn<'_>, id: ClaimId, row: &ClaimRow) {
    txn.put(Space::Broker, rows::claim_key(id), rows::encode(row));
}

fn record(id: ClaimId, row: &ClaimRow) -> Result<ClaimRecord, StoreError> {
    Ok(ClaimRecord {
        id,
        device: DeviceAddress::parse(&row.device).map_err(|_| CORRUPT)?,
        number: row.number.parse().map_err(|_| CORRUPT)?,
        expires_at: UnixMillis::new(row.expires_at),
        is_verified: row.is_verified,
        used_for: used_for(row)?,
    })
}

pub(super) fn used_for(row: &ClaimRow) -> Result<Option<MappingHash>, StoreError> {
    if row.used_for.is_empty() {
        return Ok(None);
    }
    MappingHash::parse(&row.used_for).map(Some).map_err(|_| CORRUPT)
}

/// Moves a claim's end, and the row that finds it by its end.
fn set_end(txn: &mut Txn<'_>, id: ClaimId, row: &mut ClaimRow, expires_at: UnixMillis) {
    txn.remove(Space::Broker, rows::claim_expiry_key(UnixMillis::new(row.expires_at), id));
    txn.put(Space::Broker, rows::claim_expiry_key(expires_at, id), fjall::Slice::from([]));
    row.expires_at = expires_at.get();
}

fn remove(txn: &mut Txn<'_>, id: ClaimId, row: &ClaimRow) -> Result<(), StoreError> {
    let record = record(id, row)?;
    txn.remove(Space::Broker, rows::claim_key(id));
    txn.remove(Space::Broker, rows::claim_expiry_key(record.expires_at, id));
    let of = rows::claim_of_key(record.device, &record.number);
    // A newer claim of the same device may have its place.
    if txn.get(Space::Broker, &of)?.is_some_and(|found| *found == id.as_bytes()[..]) {
        txn.remove(Space::Broker, of);
    }
    Ok(())
}

fn begin(txn: &mut Txn<'_>, begin: &BeginClaim) -> Result<Result<Begun, BeginClaimError>, StoreError> {
    let of = rows::claim_of_key(begin.device, &begin.number);
    let live = match txn.get(Space::Broker, &of)? {
        Some(id) => {
            let id = ClaimId::from_bytes((*id).try_into().map_err(|_| CORRUPT)?);
            get(txn, id)?.filter(|row| row.expires_at > begin.now.get()).map(|row| (id, row))
        }
        None => None,
    };
    // A claim that was used, or is verified, is no bar to the next: both have done what a code is for.
    let live = live.filter(|(_, row)| !row.is_verified);
    let (id, mut row) = live.unwrap_or_else(|| {
        let row = ClaimRow {
            device: begin.device.to_bytes().to_vec(),
            number: begin.number.as_str().to_owned(),
            tries_left: begin.tries_max.into(),
            expires_at: begin.expires_at.get(),
            ..ClaimRow::default()
        };
        (begin.id, row)
    });
    if row.request == begin.id.as_bytes() {
        // Its answer was lost on the way here.
        let (expires_at, resend_at) = (UnixMillis::new(row.expires_at), UnixMillis::new(row.resend_at));
        return Ok(Ok(Begun { id, expires_at, resend_at }));
    }
    if row.sent > 0 && row.resend_at > begin.now.get() {
        return Ok(Err(BeginClaimError::TooSoon { until: UnixMillis::new(row.resend_at) }));
    }
    // After the last code there is nothing to wait for but the claim's end.
    let Some(seconds) = begin.resend_after_seconds.get(row.sent as usize) else {
        return Ok(Err(BeginClaimError::TooSoon { until: UnixMillis::new(row.expires_at) }));
    };
    if let Err(exhausted) = charge(txn, &begin.charges, begin.now)? {
        return Ok(Err(exhausted.into()));
    }
    row.sent += 1;
    row.request = begin.id.as_bytes().to_vec();
    row.resend_at = begin.now.plus_seconds(*seconds).get();
    // No code is good until the new one's hash is stored.
    row.code.clear();
    set_end(txn, id, &mut row, begin.expires_at);
    put(txn, id, &row);
    txn.put(Space::Broker, of, fjall::Slice::from(id.as_bytes()));
    Ok(Ok(Begun { id, expires_at: begin.expires_at, resend_at: UnixMillis::new(row.resend_at) }))
}

fn set_code(txn: &mut Txn<'_>, id: ClaimId, code: CodeMac) -> Result<bool, StoreError> {
    let Some(mut row) = get(txn, id)? else { return Ok(false) };
    row.code = code.as_bytes().to_vec();
    put(txn, id, &row);
    Ok(true)
}

/// A refusal is written like a success: the try is counted.
fn attempt(txn: &mut Txn<'_>, attempt: &TryCode) -> Result<Result<ClaimRecord, TryCodeError>, StoreError> {
    let row = get(txn, attempt.id)?.filter(|row| row.device == attempt.device.to_bytes());
    let Some(mut row) = row.filter(|row| row.expires_at > attempt.now.get()) else {
        return Ok(Err(TryCodeError::Unknown));
    };
    if row.is_verified {
        return Ok(Ok(record(attempt.id, &row)?));
    }
    let code: Option<[u8; 32]> = row.code.as_slice().try_into().ok();
    if code.is_some_and(|code| CodeMac::from_bytes(code) == attempt.code) {
        row.is_verified = true;
        row.code.clear();
        set_end(txn, attempt.id, &mut row, attempt.verified_until);
        put(txn, attempt.id, &row);
        return Ok(Ok(record(attempt.id, &row)?));
    }
    let is_guessed_too_often = charge(txn, &[attempt.wrong], attempt.now)?.is_err();
    row.tries_left = if is_guessed_too_often { 0 } else { row.tries_left.saturating_sub(1) };
    if row.tries_left == 0 {
        remove(txn, attempt.id, &row)?;
    } else {
        put(txn, attempt.id, &row);
    }
    Ok(Err(TryCodeError::Wrong { left: u8::try_from(row.tries_left).unwrap_or(u8::MAX) }))
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (key, _) in txn.scan(Space::Broker, rows::CLAIM_EXPIRY_PREFIX, rows::CLAIM_EXPIRY_PREFIX, budget)? {
        if rows::time_of(&key, CLAIMS)? > now {
            break;
        }
        let id = rows::parse_claim_expiry_key(&key)?;
        match get(txn, id)? {
            Some(row) => remove(txn, id, &row)?,
            None => txn.remove(Space::Broker, key),
        }
        removed += 1;
    }
    Ok(removed)
}

#[async_trait]
impl ClaimStore for FjallBrokerStore {
    async fn begin_claim(&self, claim: BeginClaim) -> Result<Begun, BeginClaimError> {
        self.0.write_or_undo(Need::Space(0), move |txn| begin(txn, &claim)).await?
    }

    async fn set_code(&self, id: ClaimId, code: CodeMac) -> Result<bool, StoreError> {
        self.0.write(Need::Little, move |txn| set_code(txn, id, code)).await
    }

    async fn claimed_number(&self, id: ClaimId, device: DeviceAddress) -> Result<Option<E164>, StoreError> {
        self.0
            .read(move |engine| {
                let row = engine.get(Space::Broker, &rows::claim_key(id))?;
                let Some(row) = row.map(|row| rows::decode::<ClaimRow>(&row, CLAIMS)).transpose()? else {
                    return Ok(None);
                };
                let record = record(id, &row)?;
                Ok((record.device == device).then_some(record.number))
            })
            .await
    }

    async fn try_code(&self, code: TryCode) -> Result<ClaimRecord, TryCodeError> {
        self.0.write(Need::Little, move |txn| attempt(txn, &code)).await?
    }

    async fn expire_claims(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.0.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }
}
