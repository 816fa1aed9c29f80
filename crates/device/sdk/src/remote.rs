//! Counts for whoever makes the app, and what that maker may set from afar. Both are off unless the configuration says otherwise, and
//! neither sends or fetches anything by itself: the app does, where its users agreed.

use rcseal_client::client::RemoteConfigView;

use crate::client::RcsealClient;
use crate::error::RcsealError;

/// One value of the remote configuration.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct RemoteValue {
    /// Which.
    pub key: String,
    /// The value that counts, within its bounds.
    pub value: u64,
    /// Whether the document said another, outside the bounds.
    pub is_clamped: bool,
}

/// What counts now.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct RemoteConfig {
    /// The document's counter; 0 where there is none.
    pub counter: u64,
    /// When it ends to count.
    pub expires_at_ms: u64,
    /// Whether that is past: its values do not count then.
    pub is_expired: bool,
    /// Its values.
    pub values: Vec<RemoteValue>,
    /// Keys that this version does not know.
    pub unknown: Vec<String>,
    /// Whether this device takes part in a trial.
    pub is_canary: bool,
}

impl From<RemoteConfigView> for RemoteConfig {
    fn from(view: RemoteConfigView) -> Self {
        let clamped = view.clamped;
        Self {
            counter: view.counter,
            expires_at_ms: view.expires_at_ms,
            is_expired: view.is_expired,
            values: view
                .values
                .into_iter()
                .map(|(key, value)| RemoteValue {
                    is_clamped: clamped.contains(&key),
                    key: key.as_str().to_owned(),
                    value,
                })
                .collect(),
            unknown: view.unknown,
            is_canary: view.is_canary,
        }
    }
}

#[uniffi::export]
impl RcsealClient {
    /// Counts since the last report, as JSON, rounded down, without ids and times; absent where telemetry is off. Where it goes is the app's
    /// matter.
    pub async fn telemetry_report(&self) -> Result<Option<String>, RcsealError> {
        self.call(|client| async move { Ok(client.telemetry_report().await?.map(|report| report.to_json())) }).await
    }

    /// Takes a signed document that the app fetched.
    pub async fn apply_remote_config(&self, document: Vec<u8>) -> Result<RemoteConfig, RcsealError> {
        self.call(move |client| async move { Ok(client.apply_remote_config(document).await?.into()) }).await
    }

    /// What counts now.
    pub async fn remote_config(&self) -> Result<RemoteConfig, RcsealError> {
        self.call(|client| async move { Ok(client.remote_config().await?.into()) }).await
    }
}
