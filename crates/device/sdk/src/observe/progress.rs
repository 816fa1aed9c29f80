//! Progress of a transfer, told on a thread of its own: a listener that blocks does not hold the transfer up.

use std::sync::Arc;

use tokio::sync::watch;

use super::{ProgressListener, note};
use crate::error::RcsealError;
use crate::runtime::runtime;

/// Tells a listener how far a transfer has come, for as long as this lives. What came last is told even then.
pub(crate) struct Reporter(watch::Sender<(u64, u64)>);

impl Reporter {
    /// Starts the thread.
    pub(crate) fn start(listener: Arc<dyn ProgressListener>) -> Result<Self, RcsealError> {
        let runtime = runtime()?;
        let (report, mut reports) = watch::channel((0, 0));
        std::thread::Builder::new()
            .name("rcseal-listener".to_owned())
            .spawn(move || {
                while runtime.block_on(reports.changed()).is_ok() {
                    let (done, total) = *reports.borrow_and_update();
                    note(listener.on_progress(done, total));
                }
            })
            .map_err(|_| RcsealError::internal("sdk.runtime", "the system gives no threads"))?;
        Ok(Self(report))
    }

    /// So far it has come.
    pub(crate) fn report(&self, done: u64, total: u64) {
        self.0.send_replace((done, total));
    }
}
