//! Delivery policy: how a message goes, who can read it on its way, and by whose leave.
//!
//! One pure function, [`decide`], makes every decision out of [`Inputs`]: policies of tenant, account and conversation (the stricter
//! wins, and nothing set means `block`), what is known of the recipient, which ways there are, evidence of absence, consent, and the
//! user's acknowledgement. [`crate::Engine::send`] and the threads of [`crate::plain`] ask it for every message; the answer is stored, and
//! its fallbacks, downgrades and refusals stand in an append-only journal.
//!
//! What it never does: choose a mode that others can read because something failed, because a carrier said something, or because time went
//! by. Known to be capable is a latch ([`crate::capability`]).
//!
//! | file | what |
//! |---|---|
//! | `mode` | delivery modes and their readers, policies, route preference |
//! | `reason` | the closed list of reasons |
//! | `decision` | the decision, and everything it depends on |
//! | `decide` | the rule |
//! | `permit` | what a hand-over to a carrier takes beside the bytes |
//! | `record`, `journal` | stored decisions; the journal |
//! | `settings`, `consent`, `downgrade` | what the user set, agreed to, and acknowledged |
//! | `gather` | from the store to the inputs, and the explanation |
//!
//! Specification: `docs/protocol/delivery.md`.

mod consent;
mod decide;
mod decision;
mod downgrade;
mod error;
mod gather;
mod journal;
mod mode;
mod permit;
mod reason;
mod record;
mod settings;

pub use consent::CONSENT_MS_MAX;
pub use decide::decide;
pub use decision::{
    AbsenceEvidence, Acknowledgement, CarrierHint, Choice, Consent, ConsentId, ConsentState, ContentKind, Decision,
    Inputs, Observed, PeerCapability, Policies, Recipient, Ways,
};
pub use error::PolicyError;
pub use gather::Explanation;
pub(crate) use gather::content_kind;
pub(crate) use journal::Entry;
pub use journal::{EntryKind, JOURNAL_PAGE_MAX, JournalEntry, JournalSummary, JournalSummaryRow};
pub use mode::{DeliveryMode, FallbackPolicy, Reader, RoutePreference};
pub use permit::{
    Ciphertext, Class, Cleared, EndToEnd, Permit, PermitMismatch, Permitted, Plaintext, Readable, ServerSealed,
    ShortMessage, SmsWords,
};
pub use reason::Reason;
pub use record::{DECISIONS_MAX, StoredDecision, Subject};
pub use settings::{ATTESTATION_MS_MAX, PolicyScope};
