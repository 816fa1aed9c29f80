//! Addresses of files on content servers. They come from descriptors that peers send; whether the host may be talked to is the downloader's
//! decision.

use std::str::FromStr;

use http::Uri;

/// An `http` or `https` address with a host, without user information or fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentUrl {
    is_tls: bool,
    host: String,
    port: u16,
    target: String,
}

/// Why a text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Too long.
    #[error("the address is longer than {} bytes", ContentUrl::LEN_MAX)]
    TooLong,
    /// Not a URL with a scheme, a host and a path.
    #[error("not an address of a file")]
    Malformed,
    /// Neither `https` nor `http`.
    #[error("neither https nor http")]
    Scheme,
    /// It has a user name in it.
    #[error("the address has user information in it")]
    UserInformation,
}

impl ContentUrl {
    /// The longest address; signed ones reach some two kilobytes.
    pub const LEN_MAX: usize = 4096;

    /// Reads an address.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > Self::LEN_MAX {
            return Err(UrlError::TooLong);
        }
        if text.contains(['#', '<', '>', '"', '\\']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(UrlError::Scheme),
            None => return Err(UrlError::Malformed),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInformation);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(UrlError::Malformed);
        }
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(UrlError::Malformed),
            Some(port) => port,
            None if has_port => return Err(UrlError::Malformed),
            None if is_tls => 443,
            None => 80,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { is_tls, host, port, target })
    }

    /// Where a `Location` of an answer from here leads: an address, or a path on the same server.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.starts_with('/') && !location.starts_with("//") {
            let absolute = format!("{}://{}{location}", self.scheme(), self.authority());
            return Self::parse(&absolute);
        }
        Self::parse(location)
    }

    /// The same address with parameters behind it. They are ours: letters, digits, `-`, `_`, `=` and `&`.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        Self { target: format!("{}{separator}{query}", self.target), ..self.clone() }
    }

    const fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query, as a request names them.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as a `Host` header names them.
    #[must_use]
    pub fn authority(&self) -> String {
        let is_default = self.port == if self.is_tls { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if is_default { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether both are on one server, spoken to in one way.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls && self.host == other.host && self.port == other.port
    }
}

impl FromStr for ContentUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl std::fmt::Display for ContentUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.target)
    }
}

impl std::fmt::Debug for ContentUrl {
    /// Without path and query: whoever knows them can fetch the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentUrl({}://{}/..)", self.scheme(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_read_into_its_parts() {
        let url = ContentUrl::parse("https://Content.Example:8443/get?id=1").unwrap();
        assert_eq!((url.host(), url.port(), url.target(), url.is_tls()), ("content.example", 8443, "/get?id=1", true));
        assert_eq!(url.to_string(), "https://content.example:8443/get?id=1");
        assert_eq!(ContentUrl::parse("http://[::1]:80/a").unwrap().authority(), "[::1]");
        assert_eq!(ContentUrl::parse("https://host").unwrap().target(), "/");
    }

    #[test]
    fn addresses_with_traps_in_them_are_refused() {
        for (text, error) in [
            ("ftp://host/a", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Malformed),
            ("https://user:pass@host/a", UrlError::UserInformation),
            ("https://host@other/a", UrlError::UserInformation),
            ("https://host/a#b", UrlError::Malformed),
            ("https://host/a b", UrlError::Malformed),
            ("https://host/a\r\nX: y", UrlError::Malformed),
            ("https://host:0/a", UrlError::Malformed),
            ("https://host:99999/a", UrlError::Malformed),
            ("https://ex\u{e4}mple/", UrlError::Malformed),
            ("https://host/\"", UrlError::Malformed),
            ("javascript:x", UrlError::Malformed),
            ("https://", UrlError::Malformed),
            ("/only/a/path", UrlError::Malformed),
            ("", UrlError::Malformed),
        ] {
            assert_eq!(ContentUrl::parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(ContentUrl::parse(&format!("https://host/{}", "a".repeat(5000))).unwrap_err(), UrlError::TooLong);
    }

    #[test]
    fn a_location_is_an_address_or_a_path() {
        let url = ContentUrl::parse("https://host:444/a").unwrap();
        assert_eq!(url.join("/b?c").unwrap().to_string(), "https://host:444/b?c");
        assert_eq!(url.join("https://other/d").unwrap().host(), "other");
        assert_eq!(url.join("//other/d").unwrap_err(), UrlError::Malformed);
        assert_eq!(url.with_query("tid=1&get_upload_info").to_string(), "https://host:444/a?tid=1&get_upload_info");
    }

    #[test]
    fn debug_shows_the_server_of_an_address_only() {
        let url = ContentUrl::parse("https://content.example/secret?token=1").unwrap();
        assert_eq!(format!("{url:?}"), "ContentUrl(https://content.example/..)");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            if let Ok(url) = ContentUrl::parse(&text) {
                proptest::prop_assert!(ContentUrl::parse(&url.to_string()).is_ok());
            }
        }
    }
}
