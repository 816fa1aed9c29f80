//! Providers and gateways out of the configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcseal_carrier::auth::Password;
use rcseal_carrier::business::rbm::{AgentId, ClientToken, RbmConfig, RcsForBusiness};
use rcseal_carrier::business::sinch::{Sinch, SinchAuth, SinchConfig, SinchId, WebhookSecret};
use rcseal_carrier::business::token::FileToken;
use rcseal_carrier::business::{BusinessProvider, Endpoint, Patience, RetryPolicy, rbm, sinch};
use rcseal_carrier::sms::http_gateway::{self, HttpGateway};
use rcseal_carrier::sms::smpp::{self, SmppClient};
use rcseal_carrier::sms::{SenderId, SmsGateway};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_front::process;

use super::config::{
    AgentConfig, BusinessConfig, HttpSmsConfig, RbmAgentConfig, SinchAgentConfig, SmppConfig, SmsConfig, parse_hash,
};
use super::runner::Agent;
use super::tenant::{SmsRules, Tenant, Tenants};
use crate::config::NumbersConfig;

/// The longest secret that is read from a file.
const SECRET_LEN_MAX: u64 = 64 * 1024;

/// Why a way to a provider or a gateway cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file, or a value of the configuration, is not what it should be.
    #[error("{what} cannot be used: {code}")]
    Unusable {
        /// Which key of the configuration.
        what: &'static str,
        /// A stable code.
        code: &'static str,
    },
}

impl WayError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "way_unreadable",
            Self::Unusable { code, .. } => code,
        }
    }
}

/// Everything that the configuration names.
#[derive(Default)]
pub(crate) struct Ways {
    pub(super) tenants: Tenants,
    pub(super) agents: Vec<Agent>,
    pub(super) gateway: Option<Arc<dyn SmsGateway>>,
    /// The gateway again, where it calls us back.
    pub(super) callbacks: Option<Arc<HttpGateway>>,
    pub(super) sender: Option<SenderId>,
}

impl Ways {
    /// Opens them. Must be called on a runtime.
    ///
    /// # Errors
    /// [`WayError`].
    pub(crate) fn open(sms: &SmsConfig, business: &BusinessConfig, numbers: &NumbersConfig) -> Result<Self, WayError> {
        let mut ways = Self::default();
        if let Some(sender) = &sms.sender {
            ways.sender = Some(SenderId::parse(sender).map_err(|error| unusable("sms.sender", error.code()))?);
        }
        if let Some(config) = &sms.smpp {
            ways.gateway = Some(Arc::new(smpp_gateway(config)?));
        }
        if let Some(config) = &sms.http {
            let gateway = Arc::new(http_sms_gateway(config)?);
            ways.callbacks = Some(Arc::clone(&gateway));
            ways.gateway = Some(gateway);
        }
        let mut tenants = Vec::new();
        for tenant in &business.tenants {
            let key_hashes = tenant.key_hashes.iter().filter_map(|hash| parse_hash(hash)).collect();
            let mine = business.agents.iter().filter(|agent| agent.tenant == tenant.name);
            tenants.push(Tenant {
                name: tenant.name.clone(),
                key_hashes,
                agents: mine.map(|agent| agent.name.clone()).collect(),
                per_minute: tenant.requests_per_minute,
                sms: SmsRules {
                    numbers: numbers.clone(),
                    more: tenant.sms.to.clone(),
                    segments_per_day: tenant.sms.segments_per_day,
                },
            });
        }
        ways.tenants = Tenants::new(tenants);
        for agent in &business.agents {
            let provider = provider(agent)?;
            let tenant = business.tenants.iter().find(|tenant| tenant.name == agent.tenant);
            let sender =
                tenant.and_then(|tenant| tenant.sms.sender.as_ref()).map(|text| SenderId::parse(text)).transpose();
            let sms_sender = sender.map_err(|error| unusable("business.tenants.sms.sender", error.code()))?;
            ways.agents.push(Agent { name: agent.name.clone(), tenant: agent.tenant.clone(), provider, sms_sender });
        }
        Ok(ways)
    }

    /// The gateway for codes, and in whose name.
    pub(crate) fn codes(&self) -> Option<super::SmsCodes> {
        let (gateway, sender) = self.gateway.clone().zip(self.sender.clone())?;
        Some(super::SmsCodes::new(gateway, sender))
    }
}

const fn unusable(what: &'static str, code: &'static str) -> WayError {
    WayError::Unusable { what, code }
}

fn read(path: &Path) -> Result<Vec<u8>, WayError> {
    use std::io::Read as _;
    let error = |source| WayError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(error)?;
    file.take(SECRET_LEN_MAX).read_to_end(&mut bytes).map_err(error)?;
    Ok(bytes)
}

