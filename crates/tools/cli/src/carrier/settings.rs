//! What is kept of a carrier account, and the transport's configuration that it becomes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::{Access, Config, Peer, Trunk, Wire as SipWire};
use rcseal_carrier::sip_transport::SipTransportConfig;
use rcseal_carrier::tls::{SelfSigned, TrustAnchors};
use rcseal_rcs::feature::FeatureTags;
use rcseal_rcs::frame::FRAME_VERSION;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Registrar, Wire};
use crate::args::Sessions;
use crate::error::CliError;

/// The version of the value in the store.
const VERSION: u8 = 1;

/// A carrier account.
#[derive(Serialize, Deserialize)]
pub(crate) struct CarrierSettings {
    version: u8,
    pub(crate) registrar: Registrar,
    pub(crate) domain: String,
    pub(crate) number: String,
    pub(crate) user: Option<String>,
    /// Never printed.
    pub(crate) password: Option<String>,
    /// The authority of the registrar's certificate, as PEM.
    pub(crate) authority: Option<String>,
    pub(crate) trunk: Option<TrunkSettings>,
    pub(crate) is_unregistered: bool,
    pub(crate) local: Option<SocketAddr>,
    sessions: String,
    pub(crate) is_text_only: bool,
    pub(crate) patience_seconds: u64,
    /// By which a registrar knows this device again, so that it replaces the old contact.
    pub(crate) instance: [u8; 16],
}

/// A trusted trunk.
#[derive(Serialize, Deserialize)]
pub(crate) struct TrunkSettings {
    pub(crate) route: Vec<String>,
    pub(crate) is_third_party: bool,
    pub(crate) trusted: Vec<IpAddr>,
}

impl Drop for CarrierSettings {
    fn drop(&mut self) {
        if let Some(password) = &mut self.password {
            password.zeroize();
        }
    }
}

impl CarrierSettings {
    /// An account at a registrar, with the usual choices for everything else.
    pub(crate) fn new(registrar: Registrar, domain: String, number: String) -> Self {
        Self {
            version: VERSION,
            registrar,
            domain,
            number,
            user: None,
            password: None,
            authority: None,
            trunk: None,
            is_unregistered: false,
            local: None,
            sessions: "tls".to_owned(),
            is_text_only: false,
            patience_seconds: 60,
            instance: rand::random(),
        }
    }

