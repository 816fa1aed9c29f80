//! The logged-in device, as a handler's argument.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use rcseal_store::directory::DeviceRecord;
use rcseal_wire::id::{AccountId, DeviceAddress, KeySetCounter};

use super::{AuthError, Bearer};
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::takeover::settle_due;

/// A device that has logged in and was in its account's key set when its request came. Exists only where a handler was handed one.
///
/// A body may take a minute to come in, and numbers begin anew when an account is taken over: whoever does something for the device of
/// this number asks for its [`Self::record`] then, or has the store compare [`Self::added_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuthenticatedDevice {
    bearer: Bearer,
}

impl AuthenticatedDevice {
    /// The device.
    #[must_use]
    pub(crate) fn address(&self) -> DeviceAddress {
        self.bearer.address
    }

    /// Its account.
    #[must_use]
    pub(crate) fn account(&self) -> AccountId {
        self.bearer.address.account
    }

    /// The counter of the first key set that listed it.
    #[must_use]
    pub(crate) fn added_at(&self) -> KeySetCounter {
        self.bearer.added_at
    }

    /// What is stored of it, if it is still there and no other device has its number.
    pub(crate) async fn record(&self, state: &AppState) -> Result<DeviceRecord, AuthError> {
        let record = state.store.device(self.bearer.address).await?;
        record.filter(|record| record.added_at == self.bearer.added_at).ok_or(AuthError::DeviceUnknown)
    }
}

async fn authenticate(parts: &Parts, state: &AppState) -> Result<AuthenticatedDevice, AuthError> {
    let token = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(AuthError::Unauthenticated)?;
    let bearer = state.tokens.verify(token, state.clock.now())?;
    state.limiters.device(bearer.address).map_err(AuthError::RateLimited)?;
    settle_due(state).await;
    let device = AuthenticatedDevice { bearer };
    // A token outlives its device's removal by up to a quarter of an hour; the store knows better.
    device.record(state).await?;
    Ok(device)
}

impl FromRequestParts<AppState> for AuthenticatedDevice {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        Ok(authenticate(parts, state).await?)
    }
}

impl OptionalFromRequestParts<AppState> for AuthenticatedDevice {
    type Rejection = Refusal;

    /// `None` without an `Authorization` header; a bad one is refused all the same.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, Refusal> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            Ok(Some(authenticate(parts, state).await?))
        } else {
            Ok(None)
        }
    }
}
