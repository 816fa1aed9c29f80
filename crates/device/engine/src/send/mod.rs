//! Sending: from what the user said to envelopes that wait for a relay.
//!
//! The devices a message goes to are fixed when it is sent: those in scope of the key sets known then. A device that joins later does not
//! get it. Where a session exists the message is encrypted at once; where none does, it waits for a prekey bundle, bound to the identity
//! key that the key set named. Everything happens in the transaction that holds the message, so no ciphertext can leave before the state
//! that made it.

mod error;
mod pending;
mod receipt;

pub use error::{BundleRefusal, SendError};
pub(crate) use receipt::ReceiptKind;

use rcseal_credential::{DeviceEntry, IdentityProfile, VerifiedKeySet};
use rcseal_signal::IdentityKey;
use rcseal_wire::content::{Body, Content, Conversation, Introduction, Participant, Payload, Role};
use rcseal_wire::envelope::Hello;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber, MessageId};

use crate::account::{Account, AccountError};
use crate::carrier::CarrierKind;
use crate::context::{Engine, UnixMillis};
use crate::conversation::{devices_in_scope, direct, direct_conversation_id};
use crate::message::{DeliveryState, EncryptionStatus, Message, MessageKey, MessageState};
use crate::plain::{PlainOrigin, SMS_LEN_MAX, sms_len};
use crate::policy::{DeliveryMode, StoredDecision, Subject, content_kind};
use crate::renewal::Cause;
use crate::seal::seal_first;
use crate::session::StoredSession;
use crate::store::{BadRow, StoreError, StoreErrorKind, Table};

/// Bytes of a payload before encryption: what fits the largest envelope with every header round it.
const PAYLOAD_LEN_MAX: usize = 80 * 1024;
/// Introductions after which a peer is taken to have heard, on a session that both sides have used.
const INTRODUCTIONS_MIN: u8 = 1;

