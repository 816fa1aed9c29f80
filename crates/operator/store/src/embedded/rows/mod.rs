//! How rows and keys look on disk.
//!
//! The relay's schema has six fjall keyspaces: `envelopes`, `ids` and `expiry` are hot and have fixed layouts, written out below; `prekeys` holds one key per
//! row; `records` holds everything small, told apart by the first byte of the key. Numbers in keys are big-endian, so that byte order is
//! number order. A change of layout bumps [`Schema::format`]. Keys, hot rows and records have a module each; their callers see one.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | envelopes | mailbox 16, seq 8 | id 16, received 8, expires 8, envelope |
//! | ids | mailbox 16, id 16 | seq 8, expires 8, envelope length 4, first 16 bytes of the envelope's SHA-256 |
//! | expiry | expires 8, mailbox 16, id 16 | nothing |
//! | prekeys | device 17, kind 1, id 4 | prekey |
//! | records | tag 1, ... | protobuf, or as the tag says |
//! | retained | tag 1, ... | see `super::retained` |
//!
//! The broker's schema has one keyspace, `broker`, laid out as `records` is (see `super::broker`). A folder holds one schema.

mod fields;
mod hot;
mod keys;
mod records;

pub(super) use self::fields::{Fields, joined};
pub(super) use self::hot::*;
pub(super) use self::keys::*;
pub(super) use self::records::*;

/// Which server's rows a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    Relay,
    Broker,
}

impl Schema {
    const ALL: [Self; 2] = [Self::Relay, Self::Broker];

    /// The keyspaces.
    pub(super) const fn spaces(self) -> &'static [Space] {
        match self {
            Self::Relay => {
                &[Space::Envelopes, Space::Ids, Space::Expiry, Space::Prekeys, Space::Records, Space::Retained]
            }
            Self::Broker => &[Space::Broker],
        }
    }

    /// Where the version and the row of the disk's probe are.
    pub(super) const fn records(self) -> Space {
        match self {
            Self::Relay => Space::Records,
            Self::Broker => Space::Broker,
        }
    }

    /// Version of the schema's layout; a store of another version is refused.
    pub(super) const fn format(self) -> u64 {
        match self {
            Self::Relay | Self::Broker => 1,
        }
    }

    /// Keyspaces that only another schema has.
    pub(super) fn foreign(self) -> impl Iterator<Item = Space> {
        Self::ALL.into_iter().filter(move |other| *other != self).flat_map(|other| other.spaces().iter().copied())
    }
}

/// A keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Envelopes,
    Ids,
    Expiry,
    Prekeys,
    Records,
    Broker,
    Retained,
}

impl Space {
    /// How many there are.
    pub(super) const COUNT: usize = 7;

    /// Its place in a list of all.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Envelopes => 0,
            Self::Ids => 1,
            Self::Expiry => 2,
            Self::Prekeys => 3,
            Self::Records => 4,
            Self::Broker => 5,
            Self::Retained => 6,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envelopes => "envelopes",
            Self::Ids => "ids",
            Self::Expiry => "expiry",
            Self::Prekeys => "prekeys",
            Self::Records => "records",
            Self::Broker => "broker",
            Self::Retained => "retained",
        }
    }
}
