//! Business traffic: messages of agents to people who have no app yet, and what providers and SMS gateways report of them.
//!
//! | module | what |
//! |---|---|
//! | `tenant` | who may ask, by which key, in the name of which agents |
//! | `request` | what a tenant asks for, as a provider takes it; the row of a message |
//! | `runner` | a message's life: provider first, one SMS at most, through restarts |
//! | `told` | what tenants are told |
//! | `http` | the tenants' routes, and the providers' |
//! | `sms` | the SMS gateway: for fall-backs, for one-time codes, for what comes in |
//! | `setup` | providers and gateways out of the configuration |
//!
//! Everything here can be read by the broker, the provider and the recipient's carrier. It exists for what a business sends that way already,
//! and for the card that leads out of it into an end-to-end conversation. What decides between a message and its SMS is
//! `rcseal_carrier::fallback`, which has no clock and no disk; this module gives it both, and makes every step durable before it acts on it.

pub(crate) mod config;
pub(crate) mod http;
pub(crate) mod metrics;
mod request;
mod runner;
pub(crate) mod setup;
mod sms;
mod tenant;
mod told;

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::sms::SmsGateway;
use rcseal_carrier::sms::http_gateway::HttpGateway;
use rcseal_front::clock::Clock;
use rcseal_store::{BrokerStore, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::sms::SmsCodes;

use self::metrics::BusinessMetrics;
use self::runner::Runner;
use self::setup::Ways;
use self::tenant::Tenants;

/// How long a stop waits for providers and gateways that are being asked.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What business traffic is given.
pub(crate) struct BusinessParts {
    /// Where messages and events are kept.
    pub(crate) store: Arc<dyn BrokerStore>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What is counted.
    pub(crate) metrics: BusinessMetrics,
}

/// Business traffic, running.
pub(crate) struct Business {
    tenants: Tenants,
    runner: Arc<Runner>,
    gateway: Option<Arc<dyn SmsGateway>>,
    callbacks: Option<Arc<HttpGateway>>,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Business {
    /// Takes messages up where the last run left them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn start(ways: Ways, parts: BusinessParts) -> Result<Arc<Self>, StoreError> {
        let Ways { tenants, agents, gateway, callbacks, sender } = ways;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let runner = Arc::new(Runner::new(
            runner::Parts {
                store: parts.store,
                clock: Arc::clone(&parts.clock),
                metrics: parts.metrics,
                agents,
                gateway: gateway.clone().zip(sender),
            },
            tasks.clone(),
        ));
        runner.resume().await?;
        tasks.spawn(runner::keep_time(Arc::clone(&runner), stopping.clone()));
        if let Some(gateway) = gateway.clone() {
            tasks.spawn(runner::take_reports(Arc::clone(&runner), gateway, stopping.clone()));
        }
        Ok(Arc::new(Self { tenants, runner, gateway, callbacks, clock: parts.clock, stopping, tasks }))
    }

    /// The SMS gateway, if there is one.
    pub(crate) fn gateway(&self) -> Option<&Arc<dyn SmsGateway>> {
        self.gateway.as_ref()
    }

    /// Periodic work. Answers whether there is more to do at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn sweep(&self) -> Result<bool, StoreError> {
        self.tenants.tidy();
        self.runner.sweep().await
    }

    /// Begins nothing more, and waits for what is under way: a send that has left is noted down.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        if let Some(callbacks) = &self.callbacks {
            callbacks.close();
        }
        self.tasks.close();
        if timeout(STOP_PATIENCE, self.tasks.wait()).await.is_err() {
            // Their rows say what was under way; the next run takes it up.
            tracing::warn!(left = self.tasks.len(), "business.stopped_early");
        }
    }
}

impl std::fmt::Debug for Business {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Business").finish_non_exhaustive()
    }
}
