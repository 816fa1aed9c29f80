//! The client engine, without I/O.
//!
//! Everything a messaging client decides is here: accounts and devices, sessions with every device in scope, sealed envelopes, message
//! states, media encryption. What it does not do is touch the world: it is handed a store transaction, the time and a random generator
//! ([`Engine::new`]), and it answers values. The shell (`rcseal-client`) opens the transaction, commits it, and then does what was decided.
//!
//! # How a shell drives it
//! | when | the shell calls | and then |
//! |---|---|---|
//! | a user creates an account | [`Engine::create_account`], [`Engine::registration_request`] | registers, [`Engine::handle_registered`] |
//! | a user takes a lost account back | [`Engine::begin_recovery`] or [`Engine::begin_reset`], [`Engine::recovery_request`] or [`Engine::reset_request`] | asks the server, [`Engine::complete_takeover`], or [`Engine::rebase_takeover`] |
//! | it connects | [`Engine::login_request`] | logs in |
//! | an envelope was delivered | [`Engine::handle_envelope`] | acknowledges by the [`Disposition`] |
//! | a queue is empty, or something was delivered live | [`Engine::flush_receipts`] | polls the outbox |
//! | a user sends | [`Engine::send`] | polls needs and outbox |
//! | always | [`Engine::poll_needs`] | fetches or publishes; [`Engine::handle_key_set`], [`Engine::handle_key_sets`], [`Engine::handle_bundles`], [`Engine::handle_published`], [`Engine::handle_delivery_tokens`], [`Engine::handle_reset_vetoed`], or [`Engine::handle_need_failed`] |
//! | the server speaks of a reset | [`Engine::handle_reset_notice`] | |
//! | always | [`Engine::poll_outbox`] | submits; [`Engine::handle_submitted`] or [`Engine::handle_submit_lost`] |
//! | it has a way into a carrier, or none any more | [`Engine::set_carrier`] | polls the outbox |
//! | the outbox had something for a carrier | `CarrierHandover::release`, and hands it over | [`Engine::handle_carrier_outcome`] |
//! | a user sends, and the app has a stack of its own | [`Engine::hand_over`] | gives it to the app; [`Engine::handle_hand_over_outcome`] |
//! | a carrier delivered something | [`Engine::handle_carrier_message`], [`Engine::flush_receipts`] | answers it by the [`carrier::CarrierDisposition`] |
//! | always, with a carrier | [`Engine::poll_carrier_notices`], [`Engine::poll_plain_outbox`] | hands over; [`Engine::handle_carrier_notice_sent`], [`Engine::handle_plain_outcome`] |
//! | always | [`Engine::poll_schedule_timeout`] | [`Engine::poll_schedule`] when it is time, then polls needs and outbox |
//! | the server says how many prekeys are left | [`Engine::prekey_upload`] | uploads |
//! | events are there | [`Engine::events`] | tells the app, [`Engine::forget_events`] |
//!
//! One call, one transaction, committed when the call returned `Ok` and rolled back otherwise. Nothing the engine made leaves the device
//! before the commit, and nothing is acknowledged before it.

pub mod account;
#[cfg(feature = "audit")]
pub mod audit;
pub mod backup;
pub mod capability;
pub mod carrier;
pub mod case;
pub mod contact;
mod context;
pub mod conversation;
pub mod event;
pub mod hand_over;
mod housekeeping;
pub mod inbox;
pub mod link;
pub mod media;
pub mod message;
pub mod need;
pub mod number;
pub mod outbox;
pub mod overview;
mod pages;
mod peer;
pub mod plain;
pub mod policy;
mod record;
pub mod rekey;
pub mod renewal;
pub mod resend;
pub mod retained;
mod rollback;
mod schedule;
mod seal;
pub mod send;
mod session;
pub mod store;
pub mod summary;

pub use context::{Engine, UnixMillis};
pub use inbox::{Disposition, Undecryptable};

#[cfg(test)]
mod tests;
