//! The inbox: from an envelope to an event.
//!
//! `parsed → opened → authenticated → decrypted → persisted → acknowledged`. Each step has its own way to fail, with a stable reason; a
//! failed envelope changes nothing but the quarantine it is put into. The shell acknowledges an envelope after the transaction committed:
//! as consumed for [`Disposition::Consumed`], [`Disposition::Duplicate`] and [`Disposition::Parked`], as undecryptable otherwise.

use rcseal_signal::{AcceptError, DecryptError, MessageForm, Peer, PreKeyMessage, Profile, Session};
use rcseal_wire::content::{Body, Content, Payload, Receipt};
use rcseal_wire::envelope::{Envelope, EnvelopeError, Hello, Tag};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, EnvelopeId, KeySetHash};
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::{Account, AccountError};
use crate::contact::{Contact, Pin, Verification};
use crate::context::{Engine, Sequence, UnixMillis};
use crate::conversation::{direct, direct_conversation_id};
use crate::event::Event;
use crate::message::{DeliveryState, EncryptionStatus, Message, MessageState};
use crate::record::{Record, trailing_u64};
use crate::seal::open_first;
use crate::send::{ReceiptKind, as_account_error, is_shown, native_identity};
use crate::session::{KnownBaseKey, StoredSession, signal_address};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Undecryptable envelopes that are kept: enough to look into, few enough that strangers cannot fill the disk (96 KiB each).
const QUARANTINE_MAX: usize = 200;
/// Envelopes that wait for key sets, in all.
const PARKED_MAX: usize = 500;
/// Notices of undecryptable envelopes that one session sends back.
const REPORTED_MAX: u16 = 64;

/// Why an envelope could not be decrypted. The numbers travel in receipts and acknowledgements; `docs/protocol/envelope.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undecryptable {
    /// The layout is not an envelope's, or the inside not a message's.
    Malformed,
    /// A later version: update the app.
    UnknownVersion,
    /// The seal does not open: damaged on the way, or meant for another device.
    SealBroken,
    /// The recognition tag names no session here.
    UnknownSession,
    /// The sender's device is not in its account's key set.
    UnknownDevice,
    /// The sender shows another key set than the one known at its counter.
    KeySetFork,
    /// The prekey that the first message used is gone.
    PrekeyGone,
    /// The handshake does not hold.
    Handshake,
    /// The message does not authenticate.
    Authentication,
    /// The message's counter is further ahead than the limit.
    TooFarAhead,
    /// The message belongs to another session.
    WrongSession,
    /// The payload cannot be parsed.
    Content,
    /// The sender does not take part in the conversation.
    NotParticipant,
    /// A first message that was accepted before, in a session that is gone.
    Replayed,
    /// The message claims to come from this very device.
    Reflected,
    /// Too many envelopes wait for key sets.
    TooManyParked,
}

impl Undecryptable {
    const ALL: [Self; 16] = [
        Self::Malformed,
        Self::UnknownVersion,
        Self::SealBroken,
        Self::UnknownSession,
        Self::UnknownDevice,
        Self::KeySetFork,
        Self::PrekeyGone,
        Self::Handshake,
        Self::Authentication,
        Self::TooFarAhead,
        Self::WrongSession,
        Self::Content,
        Self::NotParticipant,
        Self::Replayed,
        Self::Reflected,
        Self::TooManyParked,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Malformed => 1,
            Self::UnknownVersion => 2,
            Self::SealBroken => 3,
            Self::UnknownSession => 4,
            Self::UnknownDevice => 5,
            Self::KeySetFork => 6,
            Self::PrekeyGone => 7,
            Self::Handshake => 8,
            Self::Authentication => 9,
            Self::TooFarAhead => 10,
            Self::WrongSession => 11,
            Self::Content => 12,
            Self::NotParticipant => 13,
            Self::Replayed => 14,
            Self::Reflected => 15,
            Self::TooManyParked => 16,
        }
    }

    /// The reason behind a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown_version",
            Self::SealBroken => "seal_broken",
            Self::UnknownSession => "unknown_session",
            Self::UnknownDevice => "unknown_device",
            Self::KeySetFork => "key_set_fork",
            Self::PrekeyGone => "prekey_gone",
            Self::Handshake => "handshake",
            Self::Authentication => "authentication",
            Self::TooFarAhead => "too_far_ahead",
            Self::WrongSession => "wrong_session",
            Self::Content => "content",
            Self::NotParticipant => "not_participant",
            Self::Replayed => "replayed",
            Self::Reflected => "reflected",
            Self::TooManyParked => "too_many_parked",
        }
    }
}

