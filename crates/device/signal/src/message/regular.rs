//! The ratchet message.
//!
//! `version(1) || protobuf { 1: ratchet key, 2: counter, 3: previous counter, 4: ciphertext, 5: post-quantum part, 6:
//! addresses } || MAC`

use alloc::vec::Vec;

use rcseal_crypto::x25519;

use super::fields::{Reader, put_bytes, put_u32};
use super::{COUNTER_MAX, MESSAGE_LEN_MAX, ParseError};
use crate::profile::{Binding, EC_KEY_LEN, Suite};

/// A message as it arrived: well-formed, not yet authenticated. Borrows from the received bytes.
pub(crate) struct RatchetMessage<'a> {
    pub(crate) ratchet_key: x25519::PublicKey,
    pub(crate) counter: u32,
    /// Length of the sender's chain before this one.
    pub(crate) previous_counter: u32,
    pub(crate) ciphertext: &'a [u8],
    pub(crate) pq_ratchet: Option<&'a [u8]>,
    pub(crate) addresses: Option<&'a [u8]>,
    /// Version byte and protobuf exactly as received: what the MAC covers.
    pub(crate) authenticated: &'a [u8],
    pub(crate) mac: &'a [u8],
}

impl<'a> RatchetMessage<'a> {
    pub(crate) fn parse(suite: &Suite, bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(ParseError::TooLong { max: MESSAGE_LEN_MAX, actual: bytes.len() });
        }
        let version = *bytes.first().ok_or(ParseError::Truncated)?;
        if version != suite.message_version {
            return Err(ParseError::UnknownVersion { found: version });
        }
        let end = bytes.len().checked_sub(suite.mac_len).filter(|end| *end >= 1).ok_or(ParseError::Truncated)?;
        let (authenticated, mac) = bytes.split_at(end);

        let (mut ratchet_key, mut counter, mut previous_counter) = (None, None, None);
        let (mut ciphertext, mut pq_ratchet, mut addresses) = (None, None, None);
        let mut reader = Reader::new(&authenticated[1..]);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => ratchet_key = Some(field.ec_key(suite.ec_key_type)?),
                2 => counter = Some(field.u32()?),
                3 => previous_counter = Some(field.u32()?),
                4 => ciphertext = Some(field.bytes()?),
                5 => pq_ratchet = Some(field.bytes()?),
                6 if suite.carries_addresses() => addresses = Some(field.bytes()?),
                field => return Err(ParseError::UnknownField { field }),
            }
        }
        let ciphertext = ciphertext.ok_or(ParseError::MissingField { field: 4 })?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(rcseal_crypto::cbc::BLOCK_LEN) {
            return Err(ParseError::FieldLength { field: 4, actual: ciphertext.len() });
        }
        let counter = counter.ok_or(ParseError::MissingField { field: 2 })?;
        if counter > COUNTER_MAX {
            return Err(ParseError::FieldRange { field: 2 });
        }
        Ok(Self {
            ratchet_key: ratchet_key.ok_or(ParseError::MissingField { field: 1 })?,
            counter,
            previous_counter: suite.previous_len(previous_counter.ok_or(ParseError::MissingField { field: 3 })?),
            ciphertext,
            pq_ratchet,
            addresses,
            authenticated,
            mac,
        })
    }
}

/// What goes into a message before its MAC.
pub(crate) struct Outgoing<'a> {
    pub(crate) ratchet_key: &'a x25519::PublicKey,
    pub(crate) counter: u32,
    pub(crate) previous_counter: u32,
    pub(crate) ciphertext: &'a [u8],
    pub(crate) pq_ratchet: Option<&'a [u8]>,
    pub(crate) addresses: Option<&'a [u8]>,
}

/// Version byte and protobuf; room is left for the MAC.
pub(crate) fn encode_message(suite: &Suite, message: &Outgoing<'_>) -> Vec<u8> {
    let optional = message.pq_ratchet.map_or(0, <[u8]>::len) + message.addresses.map_or(0, <[u8]>::len);
    let mut out = Vec::with_capacity(message_len(suite, message.ciphertext.len()) + optional + 8);
    out.push(suite.message_version);
    put_bytes(&mut out, 1, &[&[suite.ec_key_type], message.ratchet_key.as_bytes()]);
    put_u32(&mut out, 2, message.counter);
    put_u32(&mut out, 3, suite.previous_field(message.previous_counter));
    put_bytes(&mut out, 4, &[message.ciphertext]);
    if let Some(part) = message.pq_ratchet {
        put_bytes(&mut out, 5, &[part]);
    }
    if let Some(addresses) = message.addresses {
        put_bytes(&mut out, 6, &[addresses]);
    }
    out
}

/// Upper bound of a message's length without its optional fields: version, key, two counters of five bytes, ciphertext,
/// MAC.
fn message_len(suite: &Suite, ciphertext_len: usize) -> usize {
    1 + (2 + EC_KEY_LEN) + 2 * 6 + (1 + 5) + ciphertext_len + suite.mac_len
}

impl Suite {
    /// What field 3 says of a chain of `len` messages. Deployed clients write the counter of its last message, and 0 also
    /// for a chain without any.
    fn previous_field(&self, len: u32) -> u32 {
        match self.binding {
            Binding::Transcript => len,
            #[cfg(feature = "signal-v4")]
            Binding::IdentitiesAndAddressField => len.saturating_sub(1),
        }
    }

    /// How many messages the chain has of which field 3 says `field`, at most.
    fn previous_len(&self, field: u32) -> u32 {
        match self.binding {
            Binding::Transcript => field,
            #[cfg(feature = "signal-v4")]
            Binding::IdentitiesAndAddressField => field.saturating_add(1),
        }
    }

    pub(crate) fn carries_addresses(&self) -> bool {
        match self.binding {
            Binding::Transcript => false,
            #[cfg(feature = "signal-v4")]
            Binding::IdentitiesAndAddressField => true,
        }
    }
}