/// The one line of a file.
fn read_secret(path: &Path, what: &'static str) -> Result<String, WayError> {
    process::point_out_open_key(path);
    let text = String::from_utf8(read(path)?).map_err(|_| unusable(what, "secret_malformed"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(['\r', '\n']) {
        return Err(unusable(what, "secret_malformed"));
    }
    Ok(text.to_owned())
}

fn trust(authority: Option<&PathBuf>, what: &'static str) -> Result<TrustAnchors, WayError> {
    match authority {
        Some(path) => {
            // A bundle of authorities is longer than any secret.
            let pem = std::fs::read(path).map_err(|source| WayError::Read { path: path.clone(), source })?;
            TrustAnchors::from_pem(&pem).map_err(|error| unusable(what, error.code()))
        }
        None => Ok(TrustAnchors::none()),
    }
}

fn smpp_gateway(config: &SmppConfig) -> Result<SmppClient, WayError> {
    let credentials = smpp::Credentials {
        system_id: config.system_id.clone(),
        password: Password::new(read_secret(&config.password, "sms.smpp.password")?),
        system_type: config.system_type.clone(),
    };
    let mut client = smpp::Config::new(config.host.clone(), config.port, credentials);
    client.window = config.window;
    if config.authority.is_some() {
        client.trust = Some(trust(config.authority.as_ref(), "sms.smpp.authority")?);
    }
    SmppClient::start(client).map_err(|error| unusable("sms.smpp", error.code()))
}

fn http_sms_gateway(config: &HttpSmsConfig) -> Result<HttpGateway, WayError> {
    let secret = read_secret(&config.callback_secret, "sms.http.callback_secret")?;
    let password = Password::new(read_secret(&config.password, "sms.http.password")?);
    let mut gateway =
        http_gateway::Config::new(&config.url, config.user.clone(), password, Password::new(secret.clone()))
            .map_err(|error| unusable("sms.http.url", error.code()))?;
    gateway.trust = trust(config.authority.as_ref(), "sms.http.authority")?;
    gateway.callback = config
        .callback_origin
        .as_ref()
        .map(|origin| Password::new(format!("{}{}/{secret}", origin.trim_end_matches('/'), super::http::SMS_CALLBACK)));
    if let Some(path) = &config.signing_key {
        gateway.signing_key = Some(Password::new(read_secret(path, "sms.http.signing_key")?));
    }
    HttpGateway::new(gateway).map_err(|error| unusable("sms.http", error.code()))
}

fn provider(agent: &AgentConfig) -> Result<Arc<dyn BusinessProvider>, WayError> {
    match (&agent.rbm, &agent.sinch) {
        (Some(config), _) => Ok(Arc::new(rbm_provider(config)?)),
        (None, Some(config)) => Ok(Arc::new(sinch_provider(config)?)),
        (None, None) => Err(unusable("business.agents", "provider_missing")),
    }
}

fn endpoint(text: Option<&String>, default: &str, what: &'static str) -> Result<Endpoint, WayError> {
    Endpoint::parse(text.map_or(default, String::as_str)).map_err(|error| unusable(what, error.code()))
}

fn rbm_provider(config: &RbmAgentConfig) -> Result<RcsForBusiness, WayError> {
    let client_token = read_secret(&config.client_token, "business.agents.rbm.client_token")?;
    Ok(RcsForBusiness::new(RbmConfig {
        agent_id: AgentId::parse(&config.agent_id)
            .ok_or(unusable("business.agents.rbm.agent_id", "agent_id_malformed"))?,
        endpoint: endpoint(config.endpoint.as_ref(), rbm::DEFAULT_ENDPOINT, "business.agents.rbm.endpoint")?,
        trust: trust(config.authority.as_ref(), "business.agents.rbm.authority")?,
        tokens: Arc::new(FileToken::new(config.token.clone())),
        client_token: ClientToken::parse(&client_token)
            .ok_or(unusable("business.agents.rbm.client_token", "client_token_malformed"))?,
        traffic_type: None,
        webhook_window_ms: rbm::WEBHOOK_WINDOW_MS,
        patience: Patience::default(),
        retries: RetryPolicy::default(),
    }))
}

fn sinch_provider(config: &SinchAgentConfig) -> Result<Sinch, WayError> {
    let webhook_secret = read_secret(&config.webhook_secret, "business.agents.sinch.webhook_secret")?;
    let id = |text: &str, what| SinchId::parse(text).ok_or(unusable(what, "sinch_id_malformed"));
    Ok(Sinch::new(SinchConfig {
        project_id: id(&config.project_id, "business.agents.sinch.project_id")?,
        app_id: id(&config.app_id, "business.agents.sinch.app_id")?,
        endpoint: endpoint(config.endpoint.as_ref(), sinch::DEFAULT_ENDPOINT, "business.agents.sinch.endpoint")?,
        trust: trust(config.authority.as_ref(), "business.agents.sinch.authority")?,
        auth: SinchAuth::Key {
            id: config.key_id.clone(),
            secret: read_secret(&config.key_secret, "business.agents.sinch.key_secret")?.into(),
        },
        webhook_secret: WebhookSecret::parse(&webhook_secret)
            .ok_or(unusable("business.agents.sinch.webhook_secret", "webhook_secret_malformed"))?,
        // Two fall-backs of one message would make two of one.
        may_fall_back_itself: false,
        webhook_window_ms: sinch::WEBHOOK_WINDOW_MS,
        patience: Patience::default(),
        retries: RetryPolicy::default(),
    }))
}
