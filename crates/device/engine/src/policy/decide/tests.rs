//! The decision table, by enumeration.
#![allow(clippy::unwrap_used, clippy::panic)]
