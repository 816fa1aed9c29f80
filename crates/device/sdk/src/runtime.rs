//! The runtime that every client of the process shares, and calls that outlive whoever made them.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::error::RcsealError;

/// Threads that drive sockets and timers. What blocks goes to tokio's blocking pool.
const WORKERS: usize = 2;

/// The runtime, made when it is first asked for.
pub(crate) fn runtime() -> Result<&'static Runtime, RcsealError> {
    static RUNTIME: OnceLock<Result<Runtime, std::io::Error>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(WORKERS).thread_name("rcseal").enable_all().build())
        .as_ref()
        .map_err(|_| RcsealError::internal("sdk.runtime", "the system gives no threads"))
}

/// Runs a call to its end, whether or not somebody still waits for the answer.
pub(crate) async fn detached<T: Send + 'static>(
    call: impl Future<Output = Result<T, RcsealError>> + Send + 'static,
) -> Result<T, RcsealError> {
    match runtime()?.spawn(call).await {
        Ok(outcome) => outcome,
        // What the panic said is not passed on: it may hold anything.
        Err(_) => Err(RcsealError::internal("sdk.panic", "the call ended with a panic")),
    }
}
