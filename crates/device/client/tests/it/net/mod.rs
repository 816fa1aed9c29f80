//! The network against servers that are right, slow, wrong or hostile.

mod blob;
mod broker_transport;
mod login;
mod proxy;
mod sockets;
mod takeover;
mod transport;
