//! The native route: ciphertext that a carrier takes from phone to phone.
//!
//! A message is encrypted, sealed and put into the outbox as every other is; what differs is who takes it from there. Where the decision
//! for a message says *native* and both sides are on a carrier, the envelope of a device is cut into frames and handed over; everything
//! else goes by the relay. Where a broker stands in the carrier's place, on this side or the other, all of it is the same, and the mode is
//! *brokered* (`docs/protocol/delivery.md`).
//!
//! `ready` → `handed over` → gone (the recipient's device said, end to end, that it has the message), or → `back` (on the relay, the very
//! same envelope) when the carrier refuses, cannot, or when the patience ends. What a carrier answers (200, 202, a receipt of its own)
//! is never taken for delivery: it only ends a wait early, in the direction of the relay.
//!
//! | file | what |
//! |---|---|
//! | `card.rs` | what this device and its peers say of themselves, contacts' numbers |
//! | `deposit.rs` | envelopes that are too long for a carrier: kept at our relay, with a reference in the frame |
//! | `fetch.rs` | the other side of that: fetching what a reference names |
//! | `route.rs` | where an envelope stands, hand-overs and their outcomes |
//! | `handover.rs` | what a shell is handed |
//! | `issued.rs` | what was handed over under which id, and the carrier's receipts for it |
//! | `receive.rs` | what a carrier delivers |
//! | `parts.rs` | parts of frames until they are whole |
//! | `reply.rs` | receipts that the far end asked for |
//! | `mutation.rs` | what carriers do to frames, counted by name |
//!
//! Nothing here decides how readable a message may be: that is [`crate::policy`], and nothing here can make one more readable, since only
//! envelopes are ever handed over. `docs/protocol/native.md` tells the states.

mod card;
mod deposit;
mod fetch;
mod handover;
mod issued;
mod mutation;
mod parts;
mod receive;
mod reply;
mod route;

pub use card::{CarrierError, CarrierKind, CarrierSetup, NumberView, PATIENCE_MS};
pub use deposit::Deposit;
pub use fetch::{Fetch, FetchFailure, FetchId};
pub use handover::{CarrierHandover, CarrierNotice};
pub use mutation::Mutation;
pub use receive::{CarrierAnswer, CarrierDisposition};
pub use route::CarrierView;

pub(crate) use route::Step;

use crate::context::Engine;
use crate::store::StoreError;

impl Engine<'_> {
    /// Deletes what is no longer of use.
    pub(crate) fn keep_carrier(&mut self, oldest_kept_ms: u64) -> Result<(), StoreError> {
        self.drop_aged_parts()?;
        self.forget_tried_before(oldest_kept_ms)?;
        self.forget_taken_before(oldest_kept_ms)?;
        self.forget_issued_before(self.now.0.saturating_sub(issued::ISSUED_MS_MAX))
    }
}

/// First bytes of keys in the table `carrier`.
mod prefix {
    /// This device's own setup.
    pub(super) const OWN: u8 = 1;
    /// What a peer device said of itself.
    pub(super) const CARD: u8 = 2;
    /// Which version of our own card a peer device was told.
    pub(super) const TOLD: u8 = 3;
    /// A contact's number, from the user.
    pub(super) const NUMBER: u8 = 4;
    /// What was found changed or damaged, counted by code.
    pub(super) const MUTATION: u8 = 5;
    /// What a peer device's references name and is not here yet, with the keys to it.
    pub(super) const FETCH: u8 = 6;
}
