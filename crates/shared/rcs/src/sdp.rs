//! Session descriptions of MSRP (RFC 4975, section 8).
