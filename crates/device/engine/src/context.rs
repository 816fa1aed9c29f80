//! What every operation is handed: a transaction, the time, and randomness.

use rand_core::CryptoRng;
use rcseal_wire::id::{AccountId, DeviceAddress};

use crate::record::{self, Record as _};
use crate::store::{StoreError, Table, Tx, prefix_end};

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This much later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this; zero when the clock went back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The engine, inside one transaction.
///
/// It holds no state of its own: everything is in the store, so nothing can disagree with it after a crash. Its operations are spread
/// over the modules of this crate, one `impl` block per noun.
pub struct Engine<'a> {
    pub(crate) tx: &'a mut dyn Tx,
    pub(crate) now: UnixMillis,
    pub(crate) rng: &'a mut dyn CryptoRng,
    /// Of the envelope that is being taken in.
    pub(crate) arrival: Arrival,
}

/// What is known of an envelope while it is taken in, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Arrival {
    /// A carrier brought it, to this device or to a broker that passed it on: nobody was asked for a delivery token.
    pub(crate) is_by_carrier: bool,
    /// This device's broker took it from the carrier.
    pub(crate) is_by_broker: bool,
    /// It came from somebody whom the user has blocked. Known once it is decrypted.
    pub(crate) is_blocked: bool,
    /// It was fetched by a reference, so that no reference in it is followed.
    pub(crate) is_fetched: bool,
    /// It was a reference to another. Known once it is decrypted.
    pub(crate) reference: Option<Reference>,
}

/// What became of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    /// What it names will be fetched.
    Kept,
    /// It is not followed.
    Refused,
}

impl Arrival {
    pub(crate) const fn by_carrier(is_by_broker: bool) -> Self {
        Self { is_by_carrier: true, is_by_broker, is_blocked: false, is_fetched: false, reference: None }
    }

    /// A reference in a frame named it.
    pub(crate) const fn by_reference(is_by_broker: bool) -> Self {
        Self { is_fetched: true, ..Self::by_carrier(is_by_broker) }
    }
}

/// Rows that are read in the order they were written take their place from one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Session,
    Message,
    Outbox,
    Pending,
    Event,
    Quarantine,
    Parked,
    Decision,
    Consent,
    Plain,
    PlainOutbox,
    CarrierReply,
    Retained,
}

impl Sequence {
    const fn key(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Message => b"message",
            Self::Outbox => b"outbox",
            Self::Pending => b"pending",
            Self::Event => b"event",
            Self::Quarantine => b"quarantine",
            Self::Parked => b"parked",
            Self::Decision => b"decision",
            Self::Consent => b"consent",
            Self::Plain => b"plain",
            Self::PlainOutbox => b"plain_outbox",
            Self::CarrierReply => b"carrier_reply",
            Self::Retained => b"retained",
        }
    }
}

/// Rows that are counted as they come and go, because a bound on them is checked far more often than they are read, and peers choose how
/// large they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Envelopes that wait for key sets.
    Parked,
    /// Of these, those that claim to come from this account.
    ParkedOf(AccountId),
    /// Envelopes to this device in the outbox that carry no message.
    Notices(DeviceAddress),
    /// Threads that strangers began.
    StrangerThreads,
    /// Sessions that this device began.
    HandshakesBegun,
    /// Sessions that others began with it.
    HandshakesAccepted,
    /// Cases that this account opened.
    Cases,
}

impl Tally {
    fn key(self) -> Vec<u8> {
        match self {
            Self::Parked => b"tally/parked".to_vec(),
            Self::ParkedOf(account) => record::key(&[b"tally/parked/", account.as_bytes()]),
            Self::Notices(device) => record::key(&[b"tally/notices/", &device.to_bytes()]),
            Self::StrangerThreads => b"tally/plain/strangers".to_vec(),
            Self::HandshakesBegun => b"tally/handshakes/begun".to_vec(),
            Self::HandshakesAccepted => b"tally/handshakes/accepted".to_vec(),
            Self::Cases => b"tally/cases".to_vec(),
        }
    }
}

impl<'a> Engine<'a> {
    /// Wraps a transaction that the shell opened.
    pub fn new(tx: &'a mut dyn Tx, now: UnixMillis, rng: &'a mut dyn CryptoRng) -> Self {
        Self { tx, now, rng, arrival: Arrival::default() }
    }

    /// Empties the store, for a device that is to have another account than it was to have. Only the events' numbers go on: an app remembers
    /// the last one that it has seen; and the journal, which nothing is ever taken out of.
    pub(crate) fn clear(&mut self) -> Result<(), StoreError> {
        let last_event = self.tx.get(Table::Counter, Sequence::Event.key())?;
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Journal) {
            self.tx.delete_range(table, &[], &prefix_end(&[]))?;
        }
        match last_event {
            Some(number) => self.tx.put(Table::Counter, Sequence::Event.key(), &number),
            None => Ok(()),
        }
    }

    /// How many there are.
    pub(crate) fn tally(&self, tally: Tally) -> Result<u64, StoreError> {
        match self.tx.get(Table::Counter, &tally.key())? {
            Some(bytes) => Ok(record::Number::from_row(Table::Counter, &bytes)?.0),
            None => Ok(0),
        }
    }

    /// One more.
    pub(crate) fn count_up(&mut self, tally: Tally) -> Result<(), StoreError> {
        let count = self.tally(tally)?.saturating_add(1);
        self.tx.put(Table::Counter, &tally.key(), &record::Number(count).to_row())
    }

    /// One less. A count of none leaves no row.
    pub(crate) fn count_down(&mut self, tally: Tally) -> Result<(), StoreError> {
        match self.tally(tally)? {
            0 | 1 => self.tx.delete(Table::Counter, &tally.key()),
            count => self.tx.put(Table::Counter, &tally.key(), &record::Number(count - 1).to_row()),
        }
    }

    /// The next number of a sequence is above this one.
    pub(crate) fn skip_to(&mut self, sequence: Sequence, number: u64) -> Result<(), StoreError> {
        let last = match self.tx.get(Table::Counter, sequence.key())? {
            Some(bytes) => record::Number::from_row(Table::Counter, &bytes)?.0,
            None => 0,
        };
        self.tx.put(Table::Counter, sequence.key(), &record::Number(last.max(number)).to_row())
    }

    /// The next number of a sequence, from 1.
    pub(crate) fn next(&mut self, sequence: Sequence) -> Result<u64, StoreError> {
        let last = match self.tx.get(Table::Counter, sequence.key())? {
            Some(bytes) => record::Number::from_row(Table::Counter, &bytes)?.0,
            None => 0,
        };
        let next = last + 1;
        self.tx.put(Table::Counter, sequence.key(), &record::Number(next).to_row())?;
        Ok(next)
    }
}
