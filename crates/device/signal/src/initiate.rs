//! The initiator's side of the handshake: from a verified bundle to a session that can encrypt at once.

use alloc::sync::Arc;
use alloc::vec;

use rand_core::CryptoRng;
use rcseal_crypto::x25519;

use crate::address::Address;
use crate::bundle::VerifiedBundle;
use crate::identity::{IdentityKeyPair, Peer};
use crate::message::PreKeyHeader;
use crate::pqxdh::{self, Agreement, Transcript};
use crate::profile::{Profile, ProfileUnavailable};
use crate::ratchet::pq::PqRatchet;
use crate::ratchet::{Chain, root_step};
use crate::skipped::SkippedPlaces;
use crate::state::{ReceivingChain, Role, Sending, State};

/// Why no session was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// This build has no such profile.
    #[error(transparent)]
    ProfileUnavailable(#[from] ProfileUnavailable),
    /// The bundle was verified by the rules of another profile.
    #[error("the bundle was verified for profile {found}, not {expected}")]
    ProfileMismatch {
        /// The session's profile.
        expected: Profile,
        /// The bundle's.
        found: Profile,
    },
    /// The bundle's identity key is not the one in the peer's key set.
    #[error("the bundle shows another identity key than the key set")]
    IdentityMismatch,
    /// The peer has our own address or identity key.
    #[error("a device makes no session with itself")]
    SelfSession,
    /// A Diffie-Hellman result was all zeros.
    #[error("key agreement with the bundle failed")]
    KeyAgreement {
        /// What is wrong with the key.
        #[source]
        source: x25519::KeyError,
    },
}

impl InitiateError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProfileUnavailable(error) => error.code(),
            Self::ProfileMismatch { .. } => "profile_mismatch",
            Self::IdentityMismatch => "identity_mismatch",
            Self::SelfSession => "self_session",
            Self::KeyAgreement { .. } => "key_agreement",
        }
    }
}

impl From<x25519::KeyError> for InitiateError {
    fn from(source: x25519::KeyError) -> Self {
        Self::KeyAgreement { source }
    }
}

/// Our own device, as it begins a session.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Its identity key.
    pub identity: &'a IdentityKeyPair,
    /// Its address.
    pub address: Address,
    /// The number that tells one installation of a `signal-v4` device from the next, stated in prekey messages. Native
    /// messages have no such field.
    pub registration_id: Option<u32>,
    /// Whether `signal-v4` prekey messages state both addresses, as deployed clients do whose names are UUIDs. A peer that
    /// calls the two devices anything else refuses a message that states them. Native messages bind both addresses
    /// without stating them.
    pub states_addresses: bool,
}

pub(crate) fn initiate(
    rng: &mut dyn CryptoRng,
    profile: Profile,
    local: Local<'_>,
    their: Peer,
    bundle: &VerifiedBundle,
) -> Result<State, InitiateError> {
    let Local { identity: ours, address: our_address, registration_id, states_addresses } = local;
    let suite = profile.suite()?;
    if bundle.profile() != profile {
        return Err(InitiateError::ProfileMismatch { expected: profile, found: bundle.profile() });
    }
    if bundle.identity() != their.identity {
        return Err(InitiateError::IdentityMismatch);
    }
    if their.address == our_address || their.identity == ours.public() {
        return Err(InitiateError::SelfSession);
    }
    let bundle = bundle.bundle();
    let signed = &bundle.signed_prekey.key;
    let base = x25519::KeyPair::generate(rng);
    let (kem_ciphertext, kem) = bundle.kem_prekey.key.encapsulate(rng);
    let agreement = Agreement {
        identity_to_signed: ours.secret_key().diffie_hellman(signed)?,
        base_to_identity: base.secret.diffie_hellman(their.identity.key())?,
        base_to_signed: base.secret.diffie_hellman(signed)?,
        base_to_one_time: bundle.one_time.map(|prekey| base.secret.diffie_hellman(&prekey.key)).transpose()?,
        kem,
    };
    let header = PreKeyHeader {
        one_time_id: bundle.one_time.map(|prekey| prekey.id),
        base_key: base.public,
        identity: ours.public(),
        registration_id: registration_id.filter(|_| suite.carries_addresses()),
        signed_prekey_id: bundle.signed_prekey.id,
        kem_prekey_id: bundle.kem_prekey.id,
        kem_ciphertext,
        states_addresses: states_addresses && suite.carries_addresses(),
    };
    let header_hash = header.hash(suite);
    let secrets = pqxdh::derive(
        suite,
        &agreement,
        &Transcript {
            initiator: &our_address,
            responder: &their.address,
            responder_identity: &their.identity,
            signed,
            kem: &bundle.kem_prekey.key,
            one_time: bundle.one_time.as_ref().map(|prekey| &prekey.key),
            header_hash: &header_hash,
        },
    );
    // The responder's signed prekey is its first ratchet key, so one turn against it starts our first chain.
    let pair = x25519::KeyPair::generate(rng);
    let (root, chain) = root_step(suite, &secrets.root, &pair.secret, signed)?;
    Ok(State {
        suite,
        role: Role::Initiator,
        step: 0,
        our_address,
        their_address: their.address,
        our_identity: ours.public(),
        their_identity: their.identity,
        base_key: base.public,
        header_hash,
        root,
        sending: Sending::Running { pair: Arc::new(pair), chain, previous_counter: 0 },
        receiving: vec![ReceivingChain { theirs: *signed, chain: Chain::new(secrets.chain), end: None }],
        skipped: SkippedPlaces::default(),
        skipped_pq: SkippedPlaces::default(),
        exporter: secrets.exporter,
        pq: PqRatchet::new(suite.pq, Role::Initiator, &secrets.pq_auth_key),
        pending: Some(Arc::new(header)),
    })
}
