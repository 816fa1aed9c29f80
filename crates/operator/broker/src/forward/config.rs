//! What forwarding is told: table `[forward]`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::{Access, Config as AgentConfig, Peer, Trunk, Wire};
use rcseal_carrier::sip_transport::{PAGER_LEN_MAX, SipTransportConfig};
use rcseal_carrier::tls::{SelfSigned, TrustAnchors};
use rcseal_front::config::{ConfigError, anchor};
use rcseal_rcs::number::{Domain, PhoneNumber};
use serde::{Deserialize, Serialize};

/// Table `[forward]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardConfig {
    /// Messages that are taken from one number in a minute. More are answered "later".
    pub per_sender_per_minute: u32,
    /// Messages that are taken for one number in a minute.
    pub per_recipient_per_minute: u32,
    /// Messages that one device may send out in a minute.
    pub outbound_per_device_per_minute: u32,
    /// The SIP trunk to the carrier. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkConfig>,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            // A part of a frame counts as a message, and the longest message is some hundred parts.
            per_sender_per_minute: 1_200,
            per_recipient_per_minute: 6_000,
            outbound_per_device_per_minute: 600,
            trunk: None,
        }
    }
}

/// How the carrier's core is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkWire {
    /// Datagrams.
    Udp,
    /// A connection in clear: inside a network that protects otherwise.
    Tcp,
    /// A connection with TLS.
    Tls,
}

/// Table `[forward.trunk]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// The trunk's own number, which stands in its contact. What is sent bears the number of who sends it.
    pub own: String,
    /// The carrier's domain.
    pub domain: String,
    /// Host of the next hop.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub wire: TrunkWire,
    /// PEM file with the authorities that may vouch for it; needed with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// The local address; port 0 takes any.
    pub local: SocketAddr,
    /// Whether the core opens connections to the local address; TCP only.
    #[serde(default)]
    pub listens: bool,
    /// Preset route, first hop first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<String>,
    /// More addresses of the core. What these assert is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<IpAddr>,
    /// Sessions for what is too long for a SIP message. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msrp: Option<TrunkMsrpConfig>,
    /// Up to how many bytes a message goes as a SIP message.
    #[serde(default = "pager_len_max")]
    pub pager_len_max: usize,
    /// Seconds that the core may take to answer a message. One that does not is said to the sender's device as it is: not answered.
    #[serde(default = "answer_seconds")]
    pub answer_seconds: u64,
}

/// The time after which RFC 3261 gives a transaction up.
const fn answer_seconds() -> u64 {
    32
}

const fn pager_len_max() -> usize {
    PAGER_LEN_MAX
}

/// Table `[forward.trunk.msrp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkMsrpConfig {
    /// Where peers connect to.
    pub listen: SocketAddr,
    /// The host that peers are told, where it is not the listening address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised_host: Option<String>,
    /// Whether sessions are protected by TLS with certificates that the signalling vouches for.
    #[serde(default = "yes")]
    pub tls: bool,
}

const fn yes() -> bool {
    true
}

/// Bounds of a pager message's configured length.
const PAGER_LENS: std::ops::RangeInclusive<usize> = 512..=128 * 1024;

/// Bounds of the time that a core may take.
const ANSWER_SECONDS: std::ops::RangeInclusive<u64> = 1..=120;

fn invalid(key: &'static str, fault: &'static str) -> ConfigError {
    ConfigError::Invalid { key, fault }
}

impl ForwardConfig {
    /// Makes paths relative to the configuration's folder.
    pub fn anchor(&mut self, folder: &Path) {
        if let Some(authority) = self.trunk.as_mut().and_then(|trunk| trunk.authority.as_mut()) {
            anchor(folder, authority);
        }
    }

