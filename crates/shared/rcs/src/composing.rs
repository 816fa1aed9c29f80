//! "Is writing" notices (RFC 3994).
