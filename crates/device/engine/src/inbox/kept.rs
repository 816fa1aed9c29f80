//! Envelopes that are kept: those that could not be decrypted, and those that wait for their sender's key set.

use rcseal_wire::envelope::Hello;
use rcseal_wire::id::{AccountId, EnvelopeId, KeySetHash};
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Disposition, Failure, Undecryptable};
use crate::account::AccountError;
use crate::contact::{Contact, Pin, Verification};
use crate::context::{Engine, Sequence, UnixMillis};
use crate::event::Event;
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Undecryptable envelopes that are kept: enough to look into, few enough that strangers cannot fill the disk (96 KiB each).
const QUARANTINE_MAX: usize = 200;
/// Envelopes that wait for key sets, in all.
const PARKED_MAX: usize = 500;
/// How long an envelope waits for its sender's key set: a week, in milliseconds.
const PARKED_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct KeptRecord {
    reason: u32,
    received_at_ms: u64,
    envelope: TlsByteVecU32,
}

impl Record for KeptRecord {
    const VERSION: u8 = 1;
}

/// An envelope that could not be decrypted, as apps and tools see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedEnvelope {
    /// Its id at the relay.
    pub id: EnvelopeId,
    /// Why.
    pub reason: Undecryptable,
    /// When it came.
    pub received_at: UnixMillis,
    /// Its length in bytes.
    pub len: usize,
}

