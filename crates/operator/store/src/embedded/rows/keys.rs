//! Keys: how each is made, and what is read out of it again.

use fjall::UserKey;
use rcseal_wire::id::{AccountId, BlobId, DeviceAddress, EnvelopeId, LinkId, MailboxId};

use super::fields::{Fields, joined};
use crate::mailbox::MailboxSeq;
use crate::{InviteHash, StoreError, UnixMillis};

pub(in crate::embedded) fn envelope_key(mailbox: MailboxId, seq: MailboxSeq) -> UserKey {
    joined!(24, mailbox.as_bytes(), &seq.get().to_be_bytes())
}

pub(in crate::embedded) fn id_key(mailbox: MailboxId, id: EnvelopeId) -> UserKey {
    joined!(32, mailbox.as_bytes(), id.as_bytes())
}

pub(in crate::embedded) fn expiry_key(expires_at: UnixMillis, mailbox: MailboxId, id: EnvelopeId) -> UserKey {
    joined!(40, &expires_at.get().to_be_bytes(), mailbox.as_bytes(), id.as_bytes())
}

/// Kinds of prekey rows. The two that exist once per device have id 0 in the key and their own id in front of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) enum PrekeyKind {
    Signed,
    LastResort,
    OneTime,
    OneTimeKem,
}

impl PrekeyKind {
    const fn tag(self) -> u8 {
        match self {
            Self::Signed => b's',
            Self::LastResort => b'l',
            Self::OneTime => b'o',
            Self::OneTimeKem => b'q',
        }
    }
}

pub(in crate::embedded) fn prekey_key(device: DeviceAddress, kind: PrekeyKind, id: u32) -> UserKey {
    joined!(22, &device.to_bytes(), &[kind.tag()], &id.to_be_bytes())
}

pub(in crate::embedded) fn prekey_prefix(device: DeviceAddress, kind: PrekeyKind) -> UserKey {
    joined!(18, &device.to_bytes(), &[kind.tag()])
}

/// All prekeys of a device.
pub(in crate::embedded) fn prekeys_prefix(device: DeviceAddress) -> UserKey {
    joined!(17, &device.to_bytes())
}

pub(in crate::embedded) fn account_key(account: AccountId) -> UserKey {
    joined!(17, b"a", account.as_bytes())
}

pub(in crate::embedded) fn key_set_key(account: AccountId, counter: u64) -> UserKey {
    joined!(25, b"k", account.as_bytes(), &counter.to_be_bytes())
}

pub(in crate::embedded) fn key_set_prefix(account: AccountId) -> UserKey {
    joined!(17, b"k", account.as_bytes())
}

pub(in crate::embedded) fn device_key(device: DeviceAddress) -> UserKey {
    joined!(18, b"d", &device.to_bytes())
}

pub(in crate::embedded) fn device_prefix(account: AccountId) -> UserKey {
    joined!(17, b"d", account.as_bytes())
}

pub(in crate::embedded) fn mailbox_key(mailbox: MailboxId) -> UserKey {
    joined!(17, b"m", mailbox.as_bytes())
}

/// A mailbox whose device is gone and whose envelopes are being removed.
pub(in crate::embedded) fn purge_key(mailbox: MailboxId) -> UserKey {
    joined!(17, b"x", mailbox.as_bytes())
}

pub(in crate::embedded) const PURGE_PREFIX: &[u8] = b"x";

pub(in crate::embedded) fn invite_key(invite: InviteHash) -> UserKey {
    joined!(33, b"i", invite.as_bytes())
}

pub(in crate::embedded) const INVITE_PREFIX: &[u8] = b"i";

pub(in crate::embedded) fn blob_key(blob: BlobId) -> UserKey {
    joined!(33, b"b", blob.as_bytes())
}

pub(in crate::embedded) fn blob_expiry_key(expires_at: UnixMillis, blob: BlobId) -> UserKey {
    joined!(41, b"B", &expires_at.get().to_be_bytes(), blob.as_bytes())
}

pub(in crate::embedded) const BLOB_EXPIRY_PREFIX: &[u8] = b"B";

/// A rendezvous: its end. Its messages follow it.
pub(in crate::embedded) fn link_key(link: LinkId) -> UserKey {
    joined!(17, b"l", link.as_bytes())
}

pub(in crate::embedded) fn link_message_key(link: LinkId, slot: u8) -> UserKey {
    joined!(18, b"n", link.as_bytes(), &[slot])
}

