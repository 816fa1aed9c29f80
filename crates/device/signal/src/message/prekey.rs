//! The prekey message: a ratchet message together with what its receiver needs to derive the session.
//!
//! `version(1) || protobuf { 1: one-time prekey id, 2: base key, 3: identity key, 4: ratchet message, 5: registration
//! id (signal-v4), 6: signed prekey id, 7: KEM prekey id, 8: KEM ciphertext }`. It has no MAC of its own. Everything
//! but fields 4 and 5 is the *header*; its hash goes into the key derivation (native) and is compared on every repetition
//! (both profiles). Field 5 is outside, because in `signal-v4` nothing authenticates it: whoever changed it on the way
//! would otherwise make the genuine repetitions look foreign.

use alloc::vec::Vec;

use rcseal_crypto::{hash, x25519};

use super::fields::{Reader, put_bytes, put_u32};
use super::{MESSAGE_LEN_MAX, MessageForm, ParseError};
use crate::identity::IdentityKey;
use crate::kem::{KEM_CIPHERTEXT_LEN, KemCiphertext};
use crate::profile::{Profile, Suite};

/// A parsed prekey message. Its claims are unproven until [`crate::Accepting::decrypt_first`] has succeeded.
#[derive(Debug)]
pub struct PreKeyMessage {
    pub(crate) profile: Profile,
    pub(crate) header: PreKeyHeader,
    pub(crate) header_hash: [u8; 32],
    pub(crate) inner: Vec<u8>,
}

/// The part that is equal in every prekey message of one session.
#[derive(Clone, Debug)]
pub(crate) struct PreKeyHeader {
    pub(crate) one_time_id: Option<u32>,
    pub(crate) base_key: x25519::PublicKey,
    pub(crate) identity: IdentityKey,
    pub(crate) registration_id: Option<u32>,
    pub(crate) signed_prekey_id: u32,
    pub(crate) kem_prekey_id: u32,
    pub(crate) kem_ciphertext: KemCiphertext,
    /// Whether the messages inside state the addresses. No part of the header on the wire.
    pub(crate) states_addresses: bool,
}

impl PreKeyMessage {
    /// Which form `bytes` have, so that a caller can tell a message that may open a session from one that needs it.
    /// Reads the version byte only (for `signal-v4` also the first field); whether the bytes are a message at all is
    /// found out by parsing.
    pub fn form_of(profile: Profile, bytes: &[u8]) -> Result<MessageForm, ParseError> {
        MessageForm::sniff(profile.suite()?, bytes)
    }

