//! The way in from the network, for every server of ours: what stands between a socket and a handler.
//!
//! A server brings a router, a configuration and a store; this crate brings what every one of them needs the same way, and what would be
//! a weakness wherever it were missing: TLS 1.3 with the exporter value that logins sign, limits on connections, heads, bodies and
//! answers, refusals as problem documents, rate limits, and the login of devices with the tokens it yields. It knows no route and keeps
//! no state beyond a process.
//!
//! | module | what |
//! |---|---|
//! | [`net`], [`tls`] | sockets, handshakes, limits per connection; what a handler may know of its connection |
//! | [`serve`] | the order in which a server starts listening and stops |
//! | [`http`], [`openapi`] | what wraps every public router; what every description of one has |
//! | [`body`], [`answers`], [`linger`] | bodies within limits; answers within limits; making sure that refusals are heard |
//! | [`refusal`] | RFC 9457 problem documents; paths and queries |
//! | [`limiter`], [`slots`] | rates by key; places for what runs at once |
//! | [`login`] | the two login requests, bearer tokens, and the logged-in device as a handler's argument |
//! | [`config`], [`identity`] | reading an operator's file; a development certificate |
//! | [`log`], [`clock`], [`process`], [`carried_out`](mod@carried_out) | ids in logs, wall time, signals and folders, work done to its end |
//! | [`requests`], [`probes`] | what is counted of requests; what an admin listener answers |
//! | `admin_socket` | one-line commands from the operator, over a Unix socket |

#[cfg(unix)]
pub mod admin_socket;
pub mod answers;
pub mod body;
pub mod carried_out;
pub mod clock;
pub mod config;
pub mod http;
pub mod identity;
pub mod limiter;
pub mod linger;
pub mod log;
pub mod login;
pub mod net;
pub mod openapi;
pub mod probes;
pub mod process;
pub mod refusal;
pub mod requests;
pub mod serve;
pub mod slots;
pub mod tls;

pub use body::{ApiBytes, ApiJson, BodyBudget};
pub use clock::{Clock, ManualClock, SystemClock};
pub use login::{AuthenticatedDevice, LoginHost};
pub use net::ConnectionInfo;
pub use refusal::{ApiPath, ApiQuery, Refusal};
pub use serve::Lifecycle;
