//! Messages that this server can read, where its configuration says so: sealed to a key in the operator's hardware module, kept by class,
//! opened for the recipient's devices and for the operator, and every opening on record.
//!
//! This is not end to end. It is for tenants who must keep what is said, or must be able to read it; apps show it as readable by the server
//! at both ends. Nothing here touches mailboxes or their envelopes, which stay unreadable with or without it. States of a message: *kept*, then
//! *expired*. Spec: `docs/protocol/server-encryption.md`; why it is built like this: `docs/decisions/0018-server-side-encryption.md`.

mod error;
mod http;
mod keys;
mod open;

pub(crate) use error::RetainedError;
pub(crate) use http::routes;
pub(crate) use keys::{ServerEncryption, current, of};
pub(crate) use open::{Opened, Unreadable, open};
