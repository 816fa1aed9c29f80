//! The user's commands, one module each. A command opens the profile, does one thing, prints it, and returns.

pub(crate) mod account;
pub(crate) mod attach;
pub(crate) mod backup;
pub(crate) mod broker;
pub(crate) mod carrier;
pub(crate) mod case;
pub(crate) mod chat;
pub(crate) mod contact;
pub(crate) mod delivery;
pub(crate) mod device;
pub(crate) mod export;
pub(crate) mod history;
mod incoming;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod number;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod rekey;
pub(crate) mod resend;
pub(crate) mod retained;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod takeover;
pub(crate) mod thread;
pub(crate) mod verify;
