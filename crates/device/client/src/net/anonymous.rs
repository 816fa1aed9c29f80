//! The anonymous plane: what a device does without saying who it is.
//!
//! Key sets and bundles of contacts, by delivery token; submissions; downloads, by blob id. And, on connections of their own that are used
//! for nothing else, what comes before there is a login: registering an account, linking a device, and taking an account back.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, StatusCode};
use prost::Message as _;
use rcseal_wire::api::{
    BundlesRequest, BundlesResponse, DeviceBundle, KeySetBasis, KeySetBody, KeySetProof, KeySetsBody,
    LINK_MESSAGE_LEN_MAX, LinkCreated, RecoveryRequest, RegisterRequest, ResetAccepted, ResetRequest, path,
};
use rcseal_wire::frame::{MESSAGES_PATH, PROTOBUF_CONTENT_TYPE, SUBMIT_PATH, Submit, SubmitResults, SubmitStatus};
use rcseal_wire::id::{AccountId, DeviceNumber, KeySetCounter, LinkId};
use rcseal_wire::token::{DELIVERY_TOKEN_HEADER, DeliveryToken};

use super::error::{Fault, NetError};
use super::http::{Answer, Call, Connection};
use super::kept::{Kept, Reusable};
use super::submit::{SubmitSocket, statuses, to_batch};
use super::tls::{Endpoint, Plane};

/// Seconds that a server lets a reader wait for a link message.
const LINK_WAIT_SECONDS_MAX: u64 = 30;

/// Somebody's connection to a server.
pub struct Anonymous {
    endpoint: Endpoint,
    kept: Kept<Connection>,
}

impl Anonymous {
    /// Nothing is connected before the first request.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, kept: Kept::none() }
    }

    /// The server.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Registers an account, on a connection of its own.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn register(&self, request: &RegisterRequest) -> Result<(), NetError> {
        self.apart(&Call::new(Method::POST, path::ACCOUNTS).json(request)).await.map(drop)
    }

    /// The current key set of an account whose devices are lost, on a connection of its own.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_set_by_proof(&self, account: &AccountId, proof: &KeySetProof) -> Result<KeySetBasis, NetError> {
        self.apart(&Call::new(Method::POST, path::account_key_set(account)).json(proof)).await?.json()
    }

    /// Takes an account back with its recovery key, on a connection of its own. May be repeated unchanged.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn recover(&self, account: &AccountId, request: &RecoveryRequest) -> Result<(), NetError> {
        self.apart(&Call::new(Method::POST, path::account_recovery(account)).json(request)).await.map(drop)
    }

    /// Asks to reset an account with a ticket of the operator's, on a connection of its own. Repeated unchanged, it tells how far the
    /// reset has come.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn request_reset(&self, account: &AccountId, request: &ResetRequest) -> Result<ResetAccepted, NetError> {
        self.apart(&Call::new(Method::POST, path::account_reset(account)).json(request)).await?.json()
    }

    /// A contact's current key set.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_set(&self, account: &AccountId, token: &DeliveryToken) -> Result<Vec<u8>, NetError> {
        let call = with_token(Call::new(Method::GET, path::account_key_set(account)), token);
        let body: KeySetBody = self.call(call).await?.json()?;
        Ok(body.key_set.0)
    }

    /// A contact's key sets from a counter on, oldest first.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_sets(
        &self,
        account: &AccountId,
        token: &DeliveryToken,
        from: KeySetCounter,
    ) -> Result<Vec<Vec<u8>>, NetError> {
        let path = format!("{}?from={}", path::account_key_sets(account), from.get());
        let body: KeySetsBody = self.call(with_token(Call::new(Method::GET, path), token)).await?.json()?;
        Ok(body.key_sets.into_iter().map(|key_set| key_set.0).collect())
    }

    /// What starts a session with devices of a contact; each costs them a one-time prekey.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn bundles(
        &self,
        account: &AccountId,
        token: &DeliveryToken,
        devices: Vec<DeviceNumber>,
    ) -> Result<Vec<DeviceBundle>, NetError> {
        let call = Call::new(Method::POST, path::account_bundles(account)).json(&BundlesRequest { devices });
        let body: BundlesResponse = self.call(with_token(call, token)).await?.json()?;
        Ok(body.bundles)
    }

    /// Submits a batch without a WebSocket.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn submit(&self, submissions: &[Submit]) -> Result<Vec<SubmitStatus>, NetError> {
        let body = to_batch(0, submissions).encode_to_vec().into();
        let call = Call::new(Method::POST, MESSAGES_PATH).bytes(PROTOBUF_CONTENT_TYPE, body);
        let results: SubmitResults = self.call(call).await?.protobuf()?;
        if results.results.len() != submissions.len() {
            return Err(NetError::Protocol(Fault::Unexpected));
        }
        Ok(statuses(&results))
    }

    /// Opens the submit WebSocket.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn submit_socket(&self) -> Result<SubmitSocket, NetError> {
        let connection = self.dedicated().await?;
        let socket = connection.upgrade(Call::new(Method::GET, SUBMIT_PATH)).await?;
        Ok(SubmitSocket::new(socket, *self.endpoint.timeouts()))
    }

    /// Opens a rendezvous between a new device and the primary one.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn open_link(&self) -> Result<LinkCreated, NetError> {
        self.apart(&Call::new(Method::POST, path::LINKS)).await?.json()
    }

    /// Leaves message `number` (from 1) at a rendezvous.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn put_link_message(&self, link: &LinkId, number: u8, message: Vec<u8>) -> Result<(), NetError> {
        let call =
            Call::new(Method::PUT, path::link_message(link, number)).bytes("application/octet-stream", message.into());
        self.apart(&call).await.map(drop)
    }

    /// Reads message `number` (from 1) of a rendezvous; waits for it for up to half a minute, and answers `None` when it is not there then.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn link_message(&self, link: &LinkId, number: u8) -> Result<Option<Bytes>, NetError> {
        let path = format!("{}?wait={LINK_WAIT_SECONDS_MAX}", path::link_message(link, number));
        let call = Call::new(Method::GET, path).wait(Duration::from_secs(LINK_WAIT_SECONDS_MAX));
        let answer = self.apart(&call).await?;
        match answer.status {
            StatusCode::NO_CONTENT => Ok(None),
            _ if answer.body.len() > LINK_MESSAGE_LEN_MAX => Err(NetError::TooLarge { limit: LINK_MESSAGE_LEN_MAX }),
            _ => Ok(Some(answer.body)),
        }
    }

    /// A connection of its own.
    pub(super) async fn dedicated(&self) -> Result<Connection, NetError> {
        Connection::open(&self.endpoint, Plane::Anonymous).await
    }

    /// A request on a connection that nothing else is sent on.
    async fn apart(&self, call: &Call) -> Result<Answer, NetError> {
        self.dedicated().await?.call(call).await
    }

    async fn call(&self, call: Call) -> Result<Answer, NetError> {
        self.kept.call(&call, self.dedicated()).await
    }
}

impl Reusable for Connection {
    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    fn call(&mut self, call: &Call) -> impl Future<Output = Result<Answer, NetError>> + Send {
        Self::call(self, call)
    }

    fn is_worn_out(error: &NetError) -> bool {
        matches!(error, NetError::Closed(_))
    }
}

impl std::fmt::Debug for Anonymous {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Anonymous").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

pub(super) fn with_token(call: Call, token: &DeliveryToken) -> Call {
    let text = zeroize::Zeroizing::new(token.expose_text());
    call.secret_header(HeaderName::from_static(DELIVERY_TOKEN_HEADER), &text)
}
