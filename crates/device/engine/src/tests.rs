//! Engines against each other: real ratchets, real key sets, a relay and a directory that a test plays, and time that a test moves.
#![allow(clippy::unwrap_used, clippy::panic)]

mod adversary;
mod agreements;
mod brokered;
mod carrier;
mod case;
mod contacts;
mod conversation;
mod crash;
mod hand_over;
mod hostile;
mod identity;
mod linking;
mod number;
mod plain;
mod policy;
mod rekey;
mod resend;
mod retained;
mod sessions;
mod sms;
mod verification;
mod world;
