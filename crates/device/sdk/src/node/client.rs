//! The client for Node.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::conversation::{NativeConversation, NativeSafetyNumber};
use super::listener::{NativeSubscription, NodeListener, Tell};
use super::vault::{AskVault, NodeVault};
use super::{answer, failed, promise, record, whole_u32};
use crate::client::RcsealClient;

/// A client.
#[napi]
#[derive(Clone)]
pub struct NativeClient {
    client: Arc<RcsealClient>,
}

impl NativeClient {
    pub(super) fn client(&self) -> Arc<RcsealClient> {
        Arc::clone(&self.client)
    }
}

#[napi]
impl NativeClient {
    /// Opens it.
    #[napi(factory)]
    pub async fn open(config: String, vault: AskVault) -> napi::Result<NativeClient> {
        let config = record("config", &config)?;
        let client = RcsealClient::open(config, Arc::new(NodeVault(vault))).await.map_err(failed)?;
        Ok(Self { client })
    }

    /// Closes it and waits.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().shutdown().await.map_err(failed) })
    }

    /// Whether it was closed.
    #[napi(getter)]
    pub fn is_closed(&self) -> napi::Result<bool> {
        self.client.is_closed().map_err(failed)
    }

    /// This device and its account.
    #[napi]
    pub fn account<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().account().await) })
    }

    /// Creates an account.
    #[napi]
    pub fn create_account<'env>(&self, env: &'env Env, account: String) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().create_account(record("account", &account)?).await) })
    }

    /// Makes it known to its server.
    #[napi]
    pub fn register<'env>(&self, env: &'env Env, invite: Option<String>) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().register(invite).await.map_err(failed) })
    }

    /// The recovery code that is not confirmed.
    #[napi]
    pub fn pending_recovery_code<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let this = self.clone();
        promise(env, async move { this.client().pending_recovery_code().await.map_err(failed) })
    }

    /// It was written down.
    #[napi]
    pub fn confirm_recovery_code<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().confirm_recovery_code().await.map_err(failed) })
    }

    /// Takes an account back.
    #[napi]
    pub fn recover_account<'env>(
        &self,
        env: &'env Env,
        account_id: String,
        recovery_code: String,
        account: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            answer(this.client().recover_account(account_id, recovery_code, record("account", &account)?).await)
        })
    }

    /// Calls a reset off.
    #[napi]
    pub fn veto_reset<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().veto_reset().await.map_err(failed) })
    }

    /// How safe this device is.
    #[napi]
    pub fn security_state<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().security_state().await) })
    }

    /// Replaces the account key.
    #[napi]
    pub fn rotate_keys<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().rotate_keys().await.map_err(failed) })
    }

    /// Writes everything readable.
    #[napi]
    pub fn export_data<'env>(&self, env: &'env Env, path: String) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().export_data(path).await) })
    }

    /// Starts the background run.
    #[napi]
    pub fn connect<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().connect().await.map_err(failed) })
    }

    /// Ends it.
    #[napi]
    pub fn disconnect<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().disconnect().await.map_err(failed) })
    }

    /// How it stands.
    #[napi]
    pub fn connection_state(&self) -> napi::Result<String> {
        answer(self.client.connection_state())
    }

    /// The network is another.
    #[napi]
    pub fn network_changed(&self) -> napi::Result<()> {
        self.client.network_changed().map_err(failed)
    }

    /// Connects once.
    #[napi]
    pub fn sync_once<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().sync_once().await) })
    }

    /// An invitation.
    #[napi]
    pub fn invitation<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { this.client().invitation().await.map_err(failed) })
    }

    /// Takes one.
    #[napi]
    pub fn add_contact<'env>(
        &self,
        env: &'env Env,
        invitation: String,
        name: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().add_contact(invitation, name).await) })
    }

    /// Every contact.
    #[napi]
    pub fn contacts<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().contacts().await) })
    }

    /// One contact.
    #[napi]
    pub fn contact<'env>(&self, env: &'env Env, contact_id: String) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().contact(contact_id).await) })
    }

    /// Another name for one.
    #[napi]
    pub fn rename_contact<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
        name: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().rename_contact(contact_id, name).await.map_err(failed) })
    }

    /// Blocks one, or ends that.
    #[napi]
    pub fn block_contact<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
        is_blocked: bool,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().block_contact(contact_id, is_blocked).await.map_err(failed) })
    }

    /// Forgets one.
    #[napi]
    pub fn remove_contact<'env>(&self, env: &'env Env, contact_id: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().remove_contact(contact_id).await.map_err(failed) })
    }

    /// Takes its new account key for genuine.
    #[napi]
    pub fn accept_change<'env>(&self, env: &'env Env, contact_id: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().accept_change(contact_id).await.map_err(failed) })
    }

    /// The safety number with one.
    #[napi]
    pub fn safety_number<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
    ) -> napi::Result<PromiseRaw<'env, NativeSafetyNumber>> {
        let this = self.clone();
        promise(env, async move {
            Ok(NativeSafetyNumber::new(this.client().safety_number(contact_id).await.map_err(failed)?))
        })
    }

    /// A page of conversations.
    #[napi]
    pub fn conversations<'env>(
        &self,
        env: &'env Env,
        limit: f64,
        after: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().conversations(whole_u32("limit", limit)?, after).await) })
    }

    /// The conversation with a contact.
    #[napi]
    pub fn conversation<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
    ) -> napi::Result<PromiseRaw<'env, NativeConversation>> {
        let this = self.clone();
        promise(
            env,
            async move { NativeConversation::new(this.client().conversation(contact_id).await.map_err(failed)?) },
        )
    }

    /// The account's fallback policy.
    #[napi]
    pub fn fallback_policy<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().fallback_policy().await) })
    }

    /// Sets it.
    #[napi]
    pub fn set_fallback_policy<'env>(&self, env: &'env Env, policy: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().set_fallback_policy(record("policy", &policy)?).await.map_err(failed) })
    }

    /// Messages that wait for the user's word.
    #[napi]
    pub fn held_messages<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().held_messages().await) })
    }

    /// The word for one.
    #[napi]
    pub fn approve_held<'env>(
        &self,
        env: &'env Env,
        conversation_id: String,
        message_id: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().approve_held(conversation_id, message_id).await.map_err(failed) })
    }

    /// Tells of messages.
    #[napi]
    pub fn observe_messages(&self, listener: Tell) -> napi::Result<NativeSubscription> {
        let listener = Arc::new(NodeListener(listener));
        Ok(NativeSubscription::new(self.client.observe_messages(listener).map_err(failed)?))
    }

    /// Tells of everything.
    #[napi]
    pub fn observe_events(&self, listener: Tell) -> napi::Result<NativeSubscription> {
        let listener = Arc::new(NodeListener(listener));
        Ok(NativeSubscription::new(self.client.observe_events(listener).map_err(failed)?))
    }

    /// Tells of the connection.
    #[napi]
    pub fn observe_connection(&self, listener: Tell) -> napi::Result<NativeSubscription> {
        let listener = Arc::new(NodeListener(listener));
        Ok(NativeSubscription::new(self.client.observe_connection(listener).map_err(failed)?))
    }
}
