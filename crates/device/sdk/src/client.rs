//! The client, as apps hold it: opening, closing, and the account.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcseal_client::client::{Client, ClientError};
use rcseal_client::recovery_code;
use rcseal_client::vault::ProtectionLevel;
use rcseal_engine::account::{AccountError, AccountState};
use rcseal_wire::id::{AccountId, Custody};
use rcseal_wire::origin::Origin;
use zeroize::Zeroizing;

use crate::argument::parse;
use crate::config::{ClientConfig, VAULT_LIMIT};
use crate::error::RcsealError;
use crate::inner::Inner;
use crate::model::{Account, Platform};
use crate::runtime::detached;
use crate::vault::{ForeignVault, KeyProtection, KeyVault};

/// Under which name the recovery code is kept until the user has written it down.
const RECOVERY_CODE: &str = "sdk.recovery_code";

/// A client over a folder and a key vault.
#[derive(uniffi::Object)]
pub struct RcsealClient {
    inner: Arc<Inner>,
}

/// What a new account is to be.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct NewAccount {
    /// The server that will hold its mailboxes, as `https://host:port`.
    pub origin: String,
    /// What this device runs on.
    pub platform: Platform,
    /// What the user wants to be called; contacts see it. May be empty.
    pub display_name: String,
    /// The operator's invite, where its server asks for one.
    #[uniffi(default = None)]
    pub invite: Option<String>,
}

/// What became of a new account.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct CreatedAccount {
    /// Its id.
    pub account_id: String,
    /// To be written down and kept off this device: whoever has it can take the account back. It is kept here until
    /// `confirm_recovery_code`, so that a call that was cancelled loses nothing. Absent where a takeover brought no new one.
    pub recovery_code: Option<String>,
    /// Whether the server has confirmed. If not, the keys are here and `register` tries again, as does `connect`.
    pub is_registered: bool,
    /// Why the server has not: the code of the error.
    pub failure_code: Option<String>,
    /// Whether trying again may help.
    pub is_retryable: bool,
}

/// How safe this device is, and what the user should know.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct SecurityState {
    /// Where the key lives that protects the store.
    pub protection: KeyProtection,
    /// Whether that is software only: whoever copies the device's files may have the key.
    pub is_software_vault: bool,
    /// Whether the store was found to be an old copy when it was opened. Its sessions were given up and begin anew.
    pub was_rolled_back: bool,
    /// Whether there is an account and its server has confirmed it.
    pub is_registered: bool,
    /// This device's number; absent without an account.
    pub device_number: Option<u8>,
    /// Whether this device holds the account key.
    pub is_primary: bool,
    /// When a reset of the account takes effect that somebody asked for. Any device can veto it until then.
    pub pending_reset_at_ms: Option<u64>,
    /// Envelopes that could not be decrypted and are kept.
    pub undecryptable: u32,
    /// Messages that wait for the user's word before they go to keys that changed.
    pub held_messages: u32,
    /// Whether the recovery code still waits to be written down.
    pub has_unconfirmed_recovery_code: bool,
}

/// What an export wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct ExportSummary {
    /// Conversations.
    pub conversations: u32,
    /// Messages.
    pub messages: u32,
}

/// A store that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct StoreSetAside {
    /// Where it is now, whole: a folder beside the one it had.
    pub folder: String,
    /// Whether its key was discarded, because the vault itself says that it opens nothing any more. Nothing can open the store then.
    pub is_key_discarded: bool,
}

/// Moves a store aside that cannot be opened any more, so that the next `open` makes a new one there, without account, contacts or messages.
/// To be called when the user has been told and has decided, and never by itself. Refused while a client has the store open, and while the
/// vault does not answer.
#[uniffi::export]
pub async fn set_store_aside(folder: String, key_vault: Arc<dyn KeyVault>) -> Result<StoreSetAside, RcsealError> {
    if folder.is_empty() {
        return Err(RcsealError::argument("folder"));
    }
    detached(async move {
        let vault = foreign_vault(key_vault, VAULT_LIMIT).await?;
        let aside = Client::set_aside(PathBuf::from(folder), vault).await?;
        Ok(StoreSetAside {
            folder: aside.folder.to_string_lossy().into_owned(),
            is_key_discarded: aside.is_key_discarded,
        })
    })
    .await
}

