//! The responder's side of the handshake, as two steps: [`crate::Session::accept`] derives keys and gives an
//! [`Accepting`]; [`Accepting::decrypt_first`] consumes it and gives a session only if the message inside
//! authenticates. Before that nothing exists that could be stored.
//!
//! The caller stores the session, deletes the one-time prekey and keeps the base key in one transaction. As long as it
//! keeps a signed prekey it refuses a base key it has accepted with it before: a replayed prekey message on a
//! last-resort KEM prekey would otherwise open the same session again once the first is gone.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rcseal_crypto::x25519;

use crate::address::Address;
use crate::delta::Delta;
use crate::identity::{IdentityKeyPair, Peer};
use crate::message::PreKeyMessage;
use crate::pqxdh::{self, Agreement, Transcript};
use crate::prekey::{KemPreKey, OneTimePreKey, PreKeyKind, SignedPreKey};
use crate::profile::{Binding, Profile, ProfileUnavailable};
use crate::ratchet::Chain;
use crate::ratchet::pq::PqRatchet;
use crate::receive::{self, DecryptError};
use crate::session::Session;
use crate::skipped::{LookupFailed, SkippedId, SkippedKeys, SkippedPlaces, SkippedRow};
use crate::state::{Role, Sending, State};

/// Our secret halves that a prekey message names.
#[derive(Clone, Copy, Debug)]
pub struct ResponderKeys<'a> {
    /// The one with [`PreKeyMessage::signed_prekey_id`].
    pub signed: &'a SignedPreKey,
    /// The one with [`PreKeyMessage::kem_prekey_id`].
    pub kem: &'a KemPreKey,
    /// The one with [`PreKeyMessage::one_time_id`].
    pub one_time: Option<&'a OneTimePreKey>,
}

/// Why a prekey message is refused before anything is decrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// This build has no such profile.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
    /// The message or one of the prekeys belongs to another profile.
    #[error("profile {found} where {expected} is required")]
    ProfileMismatch {
        /// The session's profile.
        expected: Profile,
        /// The one that was found.
        found: Profile,
    },
    /// The message shows another identity key than the sender's key set.
    #[error("the message shows another identity key than the key set")]
    IdentityMismatch,
    /// The sender has our own address or identity key.
    #[error("a device makes no session with itself")]
    SelfSession,
    /// The keys given are not those the message names.
    #[error("the message names {kind:?} prekey {named:?}, given was {given:?}")]
    PreKeyMismatch {
        /// Which of the three.
        kind: PreKeyKind,
        /// The id in the message.
        named: Option<u32>,
        /// The id of the key that was given.
        given: Option<u32>,
    },
    /// The base key has a component of small order (`signal-v4`): it agrees like another key, and no transcript of that
    /// profile would show the difference.
    #[error("the base key is not a point of the prime-order group")]
    BaseKeyTorsion,
    /// A Diffie-Hellman result was all zeros.
    #[error("key agreement with the message failed")]
    KeyAgreement {
        /// What is wrong with the key.
        #[source]
        source: x25519::KeyError,
    },
}

impl AcceptError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProfileUnavailable(error) => error.code(),
            Self::ProfileMismatch { .. } => "profile_mismatch",
            Self::IdentityMismatch => "identity_mismatch",
            Self::SelfSession => "self_session",
            Self::PreKeyMismatch { .. } => "prekey_mismatch",
            Self::BaseKeyTorsion => "base_key_torsion",
            Self::KeyAgreement { .. } => "key_agreement",
        }
    }
}

impl From<x25519::KeyError> for AcceptError {
    fn from(source: x25519::KeyError) -> Self {
        Self::KeyAgreement { source }
    }
}

/// A handshake whose keys are derived and whose first message is not yet authenticated.
#[must_use = "there is no session before the first message has been decrypted"]
pub struct Accepting {
    state: State,
    inner: Vec<u8>,
}

/// A session that its first message has proven.
#[must_use = "the session exists only once the delta is stored"]
pub struct Accepted {
    /// The session after the first message.
    pub session: Session,
    /// The first message.
    pub plaintext: Vec<u8>,
    /// To be stored with it: the session's record, and rows for messages that the first one overtook.
    pub delta: Delta,
}

/// Leaves the plaintext out.
impl core::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Accepted").field("session", &self.session).field("delta", &self.delta).finish_non_exhaustive()
    }
}

