//! The two login requests.

use rcseal_crypto::ed25519::Signature;
use rcseal_wire::api::{Base64, LoginChallenge, LoginRequest};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::login::{LOGIN_NONCE_LEN, login_bytes};

use super::{AuthError, Bearer, LoginHost};
use crate::log::LogId;
use crate::net::{ConnectionInfo, PendingNonce};
use crate::refusal::Refusal;
use crate::requests::Outcome;

/// A challenge is answered by a program at once; a minute covers a slow phone asking its key vault.
const CHALLENGE_SECONDS: u64 = 60;

/// What a login yields.
#[derive(Clone)]
pub struct LoggedIn {
    /// Who logged in.
    pub address: DeviceAddress,
    /// The bearer token.
    pub token: String,
    /// Its life.
    pub expires_in_seconds: u64,
}

/// Leaves a nonce for one login attempt with this very TLS connection, for a minute.
pub fn challenge(host: &impl LoginHost, connection: &ConnectionInfo) -> Result<LoginChallenge, Refusal> {
    host.admit_stranger(connection.peer().ip())?;
    let nonce: [u8; LOGIN_NONCE_LEN] = rand::random();
    let expires_at = host.login().clock.now().plus_seconds(CHALLENGE_SECONDS);
    connection.put_nonce(PendingNonce { nonce, expires_at });
    Ok(LoginChallenge { nonce: Base64(nonce.to_vec()) })
}

/// Logs a device in. The signature covers the origin, this connection's TLS exporter value, account, device and the nonce.
pub async fn log_in(
    host: &impl LoginHost,
    connection: &ConnectionInfo,
    request: &LoginRequest,
) -> Result<LoggedIn, Refusal> {
    let address = DeviceAddress { account: request.account, device: request.device };
    host.settle().await;
    let outcome = verify(host, connection, address, &request.signature.0).await;
    host.attempted(match &outcome {
        Ok(_) => Outcome::Accepted,
        Err(AuthError::Store(_)) => Outcome::Failed,
        Err(_) => Outcome::Refused,
    });
    match outcome {
        Ok(bearer) => {
            let login = host.login();
            let expires_in_seconds = login.token_seconds;
            let token = login.tokens.issue(bearer, login.clock.now().plus_seconds(expires_in_seconds));
            Ok(LoggedIn { address, token, expires_in_seconds })
        }
        Err(error) => {
            tracing::info!(event = "login_refused", device = %LogId::of(&address.to_bytes()), reason = %error);
            Err(error.into())
        }
    }
}

async fn verify(
    host: &impl LoginHost,
    connection: &ConnectionInfo,
    address: DeviceAddress,
    signature: &[u8],
) -> Result<Bearer, AuthError> {
    let login = host.login();
    // Taken before anything else is looked at: one challenge, one attempt.
    let pending = connection.take_nonce().ok_or(AuthError::NoChallenge)?;
    if login.clock.now() >= pending.expires_at {
        return Err(AuthError::NoChallenge);
    }
    let signature = signature.try_into().map(Signature).map_err(|_| AuthError::LoginRefused)?;
    let key = host.login_key(address).await?.ok_or(AuthError::LoginRefused)?;
    let signed = login_bytes(&login.origin, connection.exporter(), address, &pending.nonce);
    key.auth_key.verify(&[&signed], &signature).map_err(|_| AuthError::LoginRefused)?;
    // Nobody but a device of the account comes this far, so it may hear that it left it a moment ago.
    // A device that is younger than the key set is another one, which has had the number since the account was taken over meanwhile.
    let added_at = host.added_at(address).await?.filter(|added_at| *added_at <= key.listed_at);
    Ok(Bearer { address, added_at: added_at.ok_or(AuthError::DeviceUnknown)? })
}
