//! MSRP sessions.
