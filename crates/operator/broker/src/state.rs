//! What every handler shares.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::FromRef;
use rcseal_crypto::ed25519::{SigningKey, VerifyingKey};
use rcseal_front::limiter::KeyedLimiter;
use rcseal_front::login::{Login, LoginHost, LoginKey};
use rcseal_front::net::subscriber;
use rcseal_front::requests::Outcome;
use rcseal_front::{BodyBudget, Refusal};
use rcseal_store::{BrokerStore, StoreError, UnixMillis};
use rcseal_wire::id::{BrokerKeyId, DeviceAddress, KeySetCounter};
use tokio_util::sync::CancellationToken;

use crate::business::Business;
use crate::code::CodeSender;
use crate::config::{Config, LimitsConfig};
use crate::forward::Forwarding;
use crate::hashes::Hashes;
use crate::metrics::Metrics;
use crate::notice::NoticeSender;
use crate::number::SealingKeys;
use crate::relay::Relays;

/// Requests that an enrolment counts for: it costs checking a key set and asking a relay.
const ENROLMENT_COST: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// A cheap handle to [`Shared`]; the state of every axum handler.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

/// The shared parts.
pub(crate) struct Shared {
    /// As loaded; never changes while the broker runs.
    pub(crate) config: Config,
    /// Origin, tokens and the wall clock.
    pub(crate) login: Login,
    /// Enrolments, claims, numbers, counters.
    pub(crate) store: Arc<dyn BrokerStore>,
    /// Countersigns.
    pub(crate) signing: SigningKey,
    /// Keyed hashes.
    pub(crate) hashes: Hashes,
    /// Sends codes.
    pub(crate) codes: Arc<dyn CodeSender>,
    /// Puts notices into mailboxes.
    pub(crate) notices: Arc<dyn NoticeSender>,
    /// Says which key set is the newest.
    pub(crate) relays: Arc<Relays>,
    /// Keys that were read out of key sets before.
    pub(crate) sealing_keys: Arc<SealingKeys>,
    /// Rate limits.
    pub(crate) limiters: Limiters,
    /// Memory for bodies that are being read.
    pub(crate) bodies: BodyBudget,
    /// The metrics table.
    pub(crate) metrics: Arc<Metrics>,
    /// The way between carriers and mailboxes.
    pub(crate) forward: Arc<Forwarding>,
    /// Business messages, and the SMS gateway.
    pub(crate) business: Arc<Business>,
    /// Cancelled when the broker stops.
    pub(crate) stopping: CancellationToken,
}

/// Rates that are forgotten at a restart. What must not be is counted in the store.
pub(crate) struct Limiters {
    strangers: KeyedLimiter<IpAddr>,
    devices: KeyedLimiter<DeviceAddress>,
}

impl Limiters {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self {
            strangers: KeyedLimiter::per_minute(limits.anonymous_requests_per_minute_max),
            devices: KeyedLimiter::per_minute(limits.device_requests_per_minute_max),
        }
    }

    /// Whether somebody at `peer` may have an enrolment checked now.
    pub(crate) fn enrolment(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.strangers.check(&subscriber(peer), ENROLMENT_COST)
    }

    /// Forgets keys whose limit is fully recovered.
    pub(crate) fn tidy(&self) {
        self.strangers.tidy();
        self.devices.tidy();
    }
}

impl AppState {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.login.clock.now()
    }

    /// The key under which readers verify.
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// This broker's name in statements.
    pub(crate) fn key_id(&self) -> BrokerKeyId {
        BrokerKeyId::from_bytes(*self.verifying_key().as_bytes())
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<AppState> for BodyBudget {
    fn from_ref(state: &AppState) -> Self {
        state.bodies.clone()
    }
}

#[async_trait]
impl LoginHost for AppState {
    fn login(&self) -> &Login {
        &self.login
    }

    fn admit_stranger(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.limiters.strangers.check(&subscriber(peer), NonZeroU32::MIN)
    }

    fn admit_device(&self, device: DeviceAddress) -> Result<(), Refusal> {
        self.limiters.devices.check(&device, NonZeroU32::MIN)
    }

    async fn login_key(&self, device: DeviceAddress) -> Result<Option<LoginKey>, StoreError> {
        let Some(account) = self.store.account_enrolment(device.account).await? else { return Ok(None) };
        let Some(enrolled) = self.store.enrolled_device(device).await? else { return Ok(None) };
        let auth_key = VerifyingKey::from_bytes(&enrolled.auth_key)
            .map_err(|_| StoreError::Corrupt { space: "broker_devices" })?;
        Ok(Some(LoginKey { auth_key, listed_at: account.key_set.counter }))
    }

    async fn added_at(&self, device: DeviceAddress) -> Result<Option<KeySetCounter>, StoreError> {
        Ok(self.store.enrolled_device(device).await?.map(|enrolled| enrolled.added_at))
    }

    fn attempted(&self, outcome: Outcome) {
        self.metrics.login(outcome);
    }
}
