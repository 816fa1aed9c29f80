//! Sending again what could not be decrypted, to the device it was sent to and to nobody else.
//!
//! A device that cannot decrypt an envelope of a device it knows asks that device, inside a session, to send it once more ([`ask`]). The
//! other side answers ([`answer`]) if it sent that very envelope to that very device, the device still has the identity key that the
//! message was encrypted to, and the bounds allow it: what the message says now goes out under its old id, so that it is shown once. To
//! another key nothing goes without the user: such a message is *held* ([`held`]), the app hears of it, and
//! [`Engine::approve_resend`](crate::Engine::approve_resend) is the user's decision.
//!
//! Table of resends, by kind: 1 device, envelope: to be asked for; 2 the same: asked; 3 message, device: sent again how often, held or not.
//! `docs/protocol/sessions.md` lists rules and limits.

mod answer;
mod ask;
mod held;

pub use held::{HeldResend, ResendError};
