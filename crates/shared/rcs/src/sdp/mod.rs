//! Session descriptions of MSRP (RFC 4975, section 8).
//!
//! Two ends that open a session exchange an offer and an answer, and each says: where it is (`path`), who opens the connection
//! (`setup`, RFC 6135), whether the connection goes where the description says rather than where the path says (`msrp-cema`,
//! RFC 6714), which certificate it will show (`fingerprint`, RFC 8122), and what it takes (`accept-types`, `accept-wrapped-types`,
//! `max-size`). The grammar of session descriptions is the `sdp-types` crate's; this module knows MSRP.
//!
//! A description has one medium. What else an offer might hold (audio, say) belongs to another application, and such an offer is
//! refused rather than answered in part.

mod negotiate;
#[cfg(test)]
mod tests;

pub use negotiate::{AnswerError, Local, Role};

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Origin, Session};

use crate::msrp::Path;
use crate::number::Domain;
use crate::text::MediaType;

/// The media type of a description.
pub const CONTENT_TYPE: &str = "application/sdp";

/// The longest description that is read. One of a session with two relays on either side has some two kilobytes.
pub const LEN_MAX: usize = 16 * 1024;

/// Lines of a description, for the same reason.
const LINES_MAX: usize = 256;

/// Media types in one list.
const TYPES_MAX: usize = 64;

/// Why a description is not one of MSRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than is read.
    #[error("a description longer than is read")]
    TooLarge,
    /// Not a session description.
    #[error("not a session description")]
    Malformed,
    /// Nothing for MSRP, or something besides it.
    #[error("not a description of MSRP alone")]
    NotMsrp,
    /// No path, or none that can be read.
    #[error("a path that is missing or is none")]
    BadPath,
    /// No address, or none that can be read.
    #[error("an address that is missing or is none")]
    BadAddress,
    /// An attribute whose value cannot be read.
    #[error("an attribute that cannot be read")]
    BadAttribute,
    /// An attribute twice that may stand once.
    #[error("an attribute twice that may stand once")]
    Duplicate,
    /// No fingerprint by SHA-256 where there are fingerprints.
    #[error("no fingerprint by SHA-256")]
    BadFingerprint,
}

impl SdpError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "sdp_too_large",
            Self::Malformed => "sdp_malformed",
            Self::NotMsrp => "sdp_not_msrp",
            Self::BadPath => "sdp_bad_path",
            Self::BadAddress => "sdp_bad_address",
            Self::BadAttribute => "sdp_bad_attribute",
            Self::Duplicate => "sdp_duplicate",
            Self::BadFingerprint => "sdp_bad_fingerprint",
        }
    }
}

/// Who opens the connection (RFC 4145, as RFC 6135 uses it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The one who says this.
    Active,
    /// The other.
    Passive,
    /// Either; the answer decides.
    ActPass,
    /// Nobody for now.
    HoldConn,
}