impl Engine<'_> {
    pub(super) fn quarantine(&mut self, id: EnvelopeId, bytes: &[u8], reason: Undecryptable) -> Result<(), StoreError> {
        let record = KeptRecord { reason: reason.number(), received_at_ms: self.now.0, envelope: bytes.into() };
        let prefix_rows = self.tx.scan(Table::Quarantine, &[], &prefix_end(&[]), QUARANTINE_MAX, Order::Ascending)?;
        if prefix_rows.iter().any(|(key, _)| key.ends_with(id.as_bytes())) {
            return Ok(());
        }
        if prefix_rows.len() >= QUARANTINE_MAX {
            self.tx.delete(Table::Quarantine, &prefix_rows[0].0)?;
        }
        let order = self.next(Sequence::Quarantine)?;
        let key = [&order.to_be_bytes()[..], id.as_bytes()].concat();
        self.tx.put(Table::Quarantine, &key, &record.to_row())?;
        self.emit(Event::Undecryptable { envelope: id, reason })
    }

    /// Envelopes that could not be decrypted, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn quarantined(&self) -> Result<Vec<QuarantinedEnvelope>, StoreError> {
        let bad = || BadRow::error(Table::Quarantine);
        self.tx
            .scan(Table::Quarantine, &[], &prefix_end(&[]), QUARANTINE_MAX, Order::Ascending)?
            .into_iter()
            .map(|(key, row)| {
                let record = KeptRecord::from_row(Table::Quarantine, &row)?;
                Ok(QuarantinedEnvelope {
                    id: key.get(8..).and_then(|id| EnvelopeId::parse(id).ok()).ok_or_else(bad)?,
                    reason: Undecryptable::from_number(record.reason).ok_or_else(bad)?,
                    received_at: UnixMillis(record.received_at_ms),
                    len: record.envelope.as_slice().len(),
                })
            })
            .collect()
    }

    /// Keeps an envelope until its sender's key set is here.
    pub(super) fn park(&mut self, id: EnvelopeId, bytes: &[u8], hello: &Hello) -> Result<Disposition, AccountError> {
        let sender = hello.sender.account;
        if self.tx.scan(Table::Parked, &[], &prefix_end(&[]), PARKED_MAX, Order::Ascending)?.len() >= PARKED_MAX {
            self.quarantine(id, bytes, Undecryptable::TooManyParked)?;
            return Ok(Disposition::Undecryptable(Undecryptable::TooManyParked));
        }
        let own = self.account()?;
        // A claim that a message proves later replaces one that none has: the newest token is the one to fetch with.
        if sender != own.address.account && self.contact(sender)?.is_none_or(|contact| contact.is_candidate) {
            // Somebody we gave our delivery token to. Their keys are taken on first use; comparing safety numbers proves them.
            self.put_contact(&Contact {
                account: sender,
                name: String::new(),
                display_name: String::new(),
                origin: own.origin,
                delivery_token: hello.delivery_token.duplicate(),
                pin: Pin {
                    counter: hello.key_set_counter,
                    hash: KeySetHash::from_bytes(*hello.key_set_hash.as_bytes()),
                    account_key: None,
                },
                verification: Verification::Unverified,
                is_candidate: true,
            })?;
        }
        let record = KeptRecord { reason: 0, received_at_ms: self.now.0, envelope: bytes.into() };
        let order = self.next(Sequence::Quarantine)?;
        let key = [&sender.as_bytes()[..], &order.to_be_bytes(), id.as_bytes()].concat();
        self.tx.put(Table::Parked, &key, &record.to_row())?;
        self.need_key_set(sender)?;
        Ok(Disposition::Parked)
    }

    /// The sender's key set is here: what waited for it is taken up again, once, in order.
    pub(crate) fn take_parked(&mut self, sender: AccountId) -> Result<(), AccountError> {
        let account = self.account()?;
        let rows = self.tx.scan(
            Table::Parked,
            sender.as_bytes(),
            &prefix_end(sender.as_bytes()),
            PARKED_MAX,
            Order::Ascending,
        )?;
        for (key, row) in rows {
            let bad = || BadRow::error(Table::Parked);
            let id = key.last_chunk::<16>().map(|bytes| EnvelopeId::from_bytes(*bytes)).ok_or_else(bad)?;
            trailing_u64(Table::Parked, &key[..key.len() - EnvelopeId::LEN])?;
            let record = KeptRecord::from_row(Table::Parked, &row)?;
            self.tx.delete(Table::Parked, &key)?;
            match self.open(&account, id, record.envelope.as_slice()) {
                Ok(()) | Err(Failure::Duplicate) => {}
                // The server has not caught up with what the sender claims. It waits on.
                Err(Failure::Park(_)) => {
                    self.tx.put(Table::Parked, &key, &record.to_row())?;
                    self.need_key_set(sender)?;
                    self.postpone_key_set(sender)?;
                }
                Err(Failure::Envelope(reason)) => self.quarantine(id, record.envelope.as_slice(), reason)?,
                Err(Failure::Account(error)) => return Err(error),
            }
        }
        self.drop_false_candidate(sender)
    }

    /// Gives up on key sets that never came.
    pub(crate) fn drop_expired_parked(&mut self) -> Result<(), AccountError> {
        for (key, row) in self.tx.scan(Table::Parked, &[], &prefix_end(&[]), PARKED_MAX, Order::Ascending)? {
            let bad = || BadRow::error(Table::Parked);
            let record = KeptRecord::from_row(Table::Parked, &row)?;
            if self.now.since(UnixMillis(record.received_at_ms)) > PARKED_MS_MAX {
                let id = key.last_chunk::<16>().map(|bytes| EnvelopeId::from_bytes(*bytes)).ok_or_else(bad)?;
                let sender =
                    key.get(..AccountId::LEN).and_then(|bytes| AccountId::parse(bytes).ok()).ok_or_else(bad)?;
                self.tx.delete(Table::Parked, &key)?;
                self.quarantine(id, record.envelope.as_slice(), Undecryptable::UnknownDevice)?;
                self.drop_false_candidate(sender)?;
            }
        }
        Ok(())
    }

    /// Somebody claimed to be this account, and nothing of theirs authenticated: nothing stays of it.
    fn drop_false_candidate(&mut self, account: AccountId) -> Result<(), AccountError> {
        let waits = !self
            .tx
            .scan(Table::Parked, account.as_bytes(), &prefix_end(account.as_bytes()), 1, Order::Ascending)?
            .is_empty();
        if !waits && self.contact(account)?.is_some_and(|contact| contact.is_candidate) {
            self.tx.delete(Table::Contact, account.as_bytes())?;
            self.tx.delete(Table::KeySet, account.as_bytes())?;
            self.key_set_is_here(account)?;
        }
        Ok(())
    }
}
