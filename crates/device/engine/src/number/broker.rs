//! Which broker this account uses: origin and key, pinned, and a delivery token that only the broker has.
//!
//! The key is all that makes a mapping the broker's, so another key is another broker: it is refused and the user decides. The token
//! is one of its own, so that what the broker hands to whoever looks a number up can be taken back without a word to the contacts.

use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::EnrolmentRequest;
use rcseal_wire::id::{BrokerKeyId, DeliveryTokenHash};
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroize;

use super::record::{Broker, BrokerRecord};
use super::{BrokerFinding, NumberError};
use crate::context::{Engine, UnixMillis};
use crate::record::Record;
use crate::store::{StoreError, Table, prefix_end};

/// Key of the row of the pinned broker.
const PINNED: &[u8] = &[1];
/// Key of the row of its delivery token.
const TOKEN: &[u8] = &[2];

/// The pinned broker, as apps see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerView {
    /// Where it is.
    pub origin: Origin,
    /// The key by which it countersigns.
    pub key: BrokerKeyId,
    /// When it was pinned.
    pub pinned_at: UnixMillis,
    /// Whether the account's server knows the delivery token that the broker is given: before that nothing that it forwards arrives.
    pub is_token_known: bool,
}

/// What a broker's word about itself was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerCheck {
    /// It is the first, and pinned now.
    Pinned,
    /// It is the pinned one.
    Same,
    /// It shows another key than the pinned one has. Nothing was changed; see the finding.
    OtherKey,
    /// It is at another origin than the pinned one.
    OtherOrigin,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct TokenRecord {
    token: [u8; 32],
    /// 1 once the account's server knows it.
    is_known: u8,
}

impl Record for TokenRecord {
    const VERSION: u8 = 1;
}

impl Drop for TokenRecord {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

impl Engine<'_> {
    /// A broker says who it is. The first one is pinned; any other is compared with that.
    ///
    /// # Errors
    /// [`NumberError::BrokerKey`], [`NumberError::Account`].
    pub fn handle_broker_info(&mut self, origin: &Origin, key: &[u8]) -> Result<BrokerCheck, NumberError> {
        let own = self.account()?.address.account;
        let bytes: [u8; 32] = key.try_into().map_err(|_| NumberError::BrokerKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NumberError::BrokerKey)?;
        match self.broker()? {
            Some(known) if known.origin != *origin => Ok(BrokerCheck::OtherOrigin),
            Some(known) if known.key != key => {
                self.note_finding(None, Some(own), None, BrokerFinding::OtherKey, None)?;
                Ok(BrokerCheck::OtherKey)
            }
            Some(_) => Ok(BrokerCheck::Same),
            None => {
                let pinned_at_ms = self.now.0;
                let record = BrokerRecord { origin: origin.as_str().as_bytes().into(), key: bytes, pinned_at_ms };
                self.tx.put(Table::NumberBroker, PINNED, &record.to_row())?;
                let token = DeliveryToken::generate(self.rng);
                self.put_broker_token(&token, false)?;
                self.need_tokens_at(own, self.now)?;
                Ok(BrokerCheck::Pinned)
            }
        }
    }

    /// The user gives the broker up. What it said of numbers is forgotten, evidence against it is not, and its delivery token ends.
    /// Numbers that it maps stay mapped there until they are released or expire.
    ///
    /// # Errors
    /// [`NumberError::NoBroker`], [`NumberError::Account`].
    pub fn forget_broker(&mut self) -> Result<(), NumberError> {
        self.broker()?.ok_or(NumberError::NoBroker)?;
        let mut account = self.account()?;
        for table in [Table::NumberBroker, Table::NumberOwn, Table::NumberShown, Table::NumberGossip] {
            self.tx.delete_range(table, &[], &prefix_end(&[]))?;
        }
        // The list that the server has is replaced by one without it.
        account.retiring_token = account.retiring_token.take().or_else(|| Some(account.delivery_token.duplicate()));
        self.put_account(&account)?;
        self.need_tokens_at(account.address.account, self.now)?;
        Ok(self.mapping_changed()?)
    }

    /// The pinned broker.
    ///
    /// # Errors
    /// Those of the store.
    pub fn broker_view(&self) -> Result<Option<BrokerView>, StoreError> {
        let Some(broker) = self.broker()? else { return Ok(None) };
        let is_token_known = self.broker_token()?.is_some_and(|(_, is_known)| is_known);
        let (key, pinned_at) = (broker.id(), broker.pinned_at);
        Ok(Some(BrokerView { origin: broker.origin, key, pinned_at, is_token_known }))
    }

    pub(crate) fn broker(&self) -> Result<Option<Broker>, StoreError> {
        let Some(row) = self.tx.get(Table::NumberBroker, PINNED)? else { return Ok(None) };
        BrokerRecord::from_row(Table::NumberBroker, &row)?.broker().map(Some)
    }

    /// Tells the broker who this account is, where its mailboxes are and how to write to them; a login in one. Repeat it when any of these
    /// changes.
    ///
    /// # Errors
    /// [`NumberError::NoBroker`], [`NumberError::Account`].
    pub fn broker_enrolment(
        &mut self,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<EnrolmentRequest, NumberError> {
        let account = self.account()?;
        account.is_ours()?;
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let signature = self.login_request_at(&broker.origin, exporter, nonce)?.signature;
        let (token, _) = self.broker_token()?.ok_or(NumberError::NoBroker)?;
        Ok(EnrolmentRequest {
            key_set: Base64(self.own_key_set(&account)?.as_bytes().to_vec()),
            relay: account.origin,
            device: account.address.device,
            mailbox: account.mailbox,
            delivery_token: Base64(token.expose().to_vec()),
            signature,
        })
    }

    fn put_broker_token(&mut self, token: &DeliveryToken, is_known: bool) -> Result<(), StoreError> {
        let record = TokenRecord { token: *token.expose(), is_known: u8::from(is_known) };
        self.tx.put(Table::NumberBroker, TOKEN, &record.to_row())
    }

    /// The broker's delivery token, and whether the account's server knows it.
    fn broker_token(&self) -> Result<Option<(DeliveryToken, bool)>, StoreError> {
        let Some(row) = self.tx.get(Table::NumberBroker, TOKEN)? else { return Ok(None) };
        let record = TokenRecord::from_row(Table::NumberBroker, &row)?;
        Ok(Some((DeliveryToken::from_bytes(record.token), record.is_known == 1)))
    }

    /// The hash that every list of valid tokens holds beside the account's own, and whether the server knows it.
    pub(crate) fn broker_token_hash(&self) -> Result<Option<(DeliveryTokenHash, bool)>, StoreError> {
        Ok(self.broker_token()?.map(|(token, is_known)| (token.hash(), is_known)))
    }

    /// The account's server has this list of tokens now.
    pub(crate) fn broker_token_told(&mut self, hashes: &[DeliveryTokenHash]) -> Result<(), StoreError> {
        match self.broker_token()? {
            Some((token, is_known)) if hashes.contains(&token.hash()) != is_known => {
                self.put_broker_token(&token, !is_known)
            }
            Some(_) | None => Ok(()),
        }
    }
}
