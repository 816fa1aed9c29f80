//! What the server can read: its key, submissions sealed to it, and what it keeps for the account.

use http::Method;
use rcseal_wire::api::retained::{
    RETAINED_PAGE_LEN_MAX, RETAINED_PATH, RetainedPage, RetainedStored, RetainedSubmit, SERVER_KEY_PATH, ServerKey,
};
use rcseal_wire::token::DeliveryToken;

use super::Authenticated;
use super::anonymous::with_token;
use super::error::{Fault, NetError};
use super::http::Call;

impl Authenticated {
    /// The key to which messages that the server may read are sealed.
    ///
    /// # Errors
    /// [`NetError`]: `not_found` where the server has no such mode.
    pub async fn server_key(&self) -> Result<ServerKey, NetError> {
        self.call(Call::new(Method::GET, SERVER_KEY_PATH)).await?.json()
    }

    /// Submits sealed words, by leave of the recipient's delivery token. The same may be submitted again.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn submit_retained(
        &self,
        token: &DeliveryToken,
        submission: &RetainedSubmit,
    ) -> Result<RetainedStored, NetError> {
        self.call(with_token(Call::new(Method::POST, RETAINED_PATH).json(submission), token)).await?.json()
    }

    /// What the server keeps for the account after a place, oldest first. Reading removes nothing.
    ///
    /// # Errors
    /// [`NetError`]; an answer out of order is one that breaks the protocol.
    pub async fn retained(&self, after: u64) -> Result<RetainedPage, NetError> {
        let path = format!("{RETAINED_PATH}?after={after}");
        let page: RetainedPage = self.call(Call::new(Method::GET, path)).await?.json()?;
        let mut last = after;
        let is_in_order = page.messages.iter().all(|message| {
            let follows = message.sequence > last;
            last = message.sequence;
            follows
        });
        // Without a message there is nothing to go on from, and asking again would never end.
        let ends = !page.more || !page.messages.is_empty();
        if is_in_order && ends && page.messages.len() <= RETAINED_PAGE_LEN_MAX {
            Ok(page)
        } else {
            Err(NetError::Protocol(Fault::Unexpected))
        }
    }
}
