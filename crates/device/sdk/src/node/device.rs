//! Further devices of the account, for Node.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::client::NativeClient;
use super::{answer, failed, promise, record};
use crate::device::LinkRequest;

/// A device that waits to be linked.
#[napi]
#[derive(Clone)]
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
    pub fn finish<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { Arc::clone(&this.request).finish().await.map_err(failed) })
    }
}

#[napi]
impl NativeClient {
    /// Begins to be linked.
    #[napi]
    pub fn link_start<'env>(
        &self,
        env: &'env Env,
        origin: String,
        platform: String,
    ) -> napi::Result<PromiseRaw<'env, NativeLinkRequest>> {
        let this = self.clone();
        promise(env, async move {
            let request = this.client().link_start(origin, record("platform", &platform)?).await.map_err(failed)?;
            Ok(NativeLinkRequest { request })
        })
    }

    /// Links the device that showed this.
    #[napi]
    pub fn link_approve<'env>(&self, env: &'env Env, text: String) -> napi::Result<PromiseRaw<'env, u8>> {
        let this = self.clone();
        promise(env, async move { this.client().link_approve(text).await.map_err(failed) })
    }

    /// The account's devices.
    #[napi]
    pub fn devices<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move { answer(this.client().devices().await) })
    }

    /// Takes one out.
    #[napi]
    pub fn remove_device<'env>(&self, env: &'env Env, number: u8) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().remove_device(number).await.map_err(failed) })
    }
}
