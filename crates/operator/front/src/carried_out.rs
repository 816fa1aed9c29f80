//! Work that is done to its end, whatever becomes of the connection that asked for it.
//!
//! A handler is dropped where it stands when its caller hangs up. What it has asked the store for happens all the same, and what has to
//! follow it would not: the devices of an account would not hear of the reset that somebody has just asked for.

use std::future::Future;

use rcseal_store::StoreError;

/// Does `work` to its end; the answer is lost when nobody waits for it any more.
pub async fn carried_out<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        // The task panicked, which is a bug of ours, or the runtime ends; nobody knows what was done.
        Err(_) => Err(StoreError::Unavailable.into()),
    }
}
