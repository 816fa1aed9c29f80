//! The authenticated plane: a device about its own account.
//!
//! One connection is kept and reused; each connection logs in for itself. A request that a reused connection lost is sent once more on a
//! new one: every request here may be repeated (a blob that is declared twice expires unused).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use prost::Message as _;
use rcseal_wire::api::{
    AccountDeletion, Base64, BundlesRequest, BundlesResponse, DeliveryTokens, DeviceBundle, DeviceUpload, KeyMap,
    KeySetBody, KeySetsBody, PendingReset, PrekeyCounts, ResetStatus, path,
};
use rcseal_wire::frame::{
    Acknowledged, Acks, Deliveries, MAILBOX_ACKNOWLEDGE_PATH, MAILBOX_MESSAGES_PATH, MAILBOX_PATH,
    PROTOBUF_CONTENT_TYPE,
};
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceNumber, KeySetCounter};
use rcseal_wire::problem::ProblemCode;

use super::error::NetError;
use super::http::{Answer, Call};
use super::kept::{Kept, Reusable};
use super::login::{LoggedIn, LoginSigner};
use super::mailbox::{Delivered, MailboxSocket, parse_deliveries};
use super::tls::Endpoint;

/// A device's own connection to its server.
pub struct Authenticated {
    endpoint: Endpoint,
    signer: Arc<dyn LoginSigner>,
    kept: Kept<LoggedIn>,
    /// What the last login said; 0 for nothing.
    announced_reset: AtomicU64,
}

impl Authenticated {
    /// Nothing is connected before the first request.
    #[must_use]
    pub fn new(endpoint: Endpoint, signer: Arc<dyn LoginSigner>) -> Self {
        Self { endpoint, signer, kept: Kept::none(), announced_reset: AtomicU64::new(0) }
    }

