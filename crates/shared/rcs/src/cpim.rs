//! The message wrapper of RFC 3862.
