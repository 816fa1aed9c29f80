//! Who is asking: device login, the tokens it yields, and delivery tokens.
//!
//! A login is two requests on one TLS connection. The *challenge* leaves a random nonce with the connection; the *login* takes it
//! and checks a signature by the device-auth key over `label, origin, TLS exporter, account, device, nonce`
//! ([`rcseal_wire::login`]). The nonce is gone after one attempt, and neither a signature made for another connection, nor one
//! made for another server, fits. What a login yields is a bearer token: account, device and expiry under an HMAC. It may be
//! used on other connections of the same device.
//!
//! Handlers that need a logged-in device take [`AuthenticatedDevice`] as an argument. Whoever may read an account's public
//! material takes [`DirectoryReader`]. Spec: `docs/protocol/relay-api.md`, section Login.

mod error;
mod extract;
mod http;
mod reader;
mod token;

pub(crate) use error::AuthError;
pub(crate) use extract::AuthenticatedDevice;
pub(crate) use http::routes;
pub(crate) use reader::DirectoryReader;
pub(crate) use token::{Bearer, TokenKey};
