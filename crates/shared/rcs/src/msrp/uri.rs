//! Where a frame goes and comes from (RFC 4975, section 6).

use std::fmt;
use std::str::FromStr;

use super::PATH_MAX;
use crate::number::HostPort;

/// Not an address of MSRP, or not a path of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address of MSRP")]
pub struct UriError;

/// `msrp://host:port/session;tcp`, or `msrps:` over TLS.
///
/// Equality is that of section 6.1: the host without regard to case, a user and parameters behind the transport not at all.
#[derive(Clone)]
pub struct Uri {
    text: String,
    is_secure: bool,
    host: String,
    port: Option<u16>,
    session: Option<String>,
}

impl Uri {
    /// The longest address.
    pub const LEN_MAX: usize = 512;

    /// The port of a relay that names none (RFC 4976, section 5.1).
    pub const PORT_DEFAULT: u16 = 2855;

    /// An address of ours.
    ///
    /// # Errors
    /// [`UriError`] if the host is none or the session id is not made of letters, digits, and `-._~+=`.
    pub fn new(is_secure: bool, host: &str, port: u16, session: &str) -> Result<Self, UriError> {
        let scheme = if is_secure { "msrps" } else { "msrp" };
        format!("{scheme}://{host}:{port}/{session};tcp").parse()
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host: a name, or an address, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if it names one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The session id; a relay's address has none before a client has authenticated.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > Self::LEN_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UriError);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UriError)?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "msrp" => false,
            "msrps" => true,
            _ => return Err(UriError),
        };
        let (address, params) = rest.split_once(';').ok_or(UriError)?;
        let transport = params.split(';').next().unwrap_or_default();
        // Section 9 knows tcp only; ws is RFC 7977's, and nothing here speaks it.
        if !transport.eq_ignore_ascii_case("tcp") {
            return Err(UriError);
        }
        let (authority, session) = match address.split_once('/') {
            Some((authority, session)) => (authority, Some(session)),
            None => (address, None),
        };
        let is_session =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/');
        if session.is_some_and(|session| session.is_empty() || !session.bytes().all(is_session)) {
            return Err(UriError);
        }
        let host = HostPort::parse(authority.rsplit_once('@').map_or(authority, |(_, host)| host)).ok_or(UriError)?;
        Ok(Self {
            text: text.to_owned(),
            is_secure,
            host: host.host.to_ascii_lowercase(),
            port: host.port,
            session: session.map(str::to_owned),
        })
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        let parts = |uri: &Self| (uri.is_secure, uri.port);
        parts(self) == parts(other) && self.host == other.host && self.session == other.session
    }
}

impl Eq for Uri {}

impl fmt::Debug for Uri {
    /// Without the session id, which is all that an intruder would need on a connection without TLS.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "msrps" } else { "msrp" };
        write!(f, "Uri({scheme}://{}:{})", self.host, self.port.unwrap_or(Self::PORT_DEFAULT))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One address or several, the next hop first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Uri>);

impl Path {
    /// A path of one hop.
    #[must_use]
    pub fn of(uri: Uri) -> Self {
        Self(vec![uri])
    }

    /// A path.
    ///
    /// # Errors
    /// [`UriError`] for none, and for more than [`PATH_MAX`].
    pub fn new(uris: Vec<Uri>) -> Result<Self, UriError> {
        if (1..=PATH_MAX).contains(&uris.len()) { Ok(Self(uris)) } else { Err(UriError) }
    }

    /// The next hop.
    #[must_use]
    pub fn first(&self) -> &Uri {
        &self.0[0]
    }

    /// The far end.
    #[must_use]
    pub fn last(&self) -> &Uri {
        &self.0[self.0.len() - 1]
    }

    /// Every hop in order.
    #[must_use]
    pub fn uris(&self) -> &[Uri] {
        &self.0
    }
}

impl FromStr for Path {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let uris = text
            .split(' ')
            .filter(|uri| !uri.is_empty())
            .take(PATH_MAX + 1)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Self::new(uris)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, uri) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{uri}")?;
        }
        Ok(())
    }
}
