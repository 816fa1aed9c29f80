//! Listeners that are written in JavaScript. The next call waits until the promise of the one before is settled.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::ThreadsafeFunction;
use napi_derive::napi;
use serde::Serialize;

use super::failed;
use crate::connection::ConnectionState;
use crate::message::Message;
use crate::observe::{
    ClientEvent, ConnectionListener, EventListener, ListenerError, MessageChange, MessageListener, ProgressListener,
    Subscription,
};
use crate::runtime::runtime;

/// Tells Node's thread something. An app that observes stays alive for as long as it does.
pub(super) type Tell = ThreadsafeFunction<String, Promise<()>, String, Status, false>;

/// A listener.
pub(super) struct NodeListener(pub(super) Tell);

/// A message and what happened to it.
#[derive(Serialize)]
struct Told {
    change: MessageChange,
    message: Message,
}

/// So far a transfer has come.
#[derive(Serialize)]
struct Moved {
    done: u64,
    total: u64,
}

impl NodeListener {
    /// Tells it, and waits until the app has dealt with it. Called on the listener's own thread.
    fn tell<T: Serialize>(&self, what: &T) -> Result<(), ListenerError> {
        let unheard = || ListenerError::Failed { reason: "it was not heard".to_owned() };
        let text = serde_json::to_string(what).map_err(|_| unheard())?;
        let runtime = runtime().map_err(|_| unheard())?;
        runtime.block_on(async { self.0.call_async(text).await?.await }).map_err(|_| unheard())
    }
}

impl MessageListener for NodeListener {
    fn on_message(&self, change: MessageChange, message: Message) -> Result<(), ListenerError> {
        self.tell(&Told { change, message })
    }
}

impl EventListener for NodeListener {
    fn on_event(&self, event: ClientEvent) -> Result<(), ListenerError> {
        self.tell(&event)
    }
}

impl ConnectionListener for NodeListener {
    fn on_connection(&self, state: ConnectionState) -> Result<(), ListenerError> {
        self.tell(&state)
    }
}

impl ProgressListener for NodeListener {
    fn on_progress(&self, done: u64, total: u64) -> Result<(), ListenerError> {
        self.tell(&Moved { done, total })
    }
}

/// A subscription.
#[napi]
pub struct NativeSubscription {
    subscription: Arc<Subscription>,
}

impl NativeSubscription {
    pub(super) const fn new(subscription: Arc<Subscription>) -> Self {
        Self { subscription }
    }
}

#[napi]
impl NativeSubscription {
    /// Ends it.
    #[napi]
    pub fn cancel(&self) -> napi::Result<()> {
        self.subscription.cancel().map_err(failed)
    }
}
