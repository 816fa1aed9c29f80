//! The user agent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::Rng as _;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, SendFailure, Taken};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::{Access, Config, ICSI_MESSAGE, StartError, Wire};
use super::dialog::{Dialog, Dialogs, IncomingInvite};
use super::link::{self, Connection};
use super::lock;
use super::message::{HEAD_LEN_MAX, Method};
use super::register::{self, Registration};
use super::request::{Authorizations, Draft};
use super::table::{Clients, Servers};
use super::trouble::WayTrouble;
use super::{dialog, field};
use crate::transport::{CarrierCapabilities, Inbound};

/// Contacts and parameters of one that are read from an answer.
const CONTACTS_MAX: usize = 32;
const PARAMETERS_MAX: usize = 64;

/// Sessions that wait for us to take them.
const INVITES_MAX: usize = 32;

/// Bytes of messages that came in and were not answered; more are answered with 503.
const INBOUND_LEN_MAX: usize = 16 << 20;

/// Acknowledgements of refused INVITEs that are kept for retransmitted refusals.
const ACKS_MAX: usize = 64;

/// What all tasks of a user agent share.
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) way: watch::Sender<Option<Arc<Connection>>>,
    /// Why there was no way when it was looked at last. Whoever waits for one is told of tries that failed.
    pub(super) trouble: watch::Sender<Option<WayTrouble>>,
    /// Somebody waits for a way: the next try need not wait.
    pub(super) wanted: Notify,
    pub(super) clients: Clients,
    pub(super) servers: Servers,
    pub(super) pending: Semaphore,
    pub(super) authorizations: Authorizations,
    pub(super) registration: watch::Sender<Registration>,
    /// The route that the registrar told us (RFC 3608).
    pub(super) service_route: Mutex<Vec<String>>,
    /// The contact that the registrar has.
    pub(super) registered_contact: Mutex<Option<String>>,
    pub(super) inbound: mpsc::Sender<Inbound>,
    /// Bytes that messages may still hold before they are answered.
    pub(super) inbound_room: Arc<Semaphore>,
    pub(super) invites: mpsc::Sender<IncomingInvite>,
    pub(super) dialogs: Dialogs,
    pub(super) refused_acks: Mutex<VecDeque<(String, Bytes)>>,
}

impl Core {
    /// The open way, waiting for it as long as a connection may take, or until a try to open it has failed: another way is open to who sends,
    /// and waiting for the next try would only keep them from it.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, SendFailure> {
        let mut trouble = self.trouble.subscribe();
        if let Some(connection) = self.way.borrow().as_ref() {
            return Ok(Arc::clone(connection));
        }
        let mut way = self.way.subscribe();
        self.wanted.notify_one();
        let opened = async { way.wait_for(Option::is_some).await.ok().and_then(|way| way.clone()) };
        let waiting = async {
            tokio::select! {
                biased;
                connection = opened => connection,
                _ = trouble.changed() => None,
            }
        };
        timeout(self.config.timers.connect, waiting).await.ok().flatten().ok_or(SendFailure::Unreachable)
    }

    /// Our contact on a way, without parameters of the header.
    pub(super) fn contact_uri(&self, connection: &Connection) -> String {
        let transport = match self.config.wire {
            Wire::Udp => "",
            Wire::Tcp => ";transport=tcp",
            Wire::Tls(_) => ";transport=tls",
        };
        format!("sip:{}@{}{transport}", self.config.own.as_str(), self.reachable_at(connection))
    }

    /// Where the peer reaches us: on a trunk that listens, where it listens.
    fn reachable_at(&self, connection: &Connection) -> SocketAddr {
        let listens = self.config.trunk().is_some_and(|trunk| trunk.listens);
        let port = if listens && connection.is_reliable { self.config.local.port() } else { connection.local.port() };
        SocketAddr::new(connection.local.ip(), port)
    }

    /// The value of `Contact` as peers see it, with what this device can do.
    pub(super) fn contact(&self, connection: &Connection) -> String {
        self.contact_with(connection, None)
    }

    /// The value of `Contact` as the registrar sees it. The device's id is for it alone: peers would know the device by it again, wherever it
    /// is and whatever its number.
    pub(super) fn registrars_contact(&self, connection: &Connection) -> String {
        self.contact_with(connection, self.config.instance)
    }

    fn contact_with(&self, connection: &Connection, instance: Option<[u8; 16]>) -> String {
        let mut value = format!("<{}>", self.contact_uri(connection));
        if let Some(instance) = instance {
            value.push_str(&format!(
                ";+sip.instance=\"<urn:uuid:{}>\"",
                CarrierMessageId::from_random(instance).as_str()
            ));
        }
        for tag in &self.config.feature_tags {
            value.push(';');
            value.push_str(tag);
        }
        value
    }

    /// The route of a request outside dialogs.
    pub(super) fn route(&self) -> Vec<String> {
        match self.config.trunk() {
            Some(trunk) => trunk.route.clone(),
            None => lock(&self.service_route).clone(),
        }
    }

    /// Remembers how a refusal is acknowledged.
    pub(super) fn keep_ack(&self, branch: String, ack: Bytes) {
        let mut acks = lock(&self.refused_acks);
        if acks.len() >= ACKS_MAX {
            acks.pop_front();
        }
        acks.push_back((branch, ack));
    }
}

