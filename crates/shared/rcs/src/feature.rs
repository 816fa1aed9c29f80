//! Capability tags.