impl Setup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn];
        all.into_iter().find(|setup| setup.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

/// The SHA-256 of the certificate that an end will show. Other hash functions are not read: those still in use are broken or rare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = SdpError;

    /// `sha-256 AB:CD:…`.
    fn from_str(text: &str) -> Result<Self, SdpError> {
        let (name, digits) = text.trim().split_once(' ').ok_or(SdpError::BadFingerprint)?;
        if !name.eq_ignore_ascii_case("sha-256") {
            return Err(SdpError::BadFingerprint);
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.trim().split(':');
        for byte in &mut bytes {
            let pair =
                pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
            *byte =
                u8::from_str_radix(pair.ok_or(SdpError::BadFingerprint)?, 16).map_err(|_| SdpError::BadFingerprint)?;
        }
        if pairs.next().is_some() { Err(SdpError::BadFingerprint) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        write!(f, "sha-256 {}", pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The media types that an end takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptTypes {
    /// Whether it says `*`.
    pub any: bool,
    /// The types, of which one may be `text/*`.
    pub types: Vec<MediaType>,
}

impl AcceptTypes {
    /// These types.
    #[must_use]
    pub const fn of(types: Vec<MediaType>) -> Self {
        Self { any: false, types }
    }

    /// Whether a type is among them; parameters do not matter.
    #[must_use]
    pub fn accepts(&self, media: &MediaType) -> bool {
        let essence = media.essence();
        let family = essence.split('/').next().unwrap_or_default().to_owned() + "/*";
        self.any || self.types.iter().any(|found| found.is(&essence) || found.is(&family))
    }

    const fn is_empty(&self) -> bool {
        !self.any && self.types.is_empty()
    }

    fn parse(text: &str) -> Result<Self, SdpError> {
        let mut accepted = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if accepted.types.len() >= TYPES_MAX {
                return Err(SdpError::BadAttribute);
            }
            match word {
                "*" => accepted.any = true,
                word => accepted.types.push(MediaType::parse(word).map_err(|_| SdpError::BadAttribute)?),
            }
        }
        Ok(accepted)
    }

    /// Without spaces inside a type, since spaces separate them.
    fn to_text(&self) -> String {
        let types = self.types.iter().map(|media| media.as_str().replace(' ', ""));
        types.chain(self.any.then(|| "*".to_owned())).collect::<Vec<_>>().join(" ")
    }
}

/// Which way messages go, from the point of view of the end that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// From that end only.
    SendOnly,
    /// To that end only.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// One end's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The session's id and version (`o=`).
    pub session: (u64, u64),
    /// Where the description says that the end is (`c=`).
    pub address: Domain,
    /// The port (`m=`). Zero in an answer means that the session is refused.
    pub port: u16,
    /// Whether the connection is over TLS (`TCP/TLS/MSRP`).
    pub is_tls: bool,
    /// Where frames go.
    pub path: Path,
    /// Who connects. Without it, the offerer does.
    pub setup: Option<Setup>,
    /// Whether the end can do with a connection to the described address and port (RFC 6714).
    pub has_cema: bool,
    /// The certificate that the end will show.
    pub fingerprint: Option<Fingerprint>,
    /// Media types that it takes.
    pub accept_types: AcceptTypes,
    /// Media types that it takes inside `message/cpim`.
    pub accept_wrapped_types: AcceptTypes,
    /// The largest message that it takes.
    pub max_size: Option<u64>,
    /// Which way messages go.
    pub direction: Direction,
}

impl Description {
    /// A description.
    ///
    /// # Errors
    /// [`SdpError`]. Lines and attributes that do not matter here are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > LEN_MAX || bytes.iter().filter(|byte| **byte == b'\n').count() > LINES_MAX {
            return Err(SdpError::TooLarge);
        }
        let session = Session::parse(bytes).map_err(|_| SdpError::Malformed)?;
        let [media] = session.medias.as_slice() else { return Err(SdpError::NotMsrp) };
        let is_tls = match media.proto.to_ascii_uppercase().as_str() {
            "TCP/MSRP" => false,
            "TCP/TLS/MSRP" => true,
            _ => return Err(SdpError::NotMsrp),
        };
        if !media.media.eq_ignore_ascii_case("message") {
            return Err(SdpError::NotMsrp);
        }
        let connection = media.connections.first().or(session.connection.as_ref());
        let attributes = Attributes { media: &media.attributes, session: &session.attributes };
        let path = attributes.one("path")?.ok_or(SdpError::BadPath)?.parse().map_err(|_| SdpError::BadPath)?;
        Ok(Self {
            session: (session.origin.sess_id.parse().unwrap_or(0), session.origin.sess_version),
            address: address(connection.ok_or(SdpError::BadAddress)?)?,
            port: media.port,
            is_tls,
            path,
            setup: attributes.one("setup")?.map(|text| Setup::parse(text).ok_or(SdpError::BadAttribute)).transpose()?,
            has_cema: attributes.has("msrp-cema"),
            fingerprint: attributes.fingerprint()?,
            accept_types: AcceptTypes::parse(attributes.one("accept-types")?.unwrap_or_default())?,
            accept_wrapped_types: AcceptTypes::parse(attributes.one("accept-wrapped-types")?.unwrap_or_default())?,
            max_size: attributes
                .one("max-size")?
                .map(|text| text.trim().parse().map_err(|_| SdpError::BadAttribute))
                .transpose()?,
            direction: Direction::ALL
                .into_iter()
                .find(|direction| attributes.has(direction.as_str()))
                .unwrap_or_default(),
        })
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let host = self.address.as_str().trim_start_matches('[').trim_end_matches(']').to_owned();
        let addrtype =
            if host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) { AddrType::Ip6 } else { AddrType::Ip4 };
        let (id, version) = self.session;
        let mut session = Session::new(Origin::new(id, version, NetType::In, addrtype.clone(), &host), "-");
        session.connection = Some(Connection { nettype: NetType::In, addrtype, connection_address: host });
        session.medias = vec![Media {
            media: "message".to_owned(),
            port: self.port,
            num_ports: None,
            proto: if self.is_tls { "TCP/TLS/MSRP" } else { "TCP/MSRP" }.to_owned(),
            fmt: "*".to_owned(),
            media_title: None,
            connections: Vec::new(),
            bandwidths: Vec::new(),
            key: None,
            attributes: self.attributes(),
        }];
        let mut out = Vec::new();
        session.write(&mut out).expect("writing to memory does not fail");
        out
    }

    fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        let mut add =
            |name: &str, value: String| attributes.push(Attribute { attribute: name.to_owned(), value: Some(value) });
        if !self.accept_types.is_empty() {
            add("accept-types", self.accept_types.to_text());
        }
        if !self.accept_wrapped_types.is_empty() {
            add("accept-wrapped-types", self.accept_wrapped_types.to_text());
        }
        if let Some(max_size) = self.max_size {
            add("max-size", max_size.to_string());
        }
        if let Some(setup) = self.setup {
            add("setup", setup.as_str().to_owned());
        }
        if let Some(fingerprint) = self.fingerprint {
            add("fingerprint", fingerprint.to_string());
        }
        add("path", self.path.to_string());
        if self.has_cema {
            attributes.push(Attribute { attribute: "msrp-cema".to_owned(), value: None });
        }
        attributes.push(Attribute { attribute: self.direction.as_str().to_owned(), value: None });
        attributes
    }

    /// Where a connection to this end goes: to the described address where the end can do with that, otherwise to the first hop of its
    /// path.
    #[must_use]
    pub fn connect_to(&self) -> (String, u16) {
        let hop = self.path.first();
        if self.has_cema {
            (self.address.as_str().to_owned(), self.port)
        } else {
            (hop.host().to_owned(), hop.port().unwrap_or(crate::msrp::Uri::PORT_DEFAULT))
        }
    }
}

