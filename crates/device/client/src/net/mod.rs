//! Talking to a server: TLS 1.3 over our own stream, HTTP/1.1 and WebSockets on it, on two planes.
//!
//! | plane | type | who the server sees |
//! |---|---|---|
//! | authenticated | [`Authenticated`] | a device that logged in on this very TLS connection: fetch, acknowledge, own keys, uploads |
//! | anonymous | [`Anonymous`] | nobody: submissions, contacts' keys and downloads, each by its own capability |
//!
//! Nothing here keeps state that matters: a connection may be lost at any point and every request may be repeated. Waiting between
//! attempts is the caller's ([`crate::backoff`]). Every answer is bounded in time ([`Timeouts`]) and size, and every byte of a server's
//! becomes a value or a [`NetError`]. Spec: `docs/protocol/relay-api.md`.

mod anonymous;
mod authenticated;
mod blob;
mod broker;
mod broker_transport;
mod error;
mod http;
mod kept;
mod limits;
mod login;
mod mailbox;
mod pins;
mod proxy;
mod push;
mod retained;
mod socket;
mod submit;
mod tls;

pub use anonymous::Anonymous;
pub use authenticated::Authenticated;
pub use blob::{OnProgress, Progress};
pub use broker::{broker_info, enrol};
pub use broker_transport::BrokerTransport;
pub use error::{Fault, NetError, ProxyFault, Refused, Stage};
pub use limits::Timeouts;
pub use login::LoginSigner;
pub use mailbox::{Delivered, MailboxNotice, MailboxSocket};
pub use pins::{PIN_LEN, Pins};
pub use proxy::{Proxy, ProxyError};
pub use rcseal_carrier::tls::{TrustAnchors, TrustError};
pub use submit::SubmitSocket;
pub use tls::{Endpoint, EndpointError};
