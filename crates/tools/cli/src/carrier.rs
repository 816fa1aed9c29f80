//! The carrier account of a profile: how it is kept, and how a command goes through it.
//!
//! `carrier set` writes one value into the encrypted store ([`Client::set_setting`]); the password is in it and nowhere else. `send`,
//! `listen` and `chat` begin with [`attach`]: they start a SIP transport, register, and attach it to the client for as long as they run.
//! A carrier that cannot be reached never keeps a command from its work: what would go by it goes by the relay.

pub(crate) mod by_broker;
mod registrar;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcseal_carrier::sip::{Registration, WayTrouble};
use rcseal_carrier::sip_transport::SipTransport;
use rcseal_client::client::{CarrierOptions, Client};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use serde_json::{Value, json};
use tokio::time::timeout;

pub(crate) use by_broker::ByBroker;
pub use registrar::{Registrar, Wire};
pub(crate) use settings::{CarrierSettings, TrunkSettings};

use crate::error::CliError;
use crate::output::Output;

/// The name of the value in the store.
const NAME: &str = "carrier";
/// How long a command waits for the first answer of the carrier. A SIP transaction may take 32 seconds; people who send do not wait so long.
pub(crate) const REGISTER_WAIT: Duration = Duration::from_secs(8);
/// How long an end of a command waits for the carrier to hear that this device is gone.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is set in this profile.
///
/// # Errors
/// Those of the store; [`CliError::CarrierSettings`] for a value that this version cannot read.
pub(crate) async fn read(client: &Client) -> Result<Option<CarrierSettings>, CliError> {
    client.setting(NAME).await?.map(|bytes| CarrierSettings::from_bytes(&bytes)).transpose()
}

/// Sets it, or with `None` deletes it.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write(client: &Client, settings: Option<&CarrierSettings>) -> Result<(), CliError> {
    let value = settings.map(CarrierSettings::to_bytes).transpose()?;
    Ok(client.set_setting(NAME, value).await?)
}

/// A way into the carrier that is in use.
pub(crate) struct Way {
    pub(crate) transport: Arc<SipTransport>,
    /// For how long the carrier has granted the registration, or what it answered instead. A trunk registers nothing.
    pub(crate) registered: Result<Duration, SendFailure>,
    /// Why the carrier could not be reached, if it could not.
    pub(crate) trouble: Option<WayTrouble>,
    /// How long that took.
    pub(crate) took: Duration,
    number: String,
    patience: Duration,
}

impl Way {
    /// Starts the transport and registers, waiting for the answer for a while. The user agent goes on trying by itself.
    ///
    /// # Errors
    /// [`CliError::CarrierStart`], where nothing can be sent at all.
    pub(crate) async fn open(settings: &CarrierSettings, wait: Duration) -> Result<Self, CliError> {
        let transport = SipTransport::start(settings.transport()?).await?;
        let begun = Instant::now();
        let registered = match timeout(wait, transport.agent().register()).await {
            Ok(answer) => answer,
            Err(_) if transport.agent().carrier_address().is_none() => Err(SendFailure::Unreachable),
            Err(_) => Err(SendFailure::NoAnswer),
        };
        let trouble = transport.agent().trouble();
        Ok(Self {
            transport,
            registered,
            trouble,
            took: begun.elapsed(),
            number: settings.number.clone(),
            patience: settings.patience(),
        })
    }

    /// How long a message may stay unconfirmed at the carrier before the relay gets it.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// This device's number.
    ///
    /// # Errors
    /// [`CliError::CarrierSettings`].
    pub(crate) fn number(&self) -> Result<PhoneNumber, CliError> {
        self.number.parse().map_err(|_| CliError::CarrierSettings)
    }

    /// Whether the carrier took the registration, or there is none to take.
    pub(crate) const fn is_registered(&self) -> bool {
        self.registered.is_ok()
    }

    /// Has the client use it.
    ///
    /// # Errors
    /// Those of the client.
    pub(crate) async fn attach_to(&self, client: &Client) -> Result<(), CliError> {
        let options = CarrierOptions { patience: self.patience, ..CarrierOptions::new(self.number()?) };
        Ok(client.attach_transport(options, Arc::clone(&self.transport) as _).await?)
    }

    /// How the registration stands, as JSON.
    pub(crate) fn json(&self) -> Value {
        let (is_registered, seconds, code) = match &self.registered {
            Ok(granted) => (true, (*granted != Duration::MAX).then_some(granted.as_secs()), None),
            // The user agent may have been luckier since.
            Err(failure) => match self.transport.agent().registration() {
                Registration::Until(until) => {
                    (true, Some(until.saturating_duration_since(Instant::now()).as_secs()), None)
                }
                Registration::None | Registration::Failed(_) => (false, None, Some(failure.code())),
            },
        };
        let reason = self.trouble.filter(|_| !is_registered).map(|trouble| trouble.code());
        json!({ "event": "carrier", "number": self.number, "registered": is_registered, "seconds": seconds, "code": code, "reason": reason })
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        match &self.registered {
            Ok(granted) if *granted == Duration::MAX => format!("* {} is on the carrier", self.number),
            Ok(granted) => format!("* {} is registered at the carrier for {} s", self.number, granted.as_secs()),
            Err(failure) => {
                let why = self.trouble.map(|trouble| format!(": {trouble} [{}]", trouble.code())).unwrap_or_default();
                format!(
                    "* {} is not registered at the carrier: {failure} [{}]{why}; messages go by the relay meanwhile",
                    self.number,
                    failure.code()
                )
            }
        }
    }

    /// Tells the carrier that this device is gone, so that what comes later waits there.
    pub(crate) async fn close(self, client: &Client) {
        client.detach_transport();
        self.transport.close();
        let _ = timeout(GOODBYE, self.transport.agent().unregister()).await;
    }
}

/// Opens the way that is set in the profile and attaches it; `None` where none is set, or where it cannot be opened, which is told.
///
/// # Errors
/// Those of the store.
pub(crate) async fn attach(client: &Client, output: Output, wait: Duration) -> Result<Option<Way>, CliError> {
    let Some(settings) = read(client).await? else {
        // What a broker carries needs nothing to be opened or ended here.
        if let Some(settings) = by_broker::read(client).await?
            && let Err(error) = settings.attach_to(client).await
        {
            output.note(&format!("note: no way by the broker, messages go by the relay: {error} [{}]", error.code()));
        }
        return Ok(None);
    };
    match Way::open(&settings, wait).await {
        Ok(way) => {
            way.attach_to(client).await?;
            Ok(Some(way))
        }
        Err(error) => {
            output.note(&format!("note: no way to the carrier, messages go by the relay: {error} [{}]", error.code()));
            Ok(None)
        }
    }
}
