//! The logged-in device, as a handler's argument.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use rcseal_wire::id::{AccountId, DeviceAddress};

use super::{AuthError, Bearer};
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::takeover::settle_due;

/// A device that has logged in and is still in its account's key set. Exists only where a handler was handed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuthenticatedDevice {
    address: DeviceAddress,
}

impl AuthenticatedDevice {
    /// The device.
    #[must_use]
    pub(crate) fn address(&self) -> DeviceAddress {
        self.address
    }

    /// Its account.
    #[must_use]
    pub(crate) fn account(&self) -> AccountId {
        self.address.account
    }
}

async fn authenticate(parts: &Parts, state: &AppState) -> Result<AuthenticatedDevice, AuthError> {
    let token = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(AuthError::Unauthenticated)?;
    let Bearer { address, added_at } = state.tokens.verify(token, state.clock.now())?;
    state.limiters.device(address).map_err(AuthError::RateLimited)?;
    settle_due(state).await;
    // A token outlives its device's removal by up to a quarter of an hour; the store knows better.
    let record = state.store.device(address).await?.ok_or(AuthError::DeviceUnknown)?;
    if record.added_at != added_at {
        return Err(AuthError::DeviceUnknown);
    }
    Ok(AuthenticatedDevice { address })
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
