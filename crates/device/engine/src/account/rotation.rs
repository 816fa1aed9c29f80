//! Changing the account key.
//!
//! The primary device draws a new one and signs a key set with it; the old one signs the change (`docs/protocol/key-set.md`, Succession).
//! The new key waits beside the old in the account's row until the directory has taken the set, and takes the old one's place in the
//! transaction that stores it. A crash between the two changes nothing: the signed set is still there and is published again, and should
//! the directory have it already, its own answer says so.
//!
//! Who else may hold the account key? Nobody: it is made on the primary device and never leaves it, and the primary device cannot be
//! taken out of the account. So no removal of a device has to rotate it; what takes a primary device's place is a recovery, which brings a
//! new key by itself.

use rcseal_credential::{AccountSigner, DeviceEntry, KeySetBuilder, Succession, VerifiedKeySet};
use rcseal_wire::id::DeviceNumber;

use super::{Account, AccountError};
use crate::context::Engine;
use crate::event::Event;
use crate::store::StoreError;

impl Engine<'_> {
    /// On the primary device: replaces the account key. The shell publishes the key set next; contacts hear of it afterwards, and those who
    /// had compared safety numbers have to do so again.
    ///
    /// # Errors
    /// [`AccountError::NotPrimary`], [`AccountError::ChangeUnderWay`], [`AccountError::TakeoverUnderWay`].
    pub fn rotate_account_key(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        let current = self.own_key_set(&account)?;
        let signer = account.signer_for_change()?;
        let next = AccountSigner::generate(self.rng);
        let signed = KeySetBuilder::successor(&current).sign_migration(signer, &next)?;
        self.put_unpublished(Account { next_signer: Some(next), ..account }, &signed)
    }

    /// Whether a device of ours holds the account key. Every key set begins with it: other devices are linked to it and get higher numbers,
    /// it cannot be taken out, and a recovery or a reset begins with one device that does.
    pub(crate) fn is_primary(&self, account: &Account, device: DeviceNumber) -> Result<bool, StoreError> {
        let key_set = self.key_set(account.address.account)?;
        Ok(key_set.and_then(|key_set| key_set.devices().first().map(DeviceEntry::number)) == Some(device))
    }

    /// Keeps a signed key set until the directory has it.
    pub(crate) fn put_unpublished(
        &mut self,
        mut account: Account,
        signed: &VerifiedKeySet,
    ) -> Result<(), AccountError> {
        account.unpublished = Some(signed.as_bytes().to_vec());
        self.put_account(&account)?;
        Ok(self.need_publish(account.address.account)?)
    }

    /// Our account has this key set now, by whatever way we learnt it: the account key that it names is ours, or none of ours is any more.
    pub(crate) fn adopt_own_key_set(
        &mut self,
        key_set: &VerifiedKeySet,
        succession: Succession,
    ) -> Result<(), AccountError> {
        let mut account = self.account()?;
        let is_named = |signer: &AccountSigner| signer.account_key() == *key_set.account_key();
        let next = account.next_signer.take();
        if account.signer.is_some() && !account.signer.as_ref().is_some_and(is_named) {
            account.signer = next.filter(is_named);
            // Somebody with our account key, or with the recovery key, or the operator, gave the account another one.
            if account.signer.is_none() {
                account.unpublished = None;
                self.emit(Event::AccountKeyChanged { account: key_set.account(), how: succession })?;
            }
        } else if account.signer.is_none() && succession.changes_account_key() {
            self.emit(Event::AccountKeyChanged { account: key_set.account(), how: succession })?;
        }
        if key_set.device(account.address.device).is_none() {
            // Only a device that was restored from a backup takes the primary one out; the account key is its from then on.
            account.signer = None;
            self.emit(Event::DeviceRemoved)?;
        }
        Ok(self.put_account(&account)?)
    }
}
