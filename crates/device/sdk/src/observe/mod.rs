//! Listeners: what an app is told, on a thread of its own, in order, one at a time.
//!
//! The client's events are durable: each is written with what caused it, and told again after a restart until it was forgotten. Here every
//! listener has a thread and a place of its own. It reads a page, calls the app once for each event, and an event is forgotten when **every**
//! listener that is subscribed has returned from it. So
//!
//! - a listener that blocks delays itself and keeps events from being forgotten, and nothing else;
//! - a listener that throws is logged by a code and has had its turn, unless its subscription was cancelled meanwhile: then it has not heard the event;
//! - a listener may call the client and may cancel its own subscription;
//! - an app that wants both messages and events subscribes to both before it connects, since what one alone has heard is forgotten.
//!
//! While the app is called nothing of the client is held, so that a client can be closed under a listener that hangs.

mod connection;
mod event;
mod progress;
mod thread;

use std::sync::{Arc, Mutex, PoisonError};

use rcseal_engine::event::Event;
use tokio::sync::watch;

pub use event::{ClientEvent, EventKind};
pub(crate) use progress::Reporter;

use self::thread::Teller;
use crate::client::RcsealClient;
use crate::connection::ConnectionState;
use crate::error::RcsealError;
use crate::message::Message;

/// A listener failed. It is logged and has no further effect.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// The app says so, or threw.
    #[error("the listener failed")]
    Failed {
        /// What, for developers. Not passed on.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MessageChange {
    /// It came.
    Received,
    /// Its state, words or reactions changed.
    Changed,
}

/// Hears of messages.
#[uniffi::export(foreign)]
pub trait MessageListener: Send + Sync {
    /// A message came or changed. It is as it is now: several changes may be told by one look.
    fn on_message(&self, change: MessageChange, message: Message) -> Result<(), ListenerError>;
}

/// Hears of everything else, and of messages without their words.
#[uniffi::export(foreign)]
pub trait EventListener: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: ClientEvent) -> Result<(), ListenerError>;
}

/// Hears how the client stands with its server.
#[uniffi::export(foreign)]
pub trait ConnectionListener: Send + Sync {
    /// It stands so now. States in between may be left out.
    fn on_connection(&self, state: ConnectionState) -> Result<(), ListenerError>;
}

/// Hears how far a file has come.
#[uniffi::export(foreign)]
pub trait ProgressListener: Send + Sync {
    /// So many bytes of so many. States in between may be left out.
    fn on_progress(&self, done: u64, total: u64) -> Result<(), ListenerError>;
}

/// A listener that is subscribed. It ends with `cancel`, when this object is dropped, and when the client is closed.
#[derive(uniffi::Object)]
pub struct Subscription {
    cancelled: watch::Sender<bool>,
}

#[uniffi::export]
impl Subscription {
    /// Ends it. A call that is under way comes to its end; none follows. May be called by the listener itself, and again.
    pub fn cancel(&self) -> Result<(), RcsealError> {
        self.cancelled.send_replace(true);
        Ok(())
    }
}

impl Subscription {
    fn new() -> (Arc<Self>, watch::Receiver<bool>) {
        let (cancelled, is_cancelled) = watch::channel(false);
        (Arc::new(Self { cancelled }), is_cancelled)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cancelled.send_replace(true);
    }
}

/// How far each listener to durable events has heard: what all of them have heard can be forgotten.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Places>);

#[derive(Default)]
struct Places {
    next: u64,
    heard: Vec<(u64, u64)>,
}

impl Feed {
    /// A new listener, which has heard nothing.
    fn enter(&self) -> u64 {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.next += 1;
        let id = places.next;
        places.heard.push((id, 0));
        id
    }

    /// A listener is gone.
    fn leave(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).heard.retain(|(listener, _)| *listener != id);
    }

    /// A listener has heard all up to `number`. Answers up to where all have.
    fn heard(&self, id: u64, number: u64) -> u64 {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (listener, heard) in &mut places.heard {
            if *listener == id {
                *heard = number;
            }
        }
        places.heard.iter().map(|(_, heard)| *heard).min().unwrap_or(0)
    }
}

#[uniffi::export]
impl RcsealClient {
    /// Subscribes to messages, beginning with the oldest change that was not forgotten. Subscribe before `connect`.
    pub fn observe_messages(&self, listener: Arc<dyn MessageListener>) -> Result<Arc<Subscription>, RcsealError> {
        thread::start(&self.inner(), Teller::Messages(listener))
    }

    /// Subscribes to everything that happens, in the same way.
    pub fn observe_events(&self, listener: Arc<dyn EventListener>) -> Result<Arc<Subscription>, RcsealError> {
        thread::start(&self.inner(), Teller::Events(listener))
    }

    /// Subscribes to how the client stands with its server, beginning with how it stands now.
    pub fn observe_connection(&self, listener: Arc<dyn ConnectionListener>) -> Result<Arc<Subscription>, RcsealError> {
        connection::start(&self.inner(), listener)
    }
}

/// Notes that a listener failed. What it said is the app's own and stays there.
fn note(outcome: Result<(), ListenerError>) {
    if outcome.is_err() {
        tracing::warn!(event = "listener_failed", code = "sdk.listener");
    }
}

/// The message that an event is about, and what happened to it.
fn message_of(event: &Event) -> Option<(MessageChange, thread::MessageName)> {
    match *event {
        Event::MessageReceived { conversation, sender, message } => {
            Some((MessageChange::Received, (conversation, sender, message)))
        }
        Event::MessageChanged { conversation, sender, message } => {
            Some((MessageChange::Changed, (conversation, sender, message)))
        }
        _ => None,
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("is_cancelled", &*self.cancelled.borrow()).finish()
    }
}
