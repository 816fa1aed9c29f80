//! Digest authentication (RFC 7616, RFC 8760) and AKAv1-MD5 (RFC 3310), for SIP and HTTP.
//!
//! A server refuses a request with one or several [`Challenge`]s. [`Challenge::strongest`] picks the one to answer, and a [`Session`] answers
//! it for that request and for those after it: it counts the nonce's uses and keeps its own nonce, so that a server's session forms and
//! its replay check both hold. When the server says that its nonce is stale, a new session is opened on the new challenge; how often one
//! answers is the caller's to bound.
//!
//! With a password the hash is MD5 or SHA-256; the stronger is taken. With a SIM ([`AkaProvider`]) the password is the SIM's answer to the
//! network's challenge, and only the AKA form is answered: a SIM has no password that an MD5 challenge could ask for. The network proves itself
//! to the SIM on the way; one whose proof fails gets no answer.
//!
//! Nothing here reads a clock or a socket. MD5 is here because carriers ask for it; nothing of ours rests on it.

mod aka;
mod challenge;
mod credentials;
mod digest;
#[cfg(feature = "software-sim")]
pub mod milenage;

pub use aka::{AkaAnswer, AkaFailure, AkaProvider};
pub use challenge::{Algorithm, Challenge, ChallengeError};
pub use credentials::{Credentials, Password};
pub use digest::{AuthError, Session};
