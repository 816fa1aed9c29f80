//! The inbox: from an envelope to an event.
//!
//! `parsed → opened → authenticated → decrypted → persisted → acknowledged`. Each step has its own way to fail, with a stable reason; a
//! failed envelope changes nothing but the quarantine it is put into. The shell acknowledges an envelope after the transaction committed:
//! as consumed for [`Disposition::Consumed`], [`Disposition::Duplicate`] and [`Disposition::Parked`], as undecryptable otherwise.

mod forwarded;
mod kept;
mod payload;
mod reason;
mod seen;

pub use kept::QuarantinedEnvelope;
pub use reason::Undecryptable;

use rcseal_signal::{AcceptError, DecryptError, MessageForm, Peer, PqRefusal, PreKeyMessage, Profile, Session};
use rcseal_wire::envelope::{Envelope, Hello, Tag};
use rcseal_wire::id::{DeviceAddress, EnvelopeId};

use crate::account::{Account, AccountError};
use crate::context::Engine;
use crate::renewal::When;
use crate::seal::open_first;
use crate::send::{SendError, as_account_error, native_identity};
use crate::session::{KnownBaseKey, SessionKey, StoredSession, signal_address};
use crate::store::StoreError;

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Decrypted; its effect is durable.
    Consumed,
    /// Decrypted before: delivered twice, or replayed. Nothing was changed by it.
    Duplicate,
    /// Durable here, waiting for its sender's key set.
    Parked,
    /// Kept aside.
    Undecryptable(Undecryptable),
}

/// How handling went wrong: the envelope's fault, or the store's.
enum Failure {
    Envelope(Undecryptable),
    Duplicate,
    Park(Box<Hello>),
    Account(AccountError),
}

impl From<Undecryptable> for Failure {
    fn from(reason: Undecryptable) -> Self {
        Self::Envelope(reason)
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Account(error.into())
    }
}

impl From<DecryptError> for Failure {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::DuplicateMessage { .. } => Self::Duplicate,
            DecryptError::TooFarAhead { .. } => Self::Envelope(Undecryptable::TooFarAhead),
            DecryptError::WrongSession | DecryptError::UnexpectedPreKeyMessage | DecryptError::AddressMismatch => {
                Self::Envelope(Undecryptable::WrongSession)
            }
            DecryptError::Parse(_) => Self::Envelope(Undecryptable::Malformed),
            DecryptError::PqRatchet(PqRefusal::TooFarAhead { .. }) => Self::Envelope(Undecryptable::TooFarAhead),
            DecryptError::PqRatchet(PqRefusal::EpochGone { .. } | PqRefusal::KeyGone { .. }) => {
                Self::Envelope(Undecryptable::KeyGone)
            }
            DecryptError::PqRatchet(PqRefusal::Missing | PqRefusal::Malformed) => {
                Self::Envelope(Undecryptable::Malformed)
            }
            DecryptError::Lookup(error) => {
                Self::Account(StoreError::new(crate::store::StoreErrorKind::Io, error).into())
            }
            _ => Self::Envelope(Undecryptable::Authentication),
        }
    }
}

impl From<AcceptError> for Failure {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::SelfSession => Self::Envelope(Undecryptable::Reflected),
            _ => Self::Envelope(Undecryptable::Handshake),
        }
    }
}

