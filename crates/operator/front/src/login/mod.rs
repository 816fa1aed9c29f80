//! Who is asking: the login of devices, and the tokens it yields.
//!
//! A login is two requests on one TLS connection. The *challenge* leaves a random nonce with the connection; the *login* takes it
//! and checks a signature by the device-auth key over `label, origin, TLS exporter, account, device, nonce`
//! ([`rcseal_wire::login`]). The nonce is gone after one attempt, and neither a signature made for another connection, nor one
//! made for another server, fits. What a login yields is a bearer token: account, device and expiry under an HMAC. It may be
//! used on other connections of the same device.
//!
//! A server implements [`LoginHost`] for the state of its handlers, and has two routes of its own that call [`challenge`] and [`log_in`];
//! the answer may say more than a token there. Handlers that need a logged-in device take [`AuthenticatedDevice`] as an argument. Spec:
//! `docs/protocol/relay-api.md`, section Login.

mod attempt;
mod error;
mod extract;
mod host;
mod token;

pub use attempt::{LoggedIn, challenge, log_in};
pub use error::AuthError;
pub use extract::AuthenticatedDevice;
pub use host::{Login, LoginHost, LoginKey};
pub use token::{Bearer, TokenKey};
