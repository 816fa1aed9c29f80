//! Who is asking: device login, and delivery tokens.
//!
//! How a login works, and what its tokens are, is [`rcseal_front::login`]; here is what this server knows of devices ([`host`]), its two
//! routes ([`http`]), and [`DirectoryReader`]: whoever may read an account's public material. Spec: `docs/protocol/relay-api.md`,
//! section Login.

mod host;
mod http;
mod reader;

pub(crate) use host::record;
pub(crate) use http::routes;
pub(crate) use reader::DirectoryReader;
