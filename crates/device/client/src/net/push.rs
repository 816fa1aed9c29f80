//! Registering for wake-ups.

use http::Method;
use rcseal_wire::api::push::{PUSH_PATH, PushHandle, PushRegister, PushRegistered};

use super::Authenticated;
use super::error::NetError;
use super::http::Call;

impl Authenticated {
    /// Registers this device at a push service, in place of what it had registered; answers the handle that wake-ups carry from now on.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn register_push(&self, registration: &PushRegister) -> Result<PushHandle, NetError> {
        let answer: PushRegistered = self.call(Call::new(Method::PUT, PUSH_PATH).json(registration)).await?.json()?;
        Ok(answer.handle)
    }

    /// Ends the registration; nothing happens when there is none.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn remove_push(&self) -> Result<(), NetError> {
        self.call(Call::new(Method::DELETE, PUSH_PATH)).await.map(drop)
    }
}