/// The app's vault, asked on a thread of its own.
async fn foreign_vault(key_vault: Arc<dyn KeyVault>, limit: Duration) -> Result<Arc<ForeignVault>, RcsealError> {
    let vault = tokio::task::spawn_blocking(move || ForeignVault::start(key_vault, limit))
        .await
        .map_err(|_| RcsealError::internal("sdk.panic", "the call ended with a panic"))??;
    Ok(Arc::new(vault))
}

#[uniffi::export]
impl RcsealClient {
    /// Opens the client in a folder, or makes a new one there.
    #[uniffi::constructor]
    pub async fn open(config: ClientConfig, key_vault: Arc<dyn KeyVault>) -> Result<Arc<Self>, RcsealError> {
        detached(async move {
            let limit = config.vault_limit();
            let config = config.to_client()?;
            let client = Client::open(config, foreign_vault(key_vault, limit).await?).await?;
            Ok(Arc::new(Self { inner: Arc::new(Inner::new(client)) }))
        })
        .await
    }

    /// Closes the client and waits until the store is free. Calls under way end with `closed`, and so does every call from now on.
    pub async fn shutdown(&self) -> Result<(), RcsealError> {
        let inner = self.inner();
        detached(async move {
            inner.close().await;
            Ok(())
        })
        .await
    }

    /// Closes the client without waiting.
    pub fn shutdown_now(&self) -> Result<(), RcsealError> {
        self.inner.close_now();
        Ok(())
    }

    /// Whether the client was closed.
    pub fn is_closed(&self) -> Result<bool, RcsealError> {
        Ok(self.inner.client().is_err())
    }

    /// This device and its account; absent before there is one.
    pub async fn account(&self) -> Result<Option<Account>, RcsealError> {
        self.call(|client| async move { Ok(client.account().await?.map(Account::from)) }).await
    }

    /// Creates an account: its keys here, then its entry at the server. Once the keys are here this answers, even when the server did not.
    pub async fn create_account(&self, account: NewAccount) -> Result<CreatedAccount, RcsealError> {
        let (new, invite) = account.parse()?;
        self.call(move |client| async move {
            let created = client.create_account(new).await?;
            let code = recovery_code::expose(&created.recovery_seed);
            client.set_setting(RECOVERY_CODE, Some(Zeroizing::new(code.as_bytes().to_vec()))).await?;
            let registered = client.register(invite).await;
            Ok(CreatedAccount::of(created.account, Some(code), registered))
        })
        .await
    }

