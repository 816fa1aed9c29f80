//! Sockets to carriers.
//!
//! Every way into a carrier is a [`transport::Transport`]: our own SIP and MSRP user agent ([`sip`], [`msrp`],
//! together [`sip_transport`]), or a stack that the host
//! has already and lends by callbacks ([`host`]). File transfer over HTTP ([`ft`]) moves blobs beside it. What is carried is opaque
//! here: this crate has no key and reads no message.

pub mod auth;
pub mod ft;
pub mod host;
mod inbox;
pub mod msrp;
mod outbound;
mod reach;
pub mod sip;
pub mod sip_transport;
pub mod tls;
pub mod transport;
