//! Sending: from what the user said to envelopes that wait for a relay.
//!
//! The devices a message goes to are fixed when it is sent: those in scope of the key sets known then. A device that joins later does not
//! get it. Where a session exists the message is encrypted at once; where none does, it waits for a prekey bundle, bound to the identity
//! key that the key set named. Everything happens in the transaction that holds the message, so no ciphertext can leave before the state
//! that made it.

use rcseal_credential::{IdentityProfile, VerifiedKeySet};
use rcseal_signal::{
    IdentityKey, KemPreKeyPublic, OneTimePreKeyPublic, Peer, PreKeyBundle, Profile, Session, SignedPreKeyPublic,
};
use rcseal_wire::api::{BundlesResponse, DeviceBundle};
use rcseal_wire::content::{Body, Content, ContentError, Conversation, Introduction, Participant, Payload, Receipt};
use rcseal_wire::envelope::Hello;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber, MessageId};
use tls_codec::{TlsByteVecU16, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::{Account, AccountError};
use crate::contact::Verification;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::conversation::{devices_in_scope, direct, direct_conversation_id};
use crate::message::{DeliveryState, EncryptionStatus, FailureReason, Message, MessageKey, MessageState};
use crate::need::NeedKind;
use crate::record::Record;
use crate::seal::seal_first;
use crate::session::{StoredSession, signal_address};
use crate::store::{BadRow, Order, StoreError, StoreErrorKind, Table, prefix_end};

/// Bytes of a payload before encryption: what fits the largest envelope with every header round it.
const PAYLOAD_LEN_MAX: usize = 80 * 1024;
/// How long a message waits for the recipient's keys: a week, in milliseconds.
const PENDING_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
/// Introductions after which a peer is taken to have heard, on a session that both sides have used.
const INTRODUCTIONS_MIN: u8 = 1;

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no such conversation.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// A field of the content exceeds its limit.
    #[error("the content is not valid")]
    Content(#[from] ContentError),
    /// The content exceeds what an envelope carries.
    #[error("the message is too long: {len} bytes")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The account key of a verified contact has changed. Compare safety numbers again first.
    #[error("the contact's account key has changed since it was verified")]
    VerificationChanged,
    /// A session could not go on; a new one is needed.
    #[error("the session cannot encrypt")]
    Session(#[from] rcseal_signal::EncryptError),
}

impl SendError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::UnknownConversation => "conversation_unknown",
            Self::Content(error) => error.code(),
            Self::TooLong { .. } => "message_too_long",
            Self::VerificationChanged => "verification_changed",
            Self::Session(error) => error.code(),
        }
    }
}

