//! The way into the carrier by a broker: no account at a carrier, only a number that the broker has bound to this device.
//!
//! What goes out is handed to the broker; what comes in the broker puts into the mailbox. So a command has nothing to register and nothing
//! to end, and one setting says that it is so.

use std::time::Duration;

use rcseal_client::client::{CarrierOptions, Client, ClientError};
use rcseal_engine::number::NumberError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::CliError;

/// The name of the value in the store.
const NAME: &str = "carrier-by-broker";
/// The version of the value in the store.
const VERSION: u8 = 1;

/// A number at the broker, as this device's way into the carrier.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ByBroker {
    version: u8,
    pub(crate) number: String,
    pub(crate) patience_seconds: u64,
}

impl ByBroker {
    pub(crate) const fn new(number: String, patience_seconds: u64) -> Self {
        Self { version: VERSION, number, patience_seconds }
    }

    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds)
    }

    /// Has the client use it.
    ///
    /// # Errors
    /// Those of the client; [`NumberError::NoBroker`] where none is used.
    pub(crate) async fn attach_to(&self, client: &Client) -> Result<(), CliError> {
        let number = self.number.parse().map_err(|_| CliError::CarrierSettings)?;
        let broker = client.broker().await?.ok_or(ClientError::Number(NumberError::NoBroker))?;
        let options = CarrierOptions { patience: self.patience(), ..CarrierOptions::by_broker(number) };
        Ok(client.attach_broker_with(&broker.origin, options).await?)
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "number": self.number, "access": "broker", "patience_seconds": self.patience_seconds })
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "{} by the broker, which learns both numbers and carries ciphertext\nwhat is not confirmed in {} s goes by the relay as well",
            self.number, self.patience_seconds
        )
    }
}

/// What is set in this profile.
///
/// # Errors
/// Those of the store; [`CliError::CarrierSettings`] for a value that this version cannot read.
pub(crate) async fn read(client: &Client) -> Result<Option<ByBroker>, CliError> {
    let Some(bytes) = client.setting(NAME).await? else { return Ok(None) };
    let settings: ByBroker = serde_json::from_slice(&bytes).map_err(|_| CliError::CarrierSettings)?;
    if settings.version == VERSION { Ok(Some(settings)) } else { Err(CliError::CarrierSettings) }
}

/// Sets it, or with `None` deletes it.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write(client: &Client, settings: Option<&ByBroker>) -> Result<(), CliError> {
    let value = settings.map(serde_json::to_vec).transpose().map_err(|_| CliError::CarrierSettings)?;
    Ok(client.set_setting(NAME, value.map(zeroize::Zeroizing::new)).await?)
}
