//! What every transport does to a message before it sends it: checks that it fits, and wraps it in CPIM.

use std::time::SystemTime;

use rcseal_rcs::number::PhoneNumber;
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

/// The CPIM message round a body.
pub(crate) fn to_cpim(message: &CarrierMessage, own: &PhoneNumber, at: SystemTime) -> Result<Vec<u8>, SendFailure> {
    let _ = (own, at);
    let (content_type, body) = match &message.carriage {
        Carriage::Framed { is_text: true, bytes } => ("text/plain;charset=UTF-8", bytes),
        Carriage::Framed { is_text: false, bytes } => ("application/vnd.rcseal.frame", bytes),
        Carriage::Verbatim { content_type, body, .. } => (content_type.as_str(), body),
    };
    let mut cpim = format!(
        "From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:anonymous@anonymous.invalid>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: {}\r\n\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        message.id.as_str(),
        body.len()
    )
    .into_bytes();
    cpim.extend_from_slice(body);
    Ok(cpim)
}
