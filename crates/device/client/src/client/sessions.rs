//! Sessions: looking at them, turning them, and deciding what goes to keys that changed.

use rcseal_engine::overview::DeviceSessions;
use rcseal_engine::rekey::RekeyInterval;
use rcseal_engine::renewal::Handshakes;
use rcseal_engine::resend::HeldResend;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::{Client, ClientError};

impl Client {
    /// The devices of an account and the sessions with each: a contact's, or this account's other devices.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions(&self, account: AccountId) -> Result<Vec<DeviceSessions>, ClientError> {
        self.core.engine(move |engine| engine.sessions(account)).await
    }

    /// How many handshakes this device has taken part in, ever.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn handshakes(&self) -> Result<Handshakes, ClientError> {
        self.core.engine(|engine| engine.handshakes()).await
    }

    /// Asks the devices of a conversation for new ratchet keys. Answers how many are asked: those that there is a session with, whether or
    /// not they have ever answered in it, less those that were asked within the last minute. The keys are new when they have answered.
    ///
    /// # Errors
    /// [`ClientError::Send`] when there is no such conversation, or nothing may be sent to its contact.
    pub async fn rekey_now(&self, conversation: ConversationId) -> Result<usize, ClientError> {
        self.core.change(move |engine| engine.rekey_now(conversation)).await
    }

    /// How long the sessions of a conversation go without new ratchet keys while it is active; `None` is for ever.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rekey_interval(&self, conversation: ConversationId) -> Result<Option<RekeyInterval>, ClientError> {
        self.core.engine(move |engine| engine.rekey_interval(conversation)).await
    }

    /// Chooses that; an hour where nothing was chosen.
    ///
    /// # Errors
    /// [`ClientError::Send`] when there is no such conversation.
    pub async fn set_rekey_interval(
        &self,
        conversation: ConversationId,
        interval: Option<RekeyInterval>,
    ) -> Result<(), ClientError> {
        let interval = self.core.bounded_rekey(interval).await?;
        self.core.change(move |engine| engine.set_rekey_interval(conversation, interval)).await
    }

    /// Messages that would have to go to other keys than they were sent to, and wait for the user.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn held_resends(&self) -> Result<Vec<HeldResend>, ClientError> {
        self.core.engine(|engine| engine.held_resends()).await
    }

    /// The user has decided that a held message goes to the keys its recipients have now. Answers to how many devices that is.
    ///
    /// # Errors
    /// [`ClientError::Resend`].
    pub async fn approve_resend(&self, conversation: ConversationId, message: MessageId) -> Result<usize, ClientError> {
        self.core.change(move |engine| engine.approve_resend(conversation, message)).await
    }
}
