//! Digest authentication (RFC 7616, RFC 8760) and AKAv1-MD5 (RFC 3310), for SIP and HTTP.
