//! The logged-in device, as a handler's argument.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use rcseal_wire::id::{AccountId, DeviceAddress, KeySetCounter};

use super::{AuthError, Bearer, LoginHost};
use crate::refusal::Refusal;

/// A device that has logged in and was in its account's key set when its request came. Exists only where a handler was handed one.
///
/// A body may take a minute to come in, and numbers begin anew when an account is taken over: whoever does something for the device of
/// this number looks then whether its [`Self::added_at`] is still the one that is stored, or has the store compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatedDevice {
    bearer: Bearer,
}

impl AuthenticatedDevice {
    /// The device.
    #[must_use]
    pub fn address(&self) -> DeviceAddress {
        self.bearer.address
    }

    /// Its account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.bearer.address.account
    }

    /// The counter of the first key set that listed it.
    #[must_use]
    pub fn added_at(&self) -> KeySetCounter {
        self.bearer.added_at
    }
}

async fn authenticate(parts: &Parts, host: &impl LoginHost) -> Result<AuthenticatedDevice, AuthError> {
    let token = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(AuthError::Unauthenticated)?;
    let login = host.login();
    let bearer = login.tokens.verify(token, login.clock.now())?;
    host.admit_device(bearer.address).map_err(AuthError::RateLimited)?;
    host.settle().await;
    // A token outlives its device's removal by up to a quarter of an hour; the store knows better.
    let added_at = host.added_at(bearer.address).await?;
    if added_at == Some(bearer.added_at) { Ok(AuthenticatedDevice { bearer }) } else { Err(AuthError::DeviceUnknown) }
}

impl<S: LoginHost> FromRequestParts<S> for AuthenticatedDevice {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, host: &S) -> Result<Self, Refusal> {
        Ok(authenticate(parts, host).await?)
    }
}

impl<S: LoginHost> OptionalFromRequestParts<S> for AuthenticatedDevice {
    type Rejection = Refusal;

    /// `None` without an `Authorization` header; a bad one is refused all the same.
    async fn from_request_parts(parts: &mut Parts, host: &S) -> Result<Option<Self>, Refusal> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            Ok(Some(authenticate(parts, host).await?))
        } else {
            Ok(None)
        }
    }
}
