//! Linking: the two devices' sides of the rendezvous ([`rcseal_engine::link`] has the protocol).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcseal_engine::account::AccountError;
use rcseal_engine::link::{LinkFailure, LinkingDevice};
use rcseal_wire::id::{Custody, DeviceNumber, LinkId, Platform};
use rcseal_wire::link::LinkRequest;
use rcseal_wire::origin::Origin;
use rcseal_wire::problem::ProblemCode;
use tokio::time::{Instant, sleep};

use super::core::{Core, blocking};
use super::remote_config::RemoteKey;
use super::{Client, ClientError};
use crate::backoff::Backoff;
use crate::net::{Anonymous, NetError};

/// From the primary device: its offer.
const OFFER: u8 = 1;
/// From the new device: its entry.
const ENTRY: u8 = 2;
/// From the primary device: the account.
const WELCOME: u8 = 3;
/// How long the primary device waits for the new one, which answers by itself.
const ENTRY_WAIT: Duration = Duration::from_secs(120);

/// A device that shows its code and waits to be linked.
pub struct Linking {
    device: LinkingDevice,
    origin: Origin,
    link: LinkId,
    ends_at: Instant,
}

impl Linking {
    /// What to show the primary device: as a QR code, or as text. Whoever reads it can link this device, so it is shown to nobody else.
    #[must_use]
    pub fn expose_text(&self) -> String {
        self.device.request().expose_text()
    }
}

impl std::fmt::Debug for Linking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Linking")
    }
}

impl Client {
    /// On a new device: begins to be linked to an account of this server.
    ///
    /// # Errors
    /// [`ClientError::Account`] when there is an account here already.
    pub async fn link_start(
        &self,
        origin: Origin,
        platform: Platform,
        custody: Custody,
    ) -> Result<Linking, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoLinking).await?;
        if self.account().await?.is_some() {
            return Err(AccountError::Exists.into());
        }
        let created = self.core.anonymous(&origin)?.open_link().await?;
        let device = LinkingDevice::begin(origin.clone(), created.id, platform, custody, &mut rand::rng());
        let ends_at = Instant::now() + Duration::from_secs(created.expires_in_seconds.min(3600));
        Ok(Linking { device, origin, link: created.id, ends_at })
    }

    /// On a new device: waits for the primary device, and becomes part of its account.
    ///
    /// # Errors
    /// [`ClientError::LinkExpired`] when nobody came, [`ClientError::Link`] when what came was not from the device that saw the code.
    pub async fn link_finish(&self, linking: Linking) -> Result<(), ClientError> {
        let Linking { mut device, origin, link, ends_at } = linking;
        let server = self.core.anonymous(&origin)?;
        let offer = receive(&server, &link, OFFER, ends_at).await?;
        let (device, entry) = blocking(move || {
            let entry = device.handle_offer(&offer, &mut rand::rng());
            (device, entry)
        })
        .await?;
        leave(&server, &link, ENTRY, entry?, ends_at).await?;
        let welcome = receive(&server, &link, WELCOME, ends_at).await?;
        self.core.change(move |engine| engine.link_complete(device, &welcome)).await?;
        // The account is here. Should the upload fail, the next run makes up for it.
        self.core.introduce_device().await
    }

    /// On the primary device: links the device that showed this code.
    ///
    /// # Errors
    /// [`ClientError::Link`] when the code or what the other device sent is not right, [`ClientError::LinkExpired`] when it sent nothing.
    pub async fn link_approve(&self, request: LinkRequest) -> Result<DeviceNumber, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoLinking).await?;
        let ends_at = Instant::now() + ENTRY_WAIT;
        let link = request.link;
        let (approval, offer) = self.core.engine(move |engine| engine.link_offer(&request)).await?;
        let account = self.core.account().await?;
        let server = self.core.anonymous(&account.origin)?;
        leave(&server, &link, OFFER, offer, ends_at).await?;
        let entry = receive(&server, &link, ENTRY, ends_at).await?;
        let approved = self.core.engine(move |engine| engine.link_approve(&approval, &entry)).await?;
        self.core.publish(ends_at).await?;
        // Nothing left to publish may also mean that it was refused meanwhile: the key set decides.
        let devices = self.core.account().await?.devices;
        if !devices.iter().any(|device| device.number == approved.device) {
            return Err(LinkFailure::NotNamed.into());
        }
        leave(&server, &link, WELCOME, approved.welcome, ends_at).await?;
        Ok(approved.device)
    }
}

impl Core {
    /// Uploads the mailbox and prekeys of a device that has just been linked.
    async fn introduce_device(&self) -> Result<(), ClientError> {
        let upload = self.engine(|engine| engine.own_device_upload()).await?;
        self.authenticated().await?.upload_device(&upload).await?;
        self.change(|engine| engine.handle_registered()).await
    }

    /// Publishes the key set that has just been signed. The submit loop may do the same at the same time; the server takes both as one.
    async fn publish(&self, ends_at: Instant) -> Result<(), ClientError> {
        let server = self.authenticated().await?;
        let key_set = self.engine(|engine| engine.unpublished_key_set()).await?;
        // Somebody else was quicker: it is published.
        let Some(key_set) = key_set else { return Ok(()) };
        let published = patiently(ends_at, || server.publish_key_set(key_set.clone())).await;
        match published {
            Ok(()) => self.change(|engine| engine.handle_published()).await,
            Err(ClientError::Net(error)) if super::submit::is_lost_race(&error) => {
                self.change(|engine| engine.handle_publish_refused()).await?;
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }
}

/// Leaves a message at the rendezvous.
async fn leave(
    server: &Arc<Anonymous>,
    link: &LinkId,
    number: u8,
    message: Vec<u8>,
    ends_at: Instant,
) -> Result<(), ClientError> {
    patiently(ends_at, || server.put_link_message(link, number, message.clone())).await
}

/// Waits for a message at the rendezvous.
async fn receive(server: &Arc<Anonymous>, link: &LinkId, number: u8, ends_at: Instant) -> Result<Bytes, ClientError> {
    loop {
        match patiently(ends_at, || server.link_message(link, number)).await {
            Ok(Some(message)) => return Ok(message),
            // The server let us wait as long as it does.
            Ok(None) if Instant::now() < ends_at => {}
            Ok(None) => return Err(ClientError::LinkExpired),
            Err(ClientError::Net(error))
                if matches!(error.problem(), Some(ProblemCode::NotFound | ProblemCode::Gone)) =>
            {
                return Err(ClientError::LinkExpired);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Repeats a request that may succeed later, until a moment.
async fn patiently<T, R>(ends_at: Instant, mut attempt: impl FnMut() -> R) -> Result<T, ClientError>
where
    R: Future<Output = Result<T, NetError>>,
{
    let mut backoff = Backoff::RECONNECT;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if error.is_retryable() => {
                let wait = backoff.next(error.retry_after(), &mut rand::rng());
                if Instant::now() + wait >= ends_at {
                    return Err(error.into());
                }
                sleep(wait).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
