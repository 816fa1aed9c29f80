//! What is known of peers: who has end-to-end encryption, and what carriers said of numbers.
//!
//! Two kinds of knowledge, kept apart because they come from different mouths. The **latch** says who is known to have end-to-end
//! encryption: from a signed key set, from the peer's device inside a session, or from the user; it never expires. **Hints** are what a
//! carrier answered when it was asked about a number: cached, with expiry, and good for choosing between two end-to-end ways. No hint
//! makes a decision more readable, since whoever carries a question can make up its answer.

mod hint;
mod latch;
mod number;

pub(crate) use hint::NativeOutcome;
pub use hint::{ASK_AGAIN_MS, HINT_MS, HintView, QUERIES_PER_HOUR};
pub use latch::{Latch, LatchSource, Latched};
pub use number::NumberKey;

use rcseal_wire::id::{AccountId, DeviceNumber};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::store::{BadRow, StoreError, Table};

/// What is known of one device of a contact: it said so itself, inside a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCapabilities {
    /// Which device.
    pub device: DeviceNumber,
    /// The highest version of a frame that it reads; 0 where nothing comes to it by a carrier.
    pub frame_version: u8,
    /// The number at which it says that it is reached. A claim.
    pub number: Option<NumberKey>,
    /// When it said so.
    pub at: UnixMillis,
}

/// What is known of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCapabilities {
    /// Since when it is known to have end-to-end encryption, and what showed it.
    pub latch: Option<Latch>,
    /// What its devices said of themselves.
    pub devices: Vec<DeviceCapabilities>,
    /// What the carrier answered about the number that the user gave it, while that counts.
    pub hint: Option<HintView>,
}

impl Engine<'_> {
    /// What is known of a contact, and from where.
    ///
    /// # Errors
    /// Those of the store.
    pub fn capabilities(&self, contact: AccountId) -> Result<ContactCapabilities, StoreError> {
        let devices = self
            .cards_of(contact)?
            .into_iter()
            .map(|(device, card)| DeviceCapabilities {
                device: device.device,
                frame_version: card.frame_version,
                number: card.number.as_ref().map(NumberKey::of),
                at: card.at,
            })
            .collect();
        let hint = match self.number_of(contact)? {
            Some(number) => self.carrier_hint(&number)?,
            None => None,
        };
        Ok(ContactCapabilities { latch: self.latched(Latched::Account(contact))?, devices, hint })
    }

    /// The contact that the user gave this number to.
    pub(crate) fn contact_with_number(&mut self, number: NumberKey) -> Result<Option<AccountId>, AccountError> {
        for contact in self.contacts().map_err(|_| BadRow::error(Table::Contact))? {
            if self.number_of(contact.account)?.is_some_and(|known| NumberKey::of(&known) == number) {
                return Ok(Some(contact.account));
            }
        }
        Ok(None)
    }
}
