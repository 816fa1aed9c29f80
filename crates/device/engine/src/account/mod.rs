//! This device: its account, its keys, its prekeys.
//!
//! One row holds everything that is this device and nobody else: written when an account is created or a device is linked, read at the
//! start of every operation that needs a key. The account key is there on the primary device only.

mod deletion;
mod error;
mod prekeys;
mod record;
mod reset;
mod rotation;
mod takeover;
mod token;

pub use error::AccountError;
pub use prekeys::{ONE_TIME_PREKEYS_TARGET, PREKEY_KEPT_MS, SIGNED_PREKEY_AGE_MS_MAX};
pub use takeover::{TakeoverStarted, recovery_proof, restoration_proof};
pub use token::TOKEN_OVERLAP_MS;

use rand_core::CryptoRng;
use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryKey, UnverifiedKeySet, VerifiedKeySet,
    prove_device,
};
use rcseal_crypto::ed25519;
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_signal::IdentityKeyPair;
use rcseal_wire::api::{Base64, LoginRequest, RegisterRequest};
use rcseal_wire::content::NAME_LEN_MAX;
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, DeviceNumber, MailboxId, Platform};
use rcseal_wire::invitation::Invitation;
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN, login_bytes};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use zeroize::Zeroizing;

use crate::capability::{LatchSource, Latched};
use crate::contact::ChangePolicy;
use crate::context::{Engine, UnixMillis};
use crate::store::{BadRow, StoreError, Table};

/// What a new account is to be.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The server that will hold its mailboxes.
    pub origin: Origin,
    /// What this device runs on.
    pub platform: Platform,
    /// Who keeps its keys.
    pub custody: Custody,
    /// What the user wants to be called; contacts see it. May be empty.
    pub display_name: String,
}

/// What [`Engine::create_account`] hands to the user, once.
#[derive(Debug)]
pub struct CreatedAccount {
    /// The account's id.
    pub account: AccountId,
    /// Seed of the offline recovery key: to be written down and kept off this device. The engine does not keep it.
    pub recovery_seed: rcseal_crypto::secret::Secret<32>,
}

/// How far this device has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// The keys exist; the server does not know them yet.
    Registering,
    /// The server has confirmed.
    Active,
    /// The recovery key has signed, or the account key out of a backup; the server has not confirmed that the account is this device's.
    Recovering,
    /// A reset was asked for, or is to be; until it is in force the account is not this device's.
    Resetting,
}

/// This device, as apps see it.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// Account and device number.
    pub address: DeviceAddress,
    /// Its server.
    pub origin: Origin,
    /// How far it has come.
    pub state: AccountState,
    /// What the user is called.
    pub display_name: String,
    /// Whether this device holds the account key.
    pub is_primary: bool,
    /// This device's mailbox.
    pub mailbox: MailboxId,
    /// The account's devices as the current key set names them.
    pub devices: Vec<DeviceView>,
    /// The current key set's counter.
    pub key_set_counter: u64,
    /// What becomes of messages to a contact whose account key changed, unless the contact's own policy is stricter.
    pub change_policy: ChangePolicy,
    /// When a reset of the account takes effect that somebody asked for. A device can veto it until then.
    pub reset_at: Option<UnixMillis>,
}

/// One device of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceView {
    /// Its number.
    pub number: DeviceNumber,
    /// What it runs on.
    pub platform: Platform,
    /// Who keeps its keys.
    pub custody: Custody,
}

/// The secrets of this device.
pub(crate) struct Account {
    pub(crate) address: DeviceAddress,
    pub(crate) state: AccountState,
    pub(crate) origin: Origin,
    pub(crate) display_name: String,
    pub(crate) mailbox: MailboxId,
    pub(crate) delivery_token: DeliveryToken,
    pub(crate) device_auth: ed25519::SigningKey,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) sealing_seed: rcseal_crypto::secret::Secret<32>,
    pub(crate) signer: Option<AccountSigner>,
    /// The account key that the unpublished key set brings. It stays until the account's key set says whether it is the account's.
    pub(crate) next_signer: Option<AccountSigner>,
    /// A key set that is signed and not yet confirmed by the server.
    pub(crate) unpublished: Option<Vec<u8>>,
    pub(crate) change_policy: ChangePolicy,
    /// While recovering the recovery key's seed, or nothing where the account key itself recovers it; while resetting the operator's ticket.
    pub(crate) takeover: Zeroizing<Vec<u8>>,
    /// Drawn to replace the delivery token, and not yet known to the server.
    pub(crate) next_token: Option<DeliveryToken>,
    /// Replaced, and good until the server is told otherwise.
    pub(crate) retiring_token: Option<DeliveryToken>,
    /// How long the token in use stays good when the next one takes its place.
    pub(crate) token_overlap_ms: u64,
    /// Contacts hold tokens of a life of the account that this device does not remember.
    pub(crate) keeps_tokens: bool,
    /// When a reset that somebody asked for takes effect.
    pub(crate) reset_at: Option<UnixMillis>,
    pub(crate) prekeys: prekeys::PreKeyIds,
}