    /// Parses a prekey message of any profile this build has.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let version = *bytes.first().ok_or(ParseError::Truncated)?;
        for profile in [Profile::Native, Profile::SignalV4] {
            match profile.suite() {
                Ok(suite) if suite.prekey_message_version == version => return Self::parse_for(suite, bytes),
                Ok(_) | Err(_) => {}
            }
        }
        Err(ParseError::UnknownVersion { found: version })
    }

    pub(crate) fn parse_for(suite: &Suite, bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(ParseError::TooLong { max: MESSAGE_LEN_MAX, actual: bytes.len() });
        }
        let (version, proto) = bytes.split_first().ok_or(ParseError::Truncated)?;
        if *version != suite.prekey_message_version {
            return Err(ParseError::UnknownVersion { found: *version });
        }
        let (mut one_time_id, mut base_key, mut identity, mut inner) = (None, None, None, None);
        let (mut registration_id, mut signed_prekey_id, mut kem_prekey_id, mut kem_ciphertext) =
            (None, None, None, None);
        let mut registration_end = 0;
        let mut reader = Reader::new(proto);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => one_time_id = Some(field.u32()?),
                2 => base_key = Some(field.ec_key(suite.ec_key_type)?),
                3 => identity = Some(IdentityKey::from(field.ec_key(suite.ec_key_type)?)),
                4 => inner = Some((field.bytes()?, field.start, field.end)),
                5 if suite.carries_addresses() => {
                    registration_id = Some(field.u32()?);
                    registration_end = field.end;
                }
                6 => signed_prekey_id = Some(field.u32()?),
                7 => kem_prekey_id = Some(field.u32()?),
                8 => {
                    let body = field.typed(suite.kem_ciphertext_type, KEM_CIPHERTEXT_LEN)?;
                    let parsed = KemCiphertext::from_bytes(suite.kem, body);
                    kem_ciphertext = Some(parsed.map_err(|source| ParseError::KemCiphertext { field: 8, source })?);
                }
                field => return Err(ParseError::UnknownField { field }),
            }
        }
        let (inner, start, end) = inner.ok_or(ParseError::MissingField { field: 4 })?;
        Ok(Self {
            profile: suite.profile,
            header: PreKeyHeader {
                one_time_id,
                base_key: base_key.ok_or(ParseError::MissingField { field: 2 })?,
                identity: identity.ok_or(ParseError::MissingField { field: 3 })?,
                registration_id,
                signed_prekey_id: signed_prekey_id.ok_or(ParseError::MissingField { field: 6 })?,
                kem_prekey_id: kem_prekey_id.ok_or(ParseError::MissingField { field: 7 })?,
                kem_ciphertext: kem_ciphertext.ok_or(ParseError::MissingField { field: 8 })?,
                states_addresses: false,
            },
            // Fields stand in order, so field 5 follows the inner message if it is there at all.
            header_hash: header_hash(suite, &proto[..start], &proto[end.max(registration_end)..]),
            inner: inner.to_vec(),
        })
    }

    /// The profile the message is written in.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The identity key the sender claims; it must be the one in the sending device's key set.
    pub fn identity(&self) -> IdentityKey {
        self.header.identity
    }

    /// The initiator's base key: the session's name, see [`crate::Session::base_key`].
    pub fn base_key(&self) -> [u8; 32] {
        *self.header.base_key.as_bytes()
    }

    /// Which signed prekey of ours was used.
    pub fn signed_prekey_id(&self) -> u32 {
        self.header.signed_prekey_id
    }

    /// Which KEM prekey of ours was used.
    pub fn kem_prekey_id(&self) -> u32 {
        self.header.kem_prekey_id
    }

    /// Which one-time prekey of ours was used, if any.
    pub fn one_time_id(&self) -> Option<u32> {
        self.header.one_time_id
    }

    /// The registration id the sender states (`signal-v4`). Nothing authenticates it: good for noticing that a device
    /// was set up anew, and for nothing else.
    pub fn registration_id(&self) -> Option<u32> {
        self.header.registration_id
    }
}

impl PreKeyHeader {
    /// The encoded fields before the inner message, and those from field 6 on.
    fn encode(&self, suite: &Suite) -> (Vec<u8>, Vec<u8>) {
        let mut before = Vec::with_capacity(80);
        if let Some(id) = self.one_time_id {
            put_u32(&mut before, 1, id);
        }
        put_bytes(&mut before, 2, &[&suite.encode_ec(self.base_key.as_bytes())]);
        put_bytes(&mut before, 3, &[&suite.encode_ec(self.identity.as_bytes())]);
        let mut after = Vec::with_capacity(20 + KEM_CIPHERTEXT_LEN);
        put_u32(&mut after, 6, self.signed_prekey_id);
        put_u32(&mut after, 7, self.kem_prekey_id);
        put_bytes(&mut after, 8, &[&[suite.kem_ciphertext_type], self.kem_ciphertext.as_bytes()]);
        (before, after)
    }

    pub(crate) fn hash(&self, suite: &Suite) -> [u8; 32] {
        let (before, after) = self.encode(suite);
        header_hash(suite, &before, &after)
    }
}

/// The two parts need no separator: each is a run of complete fields, and field 6 always begins the second.
fn header_hash(suite: &Suite, before: &[u8], after: &[u8]) -> [u8; 32] {
    hash::sha256(&[b"rcseal/signal/v1/prekey-header", &[suite.profile.code()], before, after])
}

/// Wraps a finished ratchet message.
pub(crate) fn encode_prekey_message(suite: &Suite, header: &PreKeyHeader, inner: &[u8]) -> Vec<u8> {
    let (before, after) = header.encode(suite);
    let mut out = Vec::with_capacity(1 + before.len() + 6 + inner.len() + 6 + after.len());
    out.push(suite.prekey_message_version);
    out.extend_from_slice(&before);
    put_bytes(&mut out, 4, &[inner]);
    if let Some(id) = header.registration_id {
        put_u32(&mut out, 5, id);
    }
    out.extend_from_slice(&after);
    out
}
