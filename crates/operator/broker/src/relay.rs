//! Asking relays for key sets: one request on one connection, to relays that the operator has listed and to nobody else.
//!
//! A relay is believed about one thing, which key set of an account is the newest; whether a key set holds is checked here. Whatever a
//! relay answers is bounded in bytes and in time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rcseal_carrier::tls::{TrustAnchors, TrustError};
use rcseal_credential::KEY_SET_LEN_MAX;
use rcseal_wire::api::{KeySetBody, KeySetsBody, path};
use rcseal_wire::id::{AccountId, KeySetCounter};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::{DELIVERY_TOKEN_HEADER, DeliveryToken};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::RelayConfig;

/// Bytes of an answer: sixteen key sets in base64, which a relay answers at most, would be more than anybody needs at once.
const ANSWER_LEN_MAX: usize = 4 * 1024 * 1024;
/// Time for everything: somebody waits for it in front of a phone.
const WHOLE: Duration = Duration::from_secs(10);

/// A relay's trust cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RelayTrustError {
    /// The file of authorities cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It names no authority.
    #[error("{} names no authority that can be used", .path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TrustError,
    },
}

impl RelayTrustError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "relay.authority_read",
            Self::Trust { source, .. } => source.code(),
        }
    }
}

/// Why a relay gave no key set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// It is not one of ours.
    #[error("the relay is not listed")]
    Unknown,
    /// It cannot be asked now.
    #[error("the relay cannot be reached")]
    Unreachable,
    /// It refuses the delivery token, or knows no such account.
    #[error("the relay refuses")]
    Refused,
    /// Its answer is none.
    #[error("the relay answers something else")]
    Malformed,
}

/// The listed relays.
pub(crate) struct Relays {
    trust: HashMap<Origin, Arc<ClientConfig>>,
}

impl Relays {
    pub(crate) fn new(relays: &[RelayConfig]) -> Result<Self, RelayTrustError> {
        let mut trust = HashMap::new();
        for RelayConfig { origin, authority } in relays {
            let path = || authority.clone();
            let pem = std::fs::read(authority).map_err(|source| RelayTrustError::Read { path: path(), source })?;
            let anchors =
                TrustAnchors::from_pem(&pem).map_err(|source| RelayTrustError::Trust { path: path(), source })?;
            trust.insert(origin.clone(), anchors.client_config());
        }
        Ok(Self { trust })
    }

    /// How a listed relay is trusted; `None` for any other.
    pub(crate) fn tls(&self, relay: &Origin) -> Option<Arc<ClientConfig>> {
        self.trust.get(relay).cloned()
    }

    /// The account's newest key set, as the relay has it.
    pub(crate) async fn key_set(
        &self,
        relay: &Origin,
        account: AccountId,
        token: &DeliveryToken,
    ) -> Result<Vec<u8>, RelayError> {
        let body: KeySetBody = self.get(relay, path::account_key_set(&account), token).await?;
        Ok(body.key_set.0)
    }

    /// The account's key sets from a counter on, oldest first; as many as the relay answers at once.
    pub(crate) async fn key_sets_from(
        &self,
        relay: &Origin,
        account: AccountId,
        token: &DeliveryToken,
        from: KeySetCounter,
    ) -> Result<Vec<Vec<u8>>, RelayError> {
        let path = format!("{}?from={}", path::account_key_sets(&account), from.get());
        let body: KeySetsBody = self.get(relay, path, token).await?;
        Ok(body.key_sets.into_iter().map(|key_set| key_set.0).collect())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        relay: &Origin,
        path: String,
        token: &DeliveryToken,
    ) -> Result<T, RelayError> {
        let tls = self.tls(relay).ok_or(RelayError::Unknown)?;
        let (status, body) =
            timeout(WHOLE, exchange(tls, relay, &path, token)).await.unwrap_or(Err(RelayError::Unreachable))?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|_| RelayError::Malformed),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(RelayError::Refused),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(RelayError::Unreachable)
            }
            _ => Err(RelayError::Malformed),
        }
    }
}

impl std::fmt::Debug for Relays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relays({})", self.trust.len())
    }
}

async fn exchange(
    tls: Arc<ClientConfig>,
    relay: &Origin,
    path: &str,
    token: &DeliveryToken,
) -> Result<(StatusCode, Bytes), RelayError> {
    let name = ServerName::try_from(relay.host().to_owned()).map_err(|_| RelayError::Unknown)?;
    let stream = TcpStream::connect((relay.host(), relay.port())).await.map_err(|_| RelayError::Unreachable)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|_| RelayError::Unreachable)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| RelayError::Unreachable)?;
    let request = Request::get(path)
        .header(header::HOST, relay.authority())
        .header(DELIVERY_TOKEN_HEADER, token.expose_text())
        .body(Empty::<Bytes>::new())
        .map_err(|_| RelayError::Malformed)?;
    let asking = async move {
        let response = sender.send_request(request).await.map_err(|_| RelayError::Unreachable)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_LEN_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { RelayError::Malformed } else { RelayError::Unreachable }
        })?;
        Ok((parts.status, body.to_bytes()))
    };
    // The connection is driven here and ends with the answer.
    tokio::pin!(connection);
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => answer,
        _ = &mut connection => asking.await,
    }
}

const _: () = assert!(ANSWER_LEN_MAX > 2 * KEY_SET_LEN_MAX, "one key set fits in base64");
