//! Taking an account over on a new installation: by its recovery key, by its account key out of a backup, or by a reset.
//!
//! `begin` draws this device's keys and a new account key and signs the key set that names them, on top of the newest set that the server
//! shows; the shell hands it to the server; `complete` makes it the account's here. Everything is in the store from `begin` on, the
//! recovery key or the operator's ticket included, so a crash at any point leaves something that can be sent again; both are deleted by
//! `complete`. When the account's key set has moved meanwhile (a thief signs on), [`Engine::rebase_takeover`] signs again on top of the
//! newer one.
//!
//! The server is believed about nothing: it shows a key set that must be the account's and, for a recovery, commit to the key in the user's
//! hand. A server that shows an old one gets a set that it cannot use.

use rcseal_credential::{
    AccountSigner, KeySetBuilder, KeySetError, RecoveryCommitment, RecoveryKey, Succession, UnverifiedKeySet,
    VerifiedKeySet,
};
use rcseal_crypto::secret::Secret;
use rcseal_wire::api::{Base64, KeySetProof, RecoveryRequest, ResetRequest};
use rcseal_wire::backup::AccountRow;
use rcseal_wire::content::NAME_LEN_MAX;
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, Platform};
use rcseal_wire::token::DeliveryToken;
use zeroize::Zeroizing;

use super::{Account, AccountError, AccountState, NewAccount, record};
use crate::contact::ChangePolicy;
use crate::context::Engine;
use crate::event::Event;
use crate::record::text;
use crate::send::as_account_error;
use crate::store::{BadRow, StoreError, Table};

/// What the user is handed, once.
#[derive(Debug)]
pub struct TakeoverStarted {
    /// Seed of the account's new recovery key: to be written down before anything is sent. The engine does not keep it. `None` for a reset
    /// of an account whose list of recovery keys is full: those stay good, and there is no new one.
    pub recovery_seed: Option<Secret<32>>,
}

/// Counters that a recovery leaves out when it has lost a race for the next one: more than all devices that an account can have may publish
/// while it is on its way, and few enough for every contact.
const AHEAD: u64 = 8_192;

/// By what right.
enum Right {
    Recovery {
        key: RecoveryKey,
        ahead: u64,
    },
    /// The account key itself, out of a backup. It stays the account's.
    AccountKey,
    Reset {
        not_before_ms: u64,
    },
}

