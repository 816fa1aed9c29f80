//! Push: a token for the server, and what a wake-up brings.
//!
//! A wake-up says nothing but "look". What is to be shown is made on this device, and a notification says no word of a message: it has the
//! key of a text in the catalogue of words, and a count.

use std::sync::Arc;
use std::time::Duration;

use rcseal_client::Client;
use rcseal_client::client::PushKind as Kind;
use rcseal_wire::api::push::PushProvider as Provider;

use crate::client::RcsealClient;
use crate::config::ClientConfig;
use crate::error::RcsealError;
use crate::runtime::{detached, runtime};
use crate::vault::{ForeignVault, KeyVault};

/// Who carries wake-ups to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PushProvider {
    /// Apple's service.
    Apns,
    /// Apple's service for apps under development.
    ApnsSandbox,
    /// Google's service.
    Fcm,
    /// A distributor that the user chose.
    UnifiedPush,
    /// A browser's.
    WebPush,
}

impl From<PushProvider> for Provider {
    fn from(provider: PushProvider) -> Self {
        match provider {
            PushProvider::Apns => Self::Apns,
            PushProvider::ApnsSandbox => Self::ApnsSandbox,
            PushProvider::Fcm => Self::Fcm,
            PushProvider::UnifiedPush => Self::UnifiedPush,
            PushProvider::WebPush => Self::WebPush,
        }
    }
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum PushKind {
    /// Somebody's keys changed, or should be compared.
    Security,
    /// The account or this device needs a look.
    Account,
    /// Messages with a picture or another file.
    Media,
    /// Messages.
    Message,
}

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct PushNotification {
    /// Where it belongs, so that the app can open it; not to be shown.
    pub conversation_id: Option<String>,
    /// What it is about.
    pub kind: PushKind,
    /// How many of them.
    pub count: u32,
    /// The key of its text in the catalogue of words.
    pub words_key: String,
}

/// What became of a wake-up.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct PushOutcome {
    /// What to show.
    pub notifications: Vec<PushNotification>,
    /// The key of what to say when there is nothing to show and work is left: that there may be something.
    pub pending_words_key: Option<String>,
    /// Envelopes taken in.
    pub received: u32,
    /// Whether nothing is left to do. Otherwise the app's next run goes on.
    pub is_complete: bool,
}

#[uniffi::export]
impl RcsealClient {
    /// Tells the server where to wake this device. To be called at every start of the app: each call rotates what names the device in a
    /// wake-up. `app_id` is the topic at Apple's service, the project at Google's.
    pub async fn register_push_token(
        &self,
        provider: PushProvider,
        token: Vec<u8>,
        app_id: String,
    ) -> Result<(), RcsealError> {
        self.call(move |client| async move { Ok(client.register_push_token(provider.into(), token, app_id).await?) })
            .await
    }

    /// Tells the server to wake this device no more.
    pub async fn unregister_push_token(&self) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.unregister_push_token().await?) }).await
    }

    /// Takes in what waits, and returns before the deadline. Work that is left is marked for the app. A server that is away is no error.
    pub async fn process_push(&self, payload: String, deadline_ms: u64) -> Result<PushOutcome, RcsealError> {
        self.call(move |client| async move { process(&client, &payload, deadline_ms).await }).await
    }
}

/// The same for a process that the push service woke, beside an app that may be running: opens the store with little memory, takes in what
/// waits, and closes. The deadline counts from the call, the opening of the store included.
#[uniffi::export]
pub async fn process_push_in_extension(
    config: ClientConfig,
    key_vault: Arc<dyn KeyVault>,
    payload: String,
    deadline_ms: u64,
) -> Result<PushOutcome, RcsealError> {
    runtime()?;
    detached(async move {
        let begun = tokio::time::Instant::now();
        let deadline = Duration::from_millis(deadline_ms);
        let limit = config.vault_limit().min(deadline);
        let config = config.to_client()?;
        let vault = tokio::task::spawn_blocking(move || ForeignVault::start(key_vault, limit))
            .await
            .map_err(|_| RcsealError::internal("sdk.panic", "the call ended with a panic"))??;
        let client = Client::open_push(config, Arc::new(vault)).await?;
        let left = deadline.saturating_sub(begun.elapsed());
        process(&client, &payload, u64::try_from(left.as_millis()).unwrap_or(u64::MAX)).await
    })
    .await
}

async fn process(client: &Client, payload: &str, deadline_ms: u64) -> Result<PushOutcome, RcsealError> {
    let outcome = client.process_push(payload.as_bytes(), Duration::from_millis(deadline_ms)).await?;
    Ok(PushOutcome {
        notifications: outcome
            .notifications
            .into_iter()
            .map(|notification| PushNotification {
                conversation_id: notification.conversation.map(|id| id.to_string()),
                kind: match notification.kind {
                    Kind::Security => PushKind::Security,
                    Kind::Account => PushKind::Account,
                    Kind::Media => PushKind::Media,
                    Kind::Message => PushKind::Message,
                },
                count: notification.count,
                words_key: notification.words.to_owned(),
            })
            .collect(),
        pending_words_key: outcome.pending_words.map(str::to_owned),
        received: u32::try_from(outcome.received).unwrap_or(u32::MAX),
        is_complete: outcome.is_complete,
    })
}
