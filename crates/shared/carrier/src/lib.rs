//! Sockets to carriers.
//!
//! Every way into a carrier is a [`transport::Transport`]: our own SIP and MSRP user agent, or a stack that the host has already and lends
//! by callbacks. File transfer over HTTP moves blobs beside it. What is carried is opaque here: this crate has no key and reads no message.
//!
//! | module | what |
//! |---|---|
//! | [`transport`] | the trait, and what comes in through it |
//! | [`sip_transport`] | SIP messages and MSRP sessions as one transport, by length |
//! | [`sip`], [`msrp`] | its halves: a user agent, and sessions |
//! | [`host`] | a host's own stack as a transport |
//! | [`business`] | agents of businesses: RCS for Business, and an aggregator |
//! | [`fallback`] | one message, two ways: a business message first, one SMS at most |
//! | [`ft`] | upload to and download from a carrier's content server |
//! | [`auth`] | how passwords and SIMs answer challenges, in all of SIP, MSRP and HTTP |
//! | [`tls`] | whom we trust: authorities, and fingerprints in session descriptions |
//! | [`sms`] | short messages by a gateway: SMPP, and HTTP |
//! | `outbound` | what every transport does to a message before it sends it |
//! | `inbox` | what came in and was not answered yet |
//! | `reach` | which addresses strangers may have us connect to |

pub mod auth;
pub mod business;
pub mod fallback;
pub mod ft;
pub mod host;
mod inbox;
pub mod msrp;
mod outbound;
mod reach;
pub mod sip;
pub mod sip_transport;
pub mod sms;
pub mod tls;
pub mod transport;
