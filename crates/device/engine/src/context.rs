//! What every operation is handed: a transaction, the time, and randomness.

use rand_core::CryptoRng;

use crate::record::{self, Record as _};
use crate::store::{StoreError, Table, Tx};

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
        }
    }
}

impl<'a> Engine<'a> {
    /// Wraps a transaction that the shell opened.
    pub fn new(tx: &'a mut dyn Tx, now: UnixMillis, rng: &'a mut dyn CryptoRng) -> Self {
        Self { tx, now, rng }
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
