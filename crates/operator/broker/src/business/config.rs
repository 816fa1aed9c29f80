//! What business traffic is told: tables `[sms]` and `[business]`.
//!
//! No secret stands in the configuration: passwords, tokens and webhook secrets are files of their own, and tenants' keys are known by their
//! SHA-256.

use std::path::{Path, PathBuf};

use rcseal_carrier::sms::SenderId;
use rcseal_front::config::{ConfigError, anchor};
use serde::{Deserialize, Serialize};

use crate::config::Prefix;

/// Table `[sms]`: the gateway by which codes and fall-backs leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsConfig {
    /// In whose name SMS leave: a number, a short code, or a name of at most eleven characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// A gateway by SMPP. One of the two at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smpp: Option<SmppConfig>,
    /// A gateway by HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSmsConfig>,
}

/// Table `[sms.smpp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppConfig {
    /// The SMSC: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our account.
    pub system_id: String,
    /// File with its password.
    pub password: PathBuf,
    /// What the SMSC calls our kind of system, if it asks.
    #[serde(default)]
    pub system_type: String,
    /// PEM file with the authorities that may vouch for the SMSC. Left out: TCP in clear, for networks that protect otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// How many messages may wait for an answer.
    #[serde(default = "window")]
    pub window: usize,
}

const fn window() -> usize {
    10
}

/// Table `[sms.http]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSmsConfig {
    /// Where messages are sent.
    pub url: String,
    /// Our account.
    pub user: String,
    /// File with its password.
    pub password: PathBuf,
    /// PEM file with the authorities that may vouch for the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// File with the last element of the call-back's path: 32 letters and digits or more, drawn at random.
    pub callback_secret: PathBuf,
    /// The origin under which the gateway reaches us, such as `https://broker.example.org`. Left out: no reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_origin: Option<String>,
    /// File with the key of call-backs' signatures, where the gateway signs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
}

/// Table `[business]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusinessConfig {
    /// Who may send.
    pub tenants: Vec<TenantConfig>,
    /// By which agents.
    pub agents: Vec<AgentConfig>,
}

/// One of `[[business.tenants]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// Its name: letters, digits and hyphens.
    pub name: String,
    /// SHA-256 of its keys, in hexadecimal. A key is 32 characters or more, drawn at random.
    pub key_hashes: Vec<String>,
    /// Requests in a minute.
    #[serde(default = "per_minute")]
    pub requests_per_minute: u32,
    /// What its messages may cost where they go as SMS.
    #[serde(default)]
    pub sms: TenantSmsConfig,
}

/// Table `sms` of a tenant. Without it the tenant's SMS go to mobile numbers that the operator serves, in the name of `[sms] sender`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSmsConfig {
    /// Beginnings of the numbers that its SMS may go to beside those in `[numbers]`: of these, mobile ones.
    pub to: Vec<Prefix>,
    /// Segments in a day. Each is paid for by the operator.
    pub segments_per_day: u32,
    /// In whose name they leave, where it is not the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

impl Default for TenantSmsConfig {
    fn default() -> Self {
        // Enough for a business of a few thousand customers; a stolen key costs no more than that in a day.
        Self { to: Vec::new(), segments_per_day: 5_000, sender: None }
    }
}

const fn per_minute() -> u32 {
    6_000
}

/// One of `[[business.agents]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// Its name, and the last element of its webhook's path: letters, digits and hyphens.
    pub name: String,
    /// Whose it is.
    pub tenant: String,
    /// By RCS for Business. One of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rbm: Option<RbmAgentConfig>,
    /// By an aggregator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sinch: Option<SinchAgentConfig>,
}

/// Table `[business.agents.rbm]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RbmAgentConfig {
    /// The agent's id at the provider.
    pub agent_id: String,
    /// Where the interface is. Left out: the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// PEM file with the authorities that may vouch for it. Left out only for an endpoint on this machine in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// File with an access token that somebody else keeps fresh.
    pub token: PathBuf,
    /// File with the token that webhooks are signed with.
    pub client_token: PathBuf,
}

/// Table `[business.agents.sinch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinchAgentConfig {
    /// The project's id.
    pub project_id: String,
    /// The app's id.
    pub app_id: String,
    /// Where the interface is. Left out: the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// PEM file with the authorities that may vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// Id of an access key.
    pub key_id: String,
    /// File with its secret.
    pub key_secret: PathBuf,
    /// File with the secret that webhooks are signed with.
    pub webhook_secret: PathBuf,
}

