//! The crate from outside: one module per class of bug that other implementations have had (`docs/manual/failures.md`), then
//! counters at their limits, the paved road, the two-party model and the vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../shared/pipe.rs"]
mod pipe;
#[path = "../shared/proto.rs"]
mod proto;
mod support;
#[path = "../shared/tape.rs"]
mod tape;

mod crash_between_store_writes;
mod downgrade_refused;
mod fingerprint_ambiguity;
mod identity_misbinding;
mod kem_misuse;
mod low_order_and_noncanonical_points;
mod no_secrets_leak;
mod no_state_change_before_auth;
mod parser_strictness;
mod replay_everywhere;
mod restored_backup_never_reuses_a_key;
mod simultaneous_initiation;
mod skipped_key_dos;
mod spqr_hostile_channel;
mod xeddsa_malleability;

mod counter_limits;
mod handshake;
#[cfg(feature = "signal-v4")]
mod libsignal_interop;
mod model;
#[cfg(feature = "signal-v4")]
mod signal_v4;
mod silent_peer;
mod vectors;