impl From<EnvelopeError> for Undecryptable {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Truncated | EnvelopeError::TooLarge => Self::Malformed,
            EnvelopeError::UnknownVersion { .. } | EnvelopeError::UnknownKind { .. } => Self::UnknownVersion,
        }
    }
}

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

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct KeptRecord {
    reason: u32,
    received_at_ms: u64,
    envelope: TlsByteVecU32,
}

impl Record for KeptRecord {
    const VERSION: u8 = 1;
}

/// An envelope that could not be decrypted, as apps and tools see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedEnvelope {
    /// Its id at the relay.
    pub id: EnvelopeId,
    /// Why.
    pub reason: Undecryptable,
    /// When it came.
    pub received_at: UnixMillis,
    /// Its length in bytes.
    pub len: usize,
}

impl Engine<'_> {
    /// A relay or a carrier delivered an envelope.
    ///
    /// # Errors
    /// Those of the store; then the transaction must be rolled back and the envelope not acknowledged.
    pub fn handle_envelope(&mut self, id: EnvelopeId, bytes: &[u8]) -> Result<Disposition, AccountError> {
        let account = self.account()?;
        match self.open(&account, id, bytes) {
            Ok(()) => Ok(Disposition::Consumed),
            Err(Failure::Duplicate) => Ok(Disposition::Duplicate),
            Err(Failure::Park(hello)) => self.park(id, bytes, &hello),
            Err(Failure::Envelope(reason)) => {
                self.quarantine(id, bytes, reason)?;
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
                self.open_hello(account, hello)
            }
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
        let message = session.seal_receive().open(epoch, nonce, tag, ciphertext)?;
        match self.decrypt_in(account, &mut session, Some(epoch), &message) {
            Err(Failure::Envelope(reason)) => {
                // The seal shows that the peer, and nobody on the road, made it: the peer should know.
                self.report(account, &mut session, id, reason)?;
                Err(reason.into())
            }
            other => other,
        }
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
            session.session.decrypt(&skipped, message)?
        };
        if let Some(epoch) = epoch {
            self.advance_epoch(session, epoch)?;
        }
        self.commit_step(session, &step.delta)?;
        self.activate(session)?;
        self.take_payload(account, sender, &step.output)
    }

    /// Takes in what a first envelope held.
    fn open_hello(&mut self, account: &Account, hello: Hello) -> Result<(), Failure> {
        if hello.sender == account.address {
            return Err(Undecryptable::Reflected.into());
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
                let secrets = self.prekey_secrets(&message)?.ok_or(Undecryptable::PrekeyGone)?;
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
                self.add_session(hello.sender, accepted.session, Some(&accepted.delta))?;
                self.take_payload(account, hello.sender, &accepted.plaintext)
            }
        }
    }

    /// Takes in what an authenticated device said. The ratchet has moved and stays moved, whatever is in the payload.
    fn take_payload(&mut self, account: &Account, sender: DeviceAddress, bytes: &[u8]) -> Result<(), Failure> {
        let Ok(payload) = Payload::parse(bytes) else {
            return Err(Undecryptable::Content.into());
        };
        self.admit(sender.account)?;
        if let Some(introduction) = &payload.introduction {
            self.put_route(sender, introduction.mailbox)?;
            if sender.account != account.address.account {
                self.introduced(sender, introduction)?;
            }
        }
        if self.key_set(sender.account)?.is_none_or(|key_set| key_set.counter() < payload.key_set_counter) {
            self.need_key_set(sender.account)?;
        }
        if let Body::ContactSync(_) = payload.content.body() {
            if sender.account != account.address.account {
                return Err(Undecryptable::NotParticipant.into());
            }
            if let Body::ContactSync(entries) = payload.content.into_body() {
                self.take_contact_entries(entries)?;
            }
            return Ok(());
        }
        self.take_part(account, sender.account, &payload)?;
        self.take_content(account, sender, payload)
    }

    /// Whether the sender takes part in the conversation it writes to; a direct one comes to be with its first message.
    fn take_part(&mut self, account: &Account, sender: AccountId, payload: &Payload) -> Result<(), Failure> {
        let own = account.address.account;
        let id = payload.conversation_id;
        if let Some(conversation) = self.conversation(id)? {
            let takes_part = conversation.participants.iter().any(|participant| participant.account == sender);
            return if takes_part { Ok(()) } else { Err(Undecryptable::NotParticipant.into()) };
        }
        let other = if sender == own {
            // Another device of this account wrote first: the participants say to whom.
            let named = payload.conversation.as_ref().and_then(|conversation| {
                conversation
                    .participants
                    .iter()
                    .map(|participant| participant.account)
                    .find(|participant| *participant != own)
            });
            match named {
                Some(other) => other,
                None => self.find_direct_partner(own, id)?.ok_or(Undecryptable::NotParticipant)?,
            }
        } else {
            sender
        };
        if direct_conversation_id(own, other) != id {
            return Err(Undecryptable::NotParticipant.into());
        }
        self.put_conversation(id, &direct(own, other))?;
        Ok(())
    }

    /// The contact whose direct conversation has this id.
    fn find_direct_partner(&self, own: AccountId, id: ConversationId) -> Result<Option<AccountId>, StoreError> {
        for (key, _) in self.tx.scan(Table::Contact, &[], &prefix_end(&[]), 10_000, Order::Ascending)? {
            let account = AccountId::parse(&key).map_err(|_| BadRow::error(Table::Contact))?;
            if direct_conversation_id(own, account) == id {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    /// A message of this account has authenticated: it is a contact now.
    fn admit(&mut self, account: AccountId) -> Result<(), StoreError> {
        let Some(mut contact) = self.contact(account)?.filter(|contact| contact.is_candidate) else { return Ok(()) };
        contact.is_candidate = false;
        self.put_contact(&contact)?;
        self.emit(Event::ContactAdded { account })
    }

    fn introduced(
        &mut self,
        sender: DeviceAddress,
        introduction: &rcseal_wire::content::Introduction,
    ) -> Result<(), StoreError> {
        let Some(mut contact) = self.contact(sender.account)? else { return Ok(()) };
        contact.delivery_token = introduction.delivery_token.duplicate();
        contact.origin = introduction.origin.clone();
        contact.display_name.clone_from(&introduction.display_name);
        self.put_contact(&contact)
    }

    fn take_content(&mut self, account: &Account, sender: DeviceAddress, payload: Payload) -> Result<(), Failure> {
        let own = account.address.account;
        let conversation = payload.conversation_id;
        if is_shown(payload.content.body()) {
            return Ok(self.take_message(own, sender, payload)?);
        }
        match payload.content.body() {
            Body::Receipt(receipt) => self.take_receipt(own, sender, conversation, receipt)?,
            Body::Typing(active) => {
                self.emit(Event::Typing { conversation, account: sender.account, active: *active })?
            }
            Body::KeySetChanged => self.need_key_set(sender.account)?,
            body => {
                self.apply_change(conversation, sender.account, body)?;
            }
        }
        Ok(())
    }

    fn take_message(&mut self, own: AccountId, sender: DeviceAddress, payload: Payload) -> Result<(), StoreError> {
        let conversation = payload.conversation_id;
        // The same message in a second envelope: a sender that lost its state may repeat itself.
        if self.find_message(conversation, sender.account, payload.message_id)?.is_some() {
            return Ok(());
        }
        let is_outgoing = sender.account == own;
        let (id, now) = (payload.message_id, self.now);
        let content = Content::as_bytes(&payload.content).to_vec();
        self.add_message(conversation, |key| Message {
            key,
            id,
            sender,
            is_outgoing,
            sent_at: UnixMillis(payload.sent_at_ms),
            received_at: now,
            state: if is_outgoing { MessageState::Stored } else { MessageState::Received },
            encryption: EncryptionStatus::RELAYED,
            is_edited: false,
            content,
        })?;
        if !is_outgoing {
            self.receipt_due(ReceiptKind::Delivered, conversation, sender.account, id)?;
        }
        self.emit(Event::MessageReceived { conversation, sender: sender.account, message: id })
    }

    fn take_receipt(
        &mut self,
        own: AccountId,
        sender: DeviceAddress,
        conversation: ConversationId,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        if sender.account == own {
            return Ok(());
        }
        let (ids, state) = match receipt {
            Receipt::Delivered(ids) => (ids, DeliveryState::Delivered),
            Receipt::Read(ids) => (ids, DeliveryState::Read),
            Receipt::Undecryptable { envelopes, reason } => {
                let reason = Undecryptable::from_number(*reason).unwrap_or(Undecryptable::Malformed);
                for envelope in envelopes {
                    if let Some((message, device)) = self.sent_in(*envelope, sender.account)? {
                        self.set_delivery(message, device, DeliveryState::Undecryptable(reason))?;
                    }
                }
                return Ok(());
            }
        };
        for id in ids {
            // Only our own messages, in this conversation.
            if let Some(message) = self.find_message(conversation, own, *id)? {
                self.set_delivery(message.key, sender, state)?;
            }
        }
        Ok(())
    }

    /// Tells the peer of a session that something it sealed could not be decrypted.
    fn report(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        envelope: EnvelopeId,
        reason: Undecryptable,
    ) -> Result<(), AccountError> {
        if session.reported >= REPORTED_MAX {
            return Ok(());
        }
        session.reported += 1;
        self.save_session(session)?;
        let peer = session.key.peer.account;
        if peer == account.address.account {
            return Ok(());
        }
        let conversation = direct_conversation_id(account.address.account, peer);
        let receipt = Body::Receipt(Receipt::Undecryptable { envelopes: vec![envelope], reason: reason.number() });
        self.send_notice(account, peer, conversation, receipt).map_err(as_account_error)
    }

    fn quarantine(&mut self, id: EnvelopeId, bytes: &[u8], reason: Undecryptable) -> Result<(), StoreError> {
        let record = KeptRecord { reason: reason.number(), received_at_ms: self.now.0, envelope: bytes.into() };
        let prefix_rows = self.tx.scan(Table::Quarantine, &[], &prefix_end(&[]), QUARANTINE_MAX, Order::Ascending)?;
        if prefix_rows.iter().any(|(key, _)| key.ends_with(id.as_bytes())) {
            return Ok(());
        }
        if prefix_rows.len() >= QUARANTINE_MAX {
            self.tx.delete(Table::Quarantine, &prefix_rows[0].0)?;
        }
        let order = self.next(Sequence::Quarantine)?;
        let key = [&order.to_be_bytes()[..], id.as_bytes()].concat();
        self.tx.put(Table::Quarantine, &key, &record.to_row())?;
        self.emit(Event::Undecryptable { envelope: id, reason })
    }

    /// Envelopes that could not be decrypted, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn quarantined(&self) -> Result<Vec<QuarantinedEnvelope>, StoreError> {
        let bad = || BadRow::error(Table::Quarantine);
        self.tx
            .scan(Table::Quarantine, &[], &prefix_end(&[]), QUARANTINE_MAX, Order::Ascending)?
            .into_iter()
            .map(|(key, row)| {
                let record = KeptRecord::from_row(Table::Quarantine, &row)?;
                Ok(QuarantinedEnvelope {
                    id: key.get(8..).and_then(|id| EnvelopeId::parse(id).ok()).ok_or_else(bad)?,
                    reason: Undecryptable::from_number(record.reason).ok_or_else(bad)?,
                    received_at: UnixMillis(record.received_at_ms),
                    len: record.envelope.as_slice().len(),
                })
            })
            .collect()
    }

    /// Keeps an envelope until its sender's key set is here.
    fn park(&mut self, id: EnvelopeId, bytes: &[u8], hello: &Hello) -> Result<Disposition, AccountError> {
        let sender = hello.sender.account;
        if self.tx.scan(Table::Parked, &[], &prefix_end(&[]), PARKED_MAX, Order::Ascending)?.len() >= PARKED_MAX {
            self.quarantine(id, bytes, Undecryptable::TooManyParked)?;
            return Ok(Disposition::Undecryptable(Undecryptable::TooManyParked));
        }
        let own = self.account()?;
        if sender != own.address.account && self.contact(sender)?.is_none() {
            // Somebody we gave our delivery token to. Their keys are taken on first use; comparing safety numbers proves them.
            self.put_contact(&Contact {
                account: sender,
                name: String::new(),
                display_name: String::new(),
                origin: own.origin.clone(),
                delivery_token: hello.delivery_token.duplicate(),
                pin: Pin {
                    counter: hello.key_set_counter,
                    hash: KeySetHash::from_bytes(*hello.key_set_hash.as_bytes()),
                    account_key: None,
                },
                verification: Verification::Unverified,
                is_candidate: true,
            })?;
        }
        let record = KeptRecord { reason: 0, received_at_ms: self.now.0, envelope: bytes.into() };
        let order = self.next(Sequence::Quarantine)?;
        let key = [&sender.as_bytes()[..], &order.to_be_bytes(), id.as_bytes()].concat();
        self.tx.put(Table::Parked, &key, &record.to_row())?;
        self.need_key_set(sender)?;
        Ok(Disposition::Parked)
    }

    /// The sender's key set is here: what waited for it is taken up again, once, in order.
    pub(crate) fn take_parked(&mut self, sender: AccountId) -> Result<(), AccountError> {
        let account = self.account()?;
        let rows = self.tx.scan(
            Table::Parked,
            sender.as_bytes(),
            &prefix_end(sender.as_bytes()),
            PARKED_MAX,
            Order::Ascending,
        )?;
        for (key, row) in rows {
            let bad = || BadRow::error(Table::Parked);
            let id = key.last_chunk::<16>().map(|bytes| EnvelopeId::from_bytes(*bytes)).ok_or_else(bad)?;
            trailing_u64(Table::Parked, &key[..key.len() - EnvelopeId::LEN])?;
            let record = KeptRecord::from_row(Table::Parked, &row)?;
            self.tx.delete(Table::Parked, &key)?;
            match self.open(&account, id, record.envelope.as_slice()) {
                Ok(()) | Err(Failure::Duplicate) => {}
                // The server has not caught up with what the sender claims. It waits on.
                Err(Failure::Park(_)) => {
                    self.tx.put(Table::Parked, &key, &record.to_row())?;
                    self.need_key_set(sender)?;
                    self.postpone_key_set(sender)?;
                }
                Err(Failure::Envelope(reason)) => self.quarantine(id, record.envelope.as_slice(), reason)?,
                Err(Failure::Account(error)) => return Err(error),
            }
        }
        self.drop_false_candidate(sender)
    }

    /// Somebody claimed to be this account, and nothing of theirs authenticated: nothing stays of it.
    fn drop_false_candidate(&mut self, account: AccountId) -> Result<(), AccountError> {
        let waits = !self
            .tx
            .scan(Table::Parked, account.as_bytes(), &prefix_end(account.as_bytes()), 1, Order::Ascending)?
            .is_empty();
        if !waits && self.contact(account)?.is_some_and(|contact| contact.is_candidate) {
            self.tx.delete(Table::Contact, account.as_bytes())?;
            self.tx.delete(Table::KeySet, account.as_bytes())?;
            self.key_set_is_here(account)?;
        }
        Ok(())
    }
}
