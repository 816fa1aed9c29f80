//! A proxy between this device and every server: HTTP CONNECT (RFC 9110, 9.3.6).
//!
//! The proxy learns which hosts are connected to, when, and how much is said; TLS begins behind it, so it sees nothing else, and pins and
//! authorities are checked as without it. Names are resolved by the proxy. Its credentials go to the proxy alone, over a connection that
//! is not encrypted, which is what this way of asking has.

use std::sync::Arc;

use base64::Engine as _;
use rcseal_wire::origin::Origin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::error::{NetError, ProxyFault};

/// Bytes of a proxy's answer: more than any sends, little enough for a phone.
const ANSWER_LEN_MAX: usize = 8 * 1024;
/// Bytes of a name or a password.
const CREDENTIAL_LEN_MAX: usize = 256;

/// Where the proxy is, and how to be let through.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<Arc<Zeroizing<String>>>,
}

/// What was given is no proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The host is empty, too long, or has characters that a host has not.
    #[error("the proxy's host is not a host")]
    Host,
    /// The port is 0.
    #[error("the proxy's port is 0")]
    Port,
    /// The user's name has a colon or a control character, or name or password is too long.
    #[error("the proxy's credentials cannot be sent")]
    Credentials,
}

impl ProxyError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Host => "proxy_host",
            Self::Port => "proxy_port",
            Self::Credentials => "proxy_credentials",
        }
    }
}

impl Proxy {
    /// A proxy that asks nobody who they are.
    ///
    /// # Errors
    /// [`ProxyError::Host`], [`ProxyError::Port`].
    pub fn new(host: String, port: u16) -> Result<Self, ProxyError> {
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(is_host_byte) {
            return Err(ProxyError::Host);
        }
        if port == 0 {
            return Err(ProxyError::Port);
        }
        Ok(Self { host, port, authorization: None })
    }

    /// The same with a name and a password for it (Basic, RFC 7617).
    ///
    /// # Errors
    /// [`ProxyError::Credentials`].
    pub fn with_credentials(self, user: &str, password: Zeroizing<String>) -> Result<Self, ProxyError> {
        let is_sendable = |text: &str| text.len() <= CREDENTIAL_LEN_MAX && !text.chars().any(char::is_control);
        if user.contains(':') || !is_sendable(user) || !is_sendable(&password) {
            return Err(ProxyError::Credentials);
        }
        let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
        let text = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
        Ok(Self { authorization: Some(Arc::new(Zeroizing::new(text))), ..self })
    }

    /// Where to connect to.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Asks the proxy, on a connection to it, for a way to the server. What comes after its answer is the server's.
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, origin: &Origin) -> Result<(), NetError> {
        let target = format!("{}:{}", bracketed(origin.host()), origin.port());
        let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let lost = |error: std::io::Error| NetError::Proxy(ProxyFault::Lost(error));
        stream.write_all(request.as_bytes()).await.map_err(lost)?;
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == ANSWER_LEN_MAX {
                return Err(NetError::Proxy(ProxyFault::Malformed));
            }
            // Byte by byte, so that nothing of the server's is taken; there are a few dozen.
            answer.push(stream.read_u8().await.map_err(lost)?);
        }
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(NetError::Proxy(ProxyFault::Unauthorized)),
            Some(status) => Err(NetError::Proxy(ProxyFault::Refused(status))),
            None => Err(NetError::Proxy(ProxyFault::Malformed)),
        }
    }
}

/// An IPv6 address needs brackets before a port.
fn bracketed(host: &str) -> std::borrow::Cow<'_, str> {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]").into() } else { host.into() }
}

/// The status of an answer, if it is one of HTTP/1.
fn status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.first_chunk::<3>()?;
    let ends = matches!(rest.get(3), Some(b' ' | b'\r'));
    let text =
        std::str::from_utf8(digits).ok().filter(|text| ends && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_proxy_shows_nothing_of_itself_and_refuses_what_would_break_its_request() {
        let proxy = Proxy::new("proxy.example.org".to_owned(), 3128).unwrap();
        let secret = Zeroizing::new("secret".to_owned());
        assert_eq!(format!("{:?}", proxy.clone().with_credentials("ada", secret).unwrap()), "Proxy");
        for (user, password) in [("a:b", "x"), ("a\r\n", "x"), ("a", "x\r\ny"), (&"a".repeat(257), "x")] {
            let refused = proxy.clone().with_credentials(user, Zeroizing::new(password.to_owned())).unwrap_err();
            assert_eq!(refused, ProxyError::Credentials);
        }
        assert_eq!(Proxy::new("a host".to_owned(), 1).unwrap_err(), ProxyError::Host);
        assert_eq!(Proxy::new(String::new(), 1).unwrap_err(), ProxyError::Host);
        assert_eq!(Proxy::new("host".to_owned(), 0).unwrap_err(), ProxyError::Port);
    }

    #[test]
    fn only_an_answer_of_http_1_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407 \r\n\r\n"), Some(407));
        for bad in [&b"HTTP/2 200 \r\n\r\n"[..], b"HTTP/1.1 20 x\r\n\r\n", b"HTTP/1.1 +20 \r\n", b"", b"SSH-2.0"] {
            assert_eq!(status(bad), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_answer_has_a_status_or_none(bytes: Vec<u8>) {
            let _ = status(&bytes);
        }
    }
}
