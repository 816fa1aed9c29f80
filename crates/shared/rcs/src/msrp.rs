//! Frames of the Message Session Relay Protocol (RFC 4975).
