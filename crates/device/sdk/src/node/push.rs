//! Wake-ups for Node: for the tests of push gateways, and for devices that are servers.

#![allow(unreachable_pub, dead_code, reason = "Node calls the functions by their names; nothing in Rust does")]

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Buffer;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::client::NativeClient;
use super::vault::{AskVault, NodeVault};
use super::{answer, failed, promise, record, whole};
use crate::push::process_push_in_extension as process;

#[napi]
impl NativeClient {
    /// Tells the server where to wake this device.
    #[napi]
    pub fn register_push_token<'env>(
        &self,
        env: &'env Env,
        provider: String,
        token: Buffer,
        app_id: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let provider = record("provider", &provider)?;
            this.client().register_push_token(provider, token.to_vec(), app_id).await.map_err(failed)
        })
    }

    /// Wakes it no more.
    #[napi]
    pub fn unregister_push_token<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().unregister_push_token().await.map_err(failed) })
    }

    /// Takes in what waits.
    #[napi]
    pub fn process_push<'env>(
        &self,
        env: &'env Env,
        payload: String,
        deadline_ms: f64,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(
            env,
            async move { answer(this.client().process_push(payload, whole("deadlineMs", deadline_ms)?).await) },
        )
    }
}

/// The same beside an app that may be running.
#[napi]
pub async fn process_push_in_extension(
    config: String,
    vault: AskVault,
    payload: String,
    deadline_ms: f64,
) -> napi::Result<String> {
    let (config, deadline_ms) = (record("config", &config)?, whole("deadlineMs", deadline_ms)?);
    answer(process(config, Arc::new(NodeVault(vault)), payload, deadline_ms).await)
}
