//! Our prekeys: secrets here, public halves at the directory.
//!
//! A one-time prekey is deleted in the transaction that accepted the first message it made possible. The signed and the last-resort
//! prekey are renewed by age; old ones stay readable for [`PREKEY_KEPT_MS`], because messages made with them may still be on their way.

use rcseal_signal::{KemPreKey, OneTimePreKey, PreKeyMessage, Profile, ResponderKeys, SignedPreKey};
use rcseal_wire::api::{self, Base64, DeviceUpload, PrekeyCounts};

use super::{Account, AccountError};
use crate::context::{Engine, UnixMillis};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// One-time prekeys of each kind that are kept at the directory.
pub const ONE_TIME_PREKEYS_TARGET: u32 = 50;
/// Age at which the signed and the last-resort prekey are renewed: two days, in milliseconds.
pub const SIGNED_PREKEY_AGE_MS_MAX: u64 = 2 * 24 * 3600 * 1000;
/// How long a prekey still opens messages after another has taken its place: the longest a relay keeps one, and two days. Counted from the
/// replacement and not from the drawing: a device that was away for two months comes back to messages made yesterday with a prekey as old.
pub const PREKEY_KEPT_MS: u64 = 32 * 24 * 3600 * 1000;

/// Signed prekeys read at once: one every two days for a month are sixteen.
const SIGNED_PREKEYS_PAGE: usize = 64;

/// Where our prekeys stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PreKeyIds {
    /// The next id of any kind.
    pub(crate) next: u32,
    pub(crate) signed: u32,
    pub(crate) last_resort: u32,
    /// When the signed and the last-resort one were drawn.
    pub(crate) drawn_at: UnixMillis,
}

impl Default for PreKeyIds {
    fn default() -> Self {
        Self { next: 1, signed: 0, last_resort: 0, drawn_at: UnixMillis(0) }
    }
}

/// One-time prekeys of each kind that are kept here: twice what the directory takes, so that none it may still hand out is lost when
/// uploads fail half-way and are drawn anew.
const ONE_TIME_PREKEYS_KEPT: usize = 2 * api::ONE_TIME_PREKEYS_MAX;

/// Kinds of prekey, as the first byte of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed = 1,
    OneTime = 2,
    OneTimeKem = 3,
    LastResort = 4,
}

fn key(kind: Kind, id: u32) -> Vec<u8> {
    [&[kind as u8][..], &id.to_be_bytes()].concat()
}

/// The secrets that a first message asks for.
pub(crate) struct PreKeySecrets {
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: Option<OneTimePreKey>,
    /// Rows to delete when the message was accepted.
    used: Vec<Vec<u8>>,
}

impl PreKeySecrets {
    pub(crate) fn keys(&self) -> ResponderKeys<'_> {
        ResponderKeys { signed: &self.signed, kem: &self.kem, one_time: self.one_time.as_ref() }
    }
}