impl Engine<'_> {
    /// Begins to take an account back with its recovery key. `basis` is the newest key set that the server shows for it.
    ///
    /// # Errors
    /// [`AccountError::Exists`] on a device that has an account, [`AccountError::Build`] with
    /// [`rcseal_credential::KeySetError::RecoveryKey`] when the key is not the account's.
    pub fn begin_recovery(
        &mut self,
        account: AccountId,
        new: &NewAccount,
        recovery_seed: &Secret<32>,
        basis: &[u8],
    ) -> Result<TakeoverStarted, AccountError> {
        let right = Right::Recovery { key: RecoveryKey::from_seed(*recovery_seed.expose()), ahead: 0 };
        self.begin(account, new, AccountState::Recovering, &right, recovery_seed.expose(), basis)
    }

    /// Begins to reset an account with a ticket of the operator's. Nobody takes it for valid before `not_before_ms`.
    ///
    /// # Errors
    /// [`AccountError::Exists`] on a device that has an account, or what is wrong with the key set that the server shows.
    pub fn begin_reset(
        &mut self,
        account: AccountId,
        new: &NewAccount,
        ticket: &str,
        basis: &[u8],
        not_before_ms: u64,
    ) -> Result<TakeoverStarted, AccountError> {
        let right = Right::Reset { not_before_ms };
        self.begin(account, new, AccountState::Resetting, &right, ticket.as_bytes(), basis)
    }

    /// Begins to make this device the account's, with the account key out of a backup. `from` is the account as the backup names it, and
    /// `basis` the newest key set that the server shows. The account key stays; the devices that were are taken out, as by a recovery, because
    /// one of them may hold the account key and nobody has it in hand.
    ///
    /// # Errors
    /// [`AccountError::Exists`] on a device that has an account; [`AccountError::KeySet`] when the account has another account key by now,
    /// or the server shows an older set than the backup.
    pub fn begin_restoration(
        &mut self,
        new: &NewAccount,
        account_key: &Secret<32>,
        from: &AccountRow,
        basis: &[u8],
    ) -> Result<(), AccountError> {
        if self.tx.get(Table::Account, record::KEY)?.is_some() {
            return Err(AccountError::Exists);
        }
        let known = UnverifiedKeySet::parse(&from.key_set)?.verify()?;
        let basis = parse_basis(known.account(), basis)?;
        let signer = AccountSigner::from_seed(*account_key.expose());
        match known.check_newer(&basis)? {
            Succession::Unchanged | Succession::SameAccountKey if signer.account_key() == *basis.account_key() => {}
            _ => return Err(KeySetError::KeyChangeAcrossGap.into()),
        }
        let address = DeviceAddress { account: basis.account(), device: basis.device_number_anew() };
        let mut account = Account::draw(new, address, DeliveryToken::generate(self.rng), Some(signer), self.rng);
        account.state = AccountState::Recovering;
        account.change_policy = ChangePolicy::from_number(from.change_policy).unwrap_or(ChangePolicy::Block);
        account.keeps_tokens = true;
        self.sign_takeover(
            &mut account,
            &Right::AccountKey,
            &basis,
            RecoveryCommitment::NONE,
            (new.platform, new.custody),
        )?;
        self.put_key_set(&basis)?;
        self.draw_first_prekeys(&mut account)?;
        Ok(self.put_account(&account)?)
    }

    fn begin(
        &mut self,
        account_id: AccountId,
        new: &NewAccount,
        state: AccountState,
        right: &Right,
        secret: &[u8],
        basis: &[u8],
    ) -> Result<TakeoverStarted, AccountError> {
        if self.tx.get(Table::Account, record::KEY)?.is_some() {
            return Err(AccountError::Exists);
        }
        if new.display_name.len() > NAME_LEN_MAX {
            return Err(AccountError::NameTooLong);
        }
        let basis = parse_basis(account_id, basis)?;
        let address = DeviceAddress { account: account_id, device: basis.device_number_anew() };
        let (signer, renewed) = (AccountSigner::generate(self.rng), RecoveryKey::generate(self.rng));
        let token = DeliveryToken::generate(self.rng);
        let mut account = Account::draw(new, address, token, Some(signer), self.rng);
        account.state = state;
        account.takeover = Zeroizing::new(secret.to_vec());
        account.keeps_tokens = true;
        self.sign_takeover(&mut account, right, &basis, renewed.commitment(), (new.platform, new.custody))?;
        self.put_key_set(&basis)?;
        self.draw_first_prekeys(&mut account)?;
        self.put_account(&account)?;
        let is_listed = takeover_set(&account)?.recovery_commitments().contains(&renewed.commitment());
        Ok(TakeoverStarted { recovery_seed: is_listed.then(|| Secret::from_bytes(*renewed.seed())) })
    }

    fn sign_takeover(
        &mut self,
        account: &mut Account,
        right: &Right,
        basis: &VerifiedKeySet,
        renewed: RecoveryCommitment,
        (platform, custody): (Platform, Custody),
    ) -> Result<(), AccountError> {
        account.address.device = match right {
            Right::AccountKey => basis.next_device_number().ok_or(AccountError::NoNumbersLeft)?,
            Right::Recovery { .. } | Right::Reset { .. } => basis.device_number_anew(),
        };
        let entry = account.entry(platform, custody, self.rng)?;
        let signer = account.signer.as_ref().ok_or(AccountError::NotPrimary)?;
        let signed = match right {
            Right::Recovery { key, ahead } => KeySetBuilder::recovery(basis, key, renewed)?
                .ahead(*ahead)
                .add_device(entry)?
                .sign_recovery(key, signer)?,
            Right::AccountKey => {
                let mut builder = KeySetBuilder::successor(basis);
                for device in basis.devices() {
                    builder = builder.remove_device(device.number())?;
                }
                builder.add_device(entry)?.sign(signer)?
            }
            Right::Reset { not_before_ms } => {
                KeySetBuilder::reset(basis, renewed).add_device(entry)?.sign_reset(signer, *not_before_ms)?
            }
        };
        account.unpublished = Some(signed.as_bytes().to_vec());
        Ok(())
    }

    /// Whether this device has taken a backup's account key, and the server has not confirmed it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_restoring(&self) -> Result<bool, AccountError> {
        match self.account() {
            Ok(account) => Ok(account.state == AccountState::Recovering && account.takeover.is_empty()),
            Err(AccountError::NoAccount) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The account's key set is another one by now: signs again on top of it, with the keys and the new recovery key that were drawn; a
    /// recovery some counters ahead, so that it does not lose to somebody who publishes without a pause. Answers
    /// `false`, and leaves all as it is, where it is the one that was signed on already.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`], or what is wrong with the key set; the recovery key may not be the account's any more.
    pub fn rebase_takeover(&mut self, basis: &[u8], not_before_ms: u64) -> Result<bool, AccountError> {
        let mut account = self.account()?;
        let right = match account.state {
            AccountState::Recovering if account.takeover.is_empty() => Right::AccountKey,
            AccountState::Recovering => Right::Recovery { key: recovery_key(&account)?, ahead: AHEAD },
            AccountState::Resetting => Right::Reset { not_before_ms },
            AccountState::Registering | AccountState::Active => return Err(AccountError::NoTakeover),
        };
        let signed = takeover_set(&account)?;
        let device = signed.devices().first().ok_or_else(|| BadRow::error(Table::Account))?;
        // A reset that found no room lists no key of its own: the last one is an older one, and the user was shown no other.
        let adds = match right {
            Right::Recovery { .. } => true,
            Right::AccountKey => false,
            Right::Reset { .. } => self.key_set(account.address.account)?.is_some_and(|signed_on| {
                signed.previous() == Some(signed_on.hash())
                    && signed.recovery_commitments().len() > signed_on.recovery_commitments().len()
            }),
        };
        let renewed = match signed.recovery_commitments().last() {
            Some(renewed) if adds => *renewed,
            _ => RecoveryCommitment::NONE,
        };
        let basis = parse_basis(account.address.account, basis)?;
        if signed.previous() == Some(basis.hash()) {
            return Ok(false);
        }
        let device = (device.platform(), device.custody());
        let is_signers = account.signer.as_ref().is_some_and(|signer| signer.account_key() == *basis.account_key());
        if matches!(right, Right::AccountKey) && !is_signers {
            return Err(KeySetError::KeyChangeAcrossGap.into());
        }
        self.sign_takeover(&mut account, &right, &basis, renewed, device)?;
        self.put_key_set(&basis)?;
        self.put_account(&account)?;
        Ok(true)
    }

    /// What lets this device read the account's current key set at the server, while a recovery or a reset is under way.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`].
    pub fn takeover_proof(&mut self) -> Result<KeySetProof, AccountError> {
        let account = self.account()?;
        match account.state {
            AccountState::Recovering if account.takeover.is_empty() => {
                let signer = account.signer.as_ref().ok_or(AccountError::NotPrimary)?;
                Ok(restoration_proof(signer, account.address.account))
            }
            AccountState::Recovering => Ok(recovery_proof(&recovery_key(&account)?)),
            AccountState::Resetting => Ok(KeySetProof {
                recovery_key: None,
                reset_ticket: Some(reset_ticket(&account)?),
                account_signature: None,
            }),
            AccountState::Registering | AccountState::Active => Err(AccountError::NoTakeover),
        }
    }

    /// What to ask the server for, while recovering.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`].
    pub fn recovery_request(&mut self) -> Result<RecoveryRequest, AccountError> {
        let account = self.account()?;
        if account.state != AccountState::Recovering {
            return Err(AccountError::NoTakeover);
        }
        let key_set = Base64(takeover_set(&account)?.as_bytes().to_vec());
        let account_signature = match &account.signer {
            Some(signer) if account.takeover.is_empty() => {
                restoration_proof(signer, account.address.account).account_signature
            }
            _ => None,
        };
        Ok(RecoveryRequest { key_set, device: self.device_upload(&account)?, account_signature })
    }

    /// What to ask the server for, while resetting; asked again unchanged, the server says how far the reset has come.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`].
    pub fn reset_request(&mut self) -> Result<ResetRequest, AccountError> {
        let account = self.account()?;
        if account.state != AccountState::Resetting {
            return Err(AccountError::NoTakeover);
        }
        let key_set = Base64(takeover_set(&account)?.as_bytes().to_vec());
        Ok(ResetRequest { ticket: reset_ticket(&account)?, key_set, device: self.device_upload(&account)? })
    }

    /// The server has given the account to this device. The spent recovery key or ticket is forgotten.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`].
    pub fn complete_takeover(&mut self) -> Result<(), AccountError> {
        let mut account = self.account()?;
        if !matches!(account.state, AccountState::Recovering | AccountState::Resetting) {
            return Err(AccountError::NoTakeover);
        }
        let key_set = takeover_set(&account)?;
        self.put_key_set(&key_set)?;
        account.state = AccountState::Active;
        account.unpublished = None;
        account.takeover = Zeroizing::new(Vec::new());
        self.put_account(&account)?;
        self.emit(Event::DevicesChanged { account: account.address.account })?;
        // A recovered account knows nobody yet; a restored one tells whom it had written with.
        self.introduce_to_conversations(&account).map_err(as_account_error)?;
        // Contacts hold tokens that this device never knew; its own is added to them.
        Ok(self.need_tokens_at(account.address.account, self.now)?)
    }

    /// Gives a recovery or a reset up: nothing stays of it here, and what the server was asked for remains with the server. Contacts that
    /// were added meanwhile and messages that wait go too: they were this account's, and would go out under the next one.
    ///
    /// # Errors
    /// [`AccountError::NoTakeover`].
    pub fn abandon_takeover(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        if !matches!(account.state, AccountState::Recovering | AccountState::Resetting) {
            return Err(AccountError::NoTakeover);
        }
        Ok(self.clear()?)
    }
}

