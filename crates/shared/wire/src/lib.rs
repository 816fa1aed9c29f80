//! Everything that crosses a boundary, in one encoding each.
//!
//! | module | encoding | crosses |
//! |---|---|---|
//! | [`id`] | fixed bytes; base64url or UUID as text | everything |
//! | [`envelope`] | fixed layout, one byte of kind | device to device, through relays and carriers |
//! | [`carrier_delivery`] | TLS presentation language inside a seal | broker to device |
//! | [`content`] | protobuf inside the encryption | device to device |
//! | [`frame`] | protobuf | device to relay, message plane |
//! | [`api`] | JSON | device to server, everything else |
//! | [`problem`] | RFC 9457 problem documents | server to device |
//! | [`invitation`], [`link`], [`continuation`] | TLS presentation language in a link text | person to person, screen to camera |
//! | [`message_link`] | an id in a link text | beside what went by SMS |
//! | [`login`] | bytes that a device signs | device to server |
//! | [`remote_config`] | JSON behind a signature | publisher of an app to device |
//! | [`number`] | `+` and digits | everything that names a phone number |
//!
//! Every parser here takes bytes of a peer and answers a value or a typed error. Past it nobody checks a length again.
//! Nothing here does I/O, reads a clock or draws randomness.

pub mod api;
pub mod b64;
pub mod backup;
pub mod carrier_delivery;
pub mod content;
pub mod continuation;
pub mod envelope;
pub mod frame;
pub mod id;
pub mod invitation;
pub mod link;
pub mod login;
pub mod message_link;
pub mod number;
pub mod origin;
pub mod padding;
pub mod problem;
pub mod remote_config;
pub mod token;
