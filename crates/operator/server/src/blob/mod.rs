//! Encrypted media: bytes that only devices can read, under an id that only those who were told it can know.
//!
//! A logged-in device declares size, digest and lifetime, then uploads from where the server stands; an interrupted upload continues
//! at the last whole piece. The server checks the digest when the last byte has come, and only then lets the blob be read, by
//! anybody who knows its id, whole or in one range, without a login: the reader stays unknown. Bytes are streamed both ways; no
//! blob is ever whole in memory, and the number of streams is bounded, in all and for each peer.

mod error;
mod http;
mod places;
mod range;

pub(crate) use http::routes;
pub(crate) use places::{download_slots, upload_slots};