impl Account {
    /// Draws the secrets of a device. The caller fills in what only it knows.
    pub(crate) fn draw(
        new: &NewAccount,
        address: DeviceAddress,
        delivery_token: DeliveryToken,
        signer: Option<AccountSigner>,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self {
            address,
            state: AccountState::Registering,
            origin: new.origin.clone(),
            display_name: new.display_name.clone(),
            mailbox: MailboxId::generate(rng),
            delivery_token,
            device_auth: ed25519::SigningKey::generate(rng),
            identity: IdentityKeyPair::generate(rng),
            sealing_seed: rcseal_crypto::secret::Secret::generate(rng),
            signer,
            next_signer: None,
            unpublished: None,
            change_policy: ChangePolicy::Block,
            takeover: Zeroizing::new(Vec::new()),
            next_token: None,
            retiring_token: None,
            token_overlap_ms: TOKEN_OVERLAP_MS,
            keeps_tokens: false,
            reset_at: None,
            prekeys: prekeys::PreKeyIds::default(),
        }
    }

    /// Refuses what only a device of the account may do while the account is not this device's yet.
    pub(crate) fn is_ours(&self) -> Result<(), AccountError> {
        match self.state {
            AccountState::Registering | AccountState::Active => Ok(()),
            AccountState::Recovering | AccountState::Resetting => Err(AccountError::TakeoverUnderWay),
        }
    }

    /// The account key, for a change of the key set; one at a time. A next account key that was drawn and not taken into use counts as
    /// one: the set that names it may be published, though the directory refused it the second time. The account's own key set says.
    pub(crate) fn signer_for_change(&self) -> Result<&AccountSigner, AccountError> {
        self.is_ours()?;
        let signer = self.signer.as_ref().ok_or(AccountError::NotPrimary)?;
        if self.unpublished.is_some() || self.next_signer.is_some() {
            return Err(AccountError::ChangeUnderWay);
        }
        Ok(signer)
    }

    /// The key that opens first envelopes.
    pub(crate) fn sealing(&self) -> SealingSecretKey {
        SealingSecretKey::from_seed(*self.sealing_seed.expose())
    }

    /// This device's entry of the key set, with its proofs of possession.
    pub(crate) fn entry(
        &self,
        platform: Platform,
        custody: Custody,
        rng: &mut dyn CryptoRng,
    ) -> Result<rcseal_credential::DeviceEntry, rcseal_credential::BuildError> {
        let sealing = self.sealing();
        prove_device(
            rng,
            &DeviceClaims {
                account: self.address.account,
                number: self.address.device,
                platform,
                custody,
                auth_key: &self.device_auth,
                identity_keys: &[(IdentityProfile::Native, self.identity.secret_key())],
                sealing_key: &sealing.public_key(),
                mls_leaf_keys: &[],
            },
        )
    }
}

