//! A session between two devices: what the caller holds.
//!
//! Both steps take `&self`, so a step that fails, or whose delta is never stored, leaves the state as it was; after a ciphertext the
//! session waits for its delta, or for [`Session::abandon`], before it makes another. After the delta is durable, [`Session::apply`]
//! moves on. A session can be dropped at any time and restored from its record.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use rand_core::CryptoRng;
use rcseal_crypto::hkdf::zero_salt;
use rcseal_crypto::{Secret, x25519};

use crate::accept::{self, AcceptError, Accepting, ResponderKeys};
use crate::address::Address;
use crate::bundle::VerifiedBundle;
use crate::delta::{Delta, StaleDelta, Step};
use crate::identity::{IdentityKey, IdentityKeyPair, Peer};
use crate::initiate::{self, InitiateError, Local};
use crate::message::{COUNTER_MAX, MessageForm, Outgoing, PreKeyMessage, encode_message, encode_prekey_message};
use crate::profile::Profile;
use crate::ratchet::pq::PqExhausted;
use crate::ratchet::{Chain, MessageKeys, root_step};
use crate::receive::{self, DecryptError};
use crate::record::{Record, RecordError};
use crate::skipped::SkippedKeys;
use crate::state::{Role, Sending, State, address_field};

/// Longest plaintext: with the handshake's header, the message code and a sealed envelope round it, it still fits the
/// relay's 96 KiB.
pub const PLAINTEXT_LEN_MAX: usize = 92 * 1024;

const EXPORT_LABEL: &[u8] = b"rcseal/signal/v1/export";

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// The plaintext would not fit an envelope.
    #[error("a plaintext of {actual} bytes is longer than {max}")]
    TooLong {
        /// The limit.
        max: usize,
        /// What was given.
        actual: usize,
    },
    /// The chain has sent four thousand million messages without an answer. Begin a new session.
    #[error("the sending chain is used up")]
    ChainExhausted,
    /// The last ciphertext's delta was not applied, and another one made now would have the same keys. Store and apply it. If the
    /// ciphertext has not left and never will, [`Session::abandon`] it or restore the session from its record.
    #[error("the delta of the last ciphertext was not applied")]
    StepNotApplied,
    /// A Diffie-Hellman result was all zeros.
    #[error("key agreement with the peer's ratchet key failed")]
    KeyAgreement {
        /// What is wrong with the key.
        #[source]
        source: x25519::KeyError,
    },
}

impl EncryptError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "plaintext_too_long",
            Self::ChainExhausted => "chain_exhausted",
            Self::StepNotApplied => "step_not_applied",
            Self::KeyAgreement { .. } => "key_agreement",
        }
    }
}

/// A pairwise session. No `Clone`: two live copies would encrypt under the same keys.
pub struct Session {
    pub(crate) state: State,
    /// The step of the ciphertext that was made and whose delta was not applied, or [`NO_STEP`]. Another one would have the same keys,
    /// also after messages were read meanwhile: those need not move the sending chain.
    uncommitted: AtomicU64,
}

/// No step's number: the first one is 1.
const NO_STEP: u64 = 0;

/// The step given up was not the session's uncommitted ciphertext: one that was committed or given up, one that reads, or of another
/// session. If there is an uncommitted one, it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the step is not the uncommitted ciphertext of this session")]
pub struct NotPending;

impl NotPending {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        "step_not_pending"
    }
}

impl Session {
    /// Begins a session with the device `their`, whose identity key comes from its verified key set. The session can
    /// encrypt at once; store [`Session::record`] or the first step's delta.
    pub fn initiate(
        rng: &mut dyn CryptoRng,
        profile: Profile,
        ours: &IdentityKeyPair,
        our: Address,
        their: Peer,
        bundle: VerifiedBundle,
    ) -> Result<Self, InitiateError> {
        let local = Local { identity: ours, address: our, registration_id: None, states_addresses: true };
        Self::initiate_from(rng, profile, local, their, bundle)
    }

    /// [`Session::initiate`] for a device that has a registration id.
    pub fn initiate_from(
        rng: &mut dyn CryptoRng,
        profile: Profile,
        local: Local<'_>,
        their: Peer,
        bundle: VerifiedBundle,
    ) -> Result<Self, InitiateError> {
        initiate::initiate(rng, profile, local, their, &bundle).map(Self::of)
    }