impl Engine<'_> {
    fn take_id(account: &mut Account) -> u32 {
        let id = account.prekeys.next;
        // Ids are 24 bits in some peers; 0 stands for none.
        account.prekeys.next = if id >= 0x00ff_fffe { 1 } else { id + 1 };
        id
    }

    fn put_prekey(&mut self, kind: Kind, id: u32, secret: &[u8]) -> Result<(), StoreError> {
        let row = zeroize::Zeroizing::new([&self.now.0.to_be_bytes()[..], secret].concat());
        self.tx.put(Table::Prekey, &key(kind, id), &row)
    }

    fn get_prekey(&self, kind: Kind, id: u32) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        let Some(row) = self.tx.get(Table::Prekey, &key(kind, id))? else { return Ok(None) };
        let row = zeroize::Zeroizing::new(row);
        let secret = row.get(8..).ok_or_else(|| BadRow::error(Table::Prekey))?;
        Ok(Some(zeroize::Zeroizing::new(secret.to_vec())))
    }

    pub(crate) fn draw_first_prekeys(&mut self, account: &mut Account) -> Result<(), AccountError> {
        self.renew_signed_prekeys(account)?;
        self.draw_one_time(account, ONE_TIME_PREKEYS_TARGET, ONE_TIME_PREKEYS_TARGET)?;
        Ok(())
    }

    fn renew_signed_prekeys(&mut self, account: &mut Account) -> Result<(), AccountError> {
        let id = Self::take_id(account);
        let signed = SignedPreKey::generate(self.rng, Profile::Native, id, &account.identity)?;
        self.put_prekey(Kind::Signed, id, &signed.to_bytes())?;
        account.prekeys.signed = id;
        let id = Self::take_id(account);
        let last_resort = KemPreKey::generate(self.rng, Profile::Native, id, &account.identity)?;
        self.put_prekey(Kind::LastResort, id, &last_resort.to_bytes())?;
        account.prekeys.last_resort = id;
        account.prekeys.drawn_at = self.now;
        Ok(())
    }

    fn draw_one_time(
        &mut self,
        account: &mut Account,
        one_time: u32,
        kem: u32,
    ) -> Result<(Vec<api::OneTimePreKey>, Vec<api::KemPreKey>), AccountError> {
        let mut uploads = (Vec::new(), Vec::new());
        for _ in 0..one_time {
            let id = Self::take_id(account);
            let prekey = OneTimePreKey::generate(self.rng, Profile::Native, id)?;
            self.put_prekey(Kind::OneTime, id, &prekey.to_bytes())?;
            uploads.0.push(one_time_upload(&prekey));
        }
        for _ in 0..kem {
            let id = Self::take_id(account);
            let prekey = KemPreKey::generate(self.rng, Profile::Native, id, &account.identity)?;
            self.put_prekey(Kind::OneTimeKem, id, &prekey.to_bytes())?;
            uploads.1.push(kem_upload(&prekey));
        }
        Ok(uploads)
    }

    /// Everything the directory should have of this device: for registration and after linking.
    pub(crate) fn device_upload(&mut self, account: &Account) -> Result<DeviceUpload, AccountError> {
        let bad = || BadRow::error(Table::Prekey);
        let signed = self.get_prekey(Kind::Signed, account.prekeys.signed)?.ok_or_else(bad)?;
        let last_resort = self.get_prekey(Kind::LastResort, account.prekeys.last_resort)?.ok_or_else(bad)?;
        let mut one_time = Vec::new();
        for secret in self.prekey_rows(Kind::OneTime)? {
            one_time.push(one_time_upload(&OneTimePreKey::from_bytes(&secret).map_err(|_| bad())?));
        }
        let mut one_time_kem = Vec::new();
        for secret in self.prekey_rows(Kind::OneTimeKem)? {
            one_time_kem.push(kem_upload(&KemPreKey::from_bytes(&secret).map_err(|_| bad())?));
        }
        Ok(DeviceUpload {
            mailbox: account.mailbox,
            signed: Some(signed_upload(&SignedPreKey::from_bytes(&signed).map_err(|_| bad())?)),
            last_resort: Some(kem_upload(&KemPreKey::from_bytes(&last_resort).map_err(|_| bad())?)),
            one_time,
            one_time_kem,
        })
    }

    fn prekey_rows(&self, kind: Kind) -> Result<Vec<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        let prefix = [kind as u8];
        let rows =
            self.tx.scan(Table::Prekey, &prefix, &prefix_end(&prefix), api::ONE_TIME_PREKEYS_MAX, Order::Descending)?;
        Ok(rows
            .into_iter()
            .map(|(_, row)| zeroize::Zeroizing::new(row.get(8..).unwrap_or_default().to_vec()))
            .collect())
    }

    /// What to upload now, if anything: one-time prekeys up to the target, and the signed ones when they are old.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn prekey_upload(&mut self, counts: PrekeyCounts) -> Result<Option<DeviceUpload>, AccountError> {
        let mut account = self.account()?;
        let mut upload = DeviceUpload {
            mailbox: account.mailbox,
            signed: None,
            last_resort: None,
            one_time: Vec::new(),
            one_time_kem: Vec::new(),
        };
        if self.now.since(account.prekeys.drawn_at) >= SIGNED_PREKEY_AGE_MS_MAX {
            self.renew_signed_prekeys(&mut account)?;
            let whole = self.device_upload(&account)?;
            (upload.signed, upload.last_resort) = (whole.signed, whole.last_resort);
        }
        let missing = |count: u32| if counts.low { ONE_TIME_PREKEYS_TARGET.saturating_sub(count) } else { 0 };
        let (one_time, kem) =
            self.draw_one_time(&mut account, missing(counts.one_time), missing(counts.one_time_kem))?;
        (upload.one_time, upload.one_time_kem) = (one_time, kem);
        self.put_account(&account)?;
        self.drop_old_prekeys(&account)?;
        self.drop_surplus_one_time()?;
        let empty = upload.signed.is_none() && upload.one_time.is_empty() && upload.one_time_kem.is_empty();
        Ok(if empty { None } else { Some(upload) })
    }

    /// When the oldest signed prekey that still opens messages was drawn.
    pub(crate) fn oldest_signed_prekey(&self) -> Result<Option<UnixMillis>, StoreError> {
        let prefix = [Kind::Signed as u8];
        let rows = self.tx.scan(Table::Prekey, &prefix, &prefix_end(&prefix), SIGNED_PREKEYS_PAGE, Order::Ascending)?;
        // More than can be: then none is known to be the oldest.
        if rows.len() == SIGNED_PREKEYS_PAGE {
            return Ok(None);
        }
        let drawn_at = |row: &[u8]| row.first_chunk::<8>().map(|bytes| UnixMillis(u64::from_be_bytes(*bytes)));
        let times: Option<Vec<_>> = rows.iter().map(|(_, row)| drawn_at(row)).collect();
        Ok(times.ok_or_else(|| BadRow::error(Table::Prekey))?.into_iter().min())
    }

    /// Deletes renewed prekeys that no message on its way can name any more.
    fn drop_old_prekeys(&mut self, account: &Account) -> Result<(), StoreError> {
        for (kind, current) in [(Kind::Signed, account.prekeys.signed), (Kind::LastResort, account.prekeys.last_resort)]
        {
            let prefix = [kind as u8];
            let mut drawn = Vec::new();
            for (row_key, row) in
                self.tx.scan(Table::Prekey, &prefix, &prefix_end(&prefix), SIGNED_PREKEYS_PAGE, Order::Ascending)?
            {
                let drawn_at = row
                    .first_chunk::<8>()
                    .map(|bytes| UnixMillis(u64::from_be_bytes(*bytes)))
                    .ok_or_else(|| BadRow::error(Table::Prekey))?;
                drawn.push((drawn_at, row_key));
            }
            for (drawn_at, row_key) in &drawn {
                // The next one to be drawn took its place.
                let replaced_at = drawn.iter().map(|(at, _)| *at).filter(|at| at > drawn_at).min();
                let is_old = replaced_at.is_some_and(|at| self.now.since(at) > PREKEY_KEPT_MS);
                if is_old && *row_key != key(kind, current) {
                    self.tx.delete(Table::Prekey, row_key)?;
                }
            }
        }
        Ok(())
    }

    /// Bounds the one-time prekeys of uploads that never arrived: the oldest go.
    fn drop_surplus_one_time(&mut self) -> Result<(), StoreError> {
        for kind in [Kind::OneTime, Kind::OneTimeKem] {
            let prefix = [kind as u8];
            let limit = 4 * api::ONE_TIME_PREKEYS_MAX;
            let rows = self.tx.scan(Table::Prekey, &prefix, &prefix_end(&prefix), limit, Order::Ascending)?;
            for (row_key, _) in rows.iter().take(rows.len().saturating_sub(ONE_TIME_PREKEYS_KEPT)) {
                self.tx.delete(Table::Prekey, row_key)?;
            }
        }
        Ok(())
    }

    /// The secrets that a first message names; `None` when one of them is gone.
    pub(crate) fn prekey_secrets(&self, message: &PreKeyMessage) -> Result<Option<PreKeySecrets>, StoreError> {
        let bad = || BadRow::error(Table::Prekey);
        let Some(signed) = self.get_prekey(Kind::Signed, message.signed_prekey_id())? else { return Ok(None) };
        let mut used = Vec::new();
        let kem_id = message.kem_prekey_id();
        let kem = if let Some(secret) = self.get_prekey(Kind::OneTimeKem, kem_id)? {
            used.push(key(Kind::OneTimeKem, kem_id));
            secret
        } else if let Some(secret) = self.get_prekey(Kind::LastResort, kem_id)? {
            secret
        } else {
            return Ok(None);
        };
        let one_time = match message.one_time_id() {
            None => None,
            Some(id) => {
                let Some(secret) = self.get_prekey(Kind::OneTime, id)? else { return Ok(None) };
                used.push(key(Kind::OneTime, id));
                Some(OneTimePreKey::from_bytes(&secret).map_err(|_| bad())?)
            }
        };
        Ok(Some(PreKeySecrets {
            signed: SignedPreKey::from_bytes(&signed).map_err(|_| bad())?,
            kem: KemPreKey::from_bytes(&kem).map_err(|_| bad())?,
            one_time,
            used,
        }))
    }

    /// The message was accepted: its one-time prekeys are gone.
    pub(crate) fn use_up_prekeys(&mut self, secrets: &PreKeySecrets) -> Result<(), StoreError> {
        for row_key in &secrets.used {
            self.tx.delete(Table::Prekey, row_key)?;
        }
        Ok(())
    }
}