    /// Checks what can be checked without opening a file or a socket.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let limits = [self.per_sender_per_minute, self.per_recipient_per_minute, self.outbound_per_device_per_minute];
        if limits.contains(&0) {
            return Err(invalid("forward", "a limit of zero would take nothing"));
        }
        let Some(trunk) = &self.trunk else { return Ok(()) };
        trunk.number()?;
        trunk.parse_domain()?;
        if trunk.wire == TrunkWire::Tls && trunk.authority.is_none() {
            return Err(ConfigError::Missing { key: "forward.trunk.authority" });
        }
        if trunk.wire != TrunkWire::Tcp && trunk.listens {
            return Err(invalid("forward.trunk.listens", "connections of the core are TCP in clear"));
        }
        if !PAGER_LENS.contains(&trunk.pager_len_max) {
            return Err(invalid("forward.trunk.pager_len_max", "out of range"));
        }
        if !ANSWER_SECONDS.contains(&trunk.answer_seconds) {
            return Err(invalid("forward.trunk.answer_seconds", "out of range"));
        }
        Ok(())
    }
}

impl TrunkConfig {
    fn number(&self) -> Result<PhoneNumber, ConfigError> {
        self.own.parse().map_err(|_| invalid("forward.trunk.own", "not a phone number"))
    }

    fn parse_domain(&self) -> Result<Domain, ConfigError> {
        self.domain.parse().map_err(|_| invalid("forward.trunk.domain", "not a domain"))
    }

    /// What the transport is told.
    pub(crate) fn transport(&self) -> Result<SipTransportConfig, TrunkError> {
        let wire = match (self.wire, &self.authority) {
            (TrunkWire::Udp, _) => Wire::Udp,
            (TrunkWire::Tcp, _) => Wire::Tcp,
            (TrunkWire::Tls, Some(authority)) => {
                let pem = std::fs::read(authority).map_err(TrunkError::Authority)?;
                Wire::Tls(TrustAnchors::from_pem(&pem).map_err(TrunkError::Trust)?)
            }
            (TrunkWire::Tls, None) => {
                return Err(TrunkError::Config(ConfigError::Missing { key: "forward.trunk.authority" }));
            }
        };
        let trunk = Trunk {
            route: self.route.clone(),
            registers_third_party: false,
            trusted: self.trusted.clone(),
            listens: self.listens,
        };
        let peer = Peer { host: self.host.clone(), port: self.port };
        let own = self.number().map_err(TrunkError::Config)?;
        let domain = self.parse_domain().map_err(TrunkError::Config)?;
        let mut agent = AgentConfig::new(own, domain, peer, wire, Access::Trunk(trunk));
        agent.local = self.local;
        agent.timers.answer = Duration::from_secs(self.answer_seconds);
        let msrp = match &self.msrp {
            None => None,
            Some(msrp) => {
                let protection = if msrp.tls {
                    Protection::Tls(Arc::new(SelfSigned::generate().map_err(TrunkError::Certificate)?))
                } else {
                    Protection::Plain
                };
                let mut config = MsrpConfig::new(msrp.listen, protection);
                config.advertised_host.clone_from(&msrp.advertised_host);
                Some(config)
            }
        };
        let mut config = SipTransportConfig::new(agent, msrp);
        config.pager_len_max = self.pager_len_max;
        Ok(config)
    }
}

/// Why the trunk does not start.
#[derive(Debug, thiserror::Error)]
pub enum TrunkError {
    /// A value is wrong.
    #[error("a value of the trunk's configuration is wrong")]
    Config(#[source] ConfigError),
    /// The authorities cannot be read.
    #[error("the authorities of the trunk cannot be read")]
    Authority(#[source] std::io::Error),
    /// The authorities cannot be used.
    #[error("the authorities of the trunk cannot be used")]
    Trust(#[source] rcseal_carrier::tls::TrustError),
    /// No certificate for sessions could be made.
    #[error("no certificate for sessions could be made")]
    Certificate(#[source] rcseal_carrier::tls::TlsSetupError),
    /// The transport does not start.
    #[error("the trunk does not start")]
    Transport(#[source] rcseal_carrier::sip_transport::SipTransportError),
}

impl TrunkError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "trunk_config",
            Self::Authority(_) => "trunk_authority",
            Self::Trust(source) => source.code(),
            Self::Certificate(source) => source.code(),
            Self::Transport(source) => source.code(),
        }
    }
}
