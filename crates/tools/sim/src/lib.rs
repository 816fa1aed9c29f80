//! Carriers that mangle, faults, the carrier matrix, and tests against real SIP peers.

pub mod peers;
