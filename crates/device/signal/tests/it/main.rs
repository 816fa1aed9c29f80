//! The crate from outside. One module per bug class that others have had (the names are those of `docs/manual`), then
//! the two-party model, the vectors and the paved road.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

mod crash_between_store_writes;
mod downgrade_refused;
mod identity_misbinding;
mod kem_misuse;
mod low_order_and_noncanonical_points;
mod no_secrets_leak;
mod no_state_change_before_auth;
mod parser_strictness;
mod replay_everywhere;
mod restored_backup_never_reuses_a_key;
mod skipped_key_dos;
mod xeddsa_malleability;

mod handshake;
mod model;
mod vectors;
