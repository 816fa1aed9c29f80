//! What other people's parsers make of what we write.
#![allow(clippy::unwrap_used, clippy::panic)]

mod mail;
mod second;
