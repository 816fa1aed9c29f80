//! Envelopes that are kept: those that could not be decrypted, and those that wait for their sender's key set.
//!
//! Whoever holds our delivery token can make rows here, each as large as an envelope. So both tables are bounded, and neither is read
//! through when an envelope comes: the bounds are counts.
//!
//! Keys of the quarantine: 1, order, envelope id for an envelope; 2, envelope id for the mark that it is there.

use rcseal_wire::envelope::Hello;
use rcseal_wire::id::{AccountId, EnvelopeId, KeySetHash};
use tls_codec::{TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{Disposition, Failure, Undecryptable};
use crate::account::AccountError;
use crate::contact::{Contact, Pin, Verification};
use crate::context::{Engine, Sequence, Tally, UnixMillis};
use crate::event::Event;
use crate::pages::Pages;
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, Row, StoreError, Table, prefix_end};

/// Undecryptable envelopes that are kept: enough to look into, few enough that strangers cannot fill the disk (96 KiB each).
const QUARANTINE_MAX: usize = 200;
/// Envelopes that wait for key sets, in all.
const PARKED_MAX: u64 = 500;
/// Envelopes that wait for one sender's key set: more than a person writes before the first answer, and few enough that one name
/// does not take every place.
const PARKED_PER_SENDER_MAX: u64 = 32;
/// Parked envelopes read at once: they may have 96 KiB each.
const PARKED_PAGE: usize = 16;
/// How long an envelope waits for its sender's key set: a week, in milliseconds.
const PARKED_MS_MAX: u64 = 7 * 24 * 3600 * 1000;

