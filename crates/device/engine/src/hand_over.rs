//! Handing messages to an app that has an RCS stack of its own.
//!
//! Where a shell has a transport, what is the carrier's waits in the outbox until the shell polls it. An app with a stack of its own wants
//! the frames at once, as the answer to one call, and carries them itself. [`Engine::hand_over`] sends a message as [`Engine::send`] does
//! and takes the carrier's rows out of the outbox in the same transaction; or it answers why that cannot be, and nothing was sent.
//!
//! Everything else is the native route as it is: what is handed over is under its decision's permit, waits for the device's own receipt,
//! and goes by the relay when the stack refuses or when the patience ends. What the stack received goes to
//! [`Engine::handle_carrier_message`]. Nothing here makes a message more readable: what is not ciphertext cannot be handed out.
//! `docs/protocol/native.md`, *An app's own stack*.

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_wire::content::Body;
use rcseal_wire::id::{ConversationId, MessageId};

use crate::account::AccountError;
use crate::carrier::CarrierHandover;
use crate::context::Engine;
use crate::message::MessageKey;
use crate::outbox::OutboxRecord;
use crate::pages::Pages;
use crate::policy::DeliveryMode;
use crate::record::{Record as _, trailing_u64};
use crate::send::SendError;
use crate::store::{StoreError, Table};

/// Rows read at once: they may have 96 KiB each.
const PAGE: usize = 64;

/// A message for an app's own stack.
#[must_use = "what is not carried goes by the relay only after the patience"]
#[derive(Debug)]
pub struct HandedOver {
    /// The message.
    pub message: MessageId,
    /// The number that this device is on the carrier with.
    pub from: PhoneNumber,
    /// One for each device of the contact that the carrier reaches. The other devices get theirs by the relay.
    pub envelopes: Vec<CarrierHandover>,
}

/// Why a message was not handed over. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It cannot be sent at all.
    #[error(transparent)]
    Send(#[from] SendError),
    /// This device is on no carrier ([`Engine::set_carrier`]).
    #[error("this device is on no carrier")]
    NoCarrier,
    /// It would go another way.
    #[error("the message would go another way: {reason}")]
    OtherWay {
        /// In which mode.
        mode: DeliveryMode,
        /// Why: a stable code.
        reason: &'static str,
    },
    /// It is no message of its own: reactions, edits and the like go by the relay.
    #[error("only messages that are shown go by a carrier")]
    NotShown,
    /// It was decided to go by the carrier, and no device of the contact can be reached there with it: none has said that it can, or the
    /// message is too long for the stack.
    #[error("no device of the contact is reached by the carrier with this message")]
    NotReached,
}

impl HandOverError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Send(error) => error.code(),
            Self::NoCarrier => "hand_over_no_carrier",
            Self::OtherWay { .. } => "hand_over_other_way",
            Self::NotShown => "hand_over_not_shown",
            Self::NotReached => "hand_over_not_reached",
        }
    }
}

impl From<StoreError> for HandOverError {
    fn from(error: StoreError) -> Self {
        Self::Send(error.into())
    }
}

impl From<AccountError> for HandOverError {
    fn from(error: AccountError) -> Self {
        Self::Send(error.into())
    }
}

impl Engine<'_> {
    /// Sends a content into a conversation and answers what an app's own stack is to carry.
    ///
    /// # Errors
    /// [`HandOverError`]; nothing was sent then, and [`Engine::send`] may be tried.
    pub fn hand_over(
        &mut self,
        conversation: ConversationId,
        body: Body,
        reply_to: Option<MessageId>,
    ) -> Result<HandedOver, HandOverError> {
        let own = self.account()?.address.account;
        let Some(setup) = self.carrier_setup()? else { return Err(HandOverError::NoCarrier) };
        let message = self.send(conversation, body, reply_to)?;
        let Some(sent) = self.find_message(conversation, own, message)? else { return Err(HandOverError::NotShown) };
        let Some(decided) = self.decision_of(message)?.map(|stored| stored.decision) else {
            return Err(HandOverError::NotShown);
        };
        match decided.mode() {
            Some(mode) if mode.is_by_carrier() => {}
            Some(mode) => return Err(HandOverError::OtherWay { mode, reason: decided.reason.code() }),
            None => return Err(HandOverError::NotReached),
        }
        let mut envelopes = Vec::new();
        for number in self.rows_of(sent.key)? {
            let Some(mut record) = self.outgoing_row(number)? else { continue };
            envelopes.extend(self.carrier_step_at_once(number, &mut record)?);
        }
        if envelopes.is_empty() {
            return Err(HandOverError::NotReached);
        }
        Ok(HandedOver { message, from: setup.number, envelopes })
    }

    /// What the app's stack made of a message: of all that was handed over for it, and of the worst part. What the stack took waits for the
    /// device's own receipt; what it did not take goes by the relay. For a message that waits for nothing any more this does nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_hand_over_outcome(
        &mut self,
        conversation: ConversationId,
        message: MessageId,
        outcome: &Result<Taken, SendFailure>,
    ) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        let Some(sent) = self.find_message(conversation, own, message)? else { return Ok(()) };
        for number in self.rows_of(sent.key)? {
            self.handle_carrier_outcome(number, outcome.clone())?;
        }
        Ok(())
    }

    /// The rows of the outbox that hold a message.
    fn rows_of(&self, message: MessageKey) -> Result<Vec<u64>, StoreError> {
        let (mut numbers, mut pages) = (Vec::new(), Pages::new(Table::Outbox, &[], PAGE));
        while let Some(rows) = pages.next(self.tx)? {
            for (key, row) in &rows {
                if OutboxRecord::from_row(Table::Outbox, row)?.message() == Some(message) {
                    numbers.push(trailing_u64(Table::Outbox, key)?);
                }
            }
        }
        Ok(numbers)
    }
}
