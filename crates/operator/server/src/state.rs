//! What every handler shares: configuration, clock, stores, limiters, metrics and the signal to stop.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use rcseal_front::body::BodyBudget;
use rcseal_front::clock::Clock;
use rcseal_front::login::Login;
use rcseal_front::slots::Slots;
use rcseal_store::{Blobs, Store};

use rcseal_wire::id::AccountId;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::config::Config;
use crate::limiter::Limiters;
use crate::link::LinkWaiters;
use crate::mailbox;
use crate::metrics::Metrics;
use crate::push::{PushSink, Waker};
use crate::retained::ServerEncryption;
use crate::takeover::Schedule;
use crate::watch::Watcher;

/// Departures that a slow listener may miss before it is told that it missed some, and must look devices up itself.
const DEPARTURES_MAX: usize = 256;

/// A cheap handle to [`Shared`]; the state of every axum handler.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

/// The shared parts.
pub(crate) struct Shared {
    /// As loaded; never changes while the server runs.
    pub(crate) config: Config,
    /// What clients sign at login, and how their tokens are made.
    pub(crate) login: Login,
    /// Wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Mailboxes, directory, accounts, links.
    pub(crate) store: Arc<dyn Store>,
    /// Bytes of blobs, with their index.
    pub(crate) blobs: Blobs,
    /// Open delivery connections, and how they learn of new messages.
    pub(crate) mailboxes: Arc<mailbox::Registry>,
    /// Decides who may register.
    pub(crate) admission: Box<dyn Admission>,
    /// Rate limits.
    pub(crate) limiters: Limiters,
    /// Memory for bodies that are being read.
    pub(crate) bodies: BodyBudget,
    /// Places for running uploads, by account.
    pub(crate) uploads: Slots<AccountId>,
    /// Places for running downloads, by address.
    pub(crate) downloads: Slots<IpAddr>,
    /// When the next reset falls due.
    pub(crate) resets: Schedule,
    /// Requests that wait for a link message.
    pub(crate) link_waiters: LinkWaiters,
    /// Where the operator turned it on: the key that this server reads messages with.
    pub(crate) server_encryption: Option<ServerEncryption>,
    /// Mailboxes whose devices may have to be woken.
    pub(crate) waker: Arc<Waker>,
    /// Where wake-ups go; without one nobody is woken.
    pub(crate) push_sink: Option<Arc<dyn PushSink>>,
    /// The metrics table.
    pub(crate) metrics: Arc<Metrics>,
    /// Accounts that devices have left, or may have: whoever serves one of their devices looks whether it is still there.
    pub(crate) departures: broadcast::Sender<AccountId>,
    /// Is shown what is submitted, in a demonstration.
    pub(crate) watcher: Option<Arc<dyn Watcher>>,
    /// Cancelled when the server stops.
    pub(crate) stopping: CancellationToken,
}

impl AppState {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A channel for [`Shared::departures`].
pub(crate) fn departure_channel() -> broadcast::Sender<AccountId> {
    broadcast::channel(DEPARTURES_MAX).0
}