impl Engine<'_> {
    /// A relay or a carrier delivered an envelope.
    ///
    /// # Errors
    /// Those of the store; then the transaction must be rolled back and the envelope not acknowledged.
    pub fn handle_envelope(&mut self, id: EnvelopeId, bytes: &[u8]) -> Result<Disposition, AccountError> {
        let account = self.account()?;
        if self.was_taken(bytes)? {
            return Ok(Disposition::Duplicate);
        }
        if self.is_forwarded(&account, id, bytes)? {
            return self.take_forwarded(&account, id, bytes);
        }
        let outcome = self.open(&account, id, bytes);
        self.disposed(id, bytes, outcome)
    }

    /// What becomes of an envelope after an attempt to open it.
    fn disposed(
        &mut self,
        id: EnvelopeId,
        bytes: &[u8],
        outcome: Result<(), Failure>,
    ) -> Result<Disposition, AccountError> {
        match outcome {
            Ok(()) => {
                self.note_taken(bytes)?;
                Ok(Disposition::Consumed)
            }
            Err(Failure::Duplicate) => Ok(Disposition::Duplicate),
            Err(Failure::Park(hello)) => self.park(id, bytes, &hello),
            Err(Failure::Envelope(reason)) => {
                // Anybody who knows a phone number can make these; a carrier asks for no token. Whoever meant one sends it by the relay too.
                if !(self.arrival.is_by_carrier && reason.may_be_anybodys()) {
                    self.quarantine(id, bytes, reason)?;
                }
                Ok(Disposition::Undecryptable(reason))
            }
            Err(Failure::Account(error)) => Err(error),
        }
    }

    fn open(&mut self, account: &Account, id: EnvelopeId, bytes: &[u8]) -> Result<(), Failure> {
        match Envelope::parse(bytes).map_err(Undecryptable::from)? {
            Envelope::Session { tag, nonce, ciphertext } => self.open_session(account, id, tag, &nonce, ciphertext),
            Envelope::First { sealed } => {
                let hello = open_first(&account.sealing(), account.address, sealed)?;
                self.open_hello(account, id, hello)
            }
            // A broker submits what it seals to the relay, as it is. Inside a frame or a fetched envelope there is none.
            Envelope::Forwarded { .. } => Err(Undecryptable::Malformed.into()),
        }
    }

    fn open_session(
        &mut self,
        account: &Account,
        id: EnvelopeId,
        tag: Tag,
        nonce: &[u8; 12],
        ciphertext: &[u8],
    ) -> Result<(), Failure> {
        let (mut session, epoch) = self.session_by_tag(tag)?.ok_or(Undecryptable::UnknownSession)?;
        self.arrival.is_blocked = self.is_blocked(session.key.peer.account)?;
        let message = session.seal_receive().open(epoch, nonce, tag, ciphertext)?;
        match self.decrypt_in(account, &mut session, Some(epoch), &message) {
            Err(Failure::Envelope(reason)) => {
                // The seal shows that the peer, and nobody on the road, made it: the peer should know.
                self.undecryptable_in(account, session.key, id, reason).map_err(as_account_error)?;
                Err(reason.into())
            }
            other => other,
        }
    }

    /// An envelope that the peer of a session made could not be decrypted. Said in a session that is broken it would only be undecryptable
    /// over there, and so back and forth: then it waits for the next session.
    fn undecryptable_in(
        &mut self,
        account: &Account,
        session: SessionKey,
        envelope: EnvelopeId,
        reason: Undecryptable,
    ) -> Result<(), SendError> {
        let when = if reason.is_of_the_session() { self.session_failed(account, session)? } else { When::Now };
        if when == When::Now {
            self.report(account, session, envelope, reason)?;
        }
        if reason.is_of_the_session() {
            self.ask_again(session.peer, envelope, when)?;
        }
        Ok(())
    }

    /// Decrypts a message in a session, writes the step, and takes the payload in.
    fn decrypt_in(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        epoch: Option<u32>,
        message: &[u8],
    ) -> Result<(), Failure> {
        let sender = session.key.peer;
        // A device that left its account's key set is not heard any more.
        let key_set = self.key_set(sender.account)?.ok_or(Undecryptable::UnknownDevice)?;
        if native_identity(&key_set, sender.device)? != Some(session.session.their_identity()) {
            return Err(Undecryptable::UnknownDevice.into());
        }
        let step = {
            let skipped = self.skipped(session);
            session.session.decrypt(&skipped, message)
        };
        let step = match step {
            // Without its key the ratchet cannot say which: delivered twice, or never read.
            Err(DecryptError::DuplicateMessage { .. }) if !self.was_seen(message)? => {
                return Err(Undecryptable::KeyGone.into());
            }
            step => step?,
        };
        if let Some(epoch) = epoch {
            self.advance_epoch(session, epoch)?;
        }
        (session.received, session.failures, session.heard_at) = (session.received.saturating_add(1), 0, self.now);
        self.commit_step(session, &step.delta)?;
        self.remember_seen(message)?;
        self.activate(session)?;
        self.take_payload(account, sender, &step.output)
    }

    /// Takes in what a first envelope held.
    fn open_hello(&mut self, account: &Account, id: EnvelopeId, hello: Hello) -> Result<(), Failure> {
        if hello.sender == account.address {
            return Err(Undecryptable::Reflected.into());
        }
        self.arrival.is_blocked = self.is_blocked(hello.sender.account)?;
        // A relay has asked whoever writes first for a delivery token, and a carrier has not. So by a carrier only those are heard whom this
        // account knows: otherwise a phone number would be an invitation, and the one that nobody can take back.
        if self.arrival.is_by_carrier && !self.is_acquainted(account, hello.sender)? {
            return Err(Undecryptable::UnknownDevice.into());
        }
        let Some(key_set) = self.key_set(hello.sender.account)? else { return Err(Failure::Park(Box::new(hello))) };
        if key_set.counter() < hello.key_set_counter {
            return Err(Failure::Park(Box::new(hello)));
        }
        if key_set.counter() == hello.key_set_counter && key_set.hash() != hello.key_set_hash {
            return Err(Undecryptable::KeySetFork.into());
        }
        let identity = native_identity(&key_set, hello.sender.device)?.ok_or(Undecryptable::UnknownDevice)?;
        if !matches!(PreKeyMessage::form_of(Profile::Native, &hello.ciphertext), Ok(MessageForm::PreKey)) {
            return Err(Undecryptable::Malformed.into());
        }
        let message = PreKeyMessage::parse(&hello.ciphertext).map_err(|_| Undecryptable::Malformed)?;
        match self.session_by_base_key(&message.base_key())? {
            KnownBaseKey::Session(session) if session.key.peer != hello.sender => {
                Err(Undecryptable::WrongSession.into())
            }
            KnownBaseKey::Session(mut session) => self.decrypt_in(account, &mut session, None, &hello.ciphertext),
            KnownBaseKey::Replayed => Err(Undecryptable::Replayed.into()),
            KnownBaseKey::New => {
                let Some(secrets) = self.prekey_secrets(&message)? else {
                    // Whoever has our delivery token can claim this in a contact's name. It costs that contact one prekey a day.
                    // As long as it writes in that session it will not be read, so it is answered in a new one, at most once a day.
                    if self.is_acquainted(account, hello.sender)? {
                        let when = self.session_is_lost(account, hello.sender).map_err(as_account_error)?;
                        self.ask_again(hello.sender, id, when)?;
                    }
                    return Err(Undecryptable::PrekeyGone.into());
                };
                let peer = Peer { address: signal_address(hello.sender), identity };
                let accepting = Session::accept(
                    Profile::Native,
                    &account.identity,
                    signal_address(account.address),
                    peer,
                    message,
                    secrets.keys(),
                )?;
                let accepted = accepting.decrypt_first()?;
                self.use_up_prekeys(&secrets)?;
                self.remember_seen(&hello.ciphertext)?;
                self.add_session(hello.sender, accepted.session, Some(&accepted.delta))?;
                let taken = self.take_payload(account, hello.sender, &accepted.plaintext);
                if !matches!(taken, Err(Failure::Account(_))) {
                    // What waited for a session with this device has one now.
                    self.flush_waiting(account, hello.sender, &key_set)?;
                }
                taken
            }
        }
    }

    /// Whether a device's account is our own, or a contact that has shown who it is.
    fn is_acquainted(&self, account: &Account, device: DeviceAddress) -> Result<bool, StoreError> {
        Ok(device.account == account.address.account || self.known_contact(device.account)?.is_some())
    }
}