pub(in crate::embedded) fn link_expiry_key(ends_at: UnixMillis, link: LinkId) -> UserKey {
    joined!(25, b"L", &ends_at.get().to_be_bytes(), link.as_bytes())
}

pub(in crate::embedded) const LINK_EXPIRY_PREFIX: &[u8] = b"L";

pub(in crate::embedded) fn reset_key(account: AccountId) -> UserKey {
    joined!(17, b"r", account.as_bytes())
}

pub(in crate::embedded) const RESET_PREFIX: &[u8] = b"r";

/// When a reset takes effect, or its ticket expires.
pub(in crate::embedded) fn reset_due_key(due_at: UnixMillis, account: AccountId) -> UserKey {
    joined!(25, b"R", &due_at.get().to_be_bytes(), account.as_bytes())
}

pub(in crate::embedded) const RESET_DUE_PREFIX: &[u8] = b"R";

/// A device's push registration.
pub(in crate::embedded) fn push_key(device: DeviceAddress) -> UserKey {
    joined!(18, b"p", &device.to_bytes())
}

pub(in crate::embedded) const PUSH_PREFIX: &[u8] = b"p";

/// Whose token of a push service it is, by the token's hash.
pub(in crate::embedded) fn push_token_key(hash: &[u8; 32]) -> UserKey {
    joined!(33, b"P", hash)
}

pub(in crate::embedded) fn secret_key(name: &str) -> UserKey {
    let mut bytes = Vec::with_capacity(1 + name.len());
    bytes.push(b's');
    bytes.extend_from_slice(name.as_bytes());
    UserKey::from(bytes)
}

/// Counts of live rows that have a cap.
#[derive(Debug, Clone, Copy)]
pub(in crate::embedded) enum Counter {
    Invites,
    Links,
    Resets,
}

pub(in crate::embedded) fn counter_key(counter: Counter) -> UserKey {
    let tag = match counter {
        Counter::Invites => b'i',
        Counter::Links => b'l',
        Counter::Resets => b'r',
    };
    joined!(2, b"c", &[tag])
}

pub(in crate::embedded) fn format_key() -> UserKey {
    joined!(1, b"f")
}

/// The row that [`crate::Store::check`] writes.
pub(in crate::embedded) fn check_key() -> UserKey {
    joined!(1, b"h")
}

/// The first key behind every key with this prefix; `None` if there is no such key.
pub(in crate::embedded) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

// What is read out of keys.

/// The seq in an envelope's key.
pub(in crate::embedded) fn parse_envelope_key(key: &[u8]) -> Result<MailboxSeq, StoreError> {
    let mut fields = Fields::new(key, "envelopes");
    let _mailbox: [u8; 16] = fields.take()?;
    let seq = MailboxSeq::new(fields.u64()?);
    fields.end()?;
    Ok(seq)
}

/// The expiry, mailbox and id in an expiry key.
pub(in crate::embedded) fn parse_expiry_key(key: &[u8]) -> Result<(UnixMillis, MailboxId, EnvelopeId), StoreError> {
    let mut fields = Fields::new(key, "expiry");
    let parsed =
        (UnixMillis::new(fields.u64()?), MailboxId::from_bytes(fields.take()?), EnvelopeId::from_bytes(fields.take()?));
    fields.end()?;
    Ok(parsed)
}

/// The mailbox in a purge key.
pub(in crate::embedded) fn parse_purge_key(key: &[u8]) -> Result<MailboxId, StoreError> {
    MailboxId::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "purges" })
}

/// The end and the id in the key of a link's or a blob's expiry.
pub(in crate::embedded) fn parse_tagged_expiry<const N: usize>(
    key: &[u8],
    space: &'static str,
) -> Result<(UnixMillis, [u8; N]), StoreError> {
    let mut fields = Fields::new(key, space);
    let _tag: [u8; 1] = fields.take()?;
    let parsed = (UnixMillis::new(fields.u64()?), fields.take()?);
    fields.end()?;
    Ok(parsed)
}

/// The device number in a device key.
pub(in crate::embedded) fn parse_device_key(key: &[u8]) -> Result<DeviceAddress, StoreError> {
    DeviceAddress::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "devices" })
}

/// The device in a push registration's key.
pub(in crate::embedded) fn parse_push_key(key: &[u8]) -> Result<DeviceAddress, StoreError> {
    DeviceAddress::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "pushes" })
}

/// The account in a reset's key.
pub(in crate::embedded) fn parse_reset_key(key: &[u8]) -> Result<AccountId, StoreError> {
    AccountId::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "resets" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_end_is_the_next_prefix() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255]), None);
    }
}