/// Why a prekey bundle was not used.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefusal {
    /// The device is not in the account's key set.
    #[error("the device is not in the key set")]
    UnknownDevice,
    /// The bundle is malformed or its signatures do not hold.
    #[error("the bundle does not verify")]
    Bundle(#[from] rcseal_signal::BundleError),
    /// The handshake failed.
    #[error("the handshake failed")]
    Initiate(#[from] rcseal_signal::InitiateError),
}

impl BundleRefusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "bundle_unknown_device",
            Self::Bundle(error) => error.code(),
            Self::Initiate(error) => error.code(),
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct PendingRecord {
    /// Zeros where it is every device in scope of a key set that is not known yet.
    identity: [u8; 32],
    /// Scope, as an encoded conversation with the one participant; empty but for that case.
    scope: TlsByteVecU16,
    /// 1 where the payload carries a message that has states.
    has_message: u8,
    conversation: [u8; 16],
    order: u64,
    queued_at_ms: u64,
    payload: TlsByteVecU32,
}

impl Record for PendingRecord {
    const VERSION: u8 = 1;
}

/// Stands for "every device in scope" in the key of a waiting payload: no device has number 0.
const EVERY_DEVICE: u8 = 0;

fn pending_prefix(account: AccountId, device: u8) -> Vec<u8> {
    [&account.as_bytes()[..], &[device]].concat()
}

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
        for participant in &participants.participants {
            if let Some(contact) = self.contact(participant.account)? {
                if contact.verification == Verification::Changed {
                    return Err(SendError::VerificationChanged);
                }
            }
        }
        // What we would refuse from others we do not send.
        let content = Content::parse(Content::new(body, reply_to).as_bytes().to_vec())?;
        let id = MessageId::generate(self.rng);
        let shown = is_shown(content.body());
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
                encryption: EncryptionStatus::RELAYED,
                is_edited: false,
                content: bytes,
            })?)
        } else {
            self.apply_change(conversation, account.address.account, content.body())?;
            None
        };
        let payload = self.payload(&account, id, conversation, content)?;
        for participant in &participants.participants {
            self.dispatch(&account, participant, &payload, message)?;
        }
        Ok(id)
    }

    fn payload(
        &self,
        account: &Account,
        id: MessageId,
        conversation: ConversationId,
        content: Content,
    ) -> Result<Vec<u8>, SendError> {
        let payload = Payload {
            message_id: id,
            conversation_id: conversation,
            sent_at_ms: self.now.0,
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
        let id = MessageId::generate(self.rng);
        let payload = self.payload(account, id, conversation, Content::new(body, None))?;
        let participants = match self.conversation(conversation)? {
            Some(participants) => participants,
            None => direct(account.address.account, to),
        };
        let Some(participant) = participants.participants.iter().find(|participant| participant.account == to) else {
            return Err(SendError::UnknownConversation);
        };
        self.dispatch(account, participant, &payload, None)
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
        let Some(key_set) = self.key_set(participant.account)? else {
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

    fn dispatch_to_device(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), SendError> {
        let Some(identity) = native_identity(key_set, device.device)? else { return Ok(()) };
        if let Some(message) = message {
            self.set_delivery(message, device, DeliveryState::Queued)?;
        }
        // A session with keys that the key set no longer names is not sent on.
        if let Some(mut session) =
            self.active_session(device)?.filter(|session| session.session.their_identity() == identity)
        {
            return self.encrypt_and_queue(account, &mut session, key_set, payload, message);
        }
        self.wait_for_bundle(
            device.account,
            device.device.get(),
            &PendingRecord {
                identity: *identity.as_bytes(),
                scope: Vec::new().into(),
                has_message: u8::from(message.is_some()),
                conversation: message.map_or([0; 16], |message| *message.conversation.as_bytes()),
                order: message.map_or(0, |message| message.order),
                queued_at_ms: self.now.0,
                payload: payload.into(),
            },
        )?;
        self.need_bundles(device.account)?;
        Ok(())
    }

    fn wait_for_bundle(&mut self, account: AccountId, device: u8, record: &PendingRecord) -> Result<(), StoreError> {
        let order = self.next(Sequence::Pending)?;
        let key = [pending_prefix(account, device), order.to_be_bytes().to_vec()].concat();
        self.tx.put(Table::Pending, &key, &record.to_row())
    }

    fn wait_for_key_set(
        &mut self,
        participant: &Participant,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), StoreError> {
        let scope = Conversation {
            kind: rcseal_wire::content::ConversationKind::Direct,
            participants: vec![participant.clone()],
            title: String::new(),
        };
        let record = PendingRecord {
            identity: [0; 32],
            scope: scope.to_bytes().into(),
            has_message: u8::from(message.is_some()),
            conversation: message.map_or([0; 16], |message| *message.conversation.as_bytes()),
            order: message.map_or(0, |message| message.order),
            queued_at_ms: self.now.0,
            payload: payload.into(),
        };
        self.wait_for_bundle(participant.account, EVERY_DEVICE, &record)?;
        self.need_key_set(participant.account)
    }

    /// The account's first key set is here: what waited for it goes to the devices in scope.
    pub(crate) fn release_waiting(&mut self, peer: AccountId) -> Result<(), AccountError> {
        let account = self.account()?;
        for (row_key, record) in self.pending_rows(peer, EVERY_DEVICE)? {
            self.tx.delete(Table::Pending, &row_key)?;
            let bad = || BadRow::error(Table::Pending);
            let scope = Conversation::parse(record.scope.as_slice()).map_err(|_| bad())?;
            let participant = scope.participants.into_iter().next().ok_or_else(bad)?;
            let message = record.message();
            self.dispatch(&account, &participant, record.payload.as_slice(), message).map_err(as_account_error)?;
        }
        Ok(())
    }

    fn pending_rows(&self, account: AccountId, device: u8) -> Result<Vec<(Vec<u8>, PendingRecord)>, StoreError> {
        let prefix = pending_prefix(account, device);
        let rows = self.tx.scan(Table::Pending, &prefix, &prefix_end(&prefix), 1_000, Order::Ascending)?;
        rows.into_iter().map(|(key, row)| Ok((key, PendingRecord::from_row(Table::Pending, &row)?))).collect()
    }

    /// The devices of an account that payloads wait for.
    pub(crate) fn devices_waiting(&self, account: AccountId) -> Result<Vec<DeviceNumber>, StoreError> {
        let end = prefix_end(account.as_bytes());
        let (mut devices, mut from) = (Vec::new(), 1);
        while from <= DeviceNumber::MAX {
            let row = self.tx.scan(Table::Pending, &pending_prefix(account, from), &end, 1, Order::Ascending)?;
            let Some(number) = row.first().and_then(|(key, _)| key.get(AccountId::LEN)) else { break };
            devices.push(DeviceNumber::new(*number).map_err(|_| BadRow::error(Table::Pending))?);
            from = number + 1;
        }
        Ok(devices)
    }

    /// The directory answered with prekey bundles: sessions begin, and what waited for them is encrypted. Answers what was not usable.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_bundles(
        &mut self,
        peer: AccountId,
        response: &BundlesResponse,
    ) -> Result<Vec<(DeviceNumber, BundleRefusal)>, AccountError> {
        let account = self.account()?;
        let Some(key_set) = self.key_set(peer)? else { return Ok(Vec::new()) };
        let mut refused = Vec::new();
        for bundle in &response.bundles {
            let device = DeviceAddress { account: peer, device: bundle.device };
            match self.begin_session(&account, device, &key_set, bundle)? {
                Ok(mut session) => self.flush_pending(&account, &mut session, &key_set)?,
                Err(refusal) => refused.push((bundle.device, refusal)),
            }
        }
        self.drop_expired_pending(peer)?;
        if self.devices_waiting(peer)?.is_empty() {
            self.need_met(NeedKind::Bundles, peer)?;
        } else {
            self.handle_need_failed(NeedKind::Bundles, peer)?;
        }
        Ok(refused)
    }

    fn begin_session(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
        bundle: &DeviceBundle,
    ) -> Result<Result<StoredSession, BundleRefusal>, StoreError> {
        let Some(identity) = native_identity(key_set, device.device)? else {
            return Ok(Err(BundleRefusal::UnknownDevice));
        };
        let verified = match parse_bundle(identity, bundle).and_then(|bundle| bundle.verify(Profile::Native)) {
            Ok(verified) => verified,
            Err(error) => return Ok(Err(error.into())),
        };
        let peer = Peer { address: signal_address(device), identity };
        let session = match Session::initiate(
            self.rng,
            Profile::Native,
            &account.identity,
            signal_address(account.address),
            peer,
            verified,
        ) {
            Ok(session) => session,
            Err(error) => return Ok(Err(error.into())),
        };
        self.put_route(device, bundle.mailbox)?;
        self.add_session(device, session, None).map(Ok)
    }

    fn flush_pending(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        key_set: &VerifiedKeySet,
    ) -> Result<(), AccountError> {
        let device = session.key.peer;
        let identity = session.session.their_identity();
        for (row_key, record) in self.pending_rows(device.account, device.device.get())? {
            self.tx.delete(Table::Pending, &row_key)?;
            let message = record.message();
            if &record.identity != identity.as_bytes() {
                // The device has other keys than when the message was sent: it is not the device it was sent to.
                if let Some(message) = message {
                    self.set_delivery(message, device, DeliveryState::Failed(FailureReason::NoKeys))?;
                }
                continue;
            }
            self.encrypt_and_queue(account, session, key_set, record.payload.as_slice(), message)
                .map_err(as_account_error)?;
        }
        Ok(())
    }

    fn drop_expired_pending(&mut self, peer: AccountId) -> Result<(), StoreError> {
        for device in self.devices_waiting(peer)? {
            for (row_key, record) in self.pending_rows(peer, device.get())? {
                if self.now.since(UnixMillis(record.queued_at_ms)) > PENDING_MS_MAX {
                    self.tx.delete(Table::Pending, &row_key)?;
                    if let Some(message) = record.message() {
                        self.set_delivery(
                            message,
                            DeviceAddress { account: peer, device },
                            DeliveryState::Failed(FailureReason::NoKeys),
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Encrypts a payload on a session, seals it, and puts the envelope into the outbox.
    fn encrypt_and_queue(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        key_set: &VerifiedKeySet,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), SendError> {
        let answered = session.session.has_received();
        let payload = if answered && session.introduced >= INTRODUCTIONS_MIN {
            payload.to_vec()
        } else {
            session.introduced = session.introduced.saturating_add(1);
            self.introduce(account, payload)?
        };
        let step = session.session.encrypt(self.rng, &payload)?;
        let envelope = if answered {
            session.seal(step.output, self)
        } else {
            let Some(device) = key_set.device(session.key.peer.device) else { return Ok(()) };
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
        self.commit_step(session, &step.delta)?;
        self.queue(session.key.peer, &envelope, message)?;
        Ok(())
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

    /// The user has seen messages of a conversation: read receipts become due.
    ///
    /// # Errors
    /// Those of the store.
    pub fn mark_read(&mut self, conversation: ConversationId, up_to: u64) -> Result<(), AccountError> {
        let start = MessageKey { conversation, order: 0 }.bytes();
        let end = MessageKey { conversation, order: up_to.saturating_add(1) }.bytes();
        let mut before = end;
        loop {
            let rows = self.tx.scan(Table::Message, &start, &before, 64, Order::Descending)?;
            let Some((oldest, _)) = rows.last() else { return Ok(()) };
            before.clone_from(oldest);
            let mut unread = 0;
            for (row_key, _) in &rows {
                let Some(mut message) = self.message(MessageKey::parse(row_key)?)? else { continue };
                if message.state == MessageState::Received {
                    message.state = MessageState::Seen;
                    self.put_message(&message)?;
                    self.receipt_due(ReceiptKind::Read, conversation, message.sender.account, message.id)?;
                    unread += 1;
                }
            }
            // What is older than a page of seen messages was seen before.
            if unread == 0 {
                return Ok(());
            }
        }
    }

    /// Sends the receipts that are due, as many in one message as fit.
    ///
    /// # Errors
    /// Those of the store.
    pub fn flush_receipts(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        let rows = self.tx.scan(Table::ReceiptDue, &[], &prefix_end(&[]), 1_000, Order::Ascending)?;
        let mut groups: Vec<((u8, ConversationId, AccountId), Vec<MessageId>)> = Vec::new();
        for (row_key, _) in rows {
            self.tx.delete(Table::ReceiptDue, &row_key)?;
            let (group, message) = parse_receipt_key(&row_key).ok_or_else(|| BadRow::error(Table::ReceiptDue))?;
            match groups.last_mut() {
                Some((last, messages)) if *last == group && messages.len() < rcseal_wire::content::RECEIPT_LEN_MAX => {
                    messages.push(message)
                }
                _ => groups.push((group, vec![message])),
            }
        }
        for ((kind, conversation, to), messages) in groups {
            let receipt = match ReceiptKind::from_code(kind) {
                Some(ReceiptKind::Delivered) => Receipt::Delivered(messages),
                Some(ReceiptKind::Read) => Receipt::Read(messages),
                None => return Err(BadRow::error(Table::ReceiptDue).into()),
            };
            self.send_notice(&account, to, conversation, Body::Receipt(receipt)).map_err(as_account_error)?;
        }
        Ok(())
    }

    pub(crate) fn receipt_due(
        &mut self,
        kind: ReceiptKind,
        conversation: ConversationId,
        to: AccountId,
        message: MessageId,
    ) -> Result<(), StoreError> {
        let key = [&[kind.code()][..], conversation.as_bytes(), to.as_bytes(), message.as_bytes()].concat();
        self.tx.put(Table::ReceiptDue, &key, &[])
    }
}

/// Receipts that can be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptKind {
    Delivered,
    Read,
}

impl ReceiptKind {
    const fn code(self) -> u8 {
        match self {
            Self::Delivered => 1,
            Self::Read => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Delivered),
            2 => Some(Self::Read),
            _ => None,
        }
    }
}

fn parse_receipt_key(key: &[u8]) -> Option<((u8, ConversationId, AccountId), MessageId)> {
    let (kind, rest) = key.split_first()?;
    let (conversation, rest) = rest.split_first_chunk::<16>()?;
    let (account, message) = rest.split_first_chunk::<16>()?;
    Some((
        (*kind, ConversationId::from_bytes(*conversation), AccountId::from_bytes(*account)),
        MessageId::parse(message).ok()?,
    ))
}

impl PendingRecord {
    fn message(&self) -> Option<MessageKey> {
        (self.has_message == 1)
            .then_some(MessageKey { conversation: ConversationId::from_bytes(self.conversation), order: self.order })
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
        | Body::Unknown => true,
        Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Receipt(_)
        | Body::Typing(_)
        | Body::KeySetChanged
        | Body::ContactSync(_) => false,
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

fn parse_bundle(identity: IdentityKey, bundle: &DeviceBundle) -> Result<PreKeyBundle, rcseal_signal::BundleError> {
    Ok(PreKeyBundle {
        identity,
        signed_prekey: SignedPreKeyPublic::from_parts(
            bundle.signed.id,
            &bundle.signed.key.0,
            &bundle.signed.signature.0,
        )?,
        kem_prekey: KemPreKeyPublic::from_parts(bundle.kem.id, &bundle.kem.key.0, &bundle.kem.signature.0)?,
        one_time: bundle
            .one_time
            .as_ref()
            .map(|prekey| OneTimePreKeyPublic::from_parts(prekey.id, &prekey.key.0))
            .transpose()?,
    })
}

/// Sending what the engine itself made fails only as the store fails: its contents are within every limit.
pub(crate) fn as_account_error(error: SendError) -> AccountError {
    match error {
        SendError::Store(error) => error.into(),
        SendError::Account(error) => error,
        other => StoreError::new(StoreErrorKind::Corrupt, other).into(),
    }
}
