//! Where a client of content servers may go, and how long it stays.
//!
//! | address | allowed |
//! |---|---|
//! | public | yes |
//! | elsewhere: this machine, a private network | only of an origin that the configuration names: the upload address, [`FtConfig::with_origin`] |
//!
//! Plain `http` is spoken to this machine alone, unless [`Dangerous::allow_plain_http`] allows it everywhere.
//!
//! A redirect is judged like any other address, is followed three times at most, and never leads from TLS to plain HTTP. Credentials go
//! to the origin of the upload address only.

use std::net::IpAddr;
use std::time::Duration;

use rcseal_rcs::ft::ContentUrl;

use super::error::Forbidden;
use crate::auth::Credentials;
use crate::reach::Place;
use crate::tls::TrustAnchors;

/// How much and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FtLimits {
    /// The largest file, either way. Carriers allow 100 MB; ciphertext is a little longer.
    pub file_len_max: u64,
    /// Until a connection and its TLS are up.
    pub connect: Duration,
    /// Without a byte either way.
    pub stall: Duration,
    /// For a transfer as a whole, beside what its length takes at [`Self::bytes_per_second_min`].
    pub whole: Duration,
    /// A server that is slower than this is given up.
    pub bytes_per_second_min: u64,
    /// Times that a cut transfer is taken up without having got further.
    pub attempts: u32,
}

impl Default for FtLimits {
    fn default() -> Self {
        Self {
            file_len_max: 105 << 20,
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            whole: Duration::from_secs(120),
            // A voice call on the slowest network that still has RCS takes more.
            bytes_per_second_min: 1024,
            attempts: 4,
        }
    }
}

/// What a client of content servers knows.
#[derive(Debug, Clone)]
pub struct FtConfig {
    pub(super) trust: TrustAnchors,
    pub(super) upload: Option<(ContentUrl, Option<Credentials>)>,
    pub(super) limits: FtLimits,
    origins: Vec<ContentUrl>,
    is_plain_http_allowed: bool,
}

/// Choices that weaken what the configuration promises.
#[derive(Debug)]
pub struct Dangerous(FtConfig);

impl FtConfig {
    /// A configuration that can download.
    #[must_use]
    pub fn new(trust: TrustAnchors) -> Self {
        Self { trust, upload: None, limits: FtLimits::default(), origins: Vec::new(), is_plain_http_allowed: false }
    }

    /// With an address to upload to (`ftHTTPCSURI`), and who we are there.
    #[must_use]
    pub fn with_upload(mut self, url: ContentUrl, credentials: Option<Credentials>) -> Self {
        self.upload = Some((url, credentials));
        self
    }

    /// With other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: FtLimits) -> Self {
        self.limits = limits;
        self
    }

    /// With a server that may stand in a private network or on this machine.
    #[must_use]
    pub fn with_origin(mut self, url: ContentUrl) -> Self {
        self.origins.push(url);
        self
    }

    /// Choices that weaken it.
    #[must_use]
    pub const fn dangerous(self) -> Dangerous {
        Dangerous(self)
    }

    fn names(&self, url: &ContentUrl) -> bool {
        let is_upload = self.upload.as_ref().is_some_and(|(upload, _)| upload.is_same_origin(url));
        is_upload || self.origins.iter().any(|origin| origin.is_same_origin(url))
    }

    /// Whether plain HTTP may be spoken there.
    pub(super) fn check_scheme(&self, url: &ContentUrl) -> Result<(), Forbidden> {
        if url.is_tls() || self.is_plain_http_allowed || is_loopback(url) { Ok(()) } else { Err(Forbidden::PlainHttp) }
    }

    /// Whether the address that a name led to may be connected to.
    pub(super) fn check_address(&self, url: &ContentUrl, address: IpAddr) -> Result<(), Forbidden> {
        if Place::of(address) == Place::Public || self.names(url) { Ok(()) } else { Err(Forbidden::LocalAddress) }
    }

    /// Credentials for this address.
    pub(super) fn credentials_for(&self, url: &ContentUrl) -> Option<&Credentials> {
        let (upload, credentials) = self.upload.as_ref()?;
        if upload.is_same_origin(url) { credentials.as_ref() } else { None }
    }
}

/// Whether an address names this machine, literally.
fn is_loopback(url: &ContentUrl) -> bool {
    url.host() == "localhost" || url.host().parse().is_ok_and(|address| Place::of(address) == Place::Loopback)
}

impl Dangerous {
    /// Speaks plain HTTP to any server: whoever is on the path sees which file is fetched, and can replace it by another ciphertext.
    #[must_use]
    pub fn allow_plain_http(mut self) -> FtConfig {
        self.0.is_plain_http_allowed = true;
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::auth::Password;

    fn credentials() -> Credentials {
        Credentials::Password { user: "user".to_owned(), password: Password::new("password") }
    }

    #[test]
    fn a_descriptor_does_not_lead_into_the_own_network() {
        let config = FtConfig::new(TrustAnchors::none());
        let url = ContentUrl::parse("https://content.example/a").unwrap();
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::1",
            "2001:0:a00:1::1",
            "fec0::1",
            "192.0.0.8",
            "198.18.0.1",
        ] {
            let address = address.parse().unwrap();
            assert_eq!(config.check_address(&url, address), Err(Forbidden::LocalAddress), "{address}");
        }
        // The last is how a phone in a network without IPv4 sees a server that has nothing else.
        for address in ["192.0.3.1", "2606:4700::1", "64:ff9b::c000:301"] {
            assert_eq!(config.check_address(&url, address.parse().unwrap()), Ok(()), "{address}");
        }
        let named = config.with_origin(ContentUrl::parse("https://content.example/other").unwrap());
        assert_eq!(named.check_address(&url, "10.1.2.3".parse().unwrap()), Ok(()));
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_was_allowed() {
        let config = FtConfig::new(TrustAnchors::none());
        let far = ContentUrl::parse("http://content.example/a").unwrap();
        assert_eq!(config.check_scheme(&far), Err(Forbidden::PlainHttp));
        assert_eq!(config.check_scheme(&ContentUrl::parse("http://127.0.0.1:1/a").unwrap()), Ok(()));
        assert_eq!(config.dangerous().allow_plain_http().check_scheme(&far), Ok(()));
    }

    #[test]
    fn credentials_go_to_the_origin_they_are_for() {
        let upload = ContentUrl::parse("https://content.example/up").unwrap();
        let config = FtConfig::new(TrustAnchors::none()).with_upload(upload.clone(), Some(credentials()));
        assert!(config.credentials_for(&upload).is_some());
        for other in ["https://content.example:444/up", "http://content.example:443/up", "https://other.example/up"] {
            assert!(config.credentials_for(&ContentUrl::parse(other).unwrap()).is_none(), "{other}");
        }
    }
}
