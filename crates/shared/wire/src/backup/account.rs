//! The account's own row, and what its key signs when a backup becomes a device or the account ends.

use crate::content::NAME_LEN_MAX;
use crate::id::{AccountId, KeySetHash};
use crate::origin::Origin;

/// The account an archive was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub account: AccountId,
    /// Its server.
    pub origin: Origin,
    /// What the user is called.
    pub display_name: String,
    /// 1 allow, 2 warn, 3 block: what becomes of messages to a contact whose account key changed.
    pub change_policy: u8,
    /// The signed key set as it was then.
    pub key_set: Vec<u8>,
}

/// The value is no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is no account")]
pub struct AccountRowError;

const ACCOUNT_ROW_VERSION: u8 = 1;

impl AccountRow {
    /// The row's value. Strings are within the limits of what they come from.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![ACCOUNT_ROW_VERSION];
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.push(self.change_policy);
        for part in [self.origin.as_str().as_bytes(), self.display_name.as_bytes()] {
            let part = &part[..part.len().min(usize::from(u16::MAX))];
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&self.key_set);
        bytes
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`AccountRowError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AccountRowError> {
        let (&[version], rest) = bytes.split_first_chunk::<1>().ok_or(AccountRowError)?;
        let (account, rest) = rest.split_first_chunk::<16>().ok_or(AccountRowError)?;
        let (&[change_policy], rest) = rest.split_first_chunk::<1>().ok_or(AccountRowError)?;
        if version != ACCOUNT_ROW_VERSION || !(1..=3).contains(&change_policy) {
            return Err(AccountRowError);
        }
        let (origin, rest) = text(rest)?;
        let (display_name, key_set) = text(rest)?;
        if display_name.len() > NAME_LEN_MAX {
            return Err(AccountRowError);
        }
        Ok(Self {
            account: AccountId::from_bytes(*account),
            origin: origin.parse().map_err(|_| AccountRowError)?,
            display_name: display_name.to_owned(),
            change_policy,
            key_set: key_set.to_vec(),
        })
    }
}

fn text(bytes: &[u8]) -> Result<(&str, &[u8]), AccountRowError> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or(AccountRowError)?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(AccountRowError)?;
    Ok((std::str::from_utf8(text).map_err(|_| AccountRowError)?, rest))
}

/// What signs the request of a restored device for its account's key set: the account key, over a label and the account.
#[must_use]
pub fn restoration_proof(account: &AccountId) -> Vec<u8> {
    [b"rcseal/restoration-proof/v1".as_slice(), account.as_bytes()].concat()
}

/// What the account key signs to delete an account: a label, the account, and the hash of its current key set.
#[must_use]
pub fn account_deletion(account: &AccountId, key_set: &KeySetHash) -> Vec<u8> {
    [b"rcseal/account-deletion/v1".as_slice(), account.as_bytes(), key_set.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_an_account_or_an_error(bytes: Vec<u8>) {
            let _ = AccountRow::parse(&bytes);
        }

        #[test]
        fn every_account_comes_back(id: [u8; 16], name in "[a-zä]{0,40}", key_set: Vec<u8>, change_policy in 1_u8..=3) {
            let row = AccountRow {
                account: AccountId::from_bytes(id),
                origin: "https://relay.example".parse().unwrap(),
                display_name: name,
                change_policy,
                key_set,
            };
            prop_assert_eq!(AccountRow::parse(&row.to_bytes()).unwrap(), row);
        }
    }
}
