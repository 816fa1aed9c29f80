//! Answering a device that asks for an envelope once more.

use std::collections::BTreeSet;

use rcseal_wire::content::Content;
use rcseal_wire::id::{DeviceAddress, EnvelopeId};

use super::held::AgainRecord;
use crate::account::Account;
use crate::context::Engine;
use crate::message::{DeliveryState, Message, MessageKey};
use crate::send::{SendError, native_identity};
use crate::store::{BadRow, StoreError, Table};

/// Messages that one device is sent again in an hour: as many as an honest one asks for.
const RESENT_PER_HOUR_MAX: u16 = 64;
/// Times that one message is sent again to one device: once for the failure, once for the session that replaces the broken one, and one to
/// spare. What fails four times will fail a fifth time.
const RESENT_PER_MESSAGE_MAX: u8 = 3;

impl Engine<'_> {
    /// A device asks for envelopes once more. What it has no right to is passed over in silence: an answer would tell it what there is.
    pub(crate) fn take_resend_request(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        envelopes: &[EnvelopeId],
    ) -> Result<(), SendError> {
        let Some(key_set) = self.key_set(device.account)? else { return Ok(()) };
        let Some(identity) = native_identity(&key_set, device.device)? else { return Ok(()) };
        let mut taken = BTreeSet::new();
        for envelope in envelopes {
            let Some(sent) = self.sent(*envelope)?.filter(|sent| sent.recipient == device) else { continue };
            // Two envelopes of one message are one message.
            if !taken.insert(sent.message.bytes()) {
                continue;
            }
            // After a change of the account key it is the user who says whether it is still the same person.
            if &sent.identity == identity.as_bytes() && !self.is_kept_back(device.account)? {
                self.resend(account, device, sent.message)?;
            } else {
                self.hold_asked(device, sent.message)?;
            }
        }
        Ok(())
    }

    /// Holds what a device asks for under other keys. Each tells the app something, so they count as answers do.
    fn hold_asked(&mut self, device: DeviceAddress, message: MessageKey) -> Result<(), StoreError> {
        let mut peer = self.peer(device)?;
        if !peer.resent.take(self.now, RESENT_PER_HOUR_MAX) {
            return Ok(());
        }
        self.put_peer(device, &peer)?;
        self.hold(message, device)
    }

    fn resend(&mut self, account: &Account, device: DeviceAddress, message: MessageKey) -> Result<(), SendError> {
        let Some(known) = self.message(message)?.filter(Message::may_be_sent_again) else { return Ok(()) };
        let mut again = self.again(message, device)?;
        let mut peer = self.peer(device)?;
        if again.count >= RESENT_PER_MESSAGE_MAX || !peer.resent.take(self.now, RESENT_PER_HOUR_MAX) {
            return Ok(());
        }
        self.put_peer(device, &peer)?;
        again = AgainRecord { count: again.count + 1, at_ms: self.now.0, ..again };
        self.put_again(message, device, &again)?;
        self.send_again(account, device, &known)
    }

    /// Sends a device what a message says now, under the message's own id.
    pub(super) fn send_again(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        message: &Message,
    ) -> Result<(), SendError> {
        let Some(key_set) = self.key_set(device.account)? else { return Ok(()) };
        let content = Content::parse(message.content.clone()).map_err(|_| BadRow::error(Table::Message))?;
        let payload = self.payload(account, message.id, message.key.conversation, message.sent_at, content)?;
        self.set_delivery(message.key, device, DeliveryState::Queued)?;
        self.dispatch_to_device(account, device, &key_set, &payload, Some(message.key))
    }
}

impl Message {
    /// Whether this account wrote it and has not taken it back.
    pub(super) fn may_be_sent_again(&self) -> bool {
        self.is_outgoing && !self.content.is_empty()
    }
}
