//! The thread of a listener to connection states. They are not durable: it hears of the newest.

use std::sync::Arc;

use super::{ConnectionListener, Subscription, note};
use crate::error::RcsealError;
use crate::inner::Inner;
use crate::runtime::runtime;

/// Starts the thread.
pub(super) fn start(
    inner: &Arc<Inner>,
    listener: Arc<dyn ConnectionListener>,
) -> Result<Arc<Subscription>, RcsealError> {
    inner.client()?;
    let runtime = runtime()?;
    let (subscription, mut cancelled) = Subscription::new();
    let (mut closing, mut states) = (inner.closing(), inner.connection());
    states.mark_changed();
    std::thread::Builder::new()
        .name("rcseal-listener".to_owned())
        .spawn(move || {
            loop {
                let goes_on = runtime.block_on(async {
                    tokio::select! {
                        biased;
                        _ = cancelled.wait_for(|is_cancelled| *is_cancelled) => false,
                        _ = closing.wait_for(|is_closing| *is_closing) => false,
                        changed = states.changed() => changed.is_ok(),
                    }
                });
                if !goes_on {
                    break;
                }
                let state = states.borrow_and_update().clone();
                note(listener.on_connection(state));
            }
        })
        .map_err(|_| RcsealError::internal("sdk.runtime", "the system gives no threads"))?;
    Ok(subscription)
}
