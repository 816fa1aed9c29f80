//! A stack that the host brings: CPIM in, CPIM out.
//!
//! On a phone an application cannot register with an RCS network; the stack of the phone's maker or of a system's provider application
//! can. Such a host lends its stack by two callbacks ([`HostCallbacks`]) and hands over what it receives ([`HostStack::deliver_cpim`]).
//! Bodies are whole CPIM messages (RFC 3862), as a SIP MESSAGE or an MSRP SEND carries them: the host adds and removes the outer layer
//! and nothing else. It never sees a key and never a readable message.
//!
//! The host answers its network only with what [`HostStack::deliver_cpim`] returned, which is after the message is durable here. All
//! queues are bounded, and a full one says "later".

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rcseal_rcs::number::{Domain, PhoneNumber};
use rcseal_rcs::transport::{CarrierMessage, SendFailure, Sender, Taken, TransportProfile};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::inbox::{Inbox, InboxLimits};
use crate::outbound;
use crate::transport::{Answer, CarrierCapabilities, Inbound, Transport};

/// The media type of every body between a host and us.
pub const CPIM: &str = rcseal_rcs::cpim::CONTENT_TYPE;

/// Messages that wait for the application: as many as a phone gets in one burst after it was offline.
const WAITING_MAX: usize = 256;

/// Bytes of unanswered messages: a few of the largest that one MSRP session carries.
const BYTES_MAX: u32 = 16 << 20;

/// Sends under way at once. A stack of a phone works them off one after another anyhow.
const SENDS_MAX: usize = 16;

/// What a host's stack does for us. Calls come from several tasks at once, at most 16 sends at a time.
#[async_trait]
pub trait HostCallbacks: Send + Sync {
    /// Sends a CPIM message and returns what the network said: 200 is [`Taken::Answered`], 202 is [`Taken::Stored`].
    ///
    /// # Errors
    /// [`SendFailure`], by the status where there was one.
    async fn send_cpim(&self, to: &PhoneNumber, cpim: Vec<u8>) -> Result<Taken, SendFailure>;

    /// Asks the network what the far end can do (OPTIONS or presence) and returns the feature tags as they arrived.
    ///
    /// # Errors
    /// [`SendFailure`].
    async fn query_capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure>;
}

/// What a host says of itself.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The number that the stack is registered with.
    pub own: PhoneNumber,
    /// The carrier's domain, which numbers are written with inside the message.
    pub domain: Domain,
    /// What the stack can carry.
    pub profile: TransportProfile,
    /// How long a callback may take. After it the send counts as unanswered, though the message may have arrived.
    pub callback_patience: Duration,
    /// How long the application may take to make a message durable.
    pub answer_patience: Duration,
}

impl HostConfig {
    /// A configuration with usual times: 40 s for a callback (a SIP transaction ends after 32 s), 20 s for an answer. Numbers are written
    /// with a domain that is nobody's, since receivers go by the number the network asserts.
    #[must_use]
    pub fn new(own: PhoneNumber, profile: TransportProfile) -> Self {
        let domain = "carrier.invalid".parse().expect("a host name");
        Self {
            own,
            domain,
            profile,
            callback_patience: Duration::from_secs(40),
            answer_patience: Duration::from_secs(20),
        }
    }
}

/// A host's own RCS stack as a [`Transport`].
pub struct HostStack {
    config: HostConfig,
    callbacks: Arc<dyn HostCallbacks>,
    sends: Semaphore,
    inbox: Inbox,
}

impl HostStack {
    /// A transport over a host's callbacks.
    #[must_use]
    pub fn new(config: HostConfig, callbacks: Arc<dyn HostCallbacks>) -> Arc<Self> {
        let limits = InboxLimits {
            waiting_max: WAITING_MAX,
            body_len_max: config.profile.body_len_max.saturating_add(outbound::WRAPPER_LEN_MAX),
            bytes_max: BYTES_MAX,
        };
        Arc::new(Self { config, callbacks, sends: Semaphore::new(SENDS_MAX), inbox: Inbox::new(limits) })
    }

    /// Hands over a CPIM message that the host received, and returns what the host shall answer its network.
    ///
    /// `from` is [`Sender::Asserted`] only if the network vouches for the number, [`Sender::Claimed`] if it stands only in the message.
    pub async fn deliver_cpim(&self, from: Sender, cpim: Vec<u8>) -> Answer {
        self.deliver(from, CPIM.to_owned(), None, cpim).await
    }

    /// Hands over a message of any media type: some peers send receipts bare or deflated.
    pub async fn deliver(
        &self,
        from: Sender,
        content_type: String,
        content_encoding: Option<String>,
        body: Vec<u8>,
    ) -> Answer {
        self.inbox.put(from, None, content_type, content_encoding, body, self.config.answer_patience).await
    }

    /// The host's stack is gone for good: nothing more comes in, and every send fails.
    pub fn close(&self) {
        self.inbox.close();
        self.sends.close();
    }
}

#[async_trait]
impl Transport for HostStack {
    fn profile(&self) -> TransportProfile {
        self.config.profile.clone()
    }

    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure> {
        outbound::check(&self.config.profile, &message)?;
        let to = message.to.clone();
        let cpim = outbound::to_cpim(&message, &self.config.own, &self.config.domain)?;
        let _turn = self.sends.acquire().await.map_err(|_| SendFailure::Unreachable)?;
        timeout(self.config.callback_patience, self.callbacks.send_cpim(&to, cpim))
            .await
            .unwrap_or(Err(SendFailure::NoAnswer))
    }

    async fn capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        if self.sends.is_closed() {
            return Err(SendFailure::Unreachable);
        }
        timeout(self.config.callback_patience, self.callbacks.query_capabilities(of))
            .await
            .unwrap_or(Err(SendFailure::NoAnswer))
    }

    async fn receive(&self) -> Option<Inbound> {
        self.inbox.next().await
    }
}

impl std::fmt::Debug for HostStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostStack").field("own", &self.config.own).finish_non_exhaustive()
    }
}
