//! What the objects of one client share: the client while it is open, the calls under way, and the background run.
//!
//! Closing takes the client away, so that every later call finds none; calls under way hear of it and end with `closed`. What a call had
//! begun in the store runs to its end in its own transaction, as it does when a future is dropped.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcseal_client::Client;
use rcseal_client::client::Status;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connection::{ConnectionState, ConnectionStatus};
use crate::error::RcsealError;
use crate::observe::Feed;
use crate::runtime::{detached, runtime};

/// How long closing waits for calls that are just ending.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// Shared by a client's objects.
pub(crate) struct Inner {
    client: Mutex<Option<Client>>,
    closing: watch::Sender<bool>,
    calls: watch::Sender<usize>,
    run: Mutex<Option<Run>>,
    connection: watch::Sender<ConnectionState>,
    pub(crate) feed: Feed,
}

struct Run {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Counts one call for as long as it lives.
struct Call(Arc<Inner>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}

impl Inner {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: Mutex::new(Some(client)),
            closing: watch::Sender::new(false),
            calls: watch::Sender::new(0),
            run: Mutex::default(),
            connection: watch::Sender::new(ConnectionState::of(ConnectionStatus::Stopped)),
            feed: Feed::default(),
        }
    }

    /// The client, unless it was closed.
    pub(crate) fn client(&self) -> Result<Client, RcsealError> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(RcsealError::closed)
    }

    /// Waits until the client is closed.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// How the client stands with its server.
    pub(crate) fn connection(&self) -> watch::Receiver<ConnectionState> {
        self.connection.subscribe()
    }

    /// Runs a call to its end, or to the close of the client, whether or not somebody still waits for the answer.
    pub(crate) async fn call<T, R>(
        self: &Arc<Self>,
        operation: impl FnOnce(Client) -> R + Send + 'static,
    ) -> Result<T, RcsealError>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, RcsealError>> + Send,
    {
        let client = self.client()?;
        let mut closing = self.closing();
        self.calls.send_modify(|calls| *calls += 1);
        let call = Call(Arc::clone(self));
        detached(async move {
            // Dropped last, after the client that the operation holds.
            let _call = call;
            tokio::select! {
                biased;
                outcome = operation(client) => outcome,
                _ = closing.wait_for(|is_closing| *is_closing) => Err(RcsealError::closed()),
            }
        })
        .await
    }

    /// Whether the background run is under way.
    pub(crate) fn is_running(&self) -> bool {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.as_ref().is_some_and(|run| !run.task.is_finished())
    }

    /// Starts the background run, unless it is under way.
    pub(crate) fn start(&self, client: Client) -> Result<(), RcsealError> {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.closing.borrow() {
            return Err(RcsealError::closed());
        }
        if run.as_ref().is_some_and(|run| !run.task.is_finished()) {
            return Ok(());
        }
        let (stop, mut stopped) = watch::channel(false);
        let connection = self.connection.clone();
        // Said at once: whoever asks after `connect` must not be told that nobody runs.
        connection.send_replace(ConnectionState::of(ConnectionStatus::Connecting));
        let task = runtime()?.spawn(async move {
            let mut status = client.status();
            let follow = async {
                loop {
                    let now = *status.borrow_and_update();
                    if now != Status::Stopped {
                        connection.send_replace(ConnectionState::from(now));
                    }
                    if status.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let outcome = tokio::select! {
                outcome = client.run(async move { let _ = stopped.wait_for(|is_stopped| *is_stopped).await; }) => outcome,
                () = follow => Ok(()),
            };
            connection.send_replace(match outcome {
                Ok(()) => ConnectionState::of(ConnectionStatus::Stopped),
                Err(error) => {
                    tracing::warn!(event = "run_ended", code = error.code());
                    ConnectionState::failed(error.code())
                }
            });
        });
        *run = Some(Run { stop, task });
        Ok(())
    }

    /// Ends the background run and waits for it.
    pub(crate) async fn stop(&self) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(run) = run {
            run.stop.send_replace(true);
            // A task that ended otherwise has ended.
            let _ = run.task.await;
        }
    }

    /// Closes without waiting: calls after this one answer `closed`.
    pub(crate) fn close_now(&self) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.closing.send_replace(true);
        if let Some(run) = &*self.run.lock().unwrap_or_else(PoisonError::into_inner) {
            run.stop.send_replace(true);
        }
        drop(client);
    }

    /// Closes, and waits until what was under way has ended and the store is free.
    pub(crate) async fn close(&self) {
        self.close_now();
        self.stop().await;
        let mut calls = self.calls.subscribe();
        if timeout(CLOSE_WAIT, calls.wait_for(|calls| *calls == 0)).await.is_err() {
            tracing::warn!(event = "close_did_not_wait", code = "sdk.calls_running");
        }
    }
}
