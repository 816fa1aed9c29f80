//! The submit WebSocket: batches out, one status per submission back. Nobody is logged in; each submission carries its own leave.

use prost::Message as _;
use rcseal_wire::frame::{BATCH_LEN_MAX, Submit, SubmitBatch, SubmitResults, SubmitStatus};

use super::error::{Fault, NetError};
use super::http::Socket;
use super::limits::Timeouts;
use super::socket::Frames;

/// An open submit connection.
pub struct SubmitSocket {
    frames: Frames,
    batches: u64,
}

impl SubmitSocket {
    pub(super) const fn new(socket: Socket, timeouts: Timeouts) -> Self {
        Self { frames: Frames::new(socket, timeouts), batches: 0 }
    }

    /// Sends a batch of at most [`BATCH_LEN_MAX`] and answers its number. Several may be on their way at once.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn send(&mut self, submissions: &[Submit]) -> Result<u64, NetError> {
        let batch = self.batches;
        self.batches += 1;
        self.frames.send(&to_batch(batch, submissions)).await?;
        Ok(batch)
    }

    /// Waits for the results of a batch: its number, and a status per submission. `None` when the relay closed in order. May be dropped
    /// while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn next(&mut self) -> Result<Option<(u64, Vec<SubmitStatus>)>, NetError> {
        let Some(frame) = self.frames.next().await? else { return Ok(None) };
        let results = SubmitResults::decode(frame).map_err(|_| NetError::Protocol(Fault::Body))?;
        if results.batch >= self.batches {
            return Err(NetError::Protocol(Fault::Unexpected));
        }
        let batch = results.batch;
        Ok(Some((batch, statuses(&results))))
    }

    /// Sends one batch and waits for its results, with nothing else on its way.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn submit(&mut self, submissions: &[Submit]) -> Result<Vec<SubmitStatus>, NetError> {
        let sent = self.send(submissions).await?;
        match self.next().await? {
            None => Err(NetError::Closed(None)),
            Some((batch, statuses)) if batch == sent && statuses.len() == submissions.len() => Ok(statuses),
            Some(_) => Err(NetError::Protocol(Fault::Unexpected)),
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.frames.close().await;
    }
}

impl std::fmt::Debug for SubmitSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubmitSocket")
    }
}

pub(super) fn to_batch(batch: u64, submissions: &[Submit]) -> SubmitBatch {
    debug_assert!(submissions.len() <= BATCH_LEN_MAX, "the caller cuts batches");
    SubmitBatch { batch, submissions: submissions.iter().map(Submit::to_submission).collect() }
}

/// A status that this client does not know promises nothing, so it counts as unavailable.
pub(super) fn statuses(results: &SubmitResults) -> Vec<SubmitStatus> {
    let known =
        |status: &i32| SubmitStatus::try_from(*status).ok().filter(|status| *status != SubmitStatus::Unspecified);
    results.results.iter().map(|status| known(status).unwrap_or(SubmitStatus::Unavailable)).collect()
}
