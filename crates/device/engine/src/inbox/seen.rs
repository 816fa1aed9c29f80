//! Which ciphertexts have been decrypted.
//!
//! The ratchet cannot tell a message that it has decrypted before from one whose skipped key it had to drop: both find no key. The first is
//! a second delivery and may be acknowledged as consumed; the second is a message that this device never read, and may not. So the hash of
//! every ciphertext is kept beside the step that decrypted it, for longer than a relay keeps an envelope.

use rcseal_crypto::hash::sha256;

use crate::context::Engine;
use crate::pages::Pages;
use crate::record::{Number, Record as _};
use crate::store::{StoreError, Table};

const LABEL: &[u8] = b"rcseal/seen/v1";
/// Rows that one step of housekeeping reads at a time.
const PAGE: usize = 1_000;

fn row_key(ciphertext: &[u8]) -> [u8; 32] {
    sha256(&[LABEL, ciphertext])
}

impl Engine<'_> {
    /// Notes that a suite's ciphertext was decrypted.
    pub(super) fn remember_seen(&mut self, ciphertext: &[u8]) -> Result<(), StoreError> {
        self.tx.put(Table::Seen, &row_key(ciphertext), &Number(self.now.0).to_row())
    }

    /// Whether a suite's ciphertext was decrypted before.
    pub(super) fn was_seen(&self, ciphertext: &[u8]) -> Result<bool, StoreError> {
        Ok(self.tx.get(Table::Seen, &row_key(ciphertext))?.is_some())
    }

    /// Forgets ciphertexts that no relay keeps any more.
    pub(crate) fn forget_seen_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Seen, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (seen_key, row) in &rows {
                if Number::from_row(Table::Seen, row)?.0 < at_ms {
                    self.tx.delete(Table::Seen, seen_key)?;
                }
            }
        }
        Ok(())
    }
}