/// The address of a `c=` line, IPv6 in brackets as everywhere else.
fn address(connection: &Connection) -> Result<Domain, SdpError> {
    let text = connection.connection_address.as_str();
    let text = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
    text.parse().map_err(|_| SdpError::BadAddress)
}

/// The attributes of the medium, and behind them those of the session.
struct Attributes<'a> {
    media: &'a [Attribute],
    session: &'a [Attribute],
}

impl<'a> Attributes<'a> {
    fn all(list: &'a [Attribute], name: &str) -> Vec<&'a str> {
        let named = list.iter().filter(|attribute| attribute.attribute.eq_ignore_ascii_case(name));
        named.map(|attribute| attribute.value.as_deref().unwrap_or_default()).collect()
    }

    /// The values where they stand: at the medium, or else at the session.
    fn values(&self, name: &str) -> Vec<&'a str> {
        let own = Self::all(self.media, name);
        if own.is_empty() { Self::all(self.session, name) } else { own }
    }

    fn one(&self, name: &str) -> Result<Option<&'a str>, SdpError> {
        match self.values(name).as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(SdpError::Duplicate),
        }
    }

    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// RFC 8122 allows one fingerprint for each hash function; that of SHA-256 counts, and there may be one of it.
    fn fingerprint(&self) -> Result<Option<Fingerprint>, SdpError> {
        let values = self.values("fingerprint");
        let is_ours =
            |value: &&&str| value.trim_start().get(..7).is_some_and(|name| name.eq_ignore_ascii_case("sha-256"));
        match values.iter().filter(is_ours).collect::<Vec<_>>().as_slice() {
            [] if values.is_empty() => Ok(None),
            [] => Err(SdpError::BadFingerprint),
            [value] => value.parse().map(Some),
            _ => Err(SdpError::Duplicate),
        }
    }
}
