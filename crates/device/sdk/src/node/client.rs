//! The client for Node.

use std::sync::Arc;

use napi_derive::napi;

use super::conversation::{NativeConversation, NativeSafetyNumber};
use super::listener::{NativeSubscription, NodeListener, Tell};
use super::vault::{AskVault, NodeVault};
use super::{answer, failed, record, whole_u32};
use crate::client::RcsealClient;

/// A client.
#[napi]
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
    pub async fn close(&self) -> napi::Result<()> {
        self.client().shutdown().await.map_err(failed)
    }

    /// Whether it was closed.
    #[napi(getter)]
    pub fn is_closed(&self) -> napi::Result<bool> {
        self.client.is_closed().map_err(failed)
    }

    /// This device and its account.
    #[napi]
    pub async fn account(&self) -> napi::Result<String> {
        answer(self.client().account().await)
    }

    /// Creates an account.
    #[napi]
    pub async fn create_account(&self, account: String) -> napi::Result<String> {
        answer(self.client().create_account(record("account", &account)?).await)
    }

    /// Makes it known to its server.
    #[napi]
    pub async fn register(&self, invite: Option<String>) -> napi::Result<()> {
        self.client().register(invite).await.map_err(failed)
    }

    /// The recovery code that is not confirmed.
    #[napi]
    pub async fn pending_recovery_code(&self) -> napi::Result<Option<String>> {
        self.client().pending_recovery_code().await.map_err(failed)
    }

    /// It was written down.
    #[napi]
    pub async fn confirm_recovery_code(&self) -> napi::Result<()> {
        self.client().confirm_recovery_code().await.map_err(failed)
    }

    /// Takes an account back.
    #[napi]
    pub async fn recover_account(
        &self,
        account_id: String,
        recovery_code: String,
        account: String,
    ) -> napi::Result<String> {
        answer(self.client().recover_account(account_id, recovery_code, record("account", &account)?).await)
    }

    /// Calls a reset off.
    #[napi]
    pub async fn veto_reset(&self) -> napi::Result<()> {
        self.client().veto_reset().await.map_err(failed)
    }

    /// How safe this device is.
    #[napi]
    pub async fn security_state(&self) -> napi::Result<String> {
        answer(self.client().security_state().await)
    }

    /// Replaces the account key.
    #[napi]
    pub async fn rotate_keys(&self) -> napi::Result<()> {
        self.client().rotate_keys().await.map_err(failed)
    }

    /// Writes everything readable.
    #[napi]
    pub async fn export_data(&self, path: String) -> napi::Result<String> {
        answer(self.client().export_data(path).await)
    }

    /// Starts the background run.
    #[napi]
    pub async fn connect(&self) -> napi::Result<()> {
        self.client().connect().await.map_err(failed)
    }

    /// Ends it.
    #[napi]
    pub async fn disconnect(&self) -> napi::Result<()> {
        self.client().disconnect().await.map_err(failed)
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
    pub async fn sync_once(&self) -> napi::Result<String> {
        answer(self.client().sync_once().await)
    }

    /// An invitation.
    #[napi]
    pub async fn invitation(&self) -> napi::Result<String> {
        self.client().invitation().await.map_err(failed)
    }

    /// Takes one.
    #[napi]
    pub async fn add_contact(&self, invitation: String, name: String) -> napi::Result<String> {
        answer(self.client().add_contact(invitation, name).await)
    }

    /// Every contact.
    #[napi]
    pub async fn contacts(&self) -> napi::Result<String> {
        answer(self.client().contacts().await)
    }

    /// One contact.
    #[napi]
    pub async fn contact(&self, contact_id: String) -> napi::Result<String> {
        answer(self.client().contact(contact_id).await)
    }

    /// Another name for one.
    #[napi]
    pub async fn rename_contact(&self, contact_id: String, name: String) -> napi::Result<()> {
        self.client().rename_contact(contact_id, name).await.map_err(failed)
    }

    /// Blocks one, or ends that.
    #[napi]
    pub async fn block_contact(&self, contact_id: String, is_blocked: bool) -> napi::Result<()> {
        self.client().block_contact(contact_id, is_blocked).await.map_err(failed)
    }

    /// Forgets one.
    #[napi]
    pub async fn remove_contact(&self, contact_id: String) -> napi::Result<()> {
        self.client().remove_contact(contact_id).await.map_err(failed)
    }

    /// Takes its new account key for genuine.
    #[napi]
    pub async fn accept_change(&self, contact_id: String) -> napi::Result<()> {
        self.client().accept_change(contact_id).await.map_err(failed)
    }

    /// The safety number with one.
    #[napi]
    pub async fn safety_number(&self, contact_id: String) -> napi::Result<NativeSafetyNumber> {
        Ok(NativeSafetyNumber::new(self.client().safety_number(contact_id).await.map_err(failed)?))
    }

    /// A page of conversations.
    #[napi]
    pub async fn conversations(&self, limit: f64, after: Option<String>) -> napi::Result<String> {
        answer(self.client().conversations(whole_u32("limit", limit)?, after).await)
    }

    /// The conversation with a contact.
    #[napi]
    pub async fn conversation(&self, contact_id: String) -> napi::Result<NativeConversation> {
        NativeConversation::new(self.client().conversation(contact_id).await.map_err(failed)?)
    }

    /// The account's fallback policy.
    #[napi]
    pub async fn fallback_policy(&self) -> napi::Result<String> {
        answer(self.client().fallback_policy().await)
    }

    /// Sets it.
    #[napi]
    pub async fn set_fallback_policy(&self, policy: String) -> napi::Result<()> {
        self.client().set_fallback_policy(record("policy", &policy)?).await.map_err(failed)
    }

    /// Messages that wait for the user's word.
    #[napi]
    pub async fn held_messages(&self) -> napi::Result<String> {
        answer(self.client().held_messages().await)
    }

    /// The word for one.
    #[napi]
    pub async fn approve_held(&self, conversation_id: String, message_id: String) -> napi::Result<()> {
        self.client().approve_held(conversation_id, message_id).await.map_err(failed)
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
