//! What a shell is handed for a carrier.
//!
//! There are two kinds, and both are closed: an envelope in frames under the permit of its decision ([`CarrierHandover`]), and a receipt
//! that says no more than what became of a message under an id that the far end chose ([`CarrierNotice`]). A third, plain words, is
//! [`crate::plain`]'s, under a permit of the other class. A function that takes these and nothing else cannot be made to send anything
//! more readable than was decided.

use std::fmt;

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::CarrierMessage;

use crate::policy::{Ciphertext, Permitted};

/// An envelope on its way to a carrier: its frames, and the permit that lets them go.
#[must_use = "what is not released is sent by the relay only after the patience"]
pub struct CarrierHandover {
    pub(super) to: PhoneNumber,
    pub(super) frames: Permitted<Ciphertext>,
}

impl CarrierHandover {
    /// Whose phone it goes to.
    #[must_use]
    pub const fn to(&self) -> &PhoneNumber {
        &self.to
    }

    /// The messages to hand to the carrier, in order. The permit is used up.
    #[must_use]
    pub fn release(self) -> Vec<CarrierMessage> {
        self.frames.release()
    }
}

/// Without the frames.
impl fmt::Debug for CarrierHandover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarrierHandover").field("to", &self.to).field("frames", &self.frames).finish()
    }
}

/// A receipt that the far end asked for. It names a message of theirs by its id at the carrier and holds no content.
#[must_use = "a receipt that is not sent stays due"]
pub struct CarrierNotice {
    /// Its place; what [`crate::Engine::handle_carrier_notice_sent`] takes.
    pub number: u64,
    pub(super) message: CarrierMessage,
}

impl CarrierNotice {
    /// The message to hand to the carrier.
    #[must_use]
    pub fn release(self) -> CarrierMessage {
        self.message
    }
}

impl fmt::Debug for CarrierNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarrierNotice")
            .field("number", &self.number)
            .field("to", &self.message.to)
            .finish_non_exhaustive()
    }
}
