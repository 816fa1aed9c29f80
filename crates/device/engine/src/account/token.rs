//! Replacing the delivery token: what lets others write to this account.
//!
//! Contacts and invitations hold the token. To take the leave back from one holder it is replaced for all: the server learns the new token
//! first, then the remaining contacts do, inside their sessions; the old one stays good meanwhile, and after an overlap the server
//! forgets it. Whoever has only the old one then, a removed contact or a leaked invitation, can neither write nor fetch keys.
//!
//! ```text
//! drawn ──server has both──▶ in use, contacts are told ──overlap──▶ server has the new one alone
//! ```

use rcseal_wire::id::{DeliveryTokenHash, DeviceAddress};
use rcseal_wire::token::DeliveryToken;

use super::{Account, AccountError};
use crate::context::Engine;
use crate::need::NeedKind;
use crate::pages::Pages;
use crate::send::as_account_error;
use crate::store::{BadRow, StoreError, Table};

/// How long a replaced token stays good: a week, in which a contact that is seldom online hears of the new one.
pub const TOKEN_OVERLAP_MS: u64 = 7 * 24 * 3600 * 1000;
/// Sessions read at once where all are looked at.
const PAGE: usize = 256;

/// What the server should be told of tokens.
pub(crate) struct TokenChange {
    pub(crate) hashes: Vec<DeliveryTokenHash>,
    /// Tokens that the server knows and this device does not stay good.
    pub(crate) keeps_others: bool,
}

impl Engine<'_> {
    /// On the primary device: replaces the delivery token. The old one stays good for `overlap_ms` after the contacts were told, usually
    /// [`TOKEN_OVERLAP_MS`]; with 0 a contact that is offline meanwhile has to be invited again.
    ///
    /// # Errors
    /// [`AccountError::NotPrimary`], [`AccountError::TokenUnderWay`], [`AccountError::TakeoverUnderWay`].
    pub fn replace_delivery_token(&mut self, overlap_ms: u64) -> Result<(), AccountError> {
        let mut account = self.account()?;
        account.is_ours()?;
        if account.signer.is_none() {
            return Err(AccountError::NotPrimary);
        }
        if account.next_token.is_some() {
            return Err(AccountError::TokenUnderWay);
        }
        account.next_token = Some(DeliveryToken::generate(self.rng));
        account.keeps_tokens = false;
        account.token_overlap_ms = overlap_ms;
        account.retiring_token = None;
        self.put_account(&account)?;
        Ok(self.need_tokens_at(account.address.account, self.now)?)
    }

    /// What the server should be told of tokens now; `None` when it knows.
    pub(crate) fn token_change(&self, account: &Account) -> Result<Option<TokenChange>, StoreError> {
        let broker = self.broker_token_hash()?;
        // A broker has a token of its own, which is valid beside the account's.
        let with_broker = |mut hashes: Vec<DeliveryTokenHash>| {
            hashes.extend(broker.map(|(hash, _)| hash));
            hashes
        };
        let current = account.delivery_token.hash();
        if let Some(next) = &account.next_token {
            return Ok(Some(TokenChange { hashes: with_broker(vec![next.hash(), current]), keeps_others: false }));
        }
        if account.retiring_token.is_some() || account.keeps_tokens {
            return Ok(Some(TokenChange { hashes: with_broker(vec![current]), keeps_others: account.keeps_tokens }));
        }
        // Tokens that other devices of the account had the server take stay.
        let is_untold = broker.is_some_and(|(_, is_known)| !is_known);
        Ok(is_untold.then(|| TokenChange { hashes: with_broker(vec![current]), keeps_others: true }))
    }

    /// What the server is to be told of tokens before a broker is told of this account: as [`crate::need::Need::SetDeliveryTokens`]; none
    /// where it knows the broker's.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn untold_tokens(&mut self) -> Result<Option<(Vec<DeliveryTokenHash>, bool)>, AccountError> {
        let account = self.account()?;
        if self.broker_token_hash()?.is_none_or(|(_, is_known)| is_known) {
            return Ok(None);
        }
        Ok(self.token_change(&account)?.map(|change| (change.hashes, change.keeps_others)))
    }

    /// The server knows these tokens now, as [`crate::need::Need::SetDeliveryTokens`] named them.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_delivery_tokens(&mut self, hashes: &[DeliveryTokenHash]) -> Result<(), AccountError> {
        let mut account = self.account()?;
        let own = account.address.account;
        self.need_met(NeedKind::Tokens, own)?;
        self.broker_token_told(hashes)?;
        account.keeps_tokens = false;
        match account.next_token.take_if(|next| hashes.contains(&next.hash())) {
            Some(next) => {
                account.retiring_token = Some(std::mem::replace(&mut account.delivery_token, next));
                self.put_account(&account)?;
                self.need_tokens_at(own, self.now.plus(account.token_overlap_ms))?;
                self.tell_delivery_token(&account)
            }
            // A token that was drawn while the request was on its way goes with the next one.
            None if account.next_token.is_some() => {
                self.put_account(&account)?;
                Ok(self.need_tokens_at(own, self.now)?)
            }
            None => {
                account.retiring_token = None;
                Ok(self.put_account(&account)?)
            }
        }
    }

    /// Every session carries the introduction again, which holds the token, and a notice carries it at once.
    fn tell_delivery_token(&mut self, account: &Account) -> Result<(), AccountError> {
        let mut pages = Pages::new(Table::ActiveSession, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, _) in &rows {
                let peer = DeviceAddress::parse(row_key).map_err(|_| BadRow::error(Table::ActiveSession))?;
                if let Some(mut session) = self.active_session(peer)? {
                    session.introduced = 0;
                    self.save_session(&session)?;
                }
            }
        }
        self.announce_key_set(account).map_err(as_account_error)
    }
}