    pub(crate) fn set_sessions(&mut self, sessions: Sessions) {
        self.sessions = match sessions {
            Sessions::Tls => "tls",
            Sessions::Tcp => "tcp",
            Sessions::Off => "off",
        }
        .to_owned();
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CliError> {
        let settings: Self = serde_json::from_slice(bytes).map_err(|_| CliError::CarrierSettings)?;
        if settings.version == VERSION { Ok(settings) } else { Err(CliError::CarrierSettings) }
    }

    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, CliError> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| CliError::CarrierSettings)
    }

    /// What the transport is told.
    ///
    /// # Errors
    /// [`CliError::CarrierSettings`], [`CliError::Trust`], [`CliError::CarrierTls`].
    pub(super) fn transport(&self) -> Result<SipTransportConfig, CliError> {
        let own = self.number.parse().map_err(|_| CliError::CarrierSettings)?;
        let domain = self.domain.parse().map_err(|_| CliError::CarrierSettings)?;
        let peer = Peer { host: self.registrar.host.clone(), port: self.registrar.port };
        let wire = match self.registrar.wire {
            Wire::Udp => SipWire::Udp,
            Wire::Tcp => SipWire::Tcp,
            Wire::Tls => {
                SipWire::Tls(TrustAnchors::from_pem(self.authority.as_deref().unwrap_or_default().as_bytes())?)
            }
        };
        let mut agent = Config::new(own, domain, peer, wire, self.access());
        agent.local = self.local.unwrap_or_else(|| self.any_address());
        agent.instance = Some(self.instance);
        let has_sessions = self.sessions != "off";
        agent.feature_tags = FeatureTags {
            frame_version: Some(FRAME_VERSION),
            standalone: true,
            chat: has_sessions,
            ..FeatureTags::default()
        }
        .to_params();
        let listen = SocketAddr::new(agent.local.ip(), 0);
        let msrp = match self.sessions.as_str() {
            "off" => None,
            "tcp" => Some(MsrpConfig::new(listen, Protection::Plain)),
            _ => Some(MsrpConfig::new(listen, Protection::Tls(Arc::new(SelfSigned::generate()?)))),
        };
        let mut config = SipTransportConfig::new(agent, msrp);
        config.is_transparent = !self.is_text_only;
        Ok(config)
    }

    fn access(&self) -> Access {
        if let Some(trunk) = &self.trunk {
            return Access::Trunk(Trunk {
                route: trunk.route.clone(),
                registers_third_party: trunk.is_third_party,
                trusted: trunk.trusted.clone(),
                // Where the core connects to us, it has to be told where: by `--local`.
                listens: self.registrar.wire == Wire::Tcp && self.local.is_some(),
            });
        }
        let credentials = self.password.as_ref().map(|password| Credentials::Password {
            user: self.user.clone().unwrap_or_else(|| self.number.clone()),
            password: Password::new(password.clone()),
        });
        if self.is_unregistered { Access::Unregistered(credentials) } else { Access::Register(credentials) }
    }

    /// Any address of the registrar's family.
    fn any_address(&self) -> SocketAddr {
        let is_v6 = self.registrar.host.parse::<Ipv6Addr>().is_ok();
        let any = if is_v6 { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { IpAddr::from(Ipv4Addr::UNSPECIFIED) };
        SocketAddr::new(any, 0)
    }

    /// What may be shown: everything but the password.
    pub(crate) fn json(&self) -> Value {
        json!({
            "number": self.number,
            "registrar": self.registrar.to_string(),
            "domain": self.domain,
            "access": self.access_name(),
            "user": self.user,
            "password": self.password.is_some(),
            "authority": self.authority.is_some(),
            "route": self.trunk.as_ref().map(|trunk| &trunk.route),
            "local": self.local.map(|local| local.to_string()),
            "sessions": self.sessions,
            "text_only": self.is_text_only,
            "patience_seconds": self.patience_seconds,
        })
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} at {} in {}, {}",
            self.number,
            self.registrar,
            self.domain,
            match self.access_name() {
                "trunk" => "by a trunk that needs no password".to_owned(),
                "unregistered" => "does not register".to_owned(),
                _ if self.password.is_some() =>
                    format!("registers as {} with a password", self.user.as_deref().unwrap_or(&self.number)),
                _ => "registers without a password".to_owned(),
            }
        );
        text.push_str(&match self.sessions.as_str() {
            "off" => "\nno sessions: what does not fit into single messages goes by the relay".to_owned(),
            how => format!("\nlonger messages in sessions over {how}"),
        });
        if self.is_text_only {
            text.push_str("\nframes go as text");
        }
        text.push_str(&format!("\nwhat is not confirmed in {} s goes by the relay as well", self.patience_seconds));
        text
    }

    fn access_name(&self) -> &'static str {
        match (&self.trunk, self.is_unregistered) {
            (Some(_), _) => "trunk",
            (None, true) => "unregistered",
            (None, false) => "register",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_shown_has_everything_but_the_password() {
        let registrar = "udp:127.0.0.1:5060".parse().unwrap();
        let mut settings = CarrierSettings::new(registrar, "carrier.test".to_owned(), "+12015550123".to_owned());
        settings.password = Some("open sesame".to_owned());
        for shown in [settings.json().to_string(), settings.text()] {
            assert!(shown.contains("+12015550123") && !shown.contains("sesame"), "{shown}");
        }
        let read = CarrierSettings::from_bytes(&settings.to_bytes().unwrap()).unwrap();
        assert_eq!(read.password.as_deref(), Some("open sesame"));
        assert!(CarrierSettings::from_bytes(b"{}").is_err());
    }
}