/// A random text for branches, tags and call ids: 96 bits, so that nobody off the path can answer for the carrier.
pub(super) fn token() -> String {
    let mut random = [0; 12];
    rand::rng().fill_bytes(&mut random);
    hex::encode(random)
}

/// A message to send in pager mode.
#[derive(Debug, Clone)]
pub struct PagerMessage {
    /// To whom.
    pub to: PhoneNumber,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// The conversation it is of (`Conversation-ID`): the same for all messages of one.
    pub conversation: Option<[u8; 16]>,
}

/// A SIP user agent with one way to one carrier. Dropping it ends everything it does, without a word to the carrier.
pub struct UserAgent {
    core: Arc<Core>,
    inbound: AsyncMutex<mpsc::Receiver<Inbound>>,
    invites: AsyncMutex<mpsc::Receiver<IncomingInvite>>,
    tasks: Vec<JoinHandle<()>>,
}

impl UserAgent {
    /// Opens its sockets and begins to make its way to the carrier. It does not wait for that: a carrier out of reach is no reason not to
    /// start. Must be called on a runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        config.check()?;
        let socket = if config.wire.is_reliable() {
            None
        } else {
            let socket = UdpSocket::bind(config.local).await.map_err(StartError::Bind)?;
            config.local = socket.local_addr().map_err(StartError::Bind)?;
            Some(Arc::new(socket))
        };
        let listens = config.wire.is_reliable() && config.trunk().is_some_and(|trunk| trunk.listens);
        let listener = if listens {
            let listener = TcpListener::bind(config.local).await.map_err(StartError::Bind)?;
            config.local = listener.local_addr().map_err(StartError::Bind)?;
            Some(listener)
        } else {
            None
        };
        let limits = config.limits;
        let (inbound, inbound_receiver) = mpsc::channel(limits.inbound_max.max(1));
        // One of the longest always fits.
        let inbound_len_max = INBOUND_LEN_MAX.max(limits.body_len_max.saturating_add(HEAD_LEN_MAX));
        let (invites, invites_receiver) = mpsc::channel(INVITES_MAX);
        let core = Arc::new(Core {
            config,
            way: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            wanted: Notify::new(),
            clients: Clients::default(),
            servers: Servers::new(limits.processing_max, limits.answers_max),
            pending: Semaphore::new(limits.pending_max.clamp(1, Semaphore::MAX_PERMITS)),
            authorizations: Authorizations::default(),
            registration: watch::Sender::new(Registration::None),
            service_route: Mutex::default(),
            registered_contact: Mutex::default(),
            inbound,
            inbound_room: Arc::new(Semaphore::new(inbound_len_max.min(Semaphore::MAX_PERMITS))),
            invites,
            dialogs: Dialogs::new(limits.dialogs_max),
            refused_acks: Mutex::default(),
        });
        let mut tasks = vec![
            tokio::spawn(link::supervise(Arc::clone(&core), socket)),
            tokio::spawn(register::keep(Arc::clone(&core))),
        ];
        tasks.extend(listener.map(|listener| tokio::spawn(link::listen(Arc::clone(&core), listener))));
        Ok(Self { core, inbound: AsyncMutex::new(inbound_receiver), invites: AsyncMutex::new(invites_receiver), tasks })
    }

    /// Our number.
    #[must_use]
    pub fn own(&self) -> &PhoneNumber {
        &self.core.config.own
    }

    /// Our address on the way to the carrier, which a session description may name; `None` while there is no way.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.core.way.borrow().as_ref().map(|connection| connection.local)
    }

    /// The carrier's address on that way.
    #[must_use]
    pub fn carrier_address(&self) -> Option<SocketAddr> {
        self.core.way.borrow().as_ref().map(|connection| connection.peer)
    }

    /// Why there is no way to the carrier; `None` while there is one, and before the first try has ended.
    #[must_use]
    pub fn trouble(&self) -> Option<WayTrouble> {
        if self.core.way.borrow().is_some() { None } else { *self.core.trouble.borrow() }
    }

    /// How the registration stands.
    #[must_use]
    pub fn registration(&self) -> Registration {
        self.core.registration.borrow().clone()
    }

    /// Registers, and from then on renews the registration before it ends and after the way to the carrier was lost. Answers for how long
    /// the carrier has granted it. On a trunk, this is a third party's registration where the configuration says so, and nothing otherwise.
    ///
    /// # Errors
    /// [`SendFailure`]. A later call tries again.
    pub async fn register(&self) -> Result<Duration, SendFailure> {
        register::register(&self.core).await
    }

    /// Sends a message and waits for the answer. What it was asked to be taken as was taken by whoever answered: a proxy that stores for later
    /// answers 202, the far end 200. Neither says that a person has it, or could decrypt it.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn message(&self, message: PagerMessage) -> Result<Taken, SendFailure> {
        self.message_from(&self.core.config.own, message).await
    }

    /// The same in the name of one of the numbers that this trunk serves: `From` and `P-Asserted-Identity` say it.
    ///
    /// # Errors
    /// [`SendFailure`]; [`SendFailure::Unfit`] for another number than our own where this is no trunk.
    pub async fn message_from(&self, from: &PhoneNumber, message: PagerMessage) -> Result<Taken, SendFailure> {
        self.encoded_message_from(from, message, None).await
    }

    /// The same with a body that is encoded, as it came in from somebody else: `Content-Encoding` says how.
    ///
    /// # Errors
    /// As [`UserAgent::message_from`].
    pub async fn encoded_message_from(
        &self,
        from: &PhoneNumber,
        message: PagerMessage,
        content_encoding: Option<String>,
    ) -> Result<Taken, SendFailure> {
        self.check_sender(from)?;
        let mut draft = Draft::between(&self.core, Method::Message, from, &message.to);
        draft.extra.push(("Content-Type", message.content_type));
        draft.extra.extend(content_encoding.map(|encoding| ("Content-Encoding", encoding)));
        draft.service(&self.core, ICSI_MESSAGE);
        draft.conversation(message.conversation);
        draft.body = message.body;
        let answer = draft.send(&self.core).await?;
        match answer.start() {
            super::message::Start::Response { status: 202 } => Ok(Taken::Stored),
            _ => Ok(Taken::Answered),
        }
    }

    /// Asks what the far end can do. The answer is the far end's word, unauthenticated.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn options(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        let mut draft = Draft::new(&self.core, Method::Options, of);
        let connection = self.core.connection().await?;
        draft.extra.push(("Contact", self.core.contact(&connection)));
        draft.extra.push(("Accept", "message/cpim, application/sdp".to_owned()));
        draft.service(&self.core, ICSI_MESSAGE);
        let answer = draft.send(&self.core).await?;
        let contacts = answer.list("Contact").take(CONTACTS_MAX).filter_map(field::NameAddr::parse).map(|contact| {
            let write = |(name, value): (&str, Option<&str>)| match value {
                Some(value) => format!("{name}={value}"),
                None => name.to_owned(),
            };
            field::parameters(contact.parameters).take(PARAMETERS_MAX).map(write).collect()
        });
        Ok(CarrierCapabilities { contacts: contacts.collect() })
    }

    /// The next message. Its answer is the carrier's answer: what is dropped unanswered is answered with 503 and comes again.
    pub async fn receive(&self) -> Option<Inbound> {
        self.inbound.lock().await.recv().await
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn invite(&self, to: &PhoneNumber, sdp: &[u8]) -> Result<Dialog, SendFailure> {
        self.invite_from(&self.core.config.own, to, sdp).await
    }

    /// The same in the name of one of the numbers that this trunk serves.
    ///
    /// # Errors
    /// [`SendFailure`]; [`SendFailure::Unfit`] for another number than our own where this is no trunk.
    pub async fn invite_from(&self, from: &PhoneNumber, to: &PhoneNumber, sdp: &[u8]) -> Result<Dialog, SendFailure> {
        self.check_sender(from)?;
        dialog::invite(&self.core, from, to, Bytes::copy_from_slice(sdp)).await
    }

    /// A subscriber writes in its own name only.
    fn check_sender(&self, from: &PhoneNumber) -> Result<(), SendFailure> {
        let may = self.core.config.trunk().is_some() || *from == self.core.config.own;
        if may { Ok(()) } else { Err(SendFailure::Unfit) }
    }

    /// The next session that somebody opens to us.
    pub async fn next_invite(&self) -> Option<IncomingInvite> {
        self.invites.lock().await.recv().await
    }

    /// Ends the registration, as far as the carrier can be reached, and stops.
    pub async fn close(self) {
        self.unregister().await;
    }

    /// Ends the registration, as far as the carrier can be reached: what comes is no longer sent here. [`Self::register`] begins another.
    pub async fn unregister(&self) {
        if matches!(self.core.config.access, Access::Register(_))
            && matches!(*self.core.registration.borrow(), Registration::Until(_))
        {
            // It ends by itself in time; this only says so sooner.
            let _ = timeout(self.core.config.timers.connect, register::unregister(&self.core)).await;
        }
    }
}

impl Drop for UserAgent {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl std::fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAgent").field("own", &self.core.config.own).finish_non_exhaustive()
    }
}
