//! The SIP core of a carrier: a real trunk, by datagrams on loopback, behind which a simulated carrier lies.
//!
//! A broker that is started with this core as the other end of its trunk serves numbers for which the carrier has no phone. What the
//! carrier delivers to them leaves as SIP messages in the sender's name; what the broker sends in the name of one of them enters the
//! carrier as if a phone had sent it. One core serves several carriers, because a broker has one trunk and each cell of the matrix a
//! carrier of its own: the number says which.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use rcseal_carrier::sip::{Access, Config, PagerMessage, Peer, StartError, Trunk, UserAgent, Wire};
use rcseal_carrier::transport::{Answer, Inbound};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Sender, Taken};
use tokio::task::AbortHandle;

use super::mangle::Passing;
use super::{DOMAIN, SimCarrier};

/// The core's own number, which stands in its contact.
pub const CORE_NUMBER: &str = "+14152999999";

/// How long an answer of the broker's is waited for.
const ANSWER: Duration = Duration::from_secs(10);
/// Messages that are never answered, as silent carriers do it, and kept so that nothing else answers them.
const UNANSWERED_MAX: usize = 4096;

/// The other end of a broker's trunk.
pub struct Core {
    agent: Arc<UserAgent>,
    homes: Mutex<HashMap<PhoneNumber, Weak<SimCarrier>>>,
    unanswered: Mutex<Vec<Inbound>>,
    serving: Mutex<Option<AbortHandle>>,
}

impl Core {
    /// Opens the trunk at a local address, towards the broker's.
    ///
    /// # Errors
    /// Those of the user agent.
    ///
    /// # Panics
    /// Never: its number and domain are constants of the right form.
    pub async fn start(local: SocketAddr, broker: SocketAddr) -> Result<Arc<Self>, StartError> {
        let own: PhoneNumber = CORE_NUMBER.parse().expect("a constant of the right form");
        let domain = DOMAIN.parse().expect("a constant of the right form");
        let peer = Peer { host: broker.ip().to_string(), port: broker.port() };
        let mut config = Config::new(own, domain, peer, Wire::Udp, Access::Trunk(Trunk::default()));
        config.local = local;
        config.timers.answer = ANSWER;
        let agent = Arc::new(UserAgent::start(config).await?);
        let core = Arc::new(Self {
            agent: Arc::clone(&agent),
            homes: Mutex::default(),
            unanswered: Mutex::default(),
            serving: Mutex::default(),
        });
        let serving = tokio::spawn(serve(agent, Arc::downgrade(&core))).abort_handle();
        *core.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
        Ok(core)
    }

    /// A number behind this core joins a carrier.
    pub fn join(self: &Arc<Self>, number: &PhoneNumber, carrier: &Arc<SimCarrier>) {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).insert(number.clone(), Arc::downgrade(carrier));
        carrier.attach_core(number, self);
    }

    /// Brings a message of the carrier's to the broker, in its sender's name. A core that does not know who sends asserts its own number.
    ///
    /// # Errors
    /// [`SendFailure`]: what the broker answered, or that it did not.
    pub async fn bring(&self, to: &PhoneNumber, passing: Passing) -> Result<Taken, SendFailure> {
        let message = PagerMessage {
            to: to.clone(),
            content_type: passing.content_type,
            body: Bytes::from(passing.body),
            conversation: None,
        };
        let from = match passing.from {
            Sender::Asserted(from) | Sender::Claimed(from) => from,
            Sender::Anonymous => self.agent.own().clone(),
        };
        self.agent.encoded_message_from(&from, message, passing.content_encoding).await
    }

    fn home(&self, of: &PhoneNumber) -> Option<Arc<SimCarrier>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(of).and_then(Weak::upgrade)
    }

    /// What the broker sends.
    async fn take(&self, inbound: Inbound) {
        let (Sender::Asserted(from) | Sender::Claimed(from), Some(to)) = (&inbound.from, &inbound.to) else {
            return inbound.answer(Answer::Malformed);
        };
        let Some(carrier) = self.home(from) else { return inbound.answer(Answer::NotFound) };
        let answer = match carrier.carry(from, to, inbound.body.clone()).await {
            Ok(Taken::Answered | Taken::Stored) => Answer::Accepted,
            Err(SendFailure::UnsupportedMedia) => Answer::UnsupportedMedia,
            Err(SendFailure::TooLarge) => Answer::TooLarge,
            Err(SendFailure::NotFound) => Answer::NotFound,
            Err(SendFailure::Busy { .. }) => Answer::TryLater,
            Err(SendFailure::NoAnswer) => {
                let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
                if unanswered.len() < UNANSWERED_MAX {
                    unanswered.push(inbound);
                }
                return;
            }
            Err(_) => Answer::Malformed,
        };
        inbound.answer(answer);
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let serving = self.serving.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(serving) = serving.take() {
            serving.abort();
        }
    }
}

/// Takes in what the broker sends, until the core is gone.
async fn serve(agent: Arc<UserAgent>, core: Weak<Core>) {
    while let Some(inbound) = agent.receive().await {
        let Some(core) = core.upgrade() else { return };
        tokio::spawn(async move { core.take(inbound).await });
    }
}
