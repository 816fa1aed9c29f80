//! Conversations and safety numbers for Node.

use std::sync::Arc;

use napi_derive::napi;

use super::listener::{NodeListener, Tell};
use super::{answer, failed, record, whole, whole_u32};
use crate::conversation::Conversation;
use crate::observe::ProgressListener;
use crate::safety::SafetyNumber;

/// The conversation with one contact.
#[napi]
pub struct NativeConversation {
    conversation: Arc<Conversation>,
    id: String,
    contact_id: String,
}

impl NativeConversation {
    pub(super) fn new(conversation: Arc<Conversation>) -> napi::Result<Self> {
        let id = conversation.id().map_err(failed)?;
        let contact_id = conversation.contact_id().map_err(failed)?;
        Ok(Self { conversation, id, contact_id })
    }

    fn conversation(&self) -> Arc<Conversation> {
        Arc::clone(&self.conversation)
    }
}

#[napi]
impl NativeConversation {
    /// Its id.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// The contact's id.
    #[napi(getter)]
    pub fn contact_id(&self) -> String {
        self.contact_id.clone()
    }

    /// A page of messages.
    #[napi]
    pub async fn messages(&self, before_order: Option<f64>, limit: f64) -> napi::Result<String> {
        let before = before_order.map(|order| whole("beforeOrder", order)).transpose()?;
        answer(self.conversation().messages(before, whole_u32("limit", limit)?).await)
    }

    /// One message.
    #[napi]
    pub async fn message(&self, sender_id: String, message_id: String) -> napi::Result<String> {
        answer(self.conversation().message(sender_id, message_id).await)
    }

    /// Sends.
    #[napi]
    pub async fn send(&self, message: String, progress: Option<Tell>) -> napi::Result<String> {
        let message = record("message", &message)?;
        let conversation = self.conversation();
        answer(match progress {
            None => conversation.send(message).await,
            Some(progress) => conversation.send_with_progress(message, Arc::new(NodeListener(progress))).await,
        })
    }

    /// The user has seen these.
    #[napi]
    pub async fn mark_read(&self, up_to_order: f64) -> napi::Result<()> {
        self.conversation().mark_read(whole("upToOrder", up_to_order)?).await.map_err(failed)
    }

    /// The user is writing, or has stopped.
    #[napi]
    pub async fn set_typing(&self, is_typing: bool) -> napi::Result<()> {
        self.conversation().set_typing(is_typing).await.map_err(failed)
    }

    /// How safe it is.
    #[napi]
    pub async fn security(&self) -> napi::Result<String> {
        answer(self.conversation().security().await)
    }

    /// Its fallback policy.
    #[napi]
    pub async fn fallback_policy(&self) -> napi::Result<String> {
        answer(self.conversation().fallback_policy().await)
    }

    /// Sets it.
    #[napi]
    pub async fn set_fallback_policy(&self, policy: String) -> napi::Result<()> {
        self.conversation().set_fallback_policy(record("policy", &policy)?).await.map_err(failed)
    }

    /// The user agrees to a readable mode.
    #[napi]
    pub async fn give_consent(&self, mode: String, expires_at_ms: f64) -> napi::Result<()> {
        let (mode, expires_at_ms) = (record("mode", &mode)?, whole("expiresAtMs", expires_at_ms)?);
        self.conversation().give_consent(mode, expires_at_ms).await.map_err(failed)
    }

    /// The user acknowledges one.
    #[napi]
    pub async fn acknowledge_downgrade(&self, mode: String) -> napi::Result<()> {
        self.conversation().acknowledge_downgrade(record("mode", &mode)?).await.map_err(failed)
    }

    /// End to end again.
    #[napi]
    pub async fn restore_end_to_end(&self) -> napi::Result<()> {
        self.conversation().restore_end_to_end().await.map_err(failed)
    }

    /// Fetches a file.
    #[napi]
    pub async fn fetch_encrypted_blob(
        &self,
        sender_id: String,
        message_id: String,
        part: String,
        path: String,
        progress: Option<Tell>,
    ) -> napi::Result<()> {
        let part = record("part", &part)?;
        let progress = progress.map(|progress| -> Arc<dyn ProgressListener> { Arc::new(NodeListener(progress)) });
        self.conversation().fetch_encrypted_blob(sender_id, message_id, part, path, progress).await.map_err(failed)
    }

    /// The safety number.
    #[napi]
    pub async fn safety_number(&self) -> napi::Result<NativeSafetyNumber> {
        Ok(NativeSafetyNumber::new(self.conversation().safety_number().await.map_err(failed)?))
    }
}

/// A safety number.
#[napi]
pub struct NativeSafetyNumber {
    number: Arc<SafetyNumber>,
}

impl NativeSafetyNumber {
    pub(super) const fn new(number: Arc<SafetyNumber>) -> Self {
        Self { number }
    }
}

#[napi]
impl NativeSafetyNumber {
    /// Sixty digits.
    #[napi(getter)]
    pub fn numeric(&self) -> napi::Result<String> {
        self.number.numeric().map_err(failed)
    }

    /// What the code holds.
    #[napi(getter)]
    pub fn qr_payload(&self) -> napi::Result<String> {
        self.number.qr_payload().map_err(failed)
    }

    /// The contact's code was scanned.
    #[napi]
    pub async fn verify(&self, scan: String) -> napi::Result<()> {
        Arc::clone(&self.number).verify(scan).await.map_err(failed)
    }

    /// The digits were compared.
    #[napi]
    pub async fn verify_digits(&self, digits: String) -> napi::Result<()> {
        Arc::clone(&self.number).verify_digits(digits).await.map_err(failed)
    }
}
