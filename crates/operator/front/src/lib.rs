//! The way in from the network, for every server of ours.
//!
//! TLS ends here, because logins are bound to the connection. What a stranger may cost is bounded here: connections, handshakes, heads,
//! bodies, pauses. What is refused is said as an RFC 9457 problem document. Nothing here knows what a server stores.
