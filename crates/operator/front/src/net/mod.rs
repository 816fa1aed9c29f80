//! Sockets: accepting, TLS handshakes, HTTP on top, and closing down in order.
//!
//! One task per connection runs handshake and HTTP; after a WebSocket upgrade that task ends and the handler's own task remains,
//! which keeps the memory of an idle WebSocket small. We accept ourselves instead of through `axum::serve`, because the limits of
//! this page need it: a time limit for the handshake and for request heads, a cap on connections in all and per address, a time
//! limit for peers that stop reading, and a shutdown that lets running requests finish.
//!
//! States of a connection: accepted → (handshake) → HTTP → optionally upgraded → closed. It holds its place in the counts, and its
//! [`ConnectionInfo`], until the last byte stream over it is dropped.

mod accept;
mod connection;
mod guard;
mod metrics;
mod stall;

pub use accept::{Acceptor, AcceptorSettings, serve_plain};
pub use connection::{ConnectionInfo, PendingNonce};
pub use guard::subscriber;
pub use metrics::{ConnectionMetrics, ConnectionRefusal};
