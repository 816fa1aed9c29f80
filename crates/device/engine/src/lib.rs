//! The client engine without I/O.

pub mod store;
