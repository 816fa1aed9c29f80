//! The client: an engine, its store, and its server, behind one handle.
//!
//! A [`Client`] is opened over a folder and a key vault. Before there is an account it can create one ([`Client::create_account`], then
//! [`Client::register`]) or become a further device of one ([`Client::link_start`]). After that:
//!
//! - what the user does ([`Client::send`] and the like) is one transaction, and returns when it is durable here; nothing waits for a
//!   server;
//! - what servers and carriers are for happens in [`Client::run`], or once in [`Client::sync_once`]: deliver, acknowledge, fetch keys, submit, publish;
//! - what happened is told by [`Client::events`].
//!
//! Every future here may be dropped at any point. An operation of the engine that has begun runs to its end in its own transaction, and
//! what goes over the network may be repeated. One app has a folder at a time, and beside it what a push message woke
//! ([`Client::open_push`], [`crate::store`]); within a process a client may be cloned.

mod backup;
mod carrier;
mod case;
mod core;
mod erase;
mod error;
mod events;
mod export;
mod hand_over;
mod identity;
mod keys;
mod link;
mod media;
mod number;
mod policy;
mod push;
mod remote_config;
mod retained;
mod run;
mod sessions;
mod settings;
mod sms;
mod submit;
mod summary;
mod telemetry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcseal_credential::SafetyNumber;
use rcseal_engine::Engine;
use rcseal_engine::account::{AccountView, CreatedAccount, NewAccount};
use rcseal_engine::contact::ContactView;
use rcseal_engine::conversation::ConversationView;
use rcseal_engine::inbox::QuarantinedEnvelope;
use rcseal_engine::message::MessageView;
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, DeviceNumber, MessageId};
use rcseal_wire::invitation::Invitation;
use tokio::time::{Instant, sleep};

pub use carrier::{CarrierLink, CarrierOptions, CarrierStatus};
pub use error::ClientError;
pub use events::Events;
pub use export::ExportSummary;
pub use hand_over::{AppHandOver, AppPart};
pub use keys::{Disagreement, KeyCheck, OwnKeys, OwnPrekey};
pub use link::Linking;
pub use media::MediaPart;
pub use push::{PushError, PushKind, PushNotification, PushOutcome, PushProvider, PushState};
pub use remote_config::{RemoteConfigError, RemoteConfigView, RemoteKey};
pub use run::{Status, SyncReport};
pub use sms::SmsPlan;
pub use summary::ConversationLine;
pub use telemetry::{Counted, TelemetryReport};

use self::core::{Core, blocking, now};
use crate::net::{Pins, Proxy, Timeouts, TrustAnchors};
use crate::store::{self, OpenError, OpenedStore, Role, SetAside};
use crate::vault::{KeyAlias, KeyVault, ProtectionLevel};

/// How long an open waits for whoever has the folder: a process that is just ending, or an operation that a dropped client left running.
const IN_USE_WAIT: Duration = Duration::from_secs(2);
/// Between two looks.
const IN_USE_PAUSE: Duration = Duration::from_millis(25);

/// Where a client lives and whom it trusts.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder for this client alone.
    pub folder: PathBuf,
    /// The authorities of every server it talks to.
    pub trust: TrustAnchors,
    /// How long servers may take.
    pub timeouts: Timeouts,
    /// Keys that servers must have, beside a certificate of those authorities.
    pub pins: Pins,
    /// Through what every server is reached.
    pub proxy: Option<Proxy>,
    /// Whether what happens is counted ([`Client::telemetry_report`]).
    pub telemetry: bool,
    /// The Ed25519 public key of whoever may send remote configuration ([`Client::apply_remote_config`]).
    pub remote_config_key: Option<[u8; 32]>,
}

impl Config {
    /// No pins, no proxy, nothing counted, no remote configuration.
    #[must_use]
    pub fn new(folder: PathBuf, trust: TrustAnchors, timeouts: Timeouts) -> Self {
        Self { folder, trust, timeouts, pins: Pins::none(), proxy: None, telemetry: false, remote_config_key: None }
    }
}