    /// The server.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Publishes the successor of the account's key set.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn publish_key_set(&self, key_set: Vec<u8>) -> Result<(), NetError> {
        self.call(Call::new(Method::PUT, path::KEY_SET).json(&KeySetBody { key_set: Base64(key_set) })).await.map(drop)
    }

    /// Replaces the list of valid delivery tokens.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn set_delivery_tokens(&self, hashes: Vec<DeliveryTokenHash>) -> Result<(), NetError> {
        self.call(Call::new(Method::PUT, path::DELIVERY_TOKENS).json(&DeliveryTokens { hashes })).await.map(drop)
    }

    /// Hashes of the delivery tokens that are valid: a device that took the account back keeps those that contacts have.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn delivery_tokens(&self) -> Result<Vec<DeliveryTokenHash>, NetError> {
        let body: DeliveryTokens = self.call(Call::new(Method::GET, path::DELIVERY_TOKENS)).await?.json()?;
        Ok(body.hashes)
    }

    /// Deletes the account.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn delete_account(&self, request: &AccountDeletion) -> Result<(), NetError> {
        self.call(Call::new(Method::POST, path::ACCOUNT_DELETION).json(request)).await.map(drop)
    }

    /// Which public keys of the account's devices the server has.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_map(&self) -> Result<KeyMap, NetError> {
        self.call(Call::new(Method::GET, path::KEY_MAP)).await?.json()
    }

    /// What the last login said of a reset: when it takes effect, in milliseconds since 1970 by the server's clock. For a device that opens
    /// no mailbox socket, which would say so as well; costs nothing to ask.
    #[must_use]
    pub fn announced_reset(&self) -> Option<u64> {
        Some(self.announced_reset.load(Ordering::Relaxed)).filter(|effective_at_ms| *effective_at_ms > 0)
    }

    /// The reset of the account that somebody asked for, while it is pending.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn pending_reset(&self) -> Result<Option<PendingReset>, NetError> {
        let body: ResetStatus = self.call(Call::new(Method::GET, path::RESET)).await?.json()?;
        Ok(body.pending)
    }

    /// Calls a pending reset off; nothing happens when none is pending.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn veto_reset(&self) -> Result<(), NetError> {
        self.call(Call::new(Method::DELETE, path::RESET)).await.map(drop)
    }

    /// Sets the device's mailbox and adds or replaces prekeys.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn upload_device(&self, upload: &DeviceUpload) -> Result<PrekeyCounts, NetError> {
        self.call(Call::new(Method::PUT, path::DEVICE).json(upload)).await?.json()
    }

    /// How many one-time prekeys are left.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn prekey_counts(&self) -> Result<PrekeyCounts, NetError> {
        self.call(Call::new(Method::GET, path::DEVICE_PREKEYS)).await?.json()
    }

    /// The account's own key set, as the server has it.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_set(&self, account: &AccountId) -> Result<Vec<u8>, NetError> {
        let body: KeySetBody = self.call(Call::new(Method::GET, path::account_key_set(account))).await?.json()?;
        Ok(body.key_set.0)
    }

    /// The account's own key sets from a counter on, oldest first.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn key_sets(&self, account: &AccountId, from: KeySetCounter) -> Result<Vec<Vec<u8>>, NetError> {
        let path = format!("{}?from={}", path::account_key_sets(account), from.get());
        let body: KeySetsBody = self.call(Call::new(Method::GET, path)).await?.json()?;
        Ok(body.key_sets.into_iter().map(|key_set| key_set.0).collect())
    }

    /// Bundles of the account's own other devices.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn bundles(
        &self,
        account: &AccountId,
        devices: Vec<DeviceNumber>,
    ) -> Result<Vec<DeviceBundle>, NetError> {
        let call = Call::new(Method::POST, path::account_bundles(account)).json(&BundlesRequest { devices });
        let body: BundlesResponse = self.call(call).await?.json()?;
        Ok(body.bundles)
    }

    /// Fetches what waits in the mailbox, without a WebSocket; `true` when more is waiting.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn fetch(&self) -> Result<(Vec<Delivered>, bool), NetError> {
        let deliveries: Deliveries = self.call(Call::new(Method::GET, MAILBOX_MESSAGES_PATH)).await?.protobuf()?;
        let more = deliveries.more;
        Ok((parse_deliveries(deliveries)?, more))
    }

    /// Acknowledges without a WebSocket; answers how many envelopes were removed.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn acknowledge(&self, acks: &Acks) -> Result<u32, NetError> {
        let body = acks.to_frame().encode_to_vec().into();
        let call = Call::new(Method::POST, MAILBOX_ACKNOWLEDGE_PATH).bytes(PROTOBUF_CONTENT_TYPE, body);
        let answer: Acknowledged = self.call(call).await?.protobuf()?;
        Ok(answer.removed)
    }

    /// Opens the mailbox's WebSocket, on a connection of its own that logs in first.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn mailbox(&self) -> Result<MailboxSocket, NetError> {
        let connection = self.dedicated().await?;
        let socket = connection.upgrade(Call::new(Method::GET, MAILBOX_PATH)).await?;
        Ok(MailboxSocket::new(socket, *self.endpoint.timeouts()))
    }

    /// A connection of its own, for something long.
    pub(super) async fn dedicated(&self) -> Result<LoggedIn, NetError> {
        let connection = LoggedIn::open(&self.endpoint, &self.signer).await?;
        self.announced_reset.store(connection.reset_effective_at_ms().unwrap_or(0), Ordering::Relaxed);
        Ok(connection)
    }

    pub(super) async fn call(&self, call: Call) -> Result<Answer, NetError> {
        self.kept.call(&call, self.dedicated()).await
    }
}

impl Reusable for LoggedIn {
    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    fn call(&mut self, call: &Call) -> impl Future<Output = Result<Answer, NetError>> + Send {
        Self::call(self, call)
    }

    /// A login ends before its connection does.
    fn is_worn_out(error: &NetError) -> bool {
        let is_stale = matches!(error.problem(), Some(ProblemCode::TokenExpired | ProblemCode::Unauthenticated));
        is_stale || matches!(error, NetError::Closed(_))
    }
}

impl std::fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticated").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
