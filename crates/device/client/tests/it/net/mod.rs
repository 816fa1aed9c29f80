//! The network against servers that are right, slow, wrong or hostile.

mod blob;
mod login;
mod sockets;
mod takeover;
mod transport;