impl Accepting {
    /// Authenticates and decrypts the message inside.
    pub fn decrypt_first(self) -> Result<Accepted, DecryptError> {
        let step = receive::receive(&self.state, &NothingSkipped, &self.inner)?;
        let session = Session::of(step.delta.next.duplicate());
        Ok(Accepted { session, plaintext: step.output, delta: step.delta })
    }
}

impl core::fmt::Debug for Accepting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Accepting").field("profile", &self.state.suite.profile).finish_non_exhaustive()
    }
}

/// A session that does not exist yet has skipped nothing.
struct NothingSkipped;

impl SkippedKeys for NothingSkipped {
    fn get(&self, _: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
        Ok(None)
    }
}

pub(crate) fn accept(
    profile: Profile,
    ours: &IdentityKeyPair,
    our_address: Address,
    their: Peer,
    message: PreKeyMessage,
    keys: ResponderKeys<'_>,
) -> Result<Accepting, AcceptError> {
    let suite = profile.suite()?;
    let one_time_profile = keys.one_time.map(OneTimePreKey::profile);
    let profiles = [Some(message.profile), Some(keys.signed.profile()), Some(keys.kem.profile()), one_time_profile];
    if let Some(found) = profiles.into_iter().flatten().find(|found| *found != profile) {
        return Err(AcceptError::ProfileMismatch { expected: profile, found });
    }
    let header = &message.header;
    if header.identity != their.identity {
        return Err(AcceptError::IdentityMismatch);
    }
    if their.address == our_address || their.identity == ours.public() {
        return Err(AcceptError::SelfSession);
    }
    same_id(PreKeyKind::Signed, Some(header.signed_prekey_id), Some(keys.signed.id()))?;
    same_id(PreKeyKind::Kem, Some(header.kem_prekey_id), Some(keys.kem.id()))?;
    same_id(PreKeyKind::OneTime, header.one_time_id, keys.one_time.map(OneTimePreKey::id))?;

    let base = &header.base_key;
    match suite.binding {
        Binding::Transcript => {}
        #[cfg(feature = "signal-v4")]
        Binding::IdentitiesAndAddressField if !base.is_torsion_free() => return Err(AcceptError::BaseKeyTorsion),
        #[cfg(feature = "signal-v4")]
        Binding::IdentitiesAndAddressField => {}
    }
    let signed = keys.signed.pair();
    let agreement = Agreement {
        identity_to_signed: signed.secret.diffie_hellman(their.identity.key())?,
        base_to_identity: ours.secret_key().diffie_hellman(base)?,
        base_to_signed: signed.secret.diffie_hellman(base)?,
        base_to_one_time: keys.one_time.map(|prekey| prekey.secret().diffie_hellman(base)).transpose()?,
        // A ciphertext made for another key gives an unrelated secret here, and a wrong MAC below: nothing tells the
        // two apart.
        kem: keys
            .kem
            .secret()
            .decapsulate(&header.kem_ciphertext)
            .ok_or(AcceptError::ProfileMismatch { expected: profile, found: keys.kem.profile() })?,
    };
    let one_time = keys.one_time.map(OneTimePreKey::key);
    let secrets = pqxdh::derive(
        suite,
        &agreement,
        &Transcript {
            initiator: &their.address,
            responder: &our_address,
            responder_identity: &ours.public(),
            signed: &signed.public,
            kem: keys.kem.key(),
            one_time: one_time.as_ref(),
            header_hash: &message.header_hash,
        },
    );
    // Our signed prekey is our first ratchet key. Its chain is never sent on: the message inside turns the ratchet
    // first.
    let state = State {
        suite,
        role: Role::Responder,
        step: 0,
        our_address,
        their_address: their.address,
        our_identity: ours.public(),
        their_identity: their.identity,
        base_key: *base,
        header_hash: message.header_hash,
        root: secrets.root,
        sending: Sending::Running { pair: Arc::clone(signed), chain: Chain::new(secrets.chain), previous_counter: 0 },
        receiving: Vec::new(),
        skipped: SkippedPlaces::default(),
        skipped_pq: SkippedPlaces::default(),
        exporter: secrets.exporter,
        pq: PqRatchet::new(suite.pq, Role::Responder, &secrets.pq_auth_key),
        pending: None,
    };
    Ok(Accepting { state, inner: message.inner })
}

fn same_id(kind: PreKeyKind, named: Option<u32>, given: Option<u32>) -> Result<(), AcceptError> {
    if named == given { Ok(()) } else { Err(AcceptError::PreKeyMismatch { kind, named, given }) }
}
