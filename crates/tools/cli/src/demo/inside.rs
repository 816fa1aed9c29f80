//! What the demo does through the library on a phone's own store, between that phone's commands: it learns the secrets to search for, and
//! plays the adversary. Nothing of it goes through a command, and the demo says so where it does it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcseal_client::net::{Anonymous, Authenticated, Endpoint, LoginSigner, Timeouts};
use rcseal_client::store::{self, OpenedStore, Store};
use rcseal_client::vault::{KeyAlias, KeyVault as _};
use rcseal_client::{ClientError, net::TrustAnchors};
use rcseal_engine::account::AccountView;
use rcseal_engine::audit::AuditSecret;
use rcseal_engine::{Engine, UnixMillis};
use rcseal_wire::api::LoginRequest;
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use zeroize::Zeroizing;

use super::stage::{Phone, StepError};
use crate::profile::Profile;

/// A phone's store, opened in this process while no command of the phone runs.
pub(crate) struct Inside {
    store: Arc<Store>,
    trust: TrustAnchors,
    data_key: Zeroizing<Vec<u8>>,
    vault_key: Zeroizing<Vec<u8>>,
}

impl Inside {
    /// Opens it.
    pub(crate) fn open(phone: &Phone) -> Result<Self, StepError> {
        let profile = Profile::with_key_file(phone.profile.clone());
        let vault = profile.vault()?;
        let alias = KeyAlias::store();
        let wrapped = std::fs::read(profile.store().join("store.key"))?;
        let mut data_key = vault.unwrap(&alias, wrapped).map_err(crate::error::CliError::from)?;
        // A salt is wrapped along, which is no secret.
        data_key.truncate(32);
        let vault_key = Zeroizing::new(std::fs::read(phone.profile.join("vault").join("vault.key"))?);
        match store::open(&profile.store(), &vault, &alias).map_err(ClientError::from)? {
            OpenedStore::Ready(store) => {
                Ok(Self { store: Arc::new(store), trust: profile.authority()?, data_key, vault_key })
            }
            OpenedStore::RolledBack(_) => {
                Err(StepError::NotShown { what: format!("{}'s store, as it was left", phone.name) })
            }
        }
    }

    /// Runs one operation of the engine.
    pub(crate) fn engine<T, E: Into<ClientError>>(
        &self,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
    ) -> Result<T, StepError> {
        Ok(run(&self.store, operation)?)
    }

    /// This device.
    pub(crate) fn account(&self) -> Result<AccountView, StepError> {
        let account = self.engine(|engine| engine.account_view())?;
        account.ok_or_else(|| StepError::NotShown { what: "an account in the profile".to_owned() })
    }

    /// Every secret it holds now, those of its store and vault included.
    pub(crate) fn secrets(&self) -> Result<Vec<AuditSecret>, StepError> {
        let mut secrets = self.engine(|engine| engine.audit_secrets())?;
        secrets.push(AuditSecret { kind: "store data key", bytes: self.data_key.clone() });
        secrets.push(AuditSecret { kind: "vault key", bytes: self.vault_key.clone() });
        Ok(secrets)
    }

    /// The relay, as this device logged in.
    pub(crate) fn authenticated(&self) -> Result<Authenticated, StepError> {
        Ok(Authenticated::new(self.endpoint()?, Arc::new(Signer(Arc::clone(&self.store)))))
    }

    /// The relay, as nobody.
    pub(crate) fn anonymous(&self) -> Result<Anonymous, StepError> {
        Ok(Anonymous::new(self.endpoint()?))
    }

    fn endpoint(&self) -> Result<Endpoint, StepError> {
        Ok(Endpoint::new(self.account()?.origin, &self.trust, Timeouts::default())?)
    }
}

fn run<T, E: Into<ClientError>>(
    store: &Store,
    operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
) -> Result<T, ClientError> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
    store.run(|tx| operation(&mut Engine::new(tx, now, &mut rand::rng())).map_err(Into::into))
}

struct Signer(Arc<Store>);

impl LoginSigner for Signer {
    fn sign(
        &self,
        _origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, Box<dyn std::error::Error + Send + Sync>> {
        Ok(run(&self.0, |engine| engine.login_request(exporter, nonce))?)
    }
}
