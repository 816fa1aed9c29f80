//! Cases: a conversation with a business that began in a readable channel and goes on end to end (`docs/protocol/case.md`).
//!
//! ```text
//! business:  waiting ──an account shows the token──▶ open ──▶ closed          app:  asked ──▶ open ──▶ closed
//!               └── revoked, or its time passes                                        └── refused(used, expired, revoked, unknown)
//! ```
//!
//! The business opens a case and puts its link on a card ([`Engine::open_case`](crate::Engine::open_case)). The app that follows the link
//! ([`Engine::continue_case`](crate::Engine::continue_case)) takes the business as a contact and shows the token inside a session, where no
//! carrier reads. The first account that does gets the case; any other is refused and reported, since the link was on a card that carriers
//! and providers could read. Where the case was begun for a phone number, it says whether the account has that number.
//!
//! The token is a secret until it is used: the business stores its hash, and the app what waits to be sent, and nothing else. Neither side makes anything readable.

mod app;
mod business;
mod error;
mod record;

pub use business::NewCase;
pub use error::CaseError;
pub use record::{BusinessCaseView, CaseProgress, CaseRole, CaseView};

/// Longest life of a link: who has not followed it in a month begins anew.
pub const CASE_LIFE_MS_MAX: u64 = 30 * 24 * 3600 * 1000;
/// Cases that wait or are open at a business's device. More belong to several devices.
pub const CASES_MAX: u64 = 100_000;
