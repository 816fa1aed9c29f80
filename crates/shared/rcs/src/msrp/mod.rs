//! Frames of the Message Session Relay Protocol (RFC 4975; relays: RFC 4976).
//!
//! A session carries messages too large for a SIP message over one TCP or TLS connection. A message is cut into chunks, each a `SEND`
//! with a byte range; the other end answers each with a status, and reports once the message is whole. An answer of 200 says that the
//! next hop has the chunk, a success report that the far end has the message: neither says anything about decryption.
//!
//! ```text
//! MSRP a786hjs2 SEND
//! To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp
//! From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp
//! Message-ID: 87652491
//! Byte-Range: 1-25/25
//! Content-Type: text/plain
//!
//! Hey Bob, are you there?
//! -------a786hjs2$
//! ```
//!
//! | part | what |
//! |---|---|
//! | [`Uri`], [`Path`] | where a frame goes and comes from |
//! | [`Frame`] | one request or response; the constructors choose a transaction id that does not occur in the body |
//! | [`Parser`] | bytes of a stream to frames, never holding more than one frame's limit |
//! | [`Assembler`] | chunks to messages, within limits on sizes, gaps and messages at a time |
//! | [`Outgoing`] | a message to chunks |
//!
//! Everything here is bytes in, values out; sockets are the `carrier` crate's. An error of the parser ends the connection: behind a
//! frame that cannot be read there is no telling where the next begins.

mod assembly;
mod frame;
mod outgoing;
mod parser;
mod range;
#[cfg(test)]
mod tests;
mod uri;

pub use assembly::{Added, Assembler, AssemblyError, AssemblyLimits, Received};
pub use frame::{Flag, Frame, FrameError, FrameHeader, Method, Start, Status, TransactionId};
pub use outgoing::{Outgoing, message_id};
pub use parser::{MsrpError, Parser};
pub use range::{ByteRange, RangeError};
pub use uri::{Path, Uri, UriError};

/// Bytes of body in one chunk that we write: what deployed clients write, and well below what relays pass on (8,000 did, 16,000 did
/// not).
pub const CHUNK_LEN: usize = 2048;

/// The largest body of one frame that is read. Peers may send a message in a single chunk.
pub const BODY_LEN_MAX: usize = 256 * 1024;

/// The start line and the headers of one frame.
pub const HEAD_LEN_MAX: usize = 16 * 1024;

/// Headers of one frame.
pub const HEADERS_MAX: usize = 32;

/// Hops in a path. Two relays on either side are four.
pub const PATH_MAX: usize = 8;
