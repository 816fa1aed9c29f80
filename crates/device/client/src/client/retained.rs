//! Messages that the account's server can read: its key, what goes out sealed to it, and what it keeps.
//!
//! A submission leaves only under a permit of the engine's, asked for once more right before; the server takes one under its id, so the very same
//! bytes are submitted until it answers. What it keeps is fetched when the mailbox says that there is something newer than the place that
//! was come to, and that place is the engine's, written with what was taken in.

use rcseal_engine::UnixMillis;
use rcseal_engine::retained::{
    RetainedFailure, RetainedMessage, RetainedOutgoing, RetainedTaken, ServerKeyFault, ServerKeyView, Submission,
    UnannouncedView,
};
use rcseal_wire::api::retained::{RetainedMessage as Kept, UnreadableReason};
use rcseal_wire::id::{DeviceAddress, MessageId, ServerKeyId};
use rcseal_wire::problem::ProblemCode;

use super::core::Core;
use super::{Client, ClientError};
use crate::net::NetError;

/// Submissions polled in one round.
pub(super) const SUBMISSIONS_MAX: usize = 32;

impl Client {
    /// Asks the account's server for its key, and answers what is pinned after that; `None` where the server has no such mode and never had.
    ///
    /// # Errors
    /// [`ClientError::Net`] where the server is away, [`ClientError::Retained`] where its key cannot be used.
    pub async fn refresh_server_key(&self) -> Result<Option<ServerKeyView>, ClientError> {
        self.core.fetch_server_key().await??;
        self.server_key().await
    }

    /// The server's key that is pinned, and whether anything is sealed to it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn server_key(&self) -> Result<Option<ServerKeyView>, ClientError> {
        self.core.engine(|engine| engine.server_key()).await
    }

    /// The user takes a server's key of another tenant or region. Consents for this mode end.
    ///
    /// # Errors
    /// [`ClientError::Retained`] where this key does not wait.
    pub async fn accept_server_key(&self, key: ServerKeyId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.accept_server_key(key)).await
    }

    /// Chooses for how long the server keeps what is sent so, or with `None` leaves it to the server.
    ///
    /// # Errors
    /// [`ClientError::Retained`] where the server has no such class.
    pub async fn set_retention_class(&self, class: Option<String>) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_retention_class(class.as_deref())).await
    }

    /// What the server says others wrote, and they never announced that they write so. It is shown among no messages.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retained_unannounced(&self) -> Result<Vec<UnannouncedView>, ClientError> {
        self.core.engine(|engine| engine.retained_unannounced()).await
    }

    /// The user has seen one of these.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn dismiss_retained(&self, sequence: u64) -> Result<(), ClientError> {
        self.core.engine(move |engine| engine.dismiss_retained(sequence)).await
    }

    /// Fetches what the server keeps for the account now. [`Client::run`] and [`Client::sync_once`] do so by themselves.
    ///
    /// # Errors
    /// [`ClientError::Net`].
    pub async fn fetch_retained(&self) -> Result<RetainedTaken, ClientError> {
        self.core.fetch_retained(u64::MAX).await
    }
}

impl Core {
    /// Asks for the server's key and tells the engine. The inner error is the server's.
    pub(super) async fn fetch_server_key(&self) -> Result<Result<(), NetError>, ClientError> {
        let fault = match self.authenticated().await?.server_key().await {
            Ok(key) => {
                let change = self.change(move |engine| engine.handle_server_key(key)).await?;
                tracing::info!(event = "server_key", code = change.code());
                return Ok(Ok(()));
            }
            Err(error) => match error.problem() {
                Some(ProblemCode::NotFound | ProblemCode::ServerKeyDestroyed) => ServerKeyFault::Gone,
                Some(ProblemCode::RegionMismatch) => ServerKeyFault::RegionMismatch,
                _ => return Ok(Err(error)),
            },
        };
        self.change(move |engine| engine.handle_server_key_fault(fault)).await?;
        Ok(Ok(()))
    }

