//! How rows and keys look on disk.
//!
//! Five fjall keyspaces: `envelopes`, `ids` and `expiry` are hot and have fixed layouts, written out below; `prekeys` holds one key per
//! row; `records` holds everything small, told apart by the first byte of the key. Numbers in keys are big-endian, so that byte order is
//! number order. A change of layout bumps [`FORMAT`]. Keys, hot rows and records have a module each; their callers see one.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | envelopes | mailbox 16, seq 8 | id 16, received 8, expires 8, envelope |
//! | ids | mailbox 16, id 16 | seq 8, expires 8, envelope length 4, first 16 bytes of the envelope's SHA-256 |
//! | expiry | expires 8, mailbox 16, id 16 | nothing |
//! | prekeys | device 17, kind 1, id 4 | prekey |
//! | records | tag 1, ... | protobuf, or as the tag says |

mod fields;
mod hot;
mod keys;
mod records;

pub(super) use self::hot::*;
pub(super) use self::keys::*;
pub(super) use self::records::*;

/// Version of everything in this module; a store of another version is refused.
pub(super) const FORMAT: u64 = 1;

/// A keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Envelopes,
    Ids,
    Expiry,
    Prekeys,
    Records,
}

impl Space {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envelopes => "envelopes",
            Self::Ids => "ids",
            Self::Expiry => "expiry",
            Self::Prekeys => "prekeys",
            Self::Records => "records",
        }
    }
}
