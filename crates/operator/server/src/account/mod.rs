//! Registration: an account comes into being with its first key set, its primary device, that device's mailbox and prekeys, and a
//! delivery token.
//!
//! Account, key set, mailbox, token and the used-up invite are one transaction of the store; the prekeys follow in a second one. A
//! client that did not hear the answer repeats the request unchanged and gets the same answer.
//!
//! And the end of an account: [`deletion`].

mod deletion;
mod error;
mod http;

pub(crate) use error::RegistrationError;
pub(crate) use http::routes;