impl Engine<'_> {
    /// Creates the account's keys and its first key set. The server learns of it with [`Engine::registration_request`].
    ///
    /// # Errors
    /// [`AccountError::Exists`] on a device that has an account.
    pub fn create_account(&mut self, new: &NewAccount) -> Result<CreatedAccount, AccountError> {
        if self.tx.get(Table::Account, record::KEY)?.is_some() {
            return Err(AccountError::Exists);
        }
        if new.display_name.len() > NAME_LEN_MAX {
            return Err(AccountError::NameTooLong);
        }
        let address = DeviceAddress { account: AccountId::generate(self.rng), device: DeviceNumber::PRIMARY };
        let recovery = RecoveryKey::generate(self.rng);
        let signer = AccountSigner::generate(self.rng);
        let mut account = Account::draw(new, address, DeliveryToken::generate(self.rng), Some(signer), self.rng);
        let entry = account.entry(new.platform, new.custody, self.rng)?;
        let signer = account.signer.as_ref().expect("it was put there two lines above");
        let key_set = KeySetBuilder::first(address.account, recovery.commitment()).add_device(entry)?.sign(signer)?;
        self.put_key_set(&key_set)?;
        self.draw_first_prekeys(&mut account)?;
        self.put_account(&account)?;
        Ok(CreatedAccount {
            account: address.account,
            recovery_seed: rcseal_crypto::secret::Secret::from_bytes(*recovery.seed()),
        })
    }

    /// Names an account that no server knows yet, and so nobody else: a registration that is repeated may come with another name.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], [`AccountError::NameTooLong`], [`AccountError::Exists`] once the server knows it.
    pub fn name_unregistered(&mut self, display_name: &str) -> Result<(), AccountError> {
        let mut account = self.account()?;
        if account.state != AccountState::Registering {
            return Err(AccountError::Exists);
        }
        if display_name.len() > NAME_LEN_MAX {
            return Err(AccountError::NameTooLong);
        }
        account.display_name = display_name.to_owned();
        Ok(self.put_account(&account)?)
    }

    /// The request that registers the account. Asking again gives the same keys.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`] before [`Engine::create_account`], [`AccountError::TakeoverUnderWay`].
    pub fn registration_request(&mut self, invite: Option<String>) -> Result<RegisterRequest, AccountError> {
        let account = self.account()?;
        account.is_ours()?;
        let key_set = self.own_key_set(&account)?;
        Ok(RegisterRequest {
            invite,
            key_set: Base64(key_set.as_bytes().to_vec()),
            device: self.device_upload(&account)?,
            delivery_token_hash: account.delivery_token.hash(),
        })
    }

    /// The server knows this device now: it took the registration, or a login succeeded.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn handle_registered(&mut self) -> Result<(), AccountError> {
        let mut account = self.account()?;
        account.is_ours()?;
        account.state = AccountState::Active;
        self.put_account(&account)?;
        Ok(())
    }

    /// Signs a login for one nonce of one connection.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn login_request(
        &mut self,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, AccountError> {
        let origin = self.account()?.origin;
        self.login_request_at(&origin, exporter, nonce)
    }

    /// Signs a login for one nonce of one connection to another server than the account's, such as a broker. It names that server, so that it
    /// is of no use at any other.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn login_request_at(
        &mut self,
        origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, AccountError> {
        let account = self.account()?;
        let bytes = login_bytes(origin, exporter, account.address, nonce);
        let signature = account.device_auth.sign(&[&bytes]);
        Ok(LoginRequest {
            account: account.address.account,
            device: account.address.device,
            signature: Base64(signature.0.to_vec()),
        })
    }

    /// This device and its account; `None` before there is one.
    ///
    /// # Errors
    /// Those of the store.
    pub fn account_view(&mut self) -> Result<Option<AccountView>, AccountError> {
        let account = match self.account() {
            Ok(account) => account,
            Err(AccountError::NoAccount) => return Ok(None),
            Err(error) => return Err(error),
        };
        let key_set = self.own_key_set(&account)?;
        let devices = key_set
            .devices()
            .iter()
            .map(|device| DeviceView {
                number: device.number(),
                platform: device.platform(),
                custody: device.custody(),
            })
            .collect();
        Ok(Some(AccountView {
            address: account.address,
            origin: account.origin,
            state: account.state,
            display_name: account.display_name,
            is_primary: account.signer.is_some(),
            mailbox: account.mailbox,
            devices,
            key_set_counter: key_set.counter().get(),
            change_policy: account.change_policy,
            reset_at: account.reset_at,
        }))
    }

    /// An invitation to write to this account.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], [`AccountError::TakeoverUnderWay`].
    pub fn invitation(&mut self) -> Result<Invitation, AccountError> {
        let account = self.account()?;
        account.is_ours()?;
        let key_set = self.own_key_set(&account)?;
        Ok(Invitation {
            account: account.address.account,
            key_set_counter: key_set.counter(),
            key_set_hash: key_set.hash(),
            account_key: *key_set.account_key().as_bytes(),
            delivery_token: account.delivery_token,
            origin: account.origin,
        })
    }

    /// The delivery token of this account, for its own uploads of hashes.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn delivery_token(&mut self) -> Result<DeliveryToken, AccountError> {
        Ok(self.account()?.delivery_token)
    }

    pub(crate) fn own_key_set(&self, account: &Account) -> Result<VerifiedKeySet, AccountError> {
        Ok(self.key_set(account.address.account)?.ok_or_else(|| BadRow::error(Table::KeySet))?)
    }

    /// The newest key set known of an account. It was verified before it got here ([`Self::put_key_set`] takes no other), and the store
    /// is authenticated.
    pub(crate) fn key_set(&self, account: AccountId) -> Result<Option<VerifiedKeySet>, StoreError> {
        let Some(bytes) = self.tx.get(Table::KeySet, account.as_bytes())? else { return Ok(None) };
        let key_set = UnverifiedKeySet::parse(&bytes).map_err(|_| BadRow::error(Table::KeySet))?;
        Ok(Some(key_set.assume_verified()))
    }

    /// The one way into the table. Who has a key set is known to have end-to-end encryption from then on.
    pub(crate) fn put_key_set(&mut self, key_set: &VerifiedKeySet) -> Result<(), StoreError> {
        self.latch(Latched::Account(key_set.account()), LatchSource::KeySet)?;
        self.tx.put(Table::KeySet, key_set.account().as_bytes(), key_set.as_bytes())
    }
}
