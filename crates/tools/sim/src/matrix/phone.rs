//! A phone: a real client over a real store, in the way its platform lets an app live.
//!
//! A phone whose platform runs apps in the background has [`Client::run`] for as long as it is on. A suspended one has one
//! [`Client::sync_once`] for each time that it is woken; whoever waits for something wakes it, as a push for each envelope would.

use std::path::Path;
use std::sync::Arc;

use rcseal_carrier::host::HostStack;
use rcseal_client::net::Timeouts;
use rcseal_client::vault::{Argon2Params, SoftwareKeyVault, Unlock};
use rcseal_client::{Client, ClientError, Config};
use rcseal_engine::account::{CreatedAccount, NewAccount};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{AccountId, Custody, Platform as WirePlatform};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::MatrixError;
use super::cell::Mode;
use super::relay::Relay;
use crate::carrier::SimCarrier;
use crate::data::{Background, KeyVaultKind, Platform, RcsAccess, System};

/// A phone with a client of ours.
pub struct Phone {
    /// Its number.
    pub number: PhoneNumber,
    /// Its client.
    pub client: Client,
    /// Its account.
    pub account: AccountId,
    platform: Platform,
    created: Option<CreatedAccount>,
    /// Kept, because a carrier does not keep its members' stacks.
    stack: Option<Arc<HostStack>>,
    running: Option<Running>,
    is_on: bool,
    folder: TempDir,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ClientError>>,
}

fn vault(folder: &Path, kind: KeyVaultKind) -> Result<SoftwareKeyVault, MatrixError> {
    let unlock = match kind {
        KeyVaultKind::Hardware => Unlock::KeyFile,
        // The least that Argon2 can be told: the matrix is about messages.
        KeyVaultKind::Passphrase => {
            let params = Argon2Params::new(8, 1, 1).map_err(|_| MatrixError::Setup { what: "a passphrase" })?;
            Unlock::Passphrase("a passphrase that a person types".to_owned().into(), params)
        }
    };
    SoftwareKeyVault::new(folder, unlock).map_err(|error| MatrixError::Relay(Box::new(error)))
}

async fn open(folder: &Path, platform: &Platform, relay: &Relay) -> Result<Client, MatrixError> {
    let vault = vault(&folder.join("vault"), platform.key_vault)?;
    let config = Config::new(folder.join("client"), relay.trust().clone(), Timeouts::default());
    Ok(Client::open(config, Arc::new(vault)).await?)
}

fn new_account(platform: &Platform, relay: &Relay, name: &str) -> NewAccount {
    let platform = match platform.system {
        System::Android => WirePlatform::Android,
        System::Ios => WirePlatform::Ios,
        System::Desktop => WirePlatform::Desktop,
    };
    NewAccount { origin: relay.origin().clone(), platform, custody: Custody::User, display_name: name.to_owned() }
}

fn temporary() -> Result<TempDir, MatrixError> {
    let made = tempfile::Builder::new().prefix("rcseal-matrix-phone-").tempdir();
    made.map_err(|source| MatrixError::Io { what: "a folder", source })
}