    /// Polls what is to be submitted.
    pub(super) async fn poll_retained(&self) -> Result<Vec<RetainedOutgoing>, ClientError> {
        self.engine(|engine| engine.poll_retained_outbox(SUBMISSIONS_MAX)).await
    }

    /// Submits one, if it may still leave. The error is one of the server as a whole.
    pub(super) async fn submit_retained(&self, outgoing: RetainedOutgoing) -> Result<(), ClientError> {
        let RetainedOutgoing { number, submission, .. } = outgoing;
        // The user may have taken back meanwhile what lets it go.
        if !self.change(move |engine| engine.may_retained_leave(number)).await? {
            return Ok(());
        }
        let Submission { delivery_token, request } = submission.release();
        let outcome = self.authenticated().await?.submit_retained(&delivery_token, &request).await;
        let answer = match &outcome {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::info!(event = "retained_not_taken", code = error.code());
                Err(failure_of(error))
            }
        };
        self.change(move |engine| engine.handle_retained_outcome(number, answer)).await?;
        match outcome {
            Err(error) if super::submit::is_outage(&error) => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Fetches what the server keeps, unless everything up to `newest` is here.
    pub(super) async fn fetch_retained(&self, newest: u64) -> Result<RetainedTaken, ClientError> {
        let mut sum = RetainedTaken::default();
        loop {
            let after = self.engine(|engine| engine.retained_cursor()).await?;
            if after >= newest {
                return Ok(sum);
            }
            let page = self.authenticated().await?.retained(after).await?;
            if page.messages.is_empty() {
                return Ok(sum);
            }
            let messages: Vec<_> = page.messages.into_iter().map(message_of).collect();
            let taken = self
                .change(move |engine| {
                    let taken = engine.handle_retained(&messages)?;
                    engine.flush_receipts()?;
                    Ok::<_, ClientError>(taken)
                })
                .await?;
            sum.shown += taken.shown;
            sum.repeated += taken.repeated;
            sum.unannounced += taken.unannounced;
            sum.passed_over += taken.passed_over;
            if !page.more {
                return Ok(sum);
            }
        }
    }

    /// The mailbox says that there is something. What goes wrong is said again by the next connection.
    pub(super) async fn note_retained(&self, newest: u64) -> Result<(), ClientError> {
        match self.fetch_retained(newest).await {
            Ok(taken) => {
                tracing::debug!(event = "retained", shown = taken.shown, unannounced = taken.unannounced);
                Ok(())
            }
            Err(ClientError::Net(error)) => {
                tracing::warn!(event = "retained_not_fetched", code = error.code());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// What the server hands out, in the engine's words. What it could not open has none, and is passed over.
fn message_of(kept: Kept) -> RetainedMessage {
    if let Some(reason) = kept.unreadable {
        let code = match reason {
            UnreadableReason::ServerKeyDestroyed => "server_key_destroyed",
            UnreadableReason::NotAuthentic => "not_authentic",
        };
        tracing::warn!(event = "retained_unreadable", code);
    }
    RetainedMessage {
        sequence: kept.sequence,
        id: MessageId::from_bytes(*kept.id.as_bytes()),
        from: DeviceAddress { account: kept.from, device: kept.from_device },
        sent_at: UnixMillis(kept.sent_at_ms),
        plaintext: kept.plaintext.map_or_else(Vec::new, |plaintext| plaintext.0),
    }
}

/// What a refusal means for a submission.
fn failure_of(error: &NetError) -> RetainedFailure {
    match error.problem() {
        Some(ProblemCode::ServerKeyDestroyed | ProblemCode::NotFound) => RetainedFailure::KeyGone,
        Some(ProblemCode::RegionMismatch) => RetainedFailure::RegionMismatch,
        Some(ProblemCode::RetentionUnknown) => RetainedFailure::RetentionUnknown,
        Some(ProblemCode::Forbidden) => RetainedFailure::Refused,
        Some(ProblemCode::IdConflict | ProblemCode::Malformed | ProblemCode::OutOfRange | ProblemCode::TooLarge) => {
            RetainedFailure::Rejected
        }
        _ => RetainedFailure::Unavailable,
    }
}
