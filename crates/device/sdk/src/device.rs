//! Further devices of the account.

use std::sync::{Arc, Mutex, PoisonError};

use rcseal_client::client::Linking;
use rcseal_wire::id::{Custody, DeviceNumber};
use rcseal_wire::link::LinkRequest as WireRequest;
use rcseal_wire::origin::Origin;

use crate::argument::parse;
use crate::client::{RcsealClient, no_account};
use crate::error::RcsealError;
use crate::inner::Inner;
use crate::model::{Device, Platform};

/// A device that shows its code and waits to be linked.
#[derive(uniffi::Object)]
pub struct LinkRequest {
    inner: Arc<Inner>,
    text: String,
    /// Taken by the one call that finishes.
    linking: Mutex<Option<Linking>>,
}

#[uniffi::export]
impl LinkRequest {
    /// What to show the primary device: as a QR code, or as text. Whoever reads it can link this device, so it is shown to nobody else.
    pub fn text(&self) -> Result<String, RcsealError> {
        Ok(self.text.clone())
    }

    /// Waits for the primary device, and becomes part of its account. May be called once; afterwards a new request is needed.
    pub async fn finish(&self) -> Result<(), RcsealError> {
        let linking = self.linking.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(linking) = linking else {
            return Err(RcsealError::invalid("sdk.link_used", "the request was finished before"));
        };
        self.inner.call(move |client| async move { Ok(client.link_finish(linking).await?) }).await
    }
}

#[uniffi::export]
impl RcsealClient {
    /// On a device without an account: begins to be linked to an account of this server.
    pub async fn link_start(&self, origin: String, platform: Platform) -> Result<Arc<LinkRequest>, RcsealError> {
        let origin: Origin = parse("origin", &origin)?;
        let inner = self.inner();
        self.call(move |client| async move {
            let linking = client.link_start(origin, platform.into(), Custody::User).await?;
            let text = linking.expose_text();
            Ok(Arc::new(LinkRequest { inner, text, linking: Mutex::new(Some(linking)) }))
        })
        .await
    }

    /// On the primary device: links the device that showed this code. Answers its number.
    pub async fn link_approve(&self, text: String) -> Result<u8, RcsealError> {
        let request: WireRequest = parse("text", &text)?;
        self.call(move |client| async move { Ok(client.link_approve(request).await?.get()) }).await
    }

    /// The account's devices.
    pub async fn devices(&self) -> Result<Vec<Device>, RcsealError> {
        self.call(|client| async move {
            let account = client.account().await?.ok_or_else(no_account)?;
            Ok(account.devices.into_iter().map(Device::from).collect())
        })
        .await
    }

    /// Takes a device out of the account; on the primary device only.
    pub async fn remove_device(&self, number: u8) -> Result<(), RcsealError> {
        let number = DeviceNumber::new(number).map_err(|_| RcsealError::argument("number"))?;
        self.call(move |client| async move { Ok(client.remove_device(number).await?) }).await
    }
}

impl std::fmt::Debug for LinkRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkRequest")
    }
}