impl Phone {
    /// A phone with a new account that the relay knows. It is off.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn new(platform: &Platform, relay: &Relay, name: &str, number: PhoneNumber) -> Result<Self, MatrixError> {
        let folder = temporary()?;
        let client = open(folder.path(), platform, relay).await?;
        let created = client.create_account(new_account(platform, relay, name)).await?;
        retrying(|| client.register(None)).await?;
        Ok(Self {
            number,
            account: created.account,
            client,
            platform: platform.clone(),
            created: Some(created),
            stack: None,
            running: None,
            is_on: false,
            folder,
        })
    }

    /// The phone's own stack is lent to the client, if the platform has one to lend and the client can use it. One that is not lent is on
    /// the carrier as the phone's own messaging app. Where the platform has none, the number is bound at the broker if the mode says so.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn join(
        &mut self,
        mode: Mode,
        relay: &Relay,
        carrier: &Arc<SimCarrier>,
        has_frames: bool,
    ) -> Result<(), MatrixError> {
        if mode.is_off_carrier() {
            return Ok(());
        }
        if self.platform.rcs == RcsAccess::None {
            if mode == Mode::Brokered && has_frames {
                let broker = relay.broker().ok_or(MatrixError::Setup { what: "a broker" })?;
                broker
                    .join(&self.client, &self.number, carrier)
                    .await
                    .map_err(|error| MatrixError::Relay(Box::new(error)))?;
            }
            return Ok(());
        }
        if !has_frames {
            let _ = carrier.attach_standard(&self.number);
            return Ok(());
        }
        self.stack = Some(carrier.lend(&self.number, &self.client).await?);
        Ok(())
    }

    /// Whether the carrier knows when it is off: a number at a broker is always there.
    #[must_use]
    pub fn is_seen_by_carrier(&self) -> bool {
        self.platform.rcs == RcsAccess::HostStack
    }

    /// Switches it on: an app that may run in the background does so from now on.
    pub fn switch_on(&mut self) {
        self.is_on = true;
        if self.platform.background == Background::Runs && self.running.is_none() {
            let (stop, stopped) = oneshot::channel::<()>();
            let client = self.client.clone();
            let task = tokio::spawn(async move { client.run(async { drop(stopped.await) }).await });
            self.running = Some(Running { stop, task });
        }
    }

    /// Switches it off.
    ///
    /// # Errors
    /// What ended the client's run before this.
    pub async fn switch_off(&mut self) -> Result<(), MatrixError> {
        self.is_on = false;
        if let Some(Running { stop, task }) = self.running.take() {
            let _ = stop.send(());
            task.await.map_err(|_| MatrixError::Setup { what: "a client that runs to its end" })??;
        }
        Ok(())
    }

    /// What a push does to a suspended app: one round. Nothing happens to a phone that is off, or whose app runs anyhow.
    ///
    /// # Errors
    /// What trying again cannot help.
    pub async fn wake(&self) -> Result<(), MatrixError> {
        if !self.is_on || self.platform.background == Background::Runs {
            return Ok(());
        }
        match self.client.sync_once().await {
            Ok(_) => Ok(()),
            Err(error) if error.is_retryable() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The app is removed with all it had, installed again, and takes the account back with the recovery code. It is off afterwards.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn reinstall(mut self, relay: &Relay, name: &str) -> Result<Self, MatrixError> {
        self.switch_off().await?;
        let Self { number, platform, created, folder, client, account, .. } = self;
        drop(client);
        drop(folder);
        let seed = created.ok_or(MatrixError::Setup { what: "a recovery code" })?.recovery_seed;
        let folder = temporary()?;
        let client = open(folder.path(), &platform, relay).await?;
        client.begin_recovery(account, new_account(&platform, relay, name), seed).await?;
        retrying(|| client.finish_recovery()).await?;
        Ok(Self { number, client, account, platform, created: None, stack: None, running: None, is_on: false, folder })
    }

    /// Removes it. Its store goes with it.
    ///
    /// # Errors
    /// What ended the client's run before this.
    pub async fn remove(mut self) -> Result<(), MatrixError> {
        self.switch_off().await
    }

    /// Where its store lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone")
            .field("platform", &self.platform.name)
            .field("is_on", &self.is_on)
            .finish_non_exhaustive()
    }
}

/// Times that a request is tried which a faulty network lets fail.
const TRIES_MAX: usize = 20;

async fn retrying<T, R>(request: impl Fn() -> R) -> Result<T, MatrixError>
where
    R: Future<Output = Result<T, ClientError>>,
{
    let mut last = request().await;
    for _ in 1..TRIES_MAX {
        match last {
            Err(error) if error.is_retryable() => last = request().await,
            other => return Ok(other?),
        }
    }
    Ok(last?)
}
