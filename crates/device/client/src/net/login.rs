//! Logging in: a challenge, a signature over this very connection, a token.

use std::sync::Arc;

use http::{Method, header};
use rcseal_wire::api::{LoginChallenge, LoginRequest, LoginResponse, path};
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use zeroize::Zeroizing;

use super::error::{Fault, NetError};
use super::http::{Answer, Call, Connection};
use super::tls::{Endpoint, Plane};

/// Signs logins with the device-auth key, wherever that is. Called off the runtime's workers.
pub trait LoginSigner: Send + Sync {
    /// Signs [`rcseal_wire::login::login_bytes`] for this connection.
    ///
    /// # Errors
    /// Whatever keeps the key from signing.
    fn sign(
        &self,
        origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, Box<dyn std::error::Error + Send + Sync>>;
}

/// A connection on which a device has logged in.
pub(super) struct LoggedIn {
    connection: Connection,
    /// `Bearer ` and the token.
    authorization: Zeroizing<String>,
    /// When a reset of the account takes effect, if one was pending at the login.
    reset_effective_at_ms: Option<u64>,
}

impl LoggedIn {
    /// Connects and logs in.
    pub(super) async fn open(endpoint: &Endpoint, signer: &Arc<dyn LoginSigner>) -> Result<Self, NetError> {
        let mut connection = Connection::open(endpoint, Plane::Authenticated).await?;
        let challenge: LoginChallenge =
            connection.call(&Call::new(Method::POST, path::LOGIN_CHALLENGE)).await?.json()?;
        let nonce: [u8; LOGIN_NONCE_LEN] = challenge.nonce.0.try_into().map_err(|_| NetError::Protocol(Fault::Body))?;
        let request = {
            let (signer, origin, exporter) = (Arc::clone(signer), endpoint.origin().clone(), *connection.exporter());
            tokio::task::spawn_blocking(move || signer.sign(&origin, &exporter, &nonce))
                .await
                .map_err(|error| NetError::Login(error.into()))?
                .map_err(NetError::Login)?
        };
        let response: LoginResponse =
            connection.call(&Call::new(Method::POST, path::LOGIN).json(&request)).await?.json()?;
        let token = Zeroizing::new(response.token);
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NetError::Protocol(Fault::Body));
        }
        let authorization = Zeroizing::new(format!("Bearer {}", token.as_str()));
        Ok(Self { connection, authorization, reset_effective_at_ms: response.reset_effective_at_ms })
    }

    /// When a reset of the account takes effect, if one was pending at the login.
    pub(super) const fn reset_effective_at_ms(&self) -> Option<u64> {
        self.reset_effective_at_ms
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    pub(super) async fn call(&mut self, call: &Call) -> Result<Answer, NetError> {
        let call = self.authorized(call.clone());
        self.connection.call(&call).await
    }

    pub(super) async fn upgrade(self, call: Call) -> Result<super::http::Socket, NetError> {
        let call = self.authorized(call);
        self.connection.upgrade(call).await
    }

    fn authorized(&self, call: Call) -> Call {
        call.secret_header(header::AUTHORIZATION, &self.authorization)
    }
}
