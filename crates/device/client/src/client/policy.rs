//! How messages go, and threads with numbers that have no account: the client's face of the engine's `policy`, `capability` and `plain`.
//!
//! What is refused is refused whole: the transaction is rolled back, and the refusal is stored and journalled in one of its own.

use rcseal_engine::UnixMillis;
use rcseal_engine::capability::{ContactCapabilities, HintView};
use rcseal_engine::plain::{PlainError, PlainMessageView, ThreadView};
use rcseal_engine::policy::{
    Consent, ConsentId, DeliveryMode, Explanation, FallbackPolicy, JournalEntry, JournalSummary, PolicyScope,
    RoutePreference, StoredDecision, Subject,
};
use rcseal_engine::send::SendError;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::remote_config::RemoteKey;
use super::{Client, ClientError};

impl Client {
    // ---- policy

    /// Sets a fallback policy of the tenant, the account, or one conversation or thread; `None` takes it back. The stricter wins.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn set_fallback_policy(
        &self,
        scope: PolicyScope,
        policy: Option<FallbackPolicy>,
    ) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_fallback_policy(scope, policy)).await
    }

    /// The fallback policy that is set in one place.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn fallback_policy(&self, scope: PolicyScope) -> Result<Option<FallbackPolicy>, ClientError> {
        self.core.engine(move |engine| engine.fallback_policy(scope)).await
    }

    /// Sets which end-to-end way is taken where there are two: for one conversation, or with `None` for the account.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn set_route_preference(
        &self,
        subject: Option<Subject>,
        preference: Option<RoutePreference>,
    ) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_route_preference(subject, preference)).await
    }

    /// The route preference that counts for a conversation or thread.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn route_preference(&self, subject: Subject) -> Result<RoutePreference, ClientError> {
        self.core.engine(move |engine| engine.route_preference(subject)).await
    }

    /// Why a message would go the way it would go now.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn explain(&self, subject: Subject) -> Result<Explanation, ClientError> {
        self.core.engine(move |engine| engine.explain(subject)).await
    }

    /// Stored decisions with a number below `before`, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn decisions(&self, before: Option<u64>, limit: usize) -> Result<Vec<StoredDecision>, ClientError> {
        self.core.engine(move |engine| engine.decisions(before, limit)).await
    }

    /// The decision that a message went by.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn decision_of(&self, message: MessageId) -> Result<Option<StoredDecision>, ClientError> {
        self.core.engine(move |engine| engine.decision_of(message)).await
    }

    /// Entries of the fallback journal with a number above `after`, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalEntry>, ClientError> {
        self.core.engine(move |engine| engine.journal(after, limit)).await
    }

    /// Counts of the journal's entries since a time, in a form that an operator may see.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn journal_summary(&self, since: UnixMillis) -> Result<JournalSummary, ClientError> {
        self.core.engine(move |engine| engine.journal_summary(since)).await
    }

    /// The user agrees that messages to one recipient go in one readable mode, for a time.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn give_consent(
        &self,
        subject: Subject,
        mode: DeliveryMode,
        expires_at: UnixMillis,
    ) -> Result<ConsentId, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoNewReadable).await?;
        self.core.change(move |engine| engine.give_consent(subject, mode, expires_at)).await
    }

    /// The user takes a consent back.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn withdraw_consent(&self, id: ConsentId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.withdraw_consent(id)).await
    }

    /// Every consent on record.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn consents(&self) -> Result<Vec<Consent>, ClientError> {
        self.core.engine(|engine| engine.consents()).await
    }

    /// The user has asked the holder of a number by another way, and they have no end-to-end encryption.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn attest_absence(&self, number: PhoneNumber, expires_at: UnixMillis) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.attest_absence(&number, expires_at)).await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn withdraw_attestation(&self, number: PhoneNumber) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.withdraw_attestation(&number)).await
    }

    /// The user acknowledges that a conversation with somebody known to be capable goes without end-to-end encryption. The other side is
    /// told, end to end.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn acknowledge_downgrade(
        &self,
        conversation: ConversationId,
        mode: DeliveryMode,
    ) -> Result<MessageId, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoNewReadable).await?;
        self.core.change(move |engine| engine.acknowledge_downgrade(conversation, mode)).await
    }

    /// The same for a number that is known to be capable and is no contact's.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn acknowledge_plain(&self, number: PhoneNumber, mode: DeliveryMode) -> Result<(), ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoNewReadable).await?;
        self.core.change(move |engine| engine.acknowledge_plain(&number, mode)).await
    }

    /// A downgraded conversation is end to end again.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn restore_conversation(&self, conversation: ConversationId) -> Result<MessageId, ClientError> {
        self.core.change(move |engine| engine.restore_conversation(conversation)).await
    }

    /// The mode that the user has acknowledged for a conversation; `None` where it is end to end.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn acknowledged_downgrade(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<DeliveryMode>, ClientError> {
        self.core.engine(move |engine| engine.acknowledged_downgrade(conversation)).await
    }

    /// What is known of a contact's devices, and from where.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn capabilities(&self, contact: AccountId) -> Result<ContactCapabilities, ClientError> {
        self.core.engine(move |engine| engine.capabilities(contact)).await
    }

    /// What the carrier answered about a number, while it counts.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn carrier_hint(&self, number: PhoneNumber) -> Result<Option<HintView>, ClientError> {
        self.core.engine(move |engine| engine.carrier_hint(&number)).await
    }

    // ---- threads with numbers

    /// Opens a thread with a number that has no account, or names it.
    ///
    /// # Errors
    /// [`ClientError::Plain`].
    pub async fn open_thread(&self, number: PhoneNumber, name: String) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.open_thread(&number, &name)).await
    }

    /// Every thread.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn threads(&self) -> Result<Vec<ThreadView>, ClientError> {
        self.core.engine(|engine| engine.threads()).await
    }

    /// Sends words into a thread, if policy and consent allow it. Answers the message's place in it.
    ///
    /// # Errors
    /// [`ClientError::Plain`]; nothing was sent then. A refusal is stored and journalled.
    pub async fn send_plain(&self, number: PhoneNumber, words: String) -> Result<u64, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoNewReadable).await?;
        let outcome = self.core.change(move |engine| engine.send_plain(&number, &words)).await;
        self.noting_refusal(outcome).await
    }

    /// Messages of a thread with a place below `before`, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn plain_messages(
        &self,
        number: PhoneNumber,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PlainMessageView>, ClientError> {
        self.core.engine(move |engine| engine.plain_messages(&number, before, limit)).await
    }

    /// The user has seen a thread.
    ///
    /// # Errors
    /// [`ClientError::Plain`].
    pub async fn mark_thread_read(&self, number: PhoneNumber) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.mark_thread_read(&number)).await
    }

    /// Deletes a thread and what is in it.
    ///
    /// # Errors
    /// [`ClientError::Plain`].
    pub async fn delete_thread(&self, number: PhoneNumber) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.delete_thread(&number)).await
    }

    /// Stores and journals a refusal, and passes it on. Its number stands in the decision that the error holds.
    pub(super) async fn noting_refusal<T>(&self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        let refusal = match &outcome {
            Err(ClientError::Send(SendError::Refused(refusal)) | ClientError::Plain(PlainError::Refused(refusal))) => {
                **refusal
            }
            Ok(_) | Err(_) => return outcome,
        };
        let decision = self.core.change(move |engine| engine.note_refusal(&refusal)).await?;
        let stored = Box::new(StoredDecision { decision, ..refusal });
        Err(match outcome {
            Err(ClientError::Plain(_)) => PlainError::Refused(stored).into(),
            Ok(_) | Err(_) => SendError::Refused(stored).into(),
        })
    }
}
