//! [`PushStore`] on fjall: a row per registration, and one per token that says whose it is.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::UserKey;
use rcseal_crypto::hash::sha256;
use rcseal_wire::api::push::{PushHandle, PushProvider, WakeUp};
use rcseal_wire::id::{DeviceAddress, MailboxId};

use super::directory::device_row;
use super::mailbox::mailbox_row;
use super::rows::{self, DeviceRow, MailboxRow, PushRow, Space};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::push::{NewPush, NextWakeUp, PushStore, PushTarget, RegisterPushError};
use crate::{StoreError, UnixMillis};

/// Under which a token is found. Two services may give out the same token.
fn token_key(provider: PushProvider, token: &[u8]) -> UserKey {
    rows::push_token_key(&sha256(&[b"rcseal/push-token/v1", &[provider.number()], token]))
}

fn push_row(txn: &Txn<'_>, device: DeviceAddress) -> Result<Option<PushRow>, StoreError> {
    txn.get(Space::Records, &rows::push_key(device))?.map(|row| rows::decode(&row, "pushes")).transpose()
}

/// Takes a device's registration away; `false` when it has none.
pub(super) fn remove_push(txn: &mut Txn<'_>, device: DeviceAddress) -> Result<bool, StoreError> {
    let Some(row) = push_row(txn, device)? else { return Ok(false) };
    txn.remove(Space::Records, token_key(row.provider()?, &row.token));
    txn.remove(Space::Records, rows::push_key(device));
    Ok(true)
}

fn register(txn: &mut Txn<'_>, push: &NewPush) -> Result<Result<(), RegisterPushError>, StoreError> {
    if device_row(txn, push.device)?.is_none() {
        return Ok(Err(RegisterPushError::UnknownDevice));
    }
    remove_push(txn, push.device)?;
    let by_token = token_key(push.provider, &push.token);
    if let Some(owner) = txn.get(Space::Records, &by_token)? {
        let owner = DeviceAddress::parse(&owner).map_err(|_| StoreError::Corrupt { space: "pushes" })?;
        remove_push(txn, owner)?;
    }
    let row = PushRow {
        provider: u32::from(push.provider.number()),
        token: push.token.to_vec(),
        app: push.app.clone(),
        handle: push.handle.as_bytes().to_vec(),
        woken: 0,
        woken_at: 0,
    };
    txn.put(Space::Records, by_token, fjall::Slice::from(push.device.to_bytes()));
    txn.put(Space::Records, rows::push_key(push.device), rows::encode(&row));
    Ok(Ok(()))
}

fn next(txn: &mut Txn<'_>, mailbox: MailboxId, now: UnixMillis, interval: u64) -> Result<NextWakeUp, StoreError> {
    let Some(waiting) = mailbox_row(txn, mailbox)?.filter(|row| row.envelopes > 0) else { return Ok(NextWakeUp::None) };
    let Some(mut row) = push_row(txn, waiting.device)? else { return Ok(NextWakeUp::None) };
    let free_at = UnixMillis::new(row.woken_at).plus_millis(interval);
    // A clock that was set back must not keep a device asleep for as long as it was wrong.
    if row.woken_at > 0 && now < free_at && now.get() >= row.woken_at {
        return Ok(NextWakeUp::NotBefore(free_at));
    }
    row.woken = row.woken.saturating_add(1);
    row.woken_at = now.get();
    txn.put(Space::Records, rows::push_key(waiting.device), rows::encode(&row));
    let wake_up = WakeUp { handle: row.handle()?, counter: row.woken };
    Ok(NextWakeUp::Now(PushTarget { provider: row.provider()?, token: Bytes::from(row.token), app: row.app, wake_up }))
}

#[async_trait]
impl PushStore for FjallStore {
    async fn register_push(&self, push: NewPush) -> Result<(), RegisterPushError> {
        self.write(Need::Space(push.token.len()), move |txn| register(txn, &push)).await?
    }

    async fn remove_push(&self, device: DeviceAddress, handle: Option<PushHandle>) -> Result<bool, StoreError> {
        self.write(Need::Little, move |txn| {
            if let (Some(handle), Some(row)) = (handle, push_row(txn, device)?)
                && row.handle()? != handle
            {
                return Ok(false);
            }
            remove_push(txn, device)
        })
        .await
    }

    async fn next_wake_up(
        &self,
        mailbox: MailboxId,
        now: UnixMillis,
        interval_millis: u64,
    ) -> Result<NextWakeUp, StoreError> {
        // Most mailboxes that get something have nobody to wake: that is found out without a place in the commit thread's queue.
        let is_due = self
            .read(move |engine| {
                let Some(row) = engine.get(Space::Records, &rows::mailbox_key(mailbox))? else { return Ok(false) };
                let row = MailboxRow::parse(&row)?;
                Ok(row.envelopes > 0 && engine.get(Space::Records, &rows::push_key(row.device))?.is_some())
            })
            .await?;
        if !is_due {
            return Ok(NextWakeUp::None);
        }
        self.write(Need::Little, move |txn| next(txn, mailbox, now, interval_millis)).await
    }

    async fn registered_device(&self, mailbox: MailboxId) -> Result<Option<DeviceAddress>, StoreError> {
        self.read(move |engine| {
            let Some(row) = engine.get(Space::Records, &rows::mailbox_key(mailbox))? else { return Ok(None) };
            let device = MailboxRow::parse(&row)?.device;
            Ok(engine.get(Space::Records, &rows::push_key(device))?.map(|_| device))
        })
        .await
    }

    async fn waiting_pushes(
        &self,
        after: Option<DeviceAddress>,
        limit: usize,
    ) -> Result<(Vec<MailboxId>, Option<DeviceAddress>), StoreError> {
        self.read(move |engine| {
            let (mut found, mut looked, mut last) = (Vec::new(), 0, None);
            let from = after.map_or_else(|| rows::PUSH_PREFIX.to_vec(), |device| rows::push_key(device).to_vec());
            let end = rows::prefix_end(rows::PUSH_PREFIX).unwrap_or_default();
            for entry in engine.keyspace(Space::Records).range(from..end) {
                let (key, _) = entry.into_inner().map_err(super::engine::read_error)?;
                let device = rows::parse_push_key(&key)?;
                if after == Some(device) {
                    continue;
                }
                if looked == limit {
                    return Ok((found, last));
                }
                looked += 1;
                last = Some(device);
                let Some(row) = engine.get(Space::Records, &rows::device_key(device))? else { continue };
                let Some(mailbox) = rows::decode::<DeviceRow>(&row, "devices")?.mailbox()? else { continue };
                let row = engine.get(Space::Records, &rows::mailbox_key(mailbox))?;
                if row.map(|row| MailboxRow::parse(&row)).transpose()?.is_some_and(|row| row.envelopes > 0) {
                    found.push(mailbox);
                }
            }
            Ok((found, None))
        })
        .await
    }
}
