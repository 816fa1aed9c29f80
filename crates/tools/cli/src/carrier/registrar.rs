//! `tls:sip.example.com:5061`: where a registrar is and how it is spoken to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a registrar is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Datagrams.
    Udp,
    /// A connection in clear.
    Tcp,
    /// A connection with TLS.
    Tls,
}

/// A registrar or proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrar {
    /// How it is spoken to.
    pub wire: Wire,
    /// A host name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Wire {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port that SIP has for it.
    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl FromStr for Registrar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not udp:, tcp: or tls: with a host and a port, such as tls:sip.example.com:5061".to_owned();
        let (wire, rest) = text.split_once(':').ok_or_else(wrong)?;
        let wire = match wire {
            "udp" => Wire::Udp,
            "tcp" => Wire::Tcp,
            "tls" => Wire::Tls,
            _ => return Err(wrong()),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
            None => wire.port(),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(is_host) {
            return Err(wrong());
        }
        Ok(Self { wire, host: host.to_owned(), port })
    }
}

impl fmt::Display for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = self.wire.as_str();
        if self.host.contains(':') {
            write!(f, "{wire}:[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{wire}:{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_registrar_is_a_way_a_host_and_a_port() {
        for (text, shown) in [
            ("udp:10.0.0.1:5080", "udp:10.0.0.1:5080"),
            ("tcp:sip.example.com", "tcp:sip.example.com:5060"),
            ("tls:sip.example.com", "tls:sip.example.com:5061"),
            ("udp:[::1]:5062", "udp:[::1]:5062"),
        ] {
            assert_eq!(text.parse::<Registrar>().unwrap().to_string(), shown);
        }
        for wrong in ["", "udp", "udp:", "sip:host", "udp:host:0", "udp:host:70000", "tls:a b:1", "udp:::1:5060"] {
            assert!(wrong.parse::<Registrar>().is_err(), "{wrong:?}");
        }
    }
}
