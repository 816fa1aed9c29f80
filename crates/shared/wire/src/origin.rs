//! Where a server is: `https://host[:port]`, and nothing behind it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A server's origin. It is signed at login, so that a login for one server means nothing to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// The text is not `https://host[:port]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin of the form https://host[:port]")]
pub struct OriginError;

/// No host name is longer (RFC 1035: 255 bytes), plus scheme and port.
const LEN_MAX: usize = 8 + 255 + 6;
/// Characters of a host name (RFC 1035: 255 bytes with the length bytes round it).
const HOST_LEN_MAX: usize = 253;
/// Characters of one label of it.
const LABEL_LEN_MAX: usize = 63;

impl Origin {
    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = &self.0[8..];
        if let Some(rest) = authority.strip_prefix('[') {
            return rest.split(']').next().unwrap_or_default();
        }
        authority.split(':').next().unwrap_or_default()
    }

    /// Host and port as they stand in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0[8..]
    }

    /// The port, 443 where none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        let authority = &self.0[8..];
        let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
        after_host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(443)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let authority = text.strip_prefix("https://").ok_or(OriginError)?;
        if text.len() > LEN_MAX || authority.is_empty() {
            return Err(OriginError);
        }
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or(OriginError)?;
            let address = host.parse::<Ipv6Addr>().map_err(|_| OriginError)?;
            // One text form: the shortest one (RFC 5952), which is what the standard library writes.
            if address.to_string() != host {
                return Err(OriginError);
            }
            (host, after)
        } else {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, after) = authority.split_at(end);
            if host.parse::<Ipv4Addr>().is_err() && !is_name(host) {
                return Err(OriginError);
            }
            (host, after)
        };
        if host.is_empty() {
            return Err(OriginError);
        }
        if !port.is_empty() {
            let digits = port.strip_prefix(':').ok_or(OriginError)?;
            // One text form: no leading zeros or signs, and not the default port.
            let number: u16 = digits.parse().map_err(|_| OriginError)?;
            if number == 0 || number == 443 || number.to_string() != digits {
                return Err(OriginError);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a text is a host name that a certificate can carry: labels of lower-case letters, digits and inner hyphens. Peers write origins
/// too, so whatever passes here must not fail later, where a connection is made. A last label that reads as a number would be one of the
/// old spellings of an IPv4 address.
fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.starts_with("0x") || label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= HOST_LEN_MAX
        && host.split('.').all(is_label)
        && host.rsplit('.').next().is_some_and(|label| !is_number(label))
}

impl TryFrom<String> for Origin {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn origins_have_one_form() {
        for good in ["https://relay.example", "https://127.0.0.1:8443", "https://[::1]:9000", "https://localhost:1"] {
            assert_eq!(good.parse::<Origin>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "http://relay.example",
            "https://",
            "https://Relay.example",
            "https://relay.example/",
            "https://relay.example:443",
            "https://relay.example:080",
            "https://a@b",
            "https://[::1",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError), "{bad}");
        }
        let six: Origin = "https://[::1]:9000".parse().unwrap();
        assert_eq!((six.host(), six.port()), ("::1", 9000));
        let four: Origin = "https://127.0.0.1:8443".parse().unwrap();
        assert_eq!((four.host(), four.port(), four.authority()), ("127.0.0.1", 8443, "127.0.0.1:8443"));
    }

    #[test]
    fn a_host_that_no_certificate_can_carry_is_no_origin() {
        let long = format!("https://{}.example", "a".repeat(64));
        for bad in [
            "https://..",
            "https://a..b",
            "https://.example",
            "https://relay.example.",
            "https://-",
            "https://-relay.example",
            "https://relay-.example",
            "https://1.2.3",
            "https://relay.7",
            "https://0x7f000001",
            "https://256.1.1.1",
            "https://[0:0:0:0:0:0:0:1]",
            "https://[::A]",
            &long,
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError), "{bad}");
        }
        for good in ["https://relay-1", "https://4relay", "https://1.relay.example", "https://xn--bcher-kva.example"] {
            assert_eq!(good.parse::<Origin>().unwrap().as_str(), good);
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            if let Ok(origin) = text.parse::<Origin>() {
                let _ = (origin.host(), origin.port());
            }
        }
    }
}
