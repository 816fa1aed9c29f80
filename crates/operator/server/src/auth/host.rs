//! What a login asks of this server: the directory's keys, and the device records beside them.

use std::net::IpAddr;

use async_trait::async_trait;
use axum::extract::FromRef;
use rcseal_front::body::BodyBudget;
use rcseal_front::login::{AuthError, AuthenticatedDevice, Login, LoginHost, LoginKey};
use rcseal_front::refusal::Refusal;
use rcseal_front::requests::Outcome;
use rcseal_store::StoreError;
use rcseal_store::directory::DeviceRecord;
use rcseal_wire::id::{DeviceAddress, KeySetCounter};

use crate::directory;
use crate::state::AppState;
use crate::takeover::settle_due;

#[async_trait]
impl LoginHost for AppState {
    fn login(&self) -> &Login {
        &self.login
    }

    fn admit_stranger(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.limiters.anonymous(peer)
    }

    fn admit_device(&self, device: DeviceAddress) -> Result<(), Refusal> {
        self.limiters.device(device)
    }

    async fn settle(&self) {
        settle_due(self).await;
    }

    async fn login_key(&self, device: DeviceAddress) -> Result<Option<LoginKey>, StoreError> {
        let key = directory::device_auth_key(self, device).await?;
        Ok(key.map(|(auth_key, listed_at)| LoginKey { auth_key, listed_at }))
    }

    async fn added_at(&self, device: DeviceAddress) -> Result<Option<KeySetCounter>, StoreError> {
        Ok(self.store.device(device).await?.map(|record| record.added_at))
    }

    fn attempted(&self, outcome: Outcome) {
        self.metrics.login(outcome);
    }
}

impl FromRef<AppState> for BodyBudget {
    fn from_ref(state: &AppState) -> Self {
        state.bodies.clone()
    }
}

/// What is stored of a device that has logged in, if it is still there and no other device has its number.
pub(crate) async fn record(state: &AppState, device: AuthenticatedDevice) -> Result<DeviceRecord, AuthError> {
    let record = state.store.device(device.address()).await?;
    record.filter(|record| record.added_at == device.added_at()).ok_or(AuthError::DeviceUnknown)
}
