//! [`LinkStore`] on fjall.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::LinkId;

use super::account::{counter, set_counter};
use super::rows::{self, Counter, Space};
use super::txn::Txn;
use super::{FjallStore, Need};
use crate::limits::{LINK_LIFETIME_MILLIS, LINK_MESSAGE_LEN_MAX, LINK_SLOTS};
use crate::link::{LinkError, LinkStore};
use crate::{StoreError, UnixMillis};

fn is_live(row: Option<fjall::Slice>, now: UnixMillis) -> Result<bool, StoreError> {
    row.map_or(Ok(false), |row| Ok(rows::parse_u64(&row, "links")? > now.get()))
}

fn open(txn: &mut Txn<'_>, link: LinkId, now: UnixMillis) -> Result<Result<UnixMillis, LinkError>, StoreError> {
    // What is over but not yet swept counts as taken: ids are drawn at random.
    if txn.contains(Space::Records, &rows::link_key(link))? {
        return Ok(Err(LinkError::Exists));
    }
    let live = counter(txn, Counter::Links)?;
    if live >= txn.limits.live_links_max {
        return Ok(Err(LinkError::TooMany));
    }
    let ends_at = now.plus_millis(LINK_LIFETIME_MILLIS);
    set_counter(txn, Counter::Links, live + 1);
    txn.put(Space::Records, rows::link_key(link), rows::write_u64(ends_at.get()));
    txn.put(Space::Records, rows::link_expiry_key(ends_at, link), fjall::Slice::from([]));
    Ok(Ok(ends_at))
}

fn put(
    txn: &mut Txn<'_>,
    link: LinkId,
    slot: u8,
    message: &[u8],
    now: UnixMillis,
) -> Result<Result<(), LinkError>, StoreError> {
    if !is_live(txn.get(Space::Records, &rows::link_key(link))?, now)? {
        return Ok(Err(LinkError::Unknown));
    }
    let key = rows::link_message_key(link, slot);
    if let Some(present) = txn.get(Space::Records, &key)? {
        return Ok(if *present == *message { Ok(()) } else { Err(LinkError::SlotTaken) });
    }
    txn.put(Space::Records, key, fjall::Slice::from(message));
    Ok(Ok(()))
}

fn expire(txn: &mut Txn<'_>, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
    let mut removed: usize = 0;
    for (key, _) in txn.scan(Space::Records, rows::LINK_EXPIRY_PREFIX, rows::LINK_EXPIRY_PREFIX, budget)? {
        let (ends_at, link) = rows::parse_tagged_expiry::<16>(&key, "links")?;
        if ends_at > now {
            break;
        }
        let link = LinkId::from_bytes(link);
        txn.remove(Space::Records, key);
        txn.remove(Space::Records, rows::link_key(link));
        for slot in 0..LINK_SLOTS {
            let key = rows::link_message_key(link, slot);
            if txn.contains(Space::Records, &key)? {
                txn.remove(Space::Records, key);
            }
        }
        removed += 1;
    }
    if removed > 0 {
        let live = counter(txn, Counter::Links)?.saturating_sub(removed as u64);
        set_counter(txn, Counter::Links, live);
    }
    Ok(removed)
}

#[async_trait]
impl LinkStore for FjallStore {
    async fn open_link(&self, link: LinkId, now: UnixMillis) -> Result<UnixMillis, LinkError> {
        self.write(Need::Space(0), move |txn| open(txn, link, now)).await?
    }

    async fn put_link_message(&self, link: LinkId, slot: u8, message: Bytes, now: UnixMillis) -> Result<(), LinkError> {
        if slot >= LINK_SLOTS {
            return Err(LinkError::NoSuchSlot);
        }
        if message.len() > LINK_MESSAGE_LEN_MAX {
            return Err(LinkError::TooLarge);
        }
        self.write(Need::Space(message.len()), move |txn| put(txn, link, slot, &message, now)).await?
    }

    async fn link_message(&self, link: LinkId, slot: u8, now: UnixMillis) -> Result<Option<Bytes>, LinkError> {
        if slot >= LINK_SLOTS {
            return Err(LinkError::NoSuchSlot);
        }
        let found = self
            .read(move |engine| {
                if !is_live(engine.get(Space::Records, &rows::link_key(link))?, now)? {
                    return Ok(None);
                }
                Ok(Some(engine.get(Space::Records, &rows::link_message_key(link, slot))?))
            })
            .await?;
        let message = found.ok_or(LinkError::Unknown)?;
        Ok(message.map(|message| Bytes::copy_from_slice(&message)))
    }

    async fn expire_links(&self, now: UnixMillis, budget: usize) -> Result<usize, StoreError> {
        self.write(Need::Little, move |txn| expire(txn, now, budget)).await
    }
}