fn invalid(key: &'static str, fault: &'static str) -> ConfigError {
    ConfigError::Invalid { key, fault }
}

/// Names stand in paths and rows.
fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl SmsConfig {
    /// Makes paths relative to the configuration's folder.
    pub fn anchor(&mut self, folder: &Path) {
        if let Some(smpp) = &mut self.smpp {
            anchor(folder, &mut smpp.password);
            if let Some(authority) = &mut smpp.authority {
                anchor(folder, authority);
            }
        }
        if let Some(http) = &mut self.http {
            anchor(folder, &mut http.password);
            anchor(folder, &mut http.callback_secret);
            for path in [&mut http.authority, &mut http.signing_key].into_iter().flatten() {
                anchor(folder, path);
            }
        }
    }

    /// Checks what can be checked without opening a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        match (&self.smpp, &self.http, &self.sender) {
            (Some(_), Some(_), _) => Err(invalid("sms", "one gateway at most")),
            (Some(_), None, None) | (None, Some(_), None) => Err(ConfigError::Missing { key: "sms.sender" }),
            _ => Ok(()),
        }
    }
}

impl BusinessConfig {
    /// Makes paths relative to the configuration's folder.
    pub fn anchor(&mut self, folder: &Path) {
        for agent in &mut self.agents {
            if let Some(rbm) = &mut agent.rbm {
                anchor(folder, &mut rbm.token);
                anchor(folder, &mut rbm.client_token);
                if let Some(authority) = &mut rbm.authority {
                    anchor(folder, authority);
                }
            }
            if let Some(sinch) = &mut agent.sinch {
                anchor(folder, &mut sinch.key_secret);
                anchor(folder, &mut sinch.webhook_secret);
                if let Some(authority) = &mut sinch.authority {
                    anchor(folder, authority);
                }
            }
        }
    }

    /// Checks what can be checked without opening a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (at, tenant) in self.tenants.iter().enumerate() {
            if !is_name(&tenant.name) || self.tenants[..at].iter().any(|other| other.name == tenant.name) {
                return Err(invalid("business.tenants.name", "not a name, or used twice"));
            }
            if tenant.requests_per_minute == 0 {
                return Err(invalid("business.tenants.requests_per_minute", "a limit of zero would take nothing"));
            }
            if tenant.sms.sender.as_ref().is_some_and(|sender| SenderId::parse(sender).is_err()) {
                return Err(invalid(
                    "business.tenants.sms.sender",
                    "not a number, a short code, or a name of 11 characters",
                ));
            }
            if tenant.key_hashes.iter().any(|hash| parse_hash(hash).is_none()) {
                return Err(invalid("business.tenants.key_hashes", "not SHA-256 in hexadecimal"));
            }
        }
        for (at, agent) in self.agents.iter().enumerate() {
            if !is_name(&agent.name) || self.agents[..at].iter().any(|other| other.name == agent.name) {
                return Err(invalid("business.agents.name", "not a name, or used twice"));
            }
            if !self.tenants.iter().any(|tenant| tenant.name == agent.tenant) {
                return Err(invalid("business.agents.tenant", "no such tenant"));
            }
            if agent.rbm.is_some() == agent.sinch.is_some() {
                return Err(invalid("business.agents", "one provider each"));
            }
        }
        Ok(())
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hashes_are_64_digits() {
        assert_eq!(parse_hash(&"0a".repeat(32)), Some([10; 32]));
        for bad in ["", "0a", &"0g".repeat(32), &"+1".repeat(32), &"ä".repeat(32)] {
            assert_eq!(parse_hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_agent_has_a_tenant_and_one_provider() {
        let agent = AgentConfig { name: "acme-rbm".into(), tenant: "acme".into(), rbm: None, sinch: None };
        let tenant = TenantConfig {
            name: "acme".into(),
            key_hashes: vec!["0a".repeat(32)],
            requests_per_minute: 1,
            sms: TenantSmsConfig::default(),
        };
        let config = BusinessConfig { tenants: vec![tenant.clone()], agents: vec![agent.clone()] };
        assert!(matches!(config.validate(), Err(ConfigError::Invalid { key: "business.agents", .. })));
        let config = BusinessConfig { tenants: Vec::new(), agents: vec![agent] };
        assert!(matches!(config.validate(), Err(ConfigError::Invalid { key: "business.agents.tenant", .. })));
        let config = BusinessConfig { tenants: vec![tenant.clone(), tenant], agents: Vec::new() };
        assert!(matches!(config.validate(), Err(ConfigError::Invalid { key: "business.tenants.name", .. })));
    }
}
