//! What came in and was not answered yet, bounded.
//!
//! A transport puts a message into the inbox and waits for the answer that its carrier is to get; whoever holds the transport takes the
//! messages out in order and answers each once it is durable. Both bounds refuse at once rather than wait: a sender that is told "later"
//! keeps its message, one that is left waiting may believe it delivered.

use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::Sender;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::transport::{Answer, Inbound};

/// Bounds of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InboxLimits {
    /// Messages that wait to be taken out.
    pub(crate) waiting_max: usize,
    /// The longest body.
    pub(crate) body_len_max: usize,
    /// Bytes of bodies that came in and were not answered.
    pub(crate) bytes_max: u32,
}

/// Messages between a carrier and whoever stores them.
pub(crate) struct Inbox {
    limits: InboxLimits,
    bytes: Arc<Semaphore>,
    // Taken out when the inbox closes: the receiver ends once it has drained what was there.
    sender: SyncMutex<Option<mpsc::Sender<Inbound>>>,
    receiver: Mutex<mpsc::Receiver<Inbound>>,
}

impl Inbox {
    pub(crate) fn new(limits: InboxLimits) -> Self {
        let (sender, receiver) = mpsc::channel(limits.waiting_max.max(1));
        Self {
            limits,
            bytes: Arc::new(Semaphore::new(limits.bytes_max as usize)),
            sender: SyncMutex::new(Some(sender)),
            receiver: Mutex::new(receiver),
        }
    }

    /// Puts a message in and waits for its answer, for so long at most.
    pub(crate) async fn put(
        &self,
        from: Sender,
        to: Option<PhoneNumber>,
        content_type: String,
        content_encoding: Option<String>,
        body: Vec<u8>,
        patience: Duration,
    ) -> Answer {
        match self.offer(from, to, content_type, content_encoding, body) {
            Ok(answer) => match timeout(patience, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Answer::TryLater,
            },
            Err(refusal) => refusal,
        }
    }

    /// The answer arrives on the receiver; the error is the answer where there is no room.
    fn offer(
        &self,
        from: Sender,
        to: Option<PhoneNumber>,
        content_type: String,
        content_encoding: Option<String>,
        body: Vec<u8>,
    ) -> Result<oneshot::Receiver<Answer>, Answer> {
        let permit = self.reserve(body.len())?;
        let (reply, answer) = oneshot::channel();
        let inbound = Inbound::new(from, content_type, content_encoding, body, move |answer| {
            drop(permit);
            // Nobody waits any more where the carrier's own patience has ended: it will send again.
            let _ = reply.send(answer);
        });
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Answer::TryLater)?;
        sender.try_send(inbound.addressed(to, None)).map_err(|_| Answer::TryLater)?;
        Ok(answer)
    }

    fn reserve(&self, body_len: usize) -> Result<OwnedSemaphorePermit, Answer> {
        if body_len > self.limits.body_len_max {
            return Err(Answer::TooLarge);
        }
        let permits = u32::try_from(body_len).map_err(|_| Answer::TooLarge)?;
        Arc::clone(&self.bytes).try_acquire_many_owned(permits).map_err(|_| Answer::TryLater)
    }

    /// The next message; `None` once closed and empty.
    pub(crate) async fn next(&self) -> Option<Inbound> {
        self.receiver.lock().await.recv().await
    }

    /// Takes nothing more in. What is there can still be taken out.
    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
