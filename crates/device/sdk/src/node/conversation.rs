//! Conversations and safety numbers for Node.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::listener::{NodeListener, Tell};
use super::{answer, failed, promise, record, whole, whole_u32};
use crate::conversation::Conversation;
use crate::observe::ProgressListener;
use crate::safety::SafetyNumber;

/// The conversation with one contact.
#[napi]
#[derive(Clone)]
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
    pub fn messages<'env>(
        &self,
        env: &'env Env,
        before_order: Option<f64>,
        limit: f64,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            let before = before_order.map(|order| whole("beforeOrder", order)).transpose()?;
            answer(this.conversation().messages(before, whole_u32("limit", limit)?).await)
        })
    }

    /// One message.
    #[napi]
    pub fn message<'env>(
        &self,
        env: &'env Env,
        sender_id: String,
        message_id: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.conversation().message(sender_id, message_id).await) })
    }

    /// Sends.
    #[napi]
    pub fn send<'env>(
        &self,
        env: &'env Env,
        message: String,
        progress: Option<Tell>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            let message = record("message", &message)?;
            let conversation = this.conversation();
            answer(match progress {
                None => conversation.send(message).await,
                Some(progress) => conversation.send_with_progress(message, Arc::new(NodeListener(progress))).await,
            })
        })
    }

    /// The user has seen these.
    #[napi]
    pub fn mark_read<'env>(&self, env: &'env Env, up_to_order: f64) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(
            env,
            async move { this.conversation().mark_read(whole("upToOrder", up_to_order)?).await.map_err(failed) },
        )
    }

    /// The user is writing, or has stopped.
    #[napi]
    pub fn set_typing<'env>(&self, env: &'env Env, is_typing: bool) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.conversation().set_typing(is_typing).await.map_err(failed) })
    }

    /// How safe it is.
    #[napi]
    pub fn security<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.conversation().security().await) })
    }

    /// Its fallback policy.
    #[napi]
    pub fn fallback_policy<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.conversation().fallback_policy().await) })
    }

    /// Sets it.
    #[napi]
    pub fn set_fallback_policy<'env>(&self, env: &'env Env, policy: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            this.conversation().set_fallback_policy(record("policy", &policy)?).await.map_err(failed)
        })
    }

    /// The user agrees to a readable mode.
    #[napi]
    pub fn give_consent<'env>(
        &self,
        env: &'env Env,
        mode: String,
        expires_at_ms: f64,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let (mode, expires_at_ms) = (record("mode", &mode)?, whole("expiresAtMs", expires_at_ms)?);
            this.conversation().give_consent(mode, expires_at_ms).await.map_err(failed)
        })
    }

    /// The user acknowledges one.
    #[napi]
    pub fn acknowledge_downgrade<'env>(&self, env: &'env Env, mode: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(
            env,
            async move { this.conversation().acknowledge_downgrade(record("mode", &mode)?).await.map_err(failed) },
        )
    }

    /// End to end again.
    #[napi]
    pub fn restore_end_to_end<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.conversation().restore_end_to_end().await.map_err(failed) })
    }

    /// Fetches a file.
    #[napi]
    pub fn fetch_encrypted_blob<'env>(
        &self,
        env: &'env Env,
        sender_id: String,
        message_id: String,
        part: String,
        path: String,
        progress: Option<Tell>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let part = record("part", &part)?;
            let progress = progress.map(|progress| -> Arc<dyn ProgressListener> { Arc::new(NodeListener(progress)) });
            this.conversation().fetch_encrypted_blob(sender_id, message_id, part, path, progress).await.map_err(failed)
        })
    }

    /// The safety number.
    #[napi]
    pub fn safety_number<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, NativeSafetyNumber>> {
        let this = self.clone();
        promise(
            env,
            async move { Ok(NativeSafetyNumber::new(this.conversation().safety_number().await.map_err(failed)?)) },
        )
    }
}

/// A safety number.
#[napi]
#[derive(Clone)]
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
    pub fn verify<'env>(&self, env: &'env Env, scan: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { Arc::clone(&this.number).verify(scan).await.map_err(failed) })
    }

    /// The digits were compared.
    #[napi]
    pub fn verify_digits<'env>(&self, env: &'env Env, digits: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { Arc::clone(&this.number).verify_digits(digits).await.map_err(failed) })
    }
}
