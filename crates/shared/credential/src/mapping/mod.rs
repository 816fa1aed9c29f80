//! Which account a phone number belongs to (`docs/protocol/mapping.md`).
//!
//! Two signatures make a **mapping**. The account signs a [`NumberStatement`]: this number is mine, at this device, as number `n` of the
//! number's history, after the mapping of that hash. The broker, which has seen a one-time code come back from the number, countersigns
//! it with the [`Grounds`] on which the number may change hands. So neither can make a mapping alone: a broker cannot bind a number to
//! an account that did not ask for it, and an account cannot claim a number that it has not shown to hold.
//!
//! The types follow the life of the object: bytes are parsed ([`SignedStatement`], [`UnverifiedMapping`]), their signatures checked
//! under the account's key set and the broker's key ([`VerifiedStatement`], [`VerifiedMapping`]), and the result compared with what was
//! known before ([`check_succession`]). A number's mappings form one chain, each naming the hash of the one before: a broker that shows
//! different chains to different people has signed what contradicts itself, and the two objects together are [`Evidence`] that a third
//! party can check with nothing but the broker's key.
//!
//! What two signatures do not show: that the person who answered the code is the one meant. A broker that works together with an account
//! can give it a number, and only those who knew another mapping of it, and the number's holder, have something to compare with.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

mod codec;
mod countersigned;
mod error;
mod evidence;
mod grounds;
mod statement;
mod succession;

pub use countersigned::{UnverifiedMapping, VerifiedMapping};
pub use error::{CountersignError, EvidenceError, FormError, MappingError, SuccessionError};
pub use evidence::{Evidence, Finding};
pub use grounds::{Grounds, GroundsKind};
pub use statement::{Action, NumberStatement, SignedStatement, VerifiedStatement};
pub use succession::{Change, check_succession};

pub use rcseal_wire::id::{BrokerKeyId, MappingHash};
pub use rcseal_wire::number::E164;

/// The name under which the broker makes mappings: [`Mapping::countersign`].
pub type Mapping = UnverifiedMapping;

/// The version of both formats.
pub const MAPPING_VERSION: u8 = 1;
/// Bytes of the longest signed statement accepted; the longest there is has 220.
pub const STATEMENT_LEN_MAX: usize = 256;
/// Bytes of the longest mapping accepted; the longest there is, with a release in it, has 526.
pub const MAPPING_LEN_MAX: usize = 2 * 1024;
/// How long a countersignature holds, at most. Carriers give an abandoned number to somebody else after a few months; a holder renews
/// long before, and nobody is taken for the holder of a number that was abandoned for so long.
pub const LIFETIME_MS_MAX: u64 = 90 * DAY_MS;
/// How long an active number's change of hands is announced to its holder before it happens without their leave.
pub const WAIT_MS: u64 = 7 * DAY_MS;
/// How old a statement may be when it is countersigned: as long as a change of hands waits, and as long again. So one statement carries
/// a number for 104 days at most, whatever the broker does.
pub const STATEMENT_AGE_MS_MAX: u64 = 14 * DAY_MS;
/// How far an account's clock may be ahead of the broker's.
pub const CLOCK_SLACK_MS: u64 = 3_600_000;

const DAY_MS: u64 = 86_400_000;

/// Label of the account's signature.
const STATEMENT_LABEL: &[u8] = b"rcseal/number-statement/v1";
/// Label of the broker's signature.
const MAPPING_LABEL: &[u8] = b"rcseal/number-mapping/v1";
/// Label of the hash that the next statement names.
const HASH_LABEL: &[u8] = b"rcseal/number-mapping/hash/v1";
