//! The end of an account, and of everything that this device knows.

use rcseal_wire::api::{AccountDeletion, Base64};

use super::AccountError;
use crate::context::Engine;
use crate::store::{StoreError, Table, prefix_end};

impl Engine<'_> {
    /// On the primary device: what asks the server to delete the account. Good for the account's key set as it is now and for no later one.
    ///
    /// # Errors
    /// [`AccountError::NotPrimary`], [`AccountError::TakeoverUnderWay`].
    pub fn deletion_request(&mut self) -> Result<AccountDeletion, AccountError> {
        let account = self.account()?;
        account.is_ours()?;
        let signer = account.signer.as_ref().ok_or(AccountError::NotPrimary)?;
        let key_set = self.own_key_set(&account)?;
        let signature = signer.sign_deletion(&account.address.account, &key_set.hash());
        Ok(AccountDeletion { signature: Base64(signature.0.to_vec()) })
    }

    /// Deletes every row there is, the journal and what the app keeps included. The shell destroys the store's key next.
    ///
    /// # Errors
    /// Those of the store.
    pub fn erase(&mut self) -> Result<(), StoreError> {
        Table::ALL.into_iter().try_for_each(|table| self.tx.delete_range(table, &[], &prefix_end(&[])))
    }
}
