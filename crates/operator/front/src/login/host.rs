//! What a login needs of the server that it is a login to.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_store::StoreError;
use rcseal_wire::id::{DeviceAddress, KeySetCounter};
use rcseal_wire::origin::Origin;

use super::TokenKey;
use crate::clock::Clock;
use crate::refusal::Refusal;
use crate::requests::Outcome;

/// What does not change while a server runs.
pub struct Login {
    /// What clients sign.
    pub origin: Origin,
    /// Issues and checks tokens.
    pub tokens: TokenKey,
    /// Life of a token.
    pub token_seconds: u64,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}

/// The key that a device logs in with.
#[derive(Clone, Copy, Debug)]
pub struct LoginKey {
    /// From the device's entry in its account's key set.
    pub auth_key: VerifyingKey,
    /// The counter of that key set.
    pub listed_at: KeySetCounter,
}

/// The state of a server's handlers, as far as logins and limits go.
#[async_trait]
pub trait LoginHost: Clone + Send + Sync + 'static {
    /// What does not change.
    fn login(&self) -> &Login;

    /// Whether somebody at `peer` who has not logged in may ask for something now; counts the request.
    fn admit_stranger(&self, peer: IpAddr) -> Result<(), Refusal>;

    /// Whether `device`, which has shown a good token, may ask for something now; counts the request.
    fn admit_device(&self, device: DeviceAddress) -> Result<(), Refusal>;

    /// Does what is due before anybody is asked about, such as accounts that change hands by now.
    async fn settle(&self) {}

    /// The key that `device` logs in with, according to the newest key set that the server holds of its account.
    async fn login_key(&self, device: DeviceAddress) -> Result<Option<LoginKey>, StoreError>;

    /// The counter of the first key set that lists the device that has this number now, if there is such a device.
    async fn added_at(&self, device: DeviceAddress) -> Result<Option<KeySetCounter>, StoreError>;

    /// Hears how a login attempt ended.
    fn attempted(&self, outcome: Outcome);
}