/// Does something with a store that nobody may have open, again and again for a short while: who closed it a moment ago may still be about it.
async fn when_free<T: Send + 'static, F>(mut attempt: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: FnOnce() -> Result<T, ClientError> + Send + 'static,
{
    let ends_at = Instant::now() + IN_USE_WAIT;
    loop {
        match blocking(attempt()).await? {
            Err(ClientError::Open(OpenError::InUse)) if Instant::now() < ends_at => sleep(IN_USE_PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// A client. Clones share everything.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// Opens the client in a folder, or makes a new one there.
    ///
    /// A store that was restored from an old copy is recovered: its sessions are given up and begun anew. [`Client::was_rolled_back`]
    /// says whether that happened.
    ///
    /// # Errors
    /// [`ClientError::Open`], or those of a recovery.
    pub async fn open(config: Config, vault: Arc<dyn KeyVault>) -> Result<Self, ClientError> {
        let client = Self::open_as(Role::Main, config, vault).await?;
        // What a broker shows of this account's numbers is looked at with the next synchronisation.
        client.core.engine(|engine| engine.watch_numbers()).await?;
        Ok(client)
    }

    /// Opens the client in a folder for what a push message woke: beside an app that may have it open too, with little memory.
    ///
    /// # Errors
    /// [`ClientError::Open`]; with [`OpenError::NeedsMain`] when there is no client in the folder yet, or the app has to put it in order.
    pub async fn open_push(config: Config, vault: Arc<dyn KeyVault>) -> Result<Self, ClientError> {
        Self::open_as(Role::Push, config, vault).await
    }

    async fn open_as(role: Role, config: Config, vault: Arc<dyn KeyVault>) -> Result<Self, ClientError> {
        let config = Arc::new(config);
        let core = when_free(|| {
            let (config, vault) = (Arc::clone(&config), Arc::clone(&vault));
            move || open_core(role, &config, vault)
        })
        .await?;
        Ok(Self { core: Arc::new(core) })
    }

    /// Moves a damaged client's folder aside, so that the next [`Client::open`] makes a new one, without account, contacts or messages. To be
    /// called when the user has been told, and never by itself: see [`OpenError::way_out`].
    ///
    /// # Errors
    /// [`ClientError::Open`]: somebody has it open, or the vault or the file system do not answer.
    pub async fn set_aside(folder: PathBuf, vault: Arc<dyn KeyVault>) -> Result<SetAside, ClientError> {
        when_free(|| {
            let (folder, vault) = (folder.clone(), Arc::clone(&vault));
            move || Ok(store::set_aside(&folder, &*vault, &KeyAlias::store())?)
        })
        .await
    }

    /// What this client was opened for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.core.store.role()
    }

    /// Whether a client of the other role has the folder open now: for one that a push message woke, whether the app is running. On iOS
    /// only a client in the same process is seen.
    #[must_use]
    pub fn is_other_open(&self) -> bool {
        self.core.store.is_other_open()
    }

    /// Whether the store was found to be an old copy when it was opened.
    #[must_use]
    pub fn was_rolled_back(&self) -> bool {
        self.core.was_rolled_back
    }

    /// Where the key lives that protects the store.
    #[must_use]
    pub fn protection_level(&self) -> ProtectionLevel {
        self.core.vault.level()
    }

    // ---- account

    /// This device and its account; `None` before there is one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn account(&self) -> Result<Option<AccountView>, ClientError> {
        self.core.engine(|engine| engine.account_view()).await
    }

    /// Creates the account's keys, here. The answer holds the recovery seed, which is kept nowhere else.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn create_account(&self, new: NewAccount) -> Result<CreatedAccount, ClientError> {
        self.core.change(move |engine| engine.create_account(&new)).await
    }

    /// Names an account that was created and that its server does not know yet.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn name_unregistered(&self, display_name: String) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.name_unregistered(&display_name)).await
    }

    /// Makes the account known to its server. May be repeated until it succeeds.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account, [`ClientError::Net`] when the server refuses or is away.
    pub async fn register(&self, invite: Option<String>) -> Result<(), ClientError> {
        let origin = self.core.account().await?.origin;
        let request = self.core.engine(move |engine| engine.registration_request(invite)).await?;
        self.core.anonymous(&origin)?.register(&request).await?;
        self.core.change(|engine| engine.handle_registered()).await
    }

    /// Takes a device out of the account; on the primary device only. The server and the contacts learn of it in the background.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn remove_device(&self, device: DeviceNumber) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.remove_device(device)).await
    }

    // ---- contacts

    /// An invitation to write to this account.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn invite(&self) -> Result<Invitation, ClientError> {
        self.core.engine(|engine| engine.invitation()).await
    }

    /// Takes an invitation in. The contact can be written to at once.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn add_contact(&self, invitation: Invitation, name: String) -> Result<AccountId, ClientError> {
        self.core.change(move |engine| engine.add_contact(&invitation, &name)).await
    }

    /// Every contact.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn contacts(&self) -> Result<Vec<ContactView>, ClientError> {
        self.core.engine(|engine| engine.contacts()).await
    }

    /// One contact.
    ///
    /// # Errors
    /// [`ClientError::Contact`] when there is none.
    pub async fn contact(&self, account: AccountId) -> Result<ContactView, ClientError> {
        self.core.engine(move |engine| engine.contact_view(account)).await
    }

    /// The safety number with a contact.
    ///
    /// # Errors
    /// [`ClientError::Contact`] when there is none, or its keys are not known yet.
    pub async fn safety_number(&self, account: AccountId) -> Result<SafetyNumber, ClientError> {
        self.core.engine(move |engine| engine.safety_number(account)).await
    }

    /// The user has compared these digits of a safety number with the contact's, and they are the same.
    ///
    /// # Errors
    /// [`ClientError::Contact`]; the contact's keys may be others by now than those that the digits were shown for.
    pub async fn verify_digits(&self, account: AccountId, digits: String) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.verify_digits(account, &digits)).await
    }

    /// The user has scanned the contact's code.
    ///
    /// # Errors
    /// [`ClientError::Contact`] when the code is not the contact's.
    pub async fn verify_scan(&self, account: AccountId, scanned: String) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.verify_scan(account, &scanned)).await
    }

    // ---- conversations and messages

    /// The direct conversation with a contact.
    ///
    /// # Errors
    /// [`ClientError::Contact`] when there is no such contact.
    pub async fn direct_conversation(&self, account: AccountId) -> Result<ConversationId, ClientError> {
        self.core.engine(move |engine| engine.direct_conversation(account)).await
    }

    /// Every conversation.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn conversations(&self) -> Result<Vec<ConversationView>, ClientError> {
        self.core.engine(|engine| engine.conversations()).await
    }

    /// Messages of a conversation with a place below `before`, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, ClientError> {
        self.core.engine(move |engine| engine.messages(conversation, before, limit)).await
    }

    /// One message.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn message(
        &self,
        conversation: ConversationId,
        sender: AccountId,
        message: MessageId,
    ) -> Result<Option<MessageView>, ClientError> {
        self.core.engine(move |engine| engine.message_view(conversation, sender, message)).await
    }

    /// Sends a content. It is durable here when this returns, and leaves when a server can be reached.
    ///
    /// # Errors
    /// [`ClientError::Send`]; nothing was sent then.
    pub async fn send(
        &self,
        conversation: ConversationId,
        body: Body,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, ClientError> {
        let sent = self.core.change(move |engine| engine.send(conversation, body, reply_to)).await;
        self.noting_refusal(sent).await
    }

    /// Sends words.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_text(&self, conversation: ConversationId, text: String) -> Result<MessageId, ClientError> {
        self.send(conversation, Body::Text(text), None).await
    }

    /// The user has seen the messages of a conversation up to this place.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mark_read(&self, conversation: ConversationId, up_to: u64) -> Result<(), ClientError> {
        self.core
            .change(move |engine| {
                engine.mark_read(conversation, up_to)?;
                engine.flush_receipts()
            })
            .await
    }

    /// Envelopes that could not be decrypted. They are kept for a while.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn quarantined(&self) -> Result<Vec<QuarantinedEnvelope>, ClientError> {
        self.core.engine(|engine| engine.quarantined()).await
    }
}

/// Opens the store and puts the client together.
fn open_core(role: Role, config: &Config, vault: Arc<dyn KeyVault>) -> Result<Core, ClientError> {
    let alias = KeyAlias::store();
    if role == Role::Main && config.folder.is_dir() {
        erase::resume(&config.folder, &*vault, &alias)?;
    }
    let (store, was_rolled_back) = match store::open_as(role, &config.folder, &*vault, &alias)? {
        OpenedStore::Ready(store) => (store, false),
        OpenedStore::RolledBack(store) => {
            let (store, ()) = store.recover(&*vault, &alias, |tx| {
                Engine::new(tx, now(), &mut rand::rng()).handle_store_rollback().map_err(ClientError::from)
            })?;
            (store, true)
        }
    };
    media::prepare_folder(&core::media_folder(store.folder())).map_err(ClientError::File)?;
    Ok(Core::new(Arc::new(store), vault, alias, was_rolled_back, config))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}
