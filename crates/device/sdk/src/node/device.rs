//! Further devices of the account, for Node.

use std::sync::Arc;

use napi_derive::napi;

use super::client::NativeClient;
use super::{answer, failed, record};
use crate::device::LinkRequest;

/// A device that waits to be linked.
#[napi]
pub struct NativeLinkRequest {
    request: Arc<LinkRequest>,
}

#[napi]
impl NativeLinkRequest {
    /// What to show the primary device.
    #[napi(getter)]
    pub fn text(&self) -> napi::Result<String> {
        self.request.text().map_err(failed)
    }

    /// Waits for it.
    #[napi]
    pub async fn finish(&self) -> napi::Result<()> {
        Arc::clone(&self.request).finish().await.map_err(failed)
    }
}

#[napi]
impl NativeClient {
    /// Begins to be linked.
    #[napi]
    pub async fn link_start(&self, origin: String, platform: String) -> napi::Result<NativeLinkRequest> {
        let request = self.client().link_start(origin, record("platform", &platform)?).await.map_err(failed)?;
        Ok(NativeLinkRequest { request })
    }

    /// Links the device that showed this.
    #[napi]
    pub async fn link_approve(&self, text: String) -> napi::Result<u8> {
        self.client().link_approve(text).await.map_err(failed)
    }

    /// The account's devices.
    #[napi]
    pub async fn devices(&self) -> napi::Result<String> {
        answer(self.client().devices().await)
    }

    /// Takes one out.
    #[napi]
    pub async fn remove_device(&self, number: u8) -> napi::Result<()> {
        self.client().remove_device(number).await.map_err(failed)
    }
}