fn signed_upload(prekey: &SignedPreKey) -> api::SignedPreKey {
    let public = prekey.public();
    api::SignedPreKey {
        id: public.id,
        key: Base64(public.key.as_bytes().to_vec()),
        signature: Base64(public.signature.0.to_vec()),
    }
}

fn one_time_upload(prekey: &OneTimePreKey) -> api::OneTimePreKey {
    let public = prekey.public();
    api::OneTimePreKey { id: public.id, key: Base64(public.key.as_bytes().to_vec()) }
}

fn kem_upload(prekey: &KemPreKey) -> api::KemPreKey {
    let public = prekey.public();
    api::KemPreKey {
        id: public.id,
        key: Base64(public.key.as_bytes().to_vec()),
        signature: Base64(public.signature.0.to_vec()),
    }
}

#[cfg(feature = "audit")]
impl Engine<'_> {
    /// Names every prekey secret (see [`crate::audit`]).
    pub(crate) fn audit_prekeys(&self, add: &mut dyn FnMut(&'static str, &[u8])) -> Result<(), StoreError> {
        /// A time, then the header of a stored prekey: version, kind, profile, id.
        const HEADER_LEN: usize = 8 + 7;
        for (row_key, row) in self.tx.scan(Table::Prekey, &[], &prefix_end(&[]), 10_000, Order::Ascending)? {
            let row = zeroize::Zeroizing::new(row);
            let bad = || BadRow::error(Table::Prekey);
            let code = *row_key.first().ok_or_else(bad)?;
            // A signature may follow the secret; it is public.
            let (kind, len) = if code == Kind::Signed as u8 {
                ("signed prekey", 32)
            } else if code == Kind::OneTime as u8 {
                ("one-time prekey", 32)
            } else {
                ("KEM prekey", 64)
            };
            add(kind, row.get(HEADER_LEN..HEADER_LEN + len).ok_or_else(bad)?);
        }
        Ok(())
    }
}