/// First byte of the key of an envelope in quarantine.
const KEPT: u8 = 1;
/// First byte of the key of a mark.
const MARK: u8 = 2;

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
        let mark = [&[MARK][..], id.as_bytes()].concat();
        if self.tx.get(Table::Quarantine, &mark)?.is_some() {
            return Ok(());
        }
        let order = self.next(Sequence::Quarantine)?;
        // Orders have no gaps and the oldest goes first, so the oldest one's order says how many there are.
        let oldest = self.tx.scan(Table::Quarantine, &[KEPT], &[KEPT + 1], 1, Order::Ascending)?;
        if let Some((row_key, _)) = oldest.first() {
            let bad = || BadRow::error(Table::Quarantine);
            let (kept_key, id) = row_key.split_last_chunk::<{ EnvelopeId::LEN }>().ok_or_else(bad)?;
            if order - trailing_u64(Table::Quarantine, kept_key)? >= QUARANTINE_MAX as u64 {
                self.tx.delete(Table::Quarantine, &[&[MARK][..], id].concat())?;
                self.tx.delete(Table::Quarantine, row_key)?;
            }
        }
        let record = KeptRecord { reason: reason.number(), received_at_ms: self.now.0, envelope: bytes.into() };
        let key = [&[KEPT][..], &order.to_be_bytes(), id.as_bytes()].concat();
        self.tx.put(Table::Quarantine, &key, &record.to_row())?;
        self.tx.put(Table::Quarantine, &mark, &[])?;
        self.emit(Event::Undecryptable { envelope: id, reason })
    }

    /// Envelopes that could not be decrypted, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn quarantined(&self) -> Result<Vec<QuarantinedEnvelope>, StoreError> {
        let bad = || BadRow::error(Table::Quarantine);
        self.tx
            .scan(Table::Quarantine, &[KEPT], &[KEPT + 1], QUARANTINE_MAX, Order::Ascending)?
            .into_iter()
            .map(|(key, row)| {
                let record = KeptRecord::from_row(Table::Quarantine, &row)?;
                Ok(QuarantinedEnvelope {
                    id: envelope_id(&key).ok_or_else(bad)?,
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
        // Of somebody who is blocked nothing is asked: a server of theirs would see by it that we are there.
        if self.is_blocked(sender)? {
            return Ok(Disposition::Consumed);
        }
        let of_sender = Tally::ParkedOf(sender);
        if self.tally(Tally::Parked)? >= PARKED_MAX || self.tally(of_sender)? >= PARKED_PER_SENDER_MAX {
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
                changed_how: None,
                change_policy: None,
                is_blocked: false,
                is_candidate: true,
            })?;
        }
        let record = KeptRecord { reason: 0, received_at_ms: self.now.0, envelope: bytes.into() };
        let order = self.next(Sequence::Parked)?;
        let key = [&sender.as_bytes()[..], &order.to_be_bytes(), id.as_bytes()].concat();
        self.tx.put(Table::Parked, &key, &record.to_row())?;
        self.count_up(Tally::Parked)?;
        self.count_up(of_sender)?;
        self.need_key_set(sender)?;
        Ok(Disposition::Parked)
    }

    /// The sender's key set is here, after `attempts` to get it: what waited for it is taken up again, in order.
    pub(crate) fn take_parked(&mut self, sender: AccountId, attempts: u32) -> Result<(), AccountError> {
        let account = self.account()?;
        let mut waits = false;
        for (key, row) in self.parked_of(sender)? {
            let id = envelope_id(&key).ok_or_else(|| BadRow::error(Table::Parked))?;
            let record = KeptRecord::from_row(Table::Parked, &row)?;
            match self.open(&account, id, record.envelope.as_slice()) {
                Ok(()) | Err(Failure::Duplicate) => self.unpark(sender, &key)?,
                // The server has not caught up with what the sender claims. It waits on.
                Err(Failure::Park(_)) => waits = true,
                Err(Failure::Envelope(reason)) => {
                    self.unpark(sender, &key)?;
                    self.quarantine(id, record.envelope.as_slice(), reason)?;
                }
                Err(Failure::Account(error)) => return Err(error),
            }
        }
        if waits && !self.ask_for_key_set_again(sender, attempts)? {
            self.give_up_parked(sender)?;
        }
        Ok(self.drop_false_candidate(sender)?)
    }

    /// Gives up on key sets that never came.
    pub(crate) fn drop_expired_parked(&mut self) -> Result<(), AccountError> {
        let mut pages = Pages::new(Table::Parked, &[], PARKED_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (key, row) in rows {
                let record = KeptRecord::from_row(Table::Parked, &row)?;
                if self.now.since(UnixMillis(record.received_at_ms)) > PARKED_MS_MAX {
                    let sender = key.get(..AccountId::LEN).and_then(|bytes| AccountId::parse(bytes).ok());
                    let sender = sender.ok_or_else(|| BadRow::error(Table::Parked))?;
                    self.unpark_undecryptable(sender, &key, &record)?;
                    self.drop_false_candidate(sender)?;
                }
            }
        }
        Ok(())
    }

    /// Gives up on a key set that the directory has denied often enough.
    pub(crate) fn give_up_parked(&mut self, sender: AccountId) -> Result<(), StoreError> {
        for (key, row) in self.parked_of(sender)? {
            self.unpark_undecryptable(sender, &key, &KeptRecord::from_row(Table::Parked, &row)?)?;
        }
        self.drop_false_candidate(sender)
    }

    fn unpark_undecryptable(&mut self, sender: AccountId, key: &[u8], record: &KeptRecord) -> Result<(), StoreError> {
        let id = envelope_id(key).ok_or_else(|| BadRow::error(Table::Parked))?;
        self.unpark(sender, key)?;
        self.quarantine(id, record.envelope.as_slice(), Undecryptable::UnknownDevice)
    }

    fn parked_of(&self, sender: AccountId) -> Result<Vec<Row>, StoreError> {
        let (start, end) = (sender.as_bytes(), prefix_end(sender.as_bytes()));
        self.tx.scan(Table::Parked, start, &end, PARKED_PER_SENDER_MAX as usize, Order::Ascending)
    }

    fn unpark(&mut self, sender: AccountId, key: &[u8]) -> Result<(), StoreError> {
        self.tx.delete(Table::Parked, key)?;
        self.count_down(Tally::Parked)?;
        self.count_down(Tally::ParkedOf(sender))
    }

    /// Somebody claimed to be this account, and nothing of theirs authenticated: nothing stays of it.
    fn drop_false_candidate(&mut self, account: AccountId) -> Result<(), StoreError> {
        if self.tally(Tally::ParkedOf(account))? == 0 && self.is_claim(account)? {
            self.tx.delete(Table::Contact, account.as_bytes())?;
            self.tx.delete(Table::KeySet, account.as_bytes())?;
            self.key_set_is_here(account)?;
        }
        Ok(())
    }
}

/// The envelope's id, which ends the keys of both tables.
fn envelope_id(key: &[u8]) -> Option<EnvelopeId> {
    key.last_chunk::<{ EnvelopeId::LEN }>().map(|bytes| EnvelopeId::from_bytes(*bytes))
}
