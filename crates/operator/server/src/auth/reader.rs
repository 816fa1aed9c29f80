//! Who may read an account's key set and prekey bundles: holders of a delivery token, and the account's own devices.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use rcseal_front::login::{AuthError, AuthenticatedDevice};
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::Refusal;
use rcseal_wire::id::{AccountId, DeliveryTokenHash};
use rcseal_wire::token::{DELIVERY_TOKEN_HEADER, DeliveryToken};

use crate::state::AppState;
use crate::takeover::settle_due;

/// What a request showed; whether it suffices depends on the account, see [`Self::authorize`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum DirectoryReader {
    /// A delivery token, by its hash.
    Token(DeliveryTokenHash),
    /// A login.
    Device(AuthenticatedDevice),
}

impl DirectoryReader {
    /// Whether this caller may read about `account`. An account that does not exist is forbidden like one whose token is wrong.
    pub(crate) async fn authorize(&self, state: &AppState, account: AccountId) -> Result<(), AuthError> {
        settle_due(state).await;
        let allowed = match self {
            Self::Device(device) => device.account() == account,
            Self::Token(hash) => state.store.is_delivery_token(account, *hash).await?,
        };
        if allowed { Ok(()) } else { Err(AuthError::Forbidden) }
    }
}

impl FromRequestParts<AppState> for DirectoryReader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        if let Some(value) = parts.headers.get(DELIVERY_TOKEN_HEADER) {
            // A token may be tried by anybody, and what it opens costs more than asking for it.
            if let Some(connection) = parts.extensions.get::<ConnectionInfo>() {
                state.limiters.anonymous(connection.peer().ip())?;
            }
            let token = value.to_str().ok().and_then(|text| DeliveryToken::from_text(text).ok());
            return token.map(|token| Self::Token(token.hash())).ok_or_else(|| AuthError::Forbidden.into());
        }
        let device =
            <AuthenticatedDevice as OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        device.map(Self::Device).ok_or_else(|| AuthError::Unauthenticated.into())
    }
}