    /// Answers a prekey message of the device `their`, whose identity key comes from its verified key set. First look
    /// for a session with [`PreKeyMessage::base_key`]: a repetition belongs to that session's [`Session::decrypt`].
    pub fn accept(
        profile: Profile,
        ours: &IdentityKeyPair,
        our: Address,
        their: Peer,
        message: PreKeyMessage,
        keys: ResponderKeys<'_>,
    ) -> Result<Accepting, AcceptError> {
        accept::accept(profile, ours, our, their, message, keys)
    }

    /// Restores a session from its stored record.
    pub fn from_record(bytes: &[u8]) -> Result<Self, RecordError> {
        Record::parse(bytes).map(Self::of)
    }

    pub(crate) fn of(state: State) -> Self {
        Self { state, uncommitted: AtomicU64::new(NO_STEP) }
    }

    /// The stored form of the present state.
    pub fn record(&self) -> Record {
        Record::of(&self.state)
    }

    /// Encrypts one message. An initiator that has received nothing yet gets a prekey message. The ciphertext may leave
    /// only after the delta is durable. Until the delta is applied the session encrypts nothing else: see
    /// [`EncryptError::StepNotApplied`]. A message that is read and committed in between makes the ciphertext's delta stale.
    pub fn encrypt(&self, rng: &mut dyn CryptoRng, plaintext: &[u8]) -> Result<Step<Vec<u8>>, EncryptError> {
        self.uncommitted
            .compare_exchange(NO_STEP, self.next_step(), Ordering::AcqRel, Ordering::Acquire)
            .map_err(|_| EncryptError::StepNotApplied)?;
        let step = self.encrypt_step(rng, plaintext);
        if step.is_err() {
            self.uncommitted.store(NO_STEP, Ordering::Release);
        }
        step
    }

    /// Gives a ciphertext up whose delta was not stored, so that the session may encrypt again in its place. The ciphertext is
    /// dropped here and must not have left.
    pub fn abandon(&mut self, step: Step<Vec<u8>>) -> Result<(), NotPending> {
        self.abandon_delta(&step.delta)
    }

    pub(crate) fn abandon_delta(&mut self, delta: &Delta) -> Result<(), NotPending> {
        let uncommitted = self.uncommitted.get_mut();
        // A step that reads may have the same number: it was made from the same state.
        if !delta.encrypts || !delta.is_of(&self.state) || delta.next.step != *uncommitted {
            return Err(NotPending);
        }
        *uncommitted = NO_STEP;
        Ok(())
    }

    fn next_step(&self) -> u64 {
        self.state.step.saturating_add(1)
    }

    fn encrypt_step(&self, rng: &mut dyn CryptoRng, plaintext: &[u8]) -> Result<Step<Vec<u8>>, EncryptError> {
        if plaintext.len() > PLAINTEXT_LEN_MAX {
            return Err(EncryptError::TooLong { max: PLAINTEXT_LEN_MAX, actual: plaintext.len() });
        }
        let suite = self.state.suite;
        let Running { pair, mut chain, previous_counter, root } = running(&self.state, rng)?;
        let counter = chain.counter();
        if counter > COUNTER_MAX {
            return Err(EncryptError::ChainExhausted);
        }
        let pq = self.state.pq.send(suite.pq, rng).map_err(|PqExhausted| EncryptError::ChainExhausted)?;
        let keys = MessageKeys::derive(suite, &pq.key, &chain.next());
        let mut next = self.state.with_pq(pq.next);
        next.step = self.next_step();
        let states_addresses = next.pending.as_ref().is_some_and(|header| header.states_addresses);
        let addresses = address_field(suite, &next.our_address, &next.their_address).filter(|_| states_addresses);
        let mut output = encode_message(
            suite,
            &Outgoing {
                ratchet_key: &pair.public,
                counter,
                previous_counter,
                ciphertext: &keys.encrypt(plaintext),
                pq_ratchet: Some(pq.field.as_bytes()),
                addresses: addresses.as_ref().map(<[u8; 36]>::as_slice),
            },
        );
        let mac = keys.mac(next.sending_data().as_bytes(), &output);
        output.extend_from_slice(&mac[..suite.mac_len]);
        if let Some(header) = &next.pending {
            output = encode_prekey_message(suite, header, &output);
        }
        next.sending = Sending::Running { pair, chain, previous_counter };
        next.root = root.unwrap_or(next.root);
        let mut delta = Delta::of(next);
        delta.encrypts = true;
        delta.evict.epochs_below = pq.epochs_below;
        Ok(Step { output, delta })
    }

