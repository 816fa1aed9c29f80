//! Carriers that mangle, faults, the carrier matrix, and tests against real SIP peers.
//!
//! | module | what |
//! |---|---|
//! | [`data`] | the worlds of the matrix: carriers, platforms, versions, states, out of files |
//! | [`carrier`] | a carrier between phone numbers, in this process |
//! | [`broker`] | a broker in this process, with a trunk into such a carrier |
//! | [`proxy`] | a TCP proxy with faults |
//! | [`matrix`] | every mode, carrier, pair of platforms and state as a run |
//! | [`smsc`] | a centre for short messages, in this process |
//! | [`hsm`] | a hardware module in software, for a server's key |
//! | [`drill`] | a broker that cheats, and who notices |
//! | [`peers`] | Kamailio, linphone and SIPp |
//! | [`story`], [`search`] | what every story needs: words to look for, and the search of a relay's disk for them |

pub mod broker;
pub mod carrier;
pub mod data;
pub mod drill;
pub mod hsm;
pub mod matrix;
pub mod peers;
pub mod proxy;
pub mod search;
pub mod smsc;
pub mod story;
