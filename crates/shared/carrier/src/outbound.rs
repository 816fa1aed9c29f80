//! What every transport does to a message before it sends it: checks that it fits, and wraps it in CPIM.

use std::time::SystemTime;

use rcseal_rcs::chat;
use rcseal_rcs::number::{Domain, PhoneNumber};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{Carriage, CarrierMessage, SendFailure, TransportProfile};

/// Room for the wrapper round a body: its headers are some 400 bytes, with room for those of another stack.
pub(crate) const WRAPPER_LEN_MAX: usize = 16 << 10;

/// Whether a transport of this profile carries the message.
pub(crate) fn check(profile: &TransportProfile, message: &CarrierMessage) -> Result<(), SendFailure> {
    let body_len = match &message.carriage {
        Carriage::Framed { is_text, bytes } => {
            if !is_text && !profile.is_binary_safe {
                return Err(SendFailure::Unfit);
            }
            bytes.len()
        }
        Carriage::Verbatim { headers, body, .. } => {
            if !headers.is_empty() && !profile.carries_headers {
                return Err(SendFailure::Unfit);
            }
            body.len()
        }
    };
    if body_len > profile.body_len_max { Err(SendFailure::TooLarge) } else { Ok(()) }
}

/// The CPIM message round a body. Our clock is what its date says.
pub(crate) fn to_cpim(message: &CarrierMessage, own: &PhoneNumber, domain: &Domain) -> Result<Vec<u8>, SendFailure> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
    chat::wrap(message, own, domain, now).map_err(|error| {
        tracing::debug!(code = error.code(), "message cannot be wrapped");
        SendFailure::Unfit
    })
}
