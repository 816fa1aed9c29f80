//! What a carrier carries, without a socket.
//!
//! A carrier is a network that moves messages and may change them. This crate knows the shapes it moves (CPIM, IMDN, MSRP, the
//! descriptor of a file transfer), the shape we give to a ciphertext so that it survives being moved ([`frame`]), and what a way of
//! moving can do ([`transport`]). It parses peers' bytes: every parser answers a value or a typed error, within limits.
//!
//! | module | what |
//! |---|---|
//! | [`frame`] | one encrypted blob, self-describing, in parts, binary or as text |
//! | [`cpim`], [`imdn`], [`composing`] | the message wrapper of RFC 3862, receipts of RFC 5438, "is writing" of RFC 3994 |
//! | [`msrp`], [`sdp`] | frames and session descriptions of RFC 4975 |
//! | [`feature`] | capability tags of RCS, of RCC.16 and ours |
//! | [`ft`] | the descriptor of a file transfer over HTTP |
//! | [`chat`] | what every transport does alike: wrapping a message, and finding out what came in |
//! | [`number`] | phone numbers |
//! | [`text`], [`stamp`], [`encoding`] | texts that fit into headers, times, compression with a bound |
//! | [`transport`] | what a transport can carry, and what is handed to it |

pub mod chat;
pub mod composing;
pub mod cpim;
pub mod encoding;
pub mod feature;
pub mod frame;
pub mod ft;
pub mod imdn;
pub mod msrp;
pub mod number;
pub mod sdp;
pub mod stamp;
pub mod text;
pub mod transport;
mod xml;
