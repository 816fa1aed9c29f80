//! Where a provider's interface is.
//!
//! A base address out of the configuration: `https`, or `http` on this machine only, for a fake or a proxy that speaks TLS itself. Requests
//! carry credentials, so nothing else is accepted.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// The longest base address that is read.
const LEN_MAX: usize = 512;

/// The base address of a provider's interface.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    is_tls: bool,
    host: String,
    port: u16,
    prefix: String,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an address with a scheme and a host.
    #[error("not a base address")]
    Malformed,
    /// Not `https`, and not on this machine.
    #[error("neither https nor on this machine")]
    Unprotected,
    /// A user name, a query or a fragment in it.
    #[error("a base address has no user, query or fragment")]
    Extra,
}

impl EndpointError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "endpoint_malformed",
            Self::Unprotected => "endpoint_unprotected",
            Self::Extra => "endpoint_extra",
        }
    }
}

impl Endpoint {
    /// Reads a base address: `https://host`, with a port and a path if need be.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if text.len() > LEN_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Malformed);
        }
        if text.contains(['#', '?', '@']) {
            return Err(EndpointError::Extra);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(EndpointError::Malformed);
        }
        let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_here => false,
            Some(_) => return Err(EndpointError::Unprotected),
            None => return Err(EndpointError::Malformed),
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_tls, host, port, prefix })
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// What follows the host in a request for `path`, which begins with a slash or is empty.
    pub(crate) fn target(&self, path: &str) -> String {
        let target = format!("{}{path}", self.prefix);
        if target.is_empty() { "/".to_owned() } else { target }
    }

    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.is_tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn credentials_travel_protected_or_not_at_all() {
        for (text, shown) in [
            ("https://provider.example", "https://provider.example"),
            ("https://Provider.example:8443/eu/", "https://provider.example:8443/eu"),
            ("http://127.0.0.1:4711", "http://127.0.0.1:4711"),
            ("http://[::1]:4711", "http://[::1]:4711"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for (text, refusal) in [
            ("http://provider.example", EndpointError::Unprotected),
            ("http://localhost:80", EndpointError::Unprotected),
            ("http://10.0.0.1", EndpointError::Unprotected),
            ("ftp://provider.example", EndpointError::Unprotected),
            ("provider.example", EndpointError::Malformed),
            ("https://user@provider.example", EndpointError::Extra),
            ("https://provider.example/?key=1", EndpointError::Extra),
            ("", EndpointError::Malformed),
        ] {
            assert_eq!(Endpoint::parse(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn a_path_follows_the_prefix() {
        let endpoint = Endpoint::parse("https://provider.example/eu/").unwrap();
        assert_eq!((endpoint.target("/v1"), endpoint.target("")), ("/eu/v1".into(), "/eu".into()));
        assert_eq!(Endpoint::parse("https://provider.example").unwrap().target(""), "/");
    }
}
