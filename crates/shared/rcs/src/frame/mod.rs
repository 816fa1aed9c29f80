//! One encrypted blob on its way through a carrier.
//!
//! A carrier moves bodies and may change them: it drops headers, renames media types, rewrites line ends, adds greetings, wraps lines,
//! stores and forwards, splits, repeats. A frame is the shape a ciphertext is given so that it is still found, or its damage has a name.
//! [`split`] cuts a blob into [`Part`]s that fit a transport; each says of itself which frame it is of, which part of how many, and how long
//! the whole is. [`find`] looks for parts anywhere in a body, as bytes or as text, whatever the body's headers claim. [`Assembly`] puts
//! parts together in any order, within limits. `docs/protocol/framing.md` has every byte, every limit and every name of damage.
//!
//! Nothing here authenticates anything. The checks are unkeyed: whoever can write a part can write its check. They exist to tell
//! damage from a message, early and by name. The blob inside is a ciphertext with its own authentication, and only that decides.
//! A frame also says nothing about who sends: its id is random, and its sizes are those of padded envelopes.

mod assembly;
mod damage;
mod find;
mod head;
mod inflate;
mod part;
mod split;
mod text;

#[cfg(test)]
mod tests;

pub use assembly::{Assembly, AssemblyLimits, Blob, Lost, LostReason, Progress};
pub use damage::Damage;
pub use find::{Found, find, find_in};
pub use part::{FrameId, Kind, Part};
pub use split::{FrameError, parts_needed, payload_len_max, split};
pub use text::text_len;

/// The version that is written, and the only one that is read.
pub const FRAME_VERSION: u8 = 1;

/// The media type of a binary part. A courtesy to whoever looks: parts are recognised by their bytes.
pub const MEDIA_TYPE: &str = "application/vnd.rcseal.frame";

/// Bytes that a part adds to its payload: 52 before, 8 behind. A multiple of three, so that as text they are 80 characters exactly.
pub const PART_OVERHEAD: usize = 60;

/// The longest blob: ten of the longest envelopes. What is longer goes by reference.
pub const BLOB_LEN_MAX: usize = 1024 * 1024;

/// The most parts a frame is cut into. A thousand pager messages is more than any carrier lets through in one go.
pub const PARTS_MAX: u16 = 1024;

/// The longest body that is searched, before and after it is inflated: the longest part as text, and half as much again round it.
pub const BODY_LEN_MAX: usize = 2 * 1024 * 1024;

/// The most parts that one body yields. Senders put one part into a body; gateways that join messages join a few.
pub const PARTS_IN_BODY_MAX: usize = 64;

/// After so many damaged parts a body is not searched further: each may cost a hash over the whole body.
pub const DAMAGE_IN_BODY_MAX: usize = 16;
