//! The way between carriers and mailboxes.
//!
//! | module | what |
//! |---|---|
//! | `inbound` | from a carrier to the mailbox of the device that a number is bound to |
//! | `outbound` | from a device to a carrier, in the name of its number |
//! | `trunk` | the SIP trunk, both ways |
//! | `relay` | submitting to relays |
//! | `queue` | what waits for a relay, and parts that wait for each other |
//! | `route` | where a number leads |
//! | `arrival` | what came in, and the ids that follow from it |
//! | `turns` | one at a time of those that are the same message |
//! | `notice` | the broker's own notices to devices |
//!
//! A broker reads no mail. An envelope passes through it as it is; what it could read when it came in, plain words and receipts, leaves it
//! sealed to one device. It can delay and drop, and it can be repeated into: the ids that follow from content make every copy the relay's
//! duplicate. What it cannot do is shown by `docs/threat-model.md`.

mod arrival;
pub(crate) mod config;
pub(crate) mod http;
mod inbound;
pub(crate) mod metrics;
mod notice;
mod outbound;
mod queue;
mod recent;
pub(crate) mod relay;
pub(crate) mod route;
mod trunk;
mod turns;

use std::sync::Arc;

use rcseal_carrier::sip_transport::SipTransport;
use rcseal_carrier::sms::{Arrived, InboundSms, SenderId, SmsGateway};
use rcseal_front::clock::Clock;
use rcseal_store::{BrokerStore, StoreError};
use rcseal_wire::carrier_delivery::{CarrierChannel, DeliverySender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::arrival::Arrival;
use self::config::{ForwardConfig, TrunkError};
use self::inbound::{Inbound, InboundLimits, Refused};
use self::metrics::ForwardMetrics;
use self::outbound::Outbound;
use self::relay::{Relays, TlsOf};
use self::route::Routes;

/// What forwarding is given.
pub(crate) struct ForwardParts {
    /// Where numbers lead.
    pub(crate) routes: Arc<dyn Routes>,
    /// Where parts and what waits are kept.
    pub(crate) store: Arc<dyn BrokerStore>,
    /// Whom we trust as a relay.
    pub(crate) tls: TlsOf,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What is counted.
    pub(crate) metrics: ForwardMetrics,
}

/// Everything that forwards, running.
pub(crate) struct Forwarding {
    inbound: Arc<Inbound>,
    outbound: Outbound,
    trunk: Option<Arc<SipTransport>>,
    stopping: CancellationToken,
    tasks: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Forwarding {
    /// Opens the trunk, if there is one, and begins to work off what waits.
    ///
    /// # Errors
    /// [`TrunkError`].
    pub(crate) async fn start(config: &ForwardConfig, parts: ForwardParts) -> Result<Arc<Self>, TrunkError> {
        let ForwardParts { routes, store, tls, clock, metrics } = parts;
        let limits =
            InboundLimits { per_sender: config.per_sender_per_minute, per_recipient: config.per_recipient_per_minute };
        let trunk = match &config.trunk {
            Some(trunk) => Some(SipTransport::start(trunk.transport()?).await.map_err(TrunkError::Transport)?),
            None => None,
        };
        let outbound = Outbound::new(
            Arc::clone(&routes),
            Arc::clone(&store),
            Arc::clone(&clock),
            metrics.clone(),
            trunk.clone(),
            config.outbound_per_device_per_minute,
        );
        let inbound = Arc::new(Inbound::new(routes, store, Relays::new(tls), clock, metrics, limits));
        let stopping = CancellationToken::new();
        let mut tasks = vec![tokio::spawn(queue::run(Arc::clone(&inbound), stopping.clone()))];
        if let Some(transport) = &trunk {
            let (transport, inbound) = (Arc::clone(transport), Arc::clone(&inbound));
            tasks.push(tokio::spawn(trunk::run(transport, inbound, stopping.clone())));
        }
        Ok(Arc::new(Self { inbound, outbound, trunk, stopping, tasks: tokio::sync::Mutex::new(tasks) }))
    }

    /// Periodic work: parts that stay alone, rows that are over. Answers whether there is more to do at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn sweep(&self) -> Result<bool, StoreError> {
        self.outbound.tidy();
        queue::sweep(&self.inbound).await
    }

    /// An SMS for one of our numbers. `false`: the gateway should bring it again.
    pub(crate) async fn take_sms(&self, sms: &InboundSms, is_asserted: bool) -> bool {
        let Some(to) = sms.to_number().as_ref().and_then(arrival::e164) else { return true };
        let number = match &sms.from {
            SenderId::Number(number) => arrival::e164(number),
            SenderId::Name(_) | SenderId::Short(_) => None,
        };
        let from = match number {
            Some(number) if is_asserted => DeliverySender::Asserted(number),
            Some(number) => DeliverySender::Claimed(number),
            None => DeliverySender::Anonymous,
        };
        let arrival = Arrival {
            to,
            from,
            channel: CarrierChannel::Sms,
            content_type: rcseal_rcs::chat::TEXT_CONTENT_TYPE.to_owned(),
            content_encoding: None,
            body: sms.text.clone().into_bytes(),
            // Without a name of the gateway's, its time tells two equal words apart.
            reference: Some(match &sms.gateway_id {
                Some(id) => id.as_str().to_owned(),
                None => sms.received_at_ms.to_string(),
            }),
        };
        match self.inbound.take(arrival).await {
            Ok(_) | Err(Refused::UnknownNumber | Refused::TooLarge) => true,
            Err(Refused::TooMuch | Refused::Full | Refused::Store(_)) => false,
        }
    }

    /// Takes what an SMS gateway brings until it closes or we stop.
    pub(crate) async fn attach_sms(self: &Arc<Self>, gateway: Arc<dyn SmsGateway>) {
        let this = Arc::clone(self);
        self.tasks.lock().await.push(tokio::spawn(async move { this.take_all_sms(gateway).await }));
    }

    async fn take_all_sms(&self, gateway: Arc<dyn SmsGateway>) {
        loop {
            let arrived: Option<Arrived<InboundSms>> = tokio::select! {
                () = self.stopping.cancelled() => return,
                arrived = gateway.receive() => arrived,
            };
            let Some(arrived) = arrived else { return };
            if self.take_sms(arrived.item(), false).await {
                drop(arrived.accept());
            }
        }
    }

    /// Takes nothing more in, and finishes what is being worked on.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        if let Some(trunk) = &self.trunk {
            trunk.close();
        }
        for task in self.tasks.lock().await.drain(..) {
            let _ = task.await;
        }
    }
}

impl std::fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarding").finish_non_exhaustive()
    }
}
