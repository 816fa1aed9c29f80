//! What carriers do to frames, counted by name.
//!
//! Every message of a carrier that held a frame, or what is left of one, is looked at for what has become of it on the way. A count goes
//! up for each kind; nothing of the message is kept by it.

use super::prefix;
use crate::context::Engine;
use crate::record::{Number, Record as _, key, text};
use crate::store::{Order, StoreError, Table, prefix_end};

/// Kinds that there are at most: they are codes of ours.
const KINDS_MAX: usize = 128;

/// How often something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// What: a code of `rcs::frame`'s damages, or of `docs/protocol/native.md`.
    pub code: String,
    /// How often.
    pub count: u64,
}

impl Engine<'_> {
    pub(super) fn count_mutation(&mut self, code: &str) -> Result<(), StoreError> {
        let row_key = key(&[&[prefix::MUTATION], code.as_bytes()]);
        let count = match self.tx.get(Table::Carrier, &row_key)? {
            Some(row) => Number::from_row(Table::Carrier, &row)?.0,
            None => 0,
        };
        self.tx.put(Table::Carrier, &row_key, &Number(count.saturating_add(1)).to_row())
    }

    /// What carriers did to frames that came here, by code.
    ///
    /// # Errors
    /// Those of the store.
    pub fn carrier_mutations(&self) -> Result<Vec<Mutation>, StoreError> {
        let start = [prefix::MUTATION];
        let rows = self.tx.scan(Table::Carrier, &start, &prefix_end(&start), KINDS_MAX, Order::Ascending)?;
        rows.iter()
            .map(|(row_key, row)| {
                Ok(Mutation {
                    code: text(Table::Carrier, row_key.get(1..).unwrap_or_default())?,
                    count: Number::from_row(Table::Carrier, row)?.0,
                })
            })
            .collect()
    }
}
