//! Taking in what an authenticated device said: introductions, messages, receipts, changes.

use rcseal_wire::content::{Body, Content, Payload, Receipt};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, EnvelopeId};

use super::{Failure, Undecryptable};
use crate::account::{Account, AccountError};
use crate::context::{Engine, UnixMillis};
use crate::conversation::{direct, direct_conversation_id};
use crate::event::Event;
use crate::message::{DeliveryState, EncryptionStatus, Message, MessageState};
use crate::policy::DeliveryMode;
use crate::send::{ReceiptKind, SendError, as_account_error, is_shown};
use crate::session::SessionKey;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Notices of undecryptable envelopes that one session sends back.
const REPORTED_MAX: u16 = 64;

impl Engine<'_> {
    /// Takes in what an authenticated device said. The ratchet has moved and stays moved, whatever is in the payload.
    pub(super) fn take_payload(
        &mut self,
        account: &Account,
        sender: DeviceAddress,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let Ok(payload) = Payload::parse(bytes) else {
            return Err(Undecryptable::Content.into());
        };
        // The session has moved on with the message; the user wants nothing to do with what it says.
        if self.is_blocked(sender.account)? {
            self.arrival.is_blocked = true;
            return Ok(());
        }
        self.admit(sender.account)?;
        self.tell_card(account, sender)?;
        self.tell_number_seen(sender.account)?;
        if let Some(introduction) = &payload.introduction {
            self.introduced(account, sender, introduction)?;
        }
        if self.key_set(sender.account)?.is_none_or(|key_set| key_set.counter() < payload.key_set_counter) {
            self.need_key_set(sender.account)?;
        }
        // What concerns no conversation.
        match payload.content.body() {
            Body::KeySetChanged => return Ok(self.need_key_set(sender.account)?),
            // From the device that holds the account key: another one could plant somebody of its own as a verified contact.
            Body::ContactSync(_)
                if sender.account != account.address.account || !self.is_primary(account, sender.device)? =>
            {
                return Err(Undecryptable::NotParticipant.into());
            }
            Body::ContactSync(_) => {
                if let Body::ContactSync(entries) = payload.content.into_body() {
                    self.take_contact_entries(entries)?;
                }
                return Ok(());
            }
            Body::Rekey(step) => {
                let taken = self.take_rekey(account, sender, *step);
                return Ok(taken.map_err(as_account_error)?);
            }
            Body::Capabilities(card) => {
                if sender.account != account.address.account {
                    self.take_card(sender, card)?;
                }
                return Ok(());
            }
            Body::EnvelopeReference(reference) => return Ok(self.take_reference(account, sender, reference)?),
            Body::NumberSeen(seen) => return Ok(self.take_number_seen(account, sender.account, seen)?),
            Body::ContinueCase { token } => return Ok(self.take_continue_case(account, sender, token)?),
            Body::CaseState(state) => return Ok(self.take_case_state(account, sender.account, state)?),
            // Of a later version, and nothing to show.
            Body::Ignored => return Ok(()),
            Body::ResendRequest { envelopes } => {
                return Ok(self.take_resend_request(account, sender, envelopes).map_err(as_account_error)?);
            }
            _ => {}
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

    /// A message of this account has authenticated: it is a contact now, and what waited for its keys may go to them.
    fn admit(&mut self, account: AccountId) -> Result<(), AccountError> {
        let Some(mut contact) = self.contact(account)?.filter(|contact| contact.is_candidate) else { return Ok(()) };
        contact.is_candidate = false;
        self.put_contact(&contact)?;
        self.emit(Event::ContactAdded { account })?;
        self.release_unless_kept_back(account)
    }

    /// How to answer the sender.
    ///
    /// A contact is where its invitation said, or where its key set was found. Its own word does not move it: receipts go out by
    /// themselves, so whoever could name a server would make this device connect to any machine they like, and learn its address.
    fn introduced(
        &mut self,
        account: &Account,
        sender: DeviceAddress,
        introduction: &rcseal_wire::content::Introduction,
    ) -> Result<(), StoreError> {
        if sender.account == account.address.account {
            // The device that holds the account key replaces the delivery token for all.
            if self.is_primary(account, sender.device)? {
                let mut account = self.account().map_err(|_| BadRow::error(Table::Account))?;
                account.delivery_token = introduction.delivery_token.duplicate();
                self.put_account(&account)?;
            }
            return self.put_route(sender, introduction.mailbox);
        }
        let Some(mut contact) = self.contact(sender.account)? else { return Ok(()) };
        contact.display_name.clone_from(&introduction.display_name);
        if contact.origin == introduction.origin {
            contact.delivery_token = introduction.delivery_token.duplicate();
            self.put_route(sender, introduction.mailbox)?;
        }
        self.put_contact(&contact)
    }

    fn take_content(&mut self, account: &Account, sender: DeviceAddress, payload: Payload) -> Result<(), Failure> {
        let own = account.address.account;
        let conversation = payload.conversation_id;
        if !matches!(payload.content.body(), Body::Receipt(_) | Body::Typing(_)) {
            self.note_activity(conversation)?;
        }
        if is_shown(payload.content.body()) {
            return Ok(self.take_message(own, sender, payload)?);
        }
        match payload.content.body() {
            Body::Receipt(receipt) => self.take_receipt(account, sender, conversation, receipt)?,
            Body::Typing(active) => {
                self.emit(Event::Typing { conversation, account: sender.account, active: *active })?;
            }
            _ => {
                self.apply_change(conversation, sender.account, &payload.content)?;
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
        let encryption = EncryptionStatus::of(self.mode_of_arrival(sender)?);
        let content = Content::as_bytes(&payload.content).to_vec();
        self.add_message(conversation, |key| Message {
            key,
            id,
            sender,
            is_outgoing,
            sent_at: UnixMillis(payload.sent_at_ms),
            received_at: now,
            state: if is_outgoing { MessageState::Stored } else { MessageState::Received },
            encryption,
            is_edited: false,
            content,
        })?;
        if !is_outgoing {
            self.message_is_here(id)?;
            self.note_announced(conversation, sender, payload.content.body(), UnixMillis(payload.sent_at_ms))?;
            self.heard_end_to_end(conversation, sender, payload.content.body())?;
            self.receipt_due(ReceiptKind::Delivered, conversation, sender.account, id)?;
        }
        self.emit(Event::MessageReceived { conversation, sender: sender.account, message: id })?;
        self.apply_early_changes(conversation, id)
    }

    /// How what is being taken in went, as far as this device can tell: a broker on the other side is known by what the sender's device
    /// says of itself, and one on this side by having brought it.
    fn mode_of_arrival(&self, sender: DeviceAddress) -> Result<DeliveryMode, StoreError> {
        if !self.arrival.is_by_carrier {
            return Ok(DeliveryMode::Relayed);
        }
        let is_brokered = self.arrival.is_by_broker || self.card(sender)?.is_some_and(|card| card.is_via_broker);
        Ok(if is_brokered { DeliveryMode::Brokered } else { DeliveryMode::Native })
    }

    fn take_receipt(
        &mut self,
        account: &Account,
        sender: DeviceAddress,
        conversation: ConversationId,
        receipt: &Receipt,
    ) -> Result<(), AccountError> {
        let own = account.address.account;
        if sender.account == own {
            return Ok(());
        }
        let (ids, state) = match receipt {
            Receipt::Delivered(ids) => (ids, DeliveryState::Delivered),
            Receipt::Read(ids) => (ids, DeliveryState::Read),
            Receipt::Undecryptable { envelopes, reason } => {
                let reason = Undecryptable::from_number(*reason).unwrap_or(Undecryptable::Malformed);
                for envelope in envelopes {
                    let Some(sent) = self.sent(*envelope)?.filter(|sent| sent.recipient.account == sender.account)
                    else {
                        continue;
                    };
                    self.set_delivery(sent.message, sent.recipient, DeliveryState::Undecryptable(reason))?;
                    if sent.recipient == sender {
                        self.confirm_on_carrier(sent.message, sender, DeliveryState::Undecryptable(reason))?;
                    }
                    if sent.recipient == sender && reason.is_of_the_session() {
                        self.session_refused(account, sender).map_err(as_account_error)?;
                    }
                }
                return Ok(());
            }
        };
        self.session_is_read(sender)?;
        for id in ids {
            // Only our own messages, in this conversation.
            if let Some(message) = self.find_message(conversation, own, *id)? {
                self.set_delivery(message.key, sender, state)?;
                self.confirm_on_carrier(message.key, sender, state)?;
            }
        }
        Ok(())
    }

    /// Tells the peer of a session that something it sealed could not be decrypted.
    pub(super) fn report(
        &mut self,
        account: &Account,
        session: SessionKey,
        envelope: EnvelopeId,
        reason: Undecryptable,
    ) -> Result<(), SendError> {
        // As it is stored now: what the payload brought may have moved it on.
        let Some(mut stored) = self.session(session)?.filter(|stored| stored.reported < REPORTED_MAX) else {
            return Ok(());
        };
        stored.reported += 1;
        self.save_session(&stored)?;
        let peer = session.peer.account;
        if peer == account.address.account {
            return Ok(());
        }
        let conversation = direct_conversation_id(account.address.account, peer);
        let receipt = Body::Receipt(Receipt::Undecryptable { envelopes: vec![envelope], reason: reason.number() });
        self.send_notice(account, peer, conversation, receipt)
    }
}
