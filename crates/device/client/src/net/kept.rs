//! A connection that is kept between requests.

use std::future::Future;

use tokio::sync::Mutex;

use super::error::NetError;
use super::http::{Answer, Call};

/// What can be kept: a connection that takes requests one after another.
pub(super) trait Reusable: Sized + Send {
    /// Whether another request may be tried on it.
    fn is_open(&self) -> bool;

    /// Sends a request and reads the whole answer.
    fn call(&mut self, call: &Call) -> impl Future<Output = Result<Answer, NetError>> + Send;

    /// Whether an error says that this connection has served its time, and a new one may do better.
    fn is_worn_out(error: &NetError) -> bool;
}

/// At most one connection, used by one request at a time.
pub(super) struct Kept<C>(Mutex<Option<C>>);

impl<C: Reusable> Kept<C> {
    pub(super) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Sends a request on the kept connection, and once more on a new one when the kept one is worn out.
    pub(super) async fn call(
        &self,
        call: &Call,
        connect: impl Future<Output = Result<C, NetError>> + Send,
    ) -> Result<Answer, NetError> {
        let mut held = self.0.lock().await;
        // Taken out while it is used: whoever drops this future in the middle drops the connection, and nobody reads half an answer.
        if let Some(mut connection) = held.take().filter(C::is_open) {
            let outcome = connection.call(call).await;
            if !outcome.as_ref().is_err_and(C::is_worn_out) {
                *held = keeps(&outcome).then_some(connection);
                return outcome;
            }
        }
        let mut connection = connect.await?;
        let outcome = connection.call(call).await;
        *held = keeps(&outcome).then_some(connection);
        outcome
    }
}

/// After an answer that was read to its end a connection is good for another request.
fn keeps(outcome: &Result<Answer, NetError>) -> bool {
    matches!(outcome, Ok(_) | Err(NetError::Problem(_)))
}