    /// Makes an account known to its server that was created here and that the server does not know yet.
    pub async fn register(&self, invite: Option<String>) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.register(invite).await?) }).await
    }

    /// The recovery code that the user has not confirmed to have written down.
    pub async fn pending_recovery_code(&self) -> Result<Option<String>, RcsealError> {
        self.call(|client| async move {
            let code = client.setting(RECOVERY_CODE).await?;
            Ok(code.and_then(|code| std::str::from_utf8(&code).ok().map(str::to_owned)))
        })
        .await
    }

    /// The user has written the recovery code down: it is deleted here.
    pub async fn confirm_recovery_code(&self) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.set_setting(RECOVERY_CODE, None).await?) }).await
    }

    /// Takes an account back whose devices are lost, with its recovery code, on a device that has none. The other devices are taken out.
    pub async fn recover_account(
        &self,
        account_id: String,
        recovery_code: String,
        account: NewAccount,
    ) -> Result<CreatedAccount, RcsealError> {
        let recovery_code = Zeroizing::new(recovery_code);
        let lost: AccountId = parse("account_id", &account_id)?;
        let seed = recovery_code::parse(&recovery_code)
            .map_err(|error| RcsealError::invalid(error.code(), "the recovery code cannot be read"))?;
        let (new, _) = account.parse()?;
        self.call(move |client| async move {
            let started = client.begin_recovery(lost, new, seed).await?;
            let code = started.recovery_seed.as_ref().map(recovery_code::expose);
            if let Some(code) = &code {
                client.set_setting(RECOVERY_CODE, Some(Zeroizing::new(code.as_bytes().to_vec()))).await?;
            }
            let finished = client.finish_recovery().await;
            Ok(CreatedAccount::of(lost, code, finished))
        })
        .await
    }

    /// Calls a reset of this account off that somebody asked for.
    pub async fn veto_reset(&self) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.veto_reset().await?) }).await
    }

    /// How safe this device is, and what the user should know.
    pub async fn security_state(&self) -> Result<SecurityState, RcsealError> {
        self.call(|client| async move {
            let account = client.account().await?;
            let level = client.protection_level();
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Ok(SecurityState {
                protection: KeyProtection::from(level),
                is_software_vault: level == ProtectionLevel::Software,
                was_rolled_back: client.was_rolled_back(),
                is_registered: account.as_ref().is_some_and(|account| account.state == AccountState::Active),
                device_number: account.as_ref().map(|account| account.address.device.get()),
                is_primary: account.as_ref().is_some_and(|account| account.is_primary),
                pending_reset_at_ms: account.as_ref().and_then(|account| account.reset_at).map(|at| at.0),
                undecryptable: count(client.quarantined().await?.len()),
                held_messages: if account.is_some() { count(client.held_resends().await?.len()) } else { 0 },
                has_unconfirmed_recovery_code: client.setting(RECOVERY_CODE).await?.is_some(),
            })
        })
        .await
    }

    /// Replaces the account key, on the primary device only. Contacts who had compared safety numbers have to do so again.
    pub async fn rotate_keys(&self) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.rotate_account_key().await?) }).await
    }

    /// Writes everything readable into a new file: JSON Lines, for its owner alone. It holds no key.
    pub async fn export_data(&self, path: String) -> Result<ExportSummary, RcsealError> {
        if path.is_empty() {
            return Err(RcsealError::argument("path"));
        }
        self.call(move |client| async move {
            let summary = client.export(&PathBuf::from(path)).await?;
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Ok(ExportSummary { conversations: count(summary.conversations), messages: count(summary.messages) })
        })
        .await
    }
}

impl RcsealClient {
    /// What the objects of this client share.
    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// Runs a call to its end, whether or not somebody still waits for the answer.
    pub(crate) async fn call<T, R>(
        &self,
        operation: impl FnOnce(Client) -> R + Send + 'static,
    ) -> Result<T, RcsealError>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, RcsealError>> + Send,
    {
        self.inner.call(operation).await
    }
}

impl Drop for RcsealClient {
    fn drop(&mut self) {
        // Objects that came from this client may live on; they answer `closed`.
        self.inner.close_now();
    }
}

impl NewAccount {
    fn parse(self) -> Result<(rcseal_engine::account::NewAccount, Option<String>), RcsealError> {
        let origin: Origin = parse("origin", &self.origin)?;
        let new = rcseal_engine::account::NewAccount {
            origin,
            platform: self.platform.into(),
            custody: Custody::User,
            display_name: self.display_name,
        };
        Ok((new, self.invite))
    }
}

impl CreatedAccount {
    fn of(account: AccountId, code: Option<Zeroizing<String>>, registered: Result<(), ClientError>) -> Self {
        let failure = registered.err();
        Self {
            account_id: account.to_string(),
            recovery_code: code.map(|code| code.as_str().to_owned()),
            is_registered: failure.is_none(),
            failure_code: failure.as_ref().map(|error| error.code().to_owned()),
            is_retryable: failure.as_ref().is_some_and(ClientError::is_retryable),
        }
    }
}

impl std::fmt::Debug for RcsealClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RcsealClient")
    }
}

impl std::fmt::Debug for NewAccount {
    /// Without name and invite.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").field("platform", &self.platform).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CreatedAccount {
    /// Without the recovery code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedAccount").field("is_registered", &self.is_registered).finish_non_exhaustive()
    }
}

/// The error of a call that needs an account.
pub(crate) fn no_account() -> RcsealError {
    ClientError::from(AccountError::NoAccount).into()
}