    /// Decrypts one message of either form.
    pub fn decrypt(&self, skipped: &dyn SkippedKeys, message: &[u8]) -> Result<Step<Vec<u8>>, DecryptError> {
        match MessageForm::sniff(self.state.suite, message)? {
            MessageForm::Regular => receive::receive(&self.state, skipped, message),
            MessageForm::PreKey => {
                let message = PreKeyMessage::parse_for(self.state.suite, message)?;
                match self.state.role {
                    Role::Initiator => return Err(DecryptError::UnexpectedPreKeyMessage),
                    // The hash covers base key, identity key, ids and KEM ciphertext.
                    Role::Responder if message.header_hash != self.state.header_hash => {
                        return Err(DecryptError::WrongSession);
                    }
                    Role::Responder => {}
                }
                receive::receive(&self.state, skipped, &message.inner)
            }
        }
    }

    /// Moves to the state after `delta`, which must be stored by now.
    pub fn apply(&mut self, delta: &Delta) -> Result<(), StaleDelta> {
        let expected = self.next_step();
        if delta.next.step != expected || !delta.is_of(&self.state) {
            return Err(StaleDelta { expected, found: delta.next.step });
        }
        self.state = delta.next.duplicate();
        if delta.encrypts {
            *self.uncommitted.get_mut() = NO_STEP;
        }
        Ok(())
    }

    /// A key for another purpose, bound to this session: both sides get the same 32 bytes for the same label, now and
    /// later.
    pub fn export(&self, label: &[u8]) -> Secret<32> {
        zero_salt(self.state.exporter.expose(), &[EXPORT_LABEL, &[self.state.suite.profile.code()], label])
    }

    /// The session's profile.
    pub fn profile(&self) -> Profile {
        self.state.suite.profile
    }

    /// Who began the session.
    pub fn role(&self) -> Role {
        self.state.role
    }

    /// Our device in this session.
    pub fn our_address(&self) -> Address {
        self.state.our_address
    }

    /// Our identity key in this session.
    pub fn our_identity(&self) -> IdentityKey {
        self.state.our_identity
    }

    /// The peer's device.
    pub fn their_address(&self) -> Address {
        self.state.their_address
    }

    /// The peer's identity key, as its key set named it when the session began.
    pub fn their_identity(&self) -> IdentityKey {
        self.state.their_identity
    }

    /// The initiator's base key. Random and the same on both sides, it names the session.
    pub fn base_key(&self) -> [u8; 32] {
        *self.state.base_key.as_bytes()
    }

    /// The newest of the peer's ratchet keys; public. Another one than before says that the peer has turned the ratchet, which it
    /// does with its first answer to a key of ours.
    pub fn their_ratchet_key(&self) -> Option<[u8; 32]> {
        self.state.receiving.last().map(|chain| *chain.theirs.as_bytes())
    }

    /// Whether a message of the peer has been decrypted. Until then an initiator sends prekey messages.
    pub fn has_received(&self) -> bool {
        self.state.pending.is_none()
    }

    /// The key epoch of the post-quantum ratchet that the next message is sent in: how often both sides have agreed on a fresh ML-KEM
    /// secret, 0 in a session that has only its handshake's. It stands still while only one side writes.
    pub fn pq_epoch(&self) -> u64 {
        self.state.pq.agreed_epoch()
    }

    /// Number of committed steps; see [`Delta::step`].
    pub fn step(&self) -> u64 {
        self.state.step
    }
}

/// Says which session, never what is in it.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("profile", &self.state.suite.profile)
            .field("role", &self.state.role)
            .field("step", &self.state.step)
            .finish_non_exhaustive()
    }
}

/// The chain to send on, and the root key if it was turned for it.
struct Running {
    pair: Arc<x25519::KeyPair>,
    chain: Chain,
    previous_counter: u32,
    root: Option<Secret<32>>,
}

/// Turns the ratchet first if the peer has turned its.
fn running(state: &State, rng: &mut dyn CryptoRng) -> Result<Running, EncryptError> {
    match &state.sending {
        Sending::Running { pair, chain, previous_counter } => Ok(Running {
            pair: Arc::clone(pair),
            chain: chain.duplicate(),
            previous_counter: *previous_counter,
            root: None,
        }),
        Sending::Turn { theirs, previous_counter } => {
            let pair = x25519::KeyPair::generate(rng);
            let (root, chain) = root_step(state.suite, &state.root, &pair.secret, theirs)
                .map_err(|source| EncryptError::KeyAgreement { source })?;
            let previous_counter = *previous_counter;
            Ok(Running { pair: Arc::new(pair), chain, previous_counter, root: Some(root) })
        }
    }
}
