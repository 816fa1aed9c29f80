//! The background run: connect, disconnect, and how the client stands with its server.

use rcseal_client::client::Status;
use rcseal_engine::account::AccountError;

use crate::client::RcsealClient;
use crate::error::RcsealError;

/// How a client stands with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum ConnectionStatus {
    /// Nobody runs it.
    Stopped,
    /// Trying to connect.
    Connecting,
    /// Connected; what waited is being delivered.
    Delivering,
    /// Connected, and everything that waited is here.
    Online,
    /// Waiting for the next attempt.
    Offline,
    /// The run ended by itself, because trying again cannot help. `connect` begins anew.
    Failed,
}

/// The same with the reason.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct ConnectionState {
    /// How it stands.
    pub status: ConnectionStatus,
    /// Why, where it is offline or has failed: the code of the error.
    pub code: Option<String>,
}

impl ConnectionState {
    pub(crate) const fn of(status: ConnectionStatus) -> Self {
        Self { status, code: None }
    }

    pub(crate) fn failed(code: &str) -> Self {
        Self { status: ConnectionStatus::Failed, code: Some(code.to_owned()) }
    }
}

impl From<Status> for ConnectionState {
    fn from(status: Status) -> Self {
        match status {
            Status::Stopped => Self::of(ConnectionStatus::Stopped),
            Status::Connecting => Self::of(ConnectionStatus::Connecting),
            Status::Delivering => Self::of(ConnectionStatus::Delivering),
            Status::Online => Self::of(ConnectionStatus::Online),
            Status::Offline { code } => Self { status: ConnectionStatus::Offline, code: Some(code.to_owned()) },
        }
    }
}

/// What one `sync_once` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct SyncReport {
    /// Envelopes taken in.
    pub received: u32,
    /// Of these, envelopes that could not be decrypted. They are kept.
    pub undecryptable: u32,
    /// Envelopes that a relay now has.
    pub submitted: u32,
    /// Whether nothing is left that could not be done.
    pub is_complete: bool,
    /// Whether a relay has every envelope.
    pub is_outbox_empty: bool,
}

#[uniffi::export]
impl RcsealClient {
    /// Starts to serve this device in the background: delivers, sends, fetches, reconnects. Does nothing when it is under way.
    pub async fn connect(&self) -> Result<(), RcsealError> {
        let inner = self.inner();
        self.call(move |client| async move {
            if client.account().await?.is_none() {
                return Err(rcseal_client::ClientError::from(AccountError::NoAccount).into());
            }
            inner.start(client)
        })
        .await
    }

    /// Ends that and waits for it. What was sent and not yet delivered to a server stays here until the next time.
    pub async fn disconnect(&self) -> Result<(), RcsealError> {
        let inner = self.inner();
        self.call(move |client| async move {
            drop(client);
            inner.stop().await;
            Ok(())
        })
        .await
    }

    /// How the client stands with its server.
    pub fn connection_state(&self) -> Result<ConnectionState, RcsealError> {
        let inner = self.inner();
        inner.client()?;
        let state = inner.connection().borrow().clone();
        Ok(state)
    }

    /// The app has learnt that the network is another, or back: whatever waits for its next attempt makes it now.
    pub fn network_changed(&self) -> Result<(), RcsealError> {
        self.inner().client()?.network_changed();
        Ok(())
    }

    /// Connects once, takes in all that waits, sends all that can be sent, and disconnects. Refused while the background run is under way,
    /// which does all of this.
    pub async fn sync_once(&self) -> Result<SyncReport, RcsealError> {
        let inner = self.inner();
        self.call(move |client| async move {
            if inner.is_running() {
                return Err(RcsealError::invalid("sdk.connected", "the background run is under way"));
            }
            let report = client.sync_once().await?;
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Ok(SyncReport {
                received: count(report.received),
                undecryptable: count(report.undecryptable),
                submitted: count(report.submitted),
                is_complete: report.is_complete,
                is_outbox_empty: report.is_outbox_empty,
            })
        })
        .await
    }
}
