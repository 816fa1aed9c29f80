//! [`AccountStore`] on fjall.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceAddress, DeviceNumber, KeySetCounter};

use super::directory::{account_row, key_set_row, parse_key_set, remove_device};
use super::mailbox::{insert_mailbox, mailbox_row};
use super::rows::{self, AccountRow, Counter, DeviceRow, Space};
use super::takeover::remove_reset;
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::account::{AccountRecord, AccountStore, AddInviteError, InviteHash, Register, RegisterError};
use crate::limits::{DELIVERY_TOKENS_MAX, INVITES_MAX, KEY_SET_LEN_MAX};
use crate::{StoreError, UnixMillis};

/// Key sets removed in one go with an account.
const KEY_SET_HISTORY_STEP: usize = 1024;

pub(super) fn counter(txn: &Txn<'_>, counter: Counter) -> Result<u64, StoreError> {
    txn.get(Space::Records, &rows::counter_key(counter))?.map_or(Ok(0), |row| rows::parse_u64(&row, "counters"))
}

pub(super) fn set_counter(txn: &mut Txn<'_>, counter: Counter, count: u64) {
    txn.put(Space::Records, rows::counter_key(counter), rows::write_u64(count));
}

/// Whether this very registration was done before.
fn is_repeated(txn: &mut Txn<'_>, register: &Register) -> Result<bool, StoreError> {
    let first = txn.get(Space::Records, &rows::key_set_key(register.account, register.key_set.counter.get()))?;
    let same_key_set =
        first.map(|row| parse_key_set(&row)).transpose()?.is_some_and(|stored| stored == register.key_set);
    let device = DeviceAddress { account: register.account, device: register.device };
    Ok(same_key_set && mailbox_row(txn, register.mailbox)?.is_some_and(|mailbox| mailbox.device == device))
}

fn register(txn: &mut Txn<'_>, register: &Register) -> Result<Result<(), RegisterError>, StoreError> {
    let exists = account_row(txn, register.account)?.is_some();
    if exists && is_repeated(txn, register)? {
        return Ok(Ok(()));
    }
    if register.delivery_tokens.len() > DELIVERY_TOKENS_MAX {
        return Ok(Err(RegisterError::TooManyTokens));
    }
    if register.key_set.bytes.len() > KEY_SET_LEN_MAX {
        return Ok(Err(RegisterError::TooLarge));
    }
    let invite = match register.invite {
        None => None,
        Some(invite) => {
            let key = rows::invite_key(invite);
            let Some(row) = txn.get(Space::Records, &key)? else { return Ok(Err(RegisterError::InviteRefused)) };
            if rows::parse_u64(&row, "invites")? <= register.now.get() {
                return Ok(Err(RegisterError::InviteRefused));
            }
            Some(key)
        }
    };
    // After the invite: who was not let in does not learn which accounts exist.
    if exists {
        return Ok(Err(RegisterError::AccountExists));
    }
    let device = DeviceAddress { account: register.account, device: register.device };
    if !insert_mailbox(txn, device, register.mailbox)? {
        return Ok(Err(RegisterError::MailboxTaken));
    }

    if let Some(key) = invite {
        txn.remove(Space::Records, key);
        let left = counter(txn, Counter::Invites)?.saturating_sub(1);
        set_counter(txn, Counter::Invites, left);
    }
    let account = AccountRow {
        created_at: register.now.get(),
        counter: register.key_set.counter.get(),
        delivery_tokens: register.delivery_tokens.iter().map(|token| token.as_bytes().to_vec()).collect(),
        used_numbers: vec![register.device.get()],
        blob_bytes: 0,
        key_set_bytes: register.key_set.bytes.len() as u64,
        key_set_bytes_at_takeover: 0,
    };
    txn.put(Space::Records, rows::account_key(register.account), rows::encode(&account));
    txn.put(
        Space::Records,
        rows::key_set_key(register.account, account.counter),
        rows::encode(&key_set_row(&register.key_set)),
    );
    let row = DeviceRow {
        mailbox: register.mailbox.as_bytes().to_vec(),
        added_at_counter: account.counter,
        ..DeviceRow::default()
    };
    txn.put(Space::Records, rows::device_key(device), rows::encode(&row));
    Ok(Ok(()))
}

fn remove(txn: &mut Txn<'_>, account: AccountId) -> Result<bool, StoreError> {
    if account_row(txn, account)?.is_none() {
        return Ok(false);
    }
    let prefix = rows::device_prefix(account);
    for (key, _) in txn.scan(Space::Records, &prefix, &prefix, usize::from(DeviceNumber::MAX))? {
        remove_device(txn, rows::parse_device_key(&key)?)?;
    }
    let prefix = rows::key_set_prefix(account);
    loop {
        let history = txn.scan(Space::Records, &prefix, &prefix, KEY_SET_HISTORY_STEP)?;
        if history.is_empty() {
            break;
        }
        for (key, _) in history {
            txn.remove(Space::Records, key);
        }
    }
    remove_reset(txn, account)?;
    txn.remove(Space::Records, rows::account_key(account));
    Ok(true)
}

/// Removes invites whose time is over, so that they free their places; how many.
fn drop_expired_invites(txn: &mut Txn<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    let limit = usize::try_from(INVITES_MAX).unwrap_or(usize::MAX);
    let mut dropped = 0;
    for (key, row) in txn.scan(Space::Records, rows::INVITE_PREFIX, rows::INVITE_PREFIX, limit)? {
        if rows::parse_u64(&row, "invites")? <= now.get() {
            txn.remove(Space::Records, key);
            dropped += 1;
        }
    }
    Ok(dropped)
}

#[async_trait]
impl AccountStore for FjallStore {
    async fn register(&self, registration: Register) -> Result<(), RegisterError> {
        self.write_or_undo(Need::Space(registration.key_set.bytes.len()), move |txn| register(txn, &registration))
            .await?
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Records, &rows::account_key(account))? else { return Ok(None) };
            let row: AccountRow = rows::decode(&row, "accounts")?;
            let delivery_tokens =
                row.delivery_tokens.iter().map(|token| DeliveryTokenHash::parse(token)).collect::<Result<_, _>>();
            Ok(Some(AccountRecord {
                created_at: UnixMillis::new(row.created_at),
                counter: KeySetCounter::new(row.counter),
                delivery_tokens: delivery_tokens.map_err(|_| StoreError::Corrupt { space: "accounts" })?,
                blob_bytes: row.blob_bytes,
            }))
        })
        .await
    }

    async fn remove_account(&self, account: AccountId) -> Result<bool, StoreError> {
        self.write(Need::Little, move |txn| remove(txn, account)).await
    }

    async fn add_invite(
        &self,
        invite: InviteHash,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), AddInviteError> {
        self.write(Need::Space(0), move |txn| {
            let key = rows::invite_key(invite);
            if txn.contains(Space::Records, &key)? {
                return Ok(Ok(()));
            }
            let mut count = counter(txn, Counter::Invites)?;
            if count >= INVITES_MAX {
                count = count.saturating_sub(drop_expired_invites(txn, now)?);
                if count >= INVITES_MAX {
                    return Ok(Err(AddInviteError::TooMany));
                }
            }
            txn.put(Space::Records, key, rows::write_u64(expires_at.get()));
            set_counter(txn, Counter::Invites, count + 1);
            Ok(Ok(()))
        })
        .await?
    }
}