/// What shows a server that a recovery key is at hand: its public half, which nobody knows before it is used.
#[must_use]
pub fn recovery_proof(key: &RecoveryKey) -> KeySetProof {
    KeySetProof {
        recovery_key: Some(Base64(key.public_key().as_bytes().to_vec())),
        reset_ticket: None,
        account_signature: None,
    }
}

/// What shows a server that the account key is at hand.
#[must_use]
pub fn restoration_proof(signer: &AccountSigner, account: AccountId) -> KeySetProof {
    let signature = signer.prove_restoration(&account);
    KeySetProof { account_signature: Some(Base64(signature.0.to_vec())), ..KeySetProof::default() }
}

/// The recovery key that the account is being recovered with.
fn recovery_key(account: &Account) -> Result<RecoveryKey, StoreError> {
    let seed = account.takeover.as_slice().try_into().map_err(|_| BadRow::error(Table::Account))?;
    Ok(RecoveryKey::from_seed(seed))
}

/// The ticket that the account is being reset with.
fn reset_ticket(account: &Account) -> Result<String, StoreError> {
    text(Table::Account, &account.takeover)
}

/// The key set that the server shows, which has to be this account's.
fn parse_basis(account: AccountId, basis: &[u8]) -> Result<VerifiedKeySet, AccountError> {
    let basis = UnverifiedKeySet::parse(basis)?;
    if basis.account() != account {
        return Err(AccountError::OtherAccount);
    }
    Ok(basis.verify()?)
}

/// The set that was signed here. It was verified when it was built, and the store is authenticated.
fn takeover_set(account: &Account) -> Result<VerifiedKeySet, AccountError> {
    let bytes = account.unpublished.as_deref().ok_or(AccountError::NoTakeover)?;
    Ok(UnverifiedKeySet::parse(bytes).map_err(|_| BadRow::error(Table::Account))?.assume_verified())
}
