//! The shell round the engine.
#![allow(missing_docs)]
pub mod backoff;
mod files;
pub mod store;
pub mod vault;
