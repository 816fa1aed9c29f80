//! What a user agent is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rcseal_rcs::number::{Domain, PhoneNumber};

use super::field;
use crate::auth::Credentials;
use crate::tls::TrustAnchors;

/// The ICSI of pager-mode messages (OMA CPM), which application servers route by.
pub const ICSI_MESSAGE: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg";

/// The ICSI of message sessions.
pub const ICSI_SESSION: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session";

/// The next hop: registrar, outbound proxy or the trunk's other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How the next hop is spoken to.
#[derive(Debug, Clone)]
pub enum Wire {
    /// Datagrams.
    Udp,
    /// A connection, in clear.
    Tcp,
    /// A connection with TLS. The peer must show a certificate for the configured domain.
    Tls(TrustAnchors),
}

impl Wire {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls(_) => "TLS",
        }
    }

    pub(super) const fn is_reliable(&self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// By what right we use the carrier.
#[derive(Debug, Clone)]
pub enum Access {
    /// As a subscriber that registers, with credentials where the carrier asks for them.
    Register(Option<Credentials>),
    /// Nothing is registered; credentials where the carrier asks for them.
    Unregistered(Option<Credentials>),
    /// As an application server that the core trusts, and that trusts the core.
    Trunk(Trunk),
}

/// A trusted trunk.
#[derive(Debug, Clone, Default)]
pub struct Trunk {
    /// Preset route, first hop first: `sip:scscf.example;lr`.
    pub route: Vec<String>,
    /// Whether `register` registers our number as a third party, in the domain's name.
    pub registers_third_party: bool,
    /// More addresses of the core, beside the peer's. What these assert is believed.
    pub trusted: Vec<IpAddr>,
    /// Whether connections from the core are accepted at the local address. They are TCP in clear, so that a trunk over TLS has none.
    pub listens: bool,
}

/// How long things take. The defaults are RFC 3261's where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// The first retransmission of a datagram comes after this.
    pub t1: Duration,
    /// Retransmissions are at most this far apart.
    pub t2: Duration,
    /// How long an answer is waited for.
    pub answer: Duration,
    /// How long the answer to an INVITE is waited for once the far end said that it is trying.
    pub invite: Duration,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long a message that has begun, or a write, may take to end.
    pub stall: Duration,
    /// Between keep-alives.
    pub keep_alive: Duration,
    /// How long a registration is asked for.
    pub expires: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            answer: Duration::from_secs(32),
            invite: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            // Below the 30 seconds after which common address translators forget a UDP mapping.
            keep_alive: Duration::from_secs(25),
            expires: Duration::from_secs(3600),
        }
    }
}

/// Bounds of what peers and callers can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body that is taken. A larger one is answered with 413.
    pub body_len_max: usize,
    /// Requests of ours that wait for an answer; more wait their turn.
    pub pending_max: usize,
    /// Messages that came in and wait to be taken out; more are answered with 503.
    pub inbound_max: usize,
    /// Requests that came in and are not answered yet; more are answered with 503.
    pub processing_max: usize,
    /// Answers that are kept for retransmitted requests.
    pub answers_max: usize,
    /// Sessions at a time.
    pub dialogs_max: usize,
    /// Connections from the core at a time.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_len_max: 128 << 10,
            pending_max: 4096,
            inbound_max: 512,
            processing_max: 2048,
            answers_max: 16 << 10,
            dialogs_max: 256,
            connections_max: 64,
        }
    }
}

/// A user agent's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our number.
    pub own: PhoneNumber,
    /// The carrier's domain, which numbers are written with.
    pub domain: Domain,
    /// The next hop.
    pub peer: Peer,
    /// How it is spoken to.
    pub wire: Wire,
    /// By what right.
    pub access: Access,
    /// The local address; port 0 takes any.
    pub local: SocketAddr,
    /// What this device can do: contact parameters, `name` or `name="value"`.
    pub feature_tags: Vec<String>,
    /// A stable id of this device (`+sip.instance`), so that a registrar replaces its old contact. Told to nobody else.
    pub instance: Option<[u8; 16]>,
    /// Times.
    pub timers: Timers,
    /// Bounds.
    pub limits: Limits,
}

/// Why a user agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The next hop is not a host and a port.
    #[error("the next hop is not a host and a port")]
    Peer,
    /// A feature tag cannot be written into a contact.
    #[error("a feature tag cannot be written")]
    FeatureTag,
    /// A route is not a URI.
    #[error("a route is not a URI")]
    Route,
    /// The core is spoken to over TLS, and its connections to us would be in clear.
    #[error("connections in clear beside a way with TLS")]
    Listen,
    /// The local address cannot be used.
    #[error("the local address cannot be used")]
    Bind(#[source] std::io::Error),
}

impl StartError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Peer => "sip_start_peer",
            Self::FeatureTag => "sip_start_feature_tag",
            Self::Route => "sip_start_route",
            Self::Listen => "sip_start_listen",
            Self::Bind(_) => "sip_start_bind",
        }
    }
}

impl Config {
    /// A configuration with the defaults for everything else.
    #[must_use]
    pub fn new(own: PhoneNumber, domain: Domain, peer: Peer, wire: Wire, access: Access) -> Self {
        Self {
            own,
            domain,
            peer,
            wire,
            access,
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
            feature_tags: Vec::new(),
            instance: None,
            timers: Timers::default(),
            limits: Limits::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        if self.peer.host.is_empty()
            || self.peer.port == 0
            || !self.peer.host.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(StartError::Peer);
        }
        let is_tag = |tag: &String| {
            let (name, value) = tag.split_once('=').map_or((tag.as_str(), None), |(name, value)| (name, Some(value)));
            let is_quoted = |value: &str| {
                let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                inner.is_some_and(|text| {
                    text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\'))
                })
            };
            let is_word = |value: &str| !value.is_empty() && value.bytes().all(field::is_token);
            !name.is_empty()
                && name.bytes().all(field::is_token)
                && value.is_none_or(|value| is_quoted(value) || is_word(value))
        };
        if !self.feature_tags.iter().all(is_tag) {
            return Err(StartError::FeatureTag);
        }
        match self.trunk() {
            Some(trunk) if trunk.listens && matches!(self.wire, Wire::Tls(_)) => Err(StartError::Listen),
            Some(trunk) if !trunk.route.iter().all(|uri| field::is_uri(uri)) => Err(StartError::Route),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) const fn trunk(&self) -> Option<&Trunk> {
        match &self.access {
            Access::Trunk(trunk) => Some(trunk),
            Access::Register(_) | Access::Unregistered(_) => None,
        }
    }

    pub(super) const fn credentials(&self) -> Option<&Credentials> {
        match &self.access {
            Access::Register(credentials) | Access::Unregistered(credentials) => credentials.as_ref(),
            Access::Trunk(_) => None,
        }
    }
}
