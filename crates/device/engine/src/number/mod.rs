//! Phone numbers, as a broker says whose they are (`docs/protocol/mapping.md`).
//!
//! A broker is asked who has a number, and is believed nothing that it cannot show: what it says of somebody must be signed by that
//! account, under a key set that follows the one known, and by the broker's own key, which is pinned; and it must follow what the broker said
//! before. What does not is no contact and no number of anybody, it is a [`BrokerFinding`], kept with what proves it.
//!
//! | part | what |
//! |---|---|
//! | `broker.rs` | which broker: its origin and key, pinned; logging in and enrolling there |
//! | `own.rs` | numbers of this account: claimed → code entered → countersigned, or pending, or refused |
//! | `watch.rs` | what the broker shows others of our numbers must be what we signed |
//! | `lookup.rs`, `judge.rs` | numbers of others: found, absent, undiscoverable; and contacts that begin with one |
//! | `gossip.rs` | contacts tell each other what they were shown, inside their sessions |
//! | `evidence.rs` | what a broker signed that it must not have |
//!
//! **Absence is never taken for evidence.** *Absent* comes without a proof today, *undiscoverable* says nothing, and neither makes any
//! message more readable. *Found* does the opposite: the number is known to be capable from then on.
//!
//! **A number that changes hands** takes nothing along. The contact that had it loses it, with everything the user agreed to for it, and the app
//! is told ([`Event::NumberRebound`](crate::event::Event::NumberRebound)); who has it now is nobody's contact until the user says so.
//!
//! The account key signs statements, so numbers are claimed on the primary device.

mod broker;
mod error;
mod evidence;
mod gossip;
mod judge;
mod lookup;
mod own;
mod record;
mod state;
mod watch;

pub use broker::{BrokerCheck, BrokerView};
pub use error::NumberError;
pub use evidence::{BrokerFinding, EvidenceView};
pub use lookup::{FoundNumber, LookupRefusal, LookupResult, pick_key_set};
pub use own::Claimed;
pub use state::{NumberState, OwnNumberView};

/// Between two looks at what the broker shows of our own numbers.
pub const WATCH_MS: u64 = 24 * 3600 * 1000;
/// A mapping is renewed when it has this long left: a third of its life, so that a phone that was off for a month renews in time.
pub const RENEW_MS: u64 = 30 * 24 * 3600 * 1000;
/// How far two clocks may be apart before an old mapping counts as shown after a new one.
const CLOCK_SLACK_MS: u64 = 3_600_000;
/// How far ahead of this device's clock a countersignature may be: a clock that is set wrong by less is common, and a broker that dates further
/// ahead ends waits and mappings before their time.
const AHEAD_MS: u64 = 24 * 3600 * 1000;