impl Engine<'_> {
    /// Sends a content into a conversation. Answers the message's id; its state follows in events.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    pub fn send(
        &mut self,
        conversation: ConversationId,
        body: Body,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, SendError> {
        let account = self.account()?;
        let participants = self.conversation(conversation)?.ok_or(SendError::UnknownConversation)?;
        self.check_recipients(&participants)?;
        // What we would refuse from others we do not send.
        let content = Content::parse(Content::new(body, reply_to).as_bytes().to_vec())?;
        let id = MessageId::generate(self.rng);
        let shown = is_shown(content.body());
        let mode = if shown { self.decided(conversation, content.body(), id)? } else { DeliveryMode::Relayed };
        let message = if shown {
            let (sender, now) = (account.address, self.now);
            let bytes = content.as_bytes().to_vec();
            Some(self.add_message(conversation, |key| Message {
                key,
                id,
                sender,
                is_outgoing: true,
                sent_at: now,
                received_at: now,
                state: MessageState::Queued,
                encryption: EncryptionStatus::of(mode),
                is_edited: false,
                content: bytes,
            })?)
        } else {
            self.apply_change(conversation, account.address.account, &content)?;
            None
        };
        if !matches!(content.body(), Body::Typing(_)) {
            self.note_activity(conversation)?;
        }
        if let (Some(message), false, Body::Text(words)) = (message, mode.is_end_to_end(), content.body()) {
            self.send_readable(message, id, mode, words)?;
            return Ok(id);
        }
        let payload = self.payload(&account, id, conversation, self.now, content)?;
        for participant in &participants.participants {
            self.dispatch(&account, participant, &payload, message)?;
            if message.is_some() {
                self.remind(conversation, participant.account)?;
            }
        }
        Ok(id)
    }

    /// Decides how a message goes, and stores the decision. A refusal is the error.
    fn decided(&mut self, conversation: ConversationId, body: &Body, id: MessageId) -> Result<DeliveryMode, SendError> {
        let decided = self.decide_about(Subject::Conversation(conversation), content_kind(body), Some(id))?;
        let Some(mode) = decided.decision.mode() else {
            return Err(SendError::Refused(Box::new(StoredDecision { message: None, ..decided })));
        };
        self.record_decision(decided)?;
        // A broker answers no questions about numbers.
        if let (DeliveryMode::Native, Some(number)) = (decided.wanted, decided.recipient.number)
            && self.carrier_setup()?.is_none_or(|setup| setup.kind == CarrierKind::Own)
        {
            self.want_capabilities(number)?;
        }
        Ok(mode)
    }

    /// Words of a conversation that the user downgraded: they go to the contact's number or to the server, and to no session.
    fn send_readable(
        &mut self,
        message: MessageKey,
        id: MessageId,
        mode: DeliveryMode,
        words: &str,
    ) -> Result<(), SendError> {
        if mode == DeliveryMode::Sms && sms_len(words) > SMS_LEN_MAX {
            return Err(SendError::TooLong { len: sms_len(words) });
        }
        let recipient = self.recipient_of(Subject::Conversation(message.conversation))?;
        if mode == DeliveryMode::ServerEncrypted {
            let account = recipient.account.ok_or(SendError::UnknownConversation)?;
            return Ok(self.queue_retained(account, message, id, words)?);
        }
        let number = recipient.number.ok_or(SendError::UnknownConversation)?;
        Ok(self.queue_plain(number, PlainOrigin::Conversation(message), id, mode, words)?)
    }

    /// Whether anything may be sent into a conversation now.
    pub(crate) fn check_recipients(&self, conversation: &Conversation) -> Result<(), SendError> {
        for participant in &conversation.participants {
            self.check_recipient(participant.account)?;
        }
        Ok(())
    }

    pub(crate) fn payload(
        &self,
        account: &Account,
        id: MessageId,
        conversation: ConversationId,
        sent_at: UnixMillis,
        content: Content,
    ) -> Result<Vec<u8>, SendError> {
        let payload = Payload {
            message_id: id,
            conversation_id: conversation,
            sent_at_ms: sent_at.0,
            key_set_counter: self.own_key_set(account)?.counter(),
            conversation: None,
            content,
            introduction: None,
        }
        .to_bytes();
        if payload.len() > PAYLOAD_LEN_MAX {
            return Err(SendError::TooLong { len: payload.len() });
        }
        Ok(payload)
    }

    /// Sends something that is not shown to the devices of one account: receipts, notices.
    pub(crate) fn send_notice(
        &mut self,
        account: &Account,
        to: AccountId,
        conversation: ConversationId,
        body: Body,
    ) -> Result<(), SendError> {
        let payload = self.notice(account, conversation, body)?;
        let participants = match self.conversation(conversation)? {
            Some(participants) => participants,
            None => direct(account.address.account, to),
        };
        let Some(participant) = participants.participants.iter().find(|participant| participant.account == to) else {
            return Err(SendError::UnknownConversation);
        };
        self.dispatch_notice(account, participant, &payload)
    }

    /// A payload that is not shown.
    pub(crate) fn notice(
        &mut self,
        account: &Account,
        conversation: ConversationId,
        body: Body,
    ) -> Result<Vec<u8>, SendError> {
        let id = MessageId::generate(self.rng);
        self.payload(account, id, conversation, self.now, Content::new(body, None))
    }

    /// Gets a notice on its way to the devices in scope whose mailboxes take what we send.
    fn dispatch_notice(
        &mut self,
        account: &Account,
        participant: &Participant,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let Some(key_set) = self.key_set(participant.account)? else { return Ok(()) };
        for device in devices_in_scope(participant, &key_set) {
            if device != account.address && self.may_notify(device)? {
                self.dispatch_to_device(account, device, &key_set, payload, None)?;
            }
        }
        Ok(())
    }

    /// Tells a contact's devices, and our own others, that our key set has a successor.
    pub(crate) fn announce_key_set(&mut self, account: &Account) -> Result<(), SendError> {
        let own = account.address.account;
        let contacts: Vec<_> = self
            .contacts()
            .map_err(|_| BadRow::error(Table::Contact))?
            .into_iter()
            .map(|contact| contact.account)
            .collect();
        for contact in contacts {
            // A contact without a session hears of it with the first message.
            let known = self.key_set(contact)?;
            let has_session = match &known {
                Some(key_set) => self.has_session(contact, key_set)?,
                None => false,
            };
            if has_session {
                self.send_notice(account, contact, direct_conversation_id(own, contact), Body::KeySetChanged)?;
            }
        }
        // Ours are all told, whoever keeps their keys: one that does not know would go on writing to a device that was removed.
        let devices = self.own_key_set(account)?.devices().iter().map(DeviceEntry::number).collect();
        let ours = Participant { account: own, role: Role::Member, devices: Some(devices) };
        let payload = self.notice(account, direct_conversation_id(own, own), Body::KeySetChanged)?;
        self.dispatch_notice(account, &ours, &payload)
    }

    /// A restored device begins sessions with those whom the user had written with, so that they learn of it before the user writes.
    pub(crate) fn introduce_to_conversations(&mut self, account: &Account) -> Result<(), SendError> {
        let own = account.address.account;
        let conversations = self.conversations().map_err(|_| BadRow::error(Table::Conversation))?;
        for conversation in conversations {
            let Some(other) = conversation.participants.iter().find(|participant| participant.account != own) else {
                continue;
            };
            if self.known_contact(other.account)?.is_some() && !self.is_kept_back(other.account)? {
                self.send_notice(account, other.account, conversation.id, Body::KeySetChanged)?;
            }
        }
        Ok(())
    }

    fn has_session(&self, account: AccountId, key_set: &VerifiedKeySet) -> Result<bool, StoreError> {
        for device in key_set.devices() {
            if self
                .tx
                .get(Table::ActiveSession, &DeviceAddress { account, device: device.number() }.to_bytes())?
                .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gets a payload on its way to every device of a participant that is in scope, but for this one.
    pub(crate) fn dispatch(
        &mut self,
        account: &Account,
        participant: &Participant,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), SendError> {
        // Keys of somebody who has shown nothing yet are a server's word.
        let known = if self.is_claim(participant.account)? { None } else { self.key_set(participant.account)? };
        let Some(key_set) = known else {
            self.wait_for_key_set(participant, payload, message)?;
            return Ok(());
        };
        for device in devices_in_scope(participant, &key_set) {
            if device != account.address {
                self.dispatch_to_device(account, device, &key_set, payload, message)?;
            }
        }
        Ok(())
    }

    /// Gets a payload on its way to one device: on the session there is, or as soon as there is one.
    pub(crate) fn dispatch_to_device(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), SendError> {
        let Some(identity) = native_identity(key_set, device.device)? else { return Ok(()) };
        // Where messages are kept back nothing else goes either that we would say by ourselves: it would introduce us.
        if message.is_none() && self.is_kept_back(device.account)? {
            return Ok(());
        }
        if let Some(message) = message {
            self.set_delivery(message, device, DeliveryState::Queued)?;
        }
        if let Some(mut session) = self.sendable_session(device, identity)?
            && !self.is_suspected(device)?
        {
            if session.is_old(self.now) {
                self.renew_session(account, device, Cause::Age)?;
            }
            return self.encrypt_and_queue(account, &mut session, key_set, payload, message);
        }
        self.wait_for_bundle(device, identity, payload, message)?;
        Ok(())
    }

    /// Encrypts a payload on a session, seals it, and puts the envelope into the outbox.
    pub(super) fn encrypt_and_queue(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        key_set: &VerifiedKeySet,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), SendError> {
        if let Some(envelope) = self.encrypt_on(account, session, key_set, payload)? {
            self.queue(session.key.peer, session.session.their_identity(), &envelope, message)?;
        }
        Ok(())
    }

    /// Encrypts a payload on a session and seals it; `None` where the key set does not name the device. The step is stored.
    pub(crate) fn encrypt_on(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        key_set: &VerifiedKeySet,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, SendError> {
        let answered = session.session.has_received();
        let payload = if answered && session.introduced >= INTRODUCTIONS_MIN {
            payload.to_vec()
        } else {
            session.introduced = session.introduced.saturating_add(1);
            self.introduce(account, payload)?
        };
        // Looked up before anything is encrypted: a session whose step is not stored encrypts nothing else.
        let Some(device) = key_set.device(session.key.peer.device) else { return Ok(None) };
        let step = session.session.encrypt(self.rng, &payload)?;
        let envelope = if answered {
            session.seal(step.output, self)
        } else {
            let own = self.own_key_set(account)?;
            let hello = Hello {
                sender: account.address,
                key_set_counter: own.counter(),
                key_set_hash: own.hash(),
                delivery_token: account.delivery_token.duplicate(),
                ciphertext: step.output,
            };
            seal_first(device.sealing_key(), session.key.peer, &hello, self.rng)
        }
        .map_err(|error| SendError::TooLong { len: error.len })?;
        session.sent = session.sent.saturating_add(1);
        self.commit_step(session, &step.delta)?;
        Ok(Some(envelope))
    }

    /// Adds to a payload how to answer, and which conversation it opens.
    fn introduce(&self, account: &Account, payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut payload = Payload::parse(payload).map_err(|_| BadRow::error(Table::Pending))?;
        payload.introduction = Some(Introduction {
            delivery_token: account.delivery_token.duplicate(),
            origin: account.origin.clone(),
            display_name: account.display_name.clone(),
            mailbox: account.mailbox,
        });
        payload.conversation = self.conversation(payload.conversation_id)?;
        Ok(payload.to_bytes())
    }
}

/// Whether a content is a message of its own, with a row and a state.
pub(crate) const fn is_shown(body: &Body) -> bool {
    match body {
        Body::Text(_)
        | Body::Media(_)
        | Body::Card(_)
        | Body::Suggested { .. }
        | Body::GroupEvent { .. }
        | Body::ConsentEvent { .. }
        | Body::DeliveryNotice(_)
        | Body::Unknown => true,
        Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Receipt(_)
        | Body::Typing(_)
        | Body::KeySetChanged
        | Body::ContactSync(_)
        | Body::Rekey(_)
        | Body::ResendRequest { .. }
        | Body::Capabilities(_)
        | Body::EnvelopeReference(_)
        | Body::NumberSeen(_)
        | Body::ContinueCase { .. }
        | Body::CaseState(_)
        | Body::Ignored => false,
    }
}

/// The identity key that a key set names for a device, in the ratchet's type.
pub(crate) fn native_identity(
    key_set: &VerifiedKeySet,
    device: DeviceNumber,
) -> Result<Option<IdentityKey>, StoreError> {
    let Some(key) = key_set.device(device).and_then(|device| device.identity_key(IdentityProfile::Native)) else {
        return Ok(None);
    };
    IdentityKey::from_bytes(key.as_bytes()).map(Some).map_err(|error| StoreError::new(StoreErrorKind::Corrupt, error))
}

/// Sending what the engine itself made fails only as the store fails: its contents are within every limit.
pub(crate) fn as_account_error(error: SendError) -> AccountError {
    match error {
        SendError::Store(error) => error.into(),
        SendError::Account(error) => error,
        other => StoreError::new(StoreErrorKind::Corrupt, other).into(),
    }
}
