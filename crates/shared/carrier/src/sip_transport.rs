//! SIP and MSRP as one [`Transport`].
//!
//! ```text
//! message ── CPIM ──┬── up to 1,300 bytes ──► MESSAGE (pager mode)
//!                   └── longer, or MESSAGE was too large ──► MSRP session: INVITE, connection, chunks
//! ```
//!
//! Which of the two is taken depends on the length of the final CPIM message. A session stays open for a while after its last message, one
//! for each number that we send to; a session that a peer opened is for its messages only, because who it claims to be is no reason to
//! send it something. What comes in either way is an [`Inbound`] that is answered to the network once it is durable; receipts are among
//! them and are handed up as they came.
//!
//! [`Taken::Answered`] says that the far end of the SIP transaction or of the MSRP session has the bytes. It is never delivery.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use rcseal_crypto::hash::sha256;
use rcseal_rcs::cpim;
use rcseal_rcs::msrp::Received;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::sdp;
use rcseal_rcs::text::MediaType;
use rcseal_rcs::transport::{CarrierMessage, CarrierMessageId, SendFailure, Sender, Taken, TransportProfile};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::inbox::{Inbox, InboxLimits};
use crate::msrp::{Endpoint, Inlet, Local, MsrpConfig, OpenError, Remote, Role, Session, SessionError};
use crate::outbound;
use crate::sip::{Config, Dialog, IncomingInvite, PagerMessage, StartError, UserAgent};
use crate::transport::{Answer, CarrierCapabilities, Inbound, Transport};

/// The longest CPIM message that goes as a SIP message, as deployed clients have it (RFC 3428, section 8).
pub const PAGER_LEN_MAX: usize = 1300;

/// What a wrapper of ours takes at most: addresses, an id, a date and a disposition. Verbatim headers come on top.
const WRAPPER_LEN: usize = 640;

/// Numbers whose sessions are remembered. Beyond them the first that has no session is forgotten.
const PEERS_MAX: usize = 256;

/// Sessions that one number has opened to us, at a time. Who it claims to be may be wrong; the bound of all holds then.
const SESSIONS_PER_NUMBER_MAX: usize = 4;

/// How long after the end of its connection a peer's BYE is waited for.
const BYE_PATIENCE: Duration = Duration::from_secs(5);

/// How often a session that is past its time is looked at while a message is still on its way.
const KEEP_STEP: Duration = Duration::from_millis(100);

/// Messages from sessions that wait for the application, and their bytes.
const WAITING_MAX: usize = 256;
const BYTES_MAX: u32 = 16 << 20;

/// The configuration of both halves.
pub struct SipTransportConfig {
    /// The user agent.
    pub agent: Config,
    /// Sessions; without them nothing longer than [`Self::pager_len_max`] is carried.
    pub msrp: Option<MsrpConfig>,
    /// Up to how many bytes of CPIM a message goes as a SIP message.
    pub pager_len_max: usize,
    /// Whether the carrier is known to carry bytes unchanged, and headers of the wrapper.
    pub is_transparent: bool,
    /// How many messages a blob may be cut into.
    pub parts_max: u16,
    /// How long a session is kept after its last message.
    pub idle: Duration,
    /// How long the application may take to make a message durable.
    pub answer_patience: Duration,
}

impl SipTransportConfig {
    /// The usual configuration: 1,300 bytes, a transparent carrier, sessions kept for two minutes.
    #[must_use]
    pub const fn new(agent: Config, msrp: Option<MsrpConfig>) -> Self {
        Self {
            agent,
            msrp,
            pager_len_max: PAGER_LEN_MAX,
            is_transparent: true,
            parts_max: 64,
            idle: Duration::from_secs(120),
            answer_patience: Duration::from_secs(20),
        }
    }
}

/// Why the transport does not start.
#[derive(Debug, thiserror::Error)]
pub enum SipTransportError {
    /// The user agent does not start.
    #[error("the user agent does not start")]
    Agent(#[source] StartError),
    /// Sessions cannot be taken.
    #[error("sessions cannot be taken")]
    Msrp(#[source] OpenError),
}

impl SipTransportError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Agent(_) => "sip_transport_agent",
            Self::Msrp(_) => "sip_transport_msrp",
        }
    }
}

/// A session of ours to one number.
struct Open {
    session: Session,
    last_used: Arc<Mutex<Instant>>,
    /// The largest message that the peer takes.
    len_max: Option<u64>,
}

type Slot = Arc<AsyncMutex<Option<Open>>>;

struct Inner {
    agent: UserAgent,
    endpoint: Option<Endpoint>,
    inbox: Arc<Inbox>,
    /// By our number and theirs.
    slots: Mutex<HashMap<(PhoneNumber, PhoneNumber), Slot>>,
    profile: TransportProfile,
    config: Settings,
    /// Makes conversation ids that are the same for one peer, and that nobody can tell a number from.
    conversation_key: [u8; 16],
}

/// What of the configuration is asked for again.
struct Settings {
    own: PhoneNumber,
    domain: rcseal_rcs::number::Domain,
    pager_len_max: usize,
    idle: Duration,
    answer_patience: Duration,
}

/// SIP and MSRP as one transport.
pub struct SipTransport {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

impl SipTransport {
    /// Starts the user agent and the listener for sessions. It does not register: [`UserAgent::register`] does.
    ///
    /// # Errors
    /// [`SipTransportError`].
    pub async fn start(config: SipTransportConfig) -> Result<Arc<Self>, SipTransportError> {
        let settings = Settings {
            own: config.agent.own.clone(),
            domain: config.agent.domain.clone(),
            pager_len_max: config.pager_len_max,
            idle: config.idle,
            answer_patience: config.answer_patience,
        };
        let agent = UserAgent::start(config.agent).await.map_err(SipTransportError::Agent)?;
        let endpoint = match config.msrp {
            Some(msrp) => Some(Endpoint::start(msrp).await.map_err(SipTransportError::Msrp)?),
            None => None,
        };
        let len_max = endpoint.as_ref().map_or(config.pager_len_max, Endpoint::message_len_max);
        let profile = TransportProfile {
            is_binary_safe: config.is_transparent,
            body_len_max: len_max.saturating_sub(WRAPPER_LEN),
            parts_max: config.parts_max,
            carries_headers: config.is_transparent,
            has_receipts: true,
        };
        let limits = InboxLimits { waiting_max: WAITING_MAX, body_len_max: len_max, bytes_max: BYTES_MAX };
        let mut conversation_key = [0; 16];
        rand::rng().fill_bytes(&mut conversation_key);
        let inner = Arc::new(Inner {
            agent,
            endpoint,
            inbox: Arc::new(Inbox::new(limits)),
            slots: Mutex::default(),
            profile,
            config: settings,
            conversation_key,
        });
        let tasks = vec![tokio::spawn(take_invites(Arc::clone(&inner)))];
        Ok(Arc::new(Self { inner, tasks }))
    }

    /// The user agent: to register, and to ask how the registration stands.
    #[must_use]
    pub fn agent(&self) -> &UserAgent {
        &self.inner.agent
    }

    /// Where sessions are taken, if they are.
    #[must_use]
    pub fn msrp_address(&self) -> Option<SocketAddr> {
        self.inner.endpoint.as_ref().map(Endpoint::address)
    }

    /// [`Transport::send`] in the name of one of the numbers that this trunk serves: the carrier is told that it is `from` who writes, and
    /// believes it. Who may write as whom is the caller's to know.
    ///
    /// # Errors
    /// [`SendFailure`]; [`SendFailure::Unfit`] for another number than our own where this is no trunk.
    pub async fn send_from(&self, from: &PhoneNumber, message: CarrierMessage) -> Result<Taken, SendFailure> {
        let inner = &self.inner;
        outbound::check(&inner.profile, &message)?;
        let cpim = outbound::to_cpim(&message, from, &inner.config.domain)?;
        if cpim.len() <= inner.config.pager_len_max {
            let pager = PagerMessage {
                to: message.to.clone(),
                content_type: cpim::CONTENT_TYPE.to_owned(),
                body: cpim.clone().into(),
                conversation: Some(inner.conversation(from, &message.to)),
            };
            match inner.agent.message_from(from, pager).await {
                // Somebody on the way takes less than that; a session has no such limit.
                Err(SendFailure::TooLarge) if inner.endpoint.is_some() => {}
                result => return result,
            }
        }
        inner.send_in_session(from, &message.to, &message.id, &cpim).await
    }

    /// Takes nothing more in; [`Transport::receive`] ends.
    pub fn close(&self) {
        self.inner.inbox.close();
    }
}

impl Drop for SipTransport {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for slot in self.inner.slots().values() {
            // A slot that is being opened right now ends when its sender does.
            if let Ok(mut open) = slot.try_lock() {
                open.take();
            }
        }
    }
}

impl std::fmt::Debug for SipTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipTransport").field("agent", &self.inner.agent).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for SipTransport {
    fn profile(&self) -> TransportProfile {
        self.inner.profile.clone()
    }

    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure> {
        self.send_from(&self.inner.config.own, message).await
    }

    async fn capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        self.inner.agent.options(of).await
    }

    async fn receive(&self) -> Option<Inbound> {
        tokio::select! {
            inbound = self.inner.inbox.next() => inbound,
            inbound = self.inner.agent.receive() => inbound,
        }
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, HashMap<(PhoneNumber, PhoneNumber), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conversation(&self, own: &PhoneNumber, with: &PhoneNumber) -> [u8; 16] {
        let digest = sha256(&[&self.conversation_key, own.as_str().as_bytes(), b" ", with.as_str().as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id
    }

    fn slot(&self, from: &PhoneNumber, to: &PhoneNumber) -> Slot {
        let (mut slots, key) = (self.slots(), (from.clone(), to.clone()));
        if slots.len() >= PEERS_MAX && !slots.contains_key(&key) {
            slots.retain(|_, slot| slot.try_lock().is_ok_and(|open| open.is_some()) || Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(key).or_default())
    }

    async fn send_in_session(
        self: &Arc<Self>,
        from: &PhoneNumber,
        to: &PhoneNumber,
        id: &CarrierMessageId,
        cpim: &[u8],
    ) -> Result<Taken, SendFailure> {
        let endpoint = self.endpoint.as_ref().ok_or(SendFailure::TooLarge)?;
        let content_type = MediaType::parse(cpim::CONTENT_TYPE).map_err(|_| SendFailure::Unfit)?;
        loop {
            let (session, is_fresh) = self.session(endpoint, from, to, cpim.len() as u64).await?;
            match session.send(id.clone(), content_type.clone(), cpim).await {
                Ok(()) => return Ok(Taken::Answered),
                // A kept session may have ended without our knowing. The message did not arrive, and a new session may do better.
                Err(SessionError::Ended | SessionError::Cut) if !is_fresh => session.end(),
                Err(error) => return Err(error.to_failure()),
            }
        }
    }

    /// The session to a number, opened if there is none, and whether it was opened just now.
    async fn session(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        from: &PhoneNumber,
        to: &PhoneNumber,
        len: u64,
    ) -> Result<(Session, bool), SendFailure> {
        let slot = self.slot(from, to);
        let mut open = slot.lock().await;
        if let Some(kept) = open.as_ref().filter(|kept| !kept.session.has_ended()) {
            *kept.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return if kept.len_max.is_some_and(|max| len > max) {
                Err(SendFailure::TooLarge)
            } else {
                Ok((kept.session.clone(), false))
            };
        }
        *open = None;
        let (session, dialog, len_max) = self.open(endpoint, from, to).await?;
        let last_used = Arc::new(Mutex::new(Instant::now()));
        tokio::spawn(keep(session.clone(), dialog, Arc::clone(&last_used), self.config.idle));
        *open = Some(Open { session: session.clone(), last_used, len_max });
        if len_max.is_some_and(|max| len > max) { Err(SendFailure::TooLarge) } else { Ok((session, true)) }
    }

    async fn open(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        from: &PhoneNumber,
        to: &PhoneNumber,
    ) -> Result<(Session, Dialog, Option<u64>), SendFailure> {
        let local = self.prepare(endpoint).await.map_err(open_failure)?;
        let description = describe(endpoint, &local).ok_or(SendFailure::Unfit)?;
        let offer = description.offer().map_err(|_| SendFailure::Unfit)?;
        let dialog = self.agent.invite_from(from, to, &offer.to_bytes()).await?;
        // From here on an error drops the dialog, which says BYE.
        let answer = sdp::Description::parse(dialog.remote_sdp()).map_err(|_| SendFailure::Refused { status: 488 })?;
        let role = description.conclude(&answer).map_err(|error| {
            tracing::debug!(code = error.code(), "session answer does not fit");
            SendFailure::Refused { status: 488 }
        })?;
        let inlet = self.inlet(Sender::Claimed(to.clone()), Some(from.clone()));
        let (remote, role) = remote_of(&answer, role);
        let session = endpoint.open(local, remote, role, inlet).await.map_err(open_failure)?;
        Ok((session, dialog, answer.max_size))
    }

    async fn prepare(&self, endpoint: &Endpoint) -> Result<Local, OpenError> {
        let mut local = endpoint.prepare_at(self.agent.local_address().map(|address| address.ip())).await?;
        if let Some(carrier) = self.agent.carrier_address() {
            local.known_by(carrier.ip());
        }
        Ok(local)
    }

    fn inlet(&self, from: Sender, to: Option<PhoneNumber>) -> Arc<dyn Inlet> {
        Arc::new(InboxInlet { from, to, inbox: Arc::clone(&self.inbox), patience: self.config.answer_patience })
    }

    /// A session that a peer opens.
    async fn take_invite(&self, invite: IncomingInvite) {
        let Some(endpoint) = &self.endpoint else { return invite.reject(488) };
        let Ok(offer) = sdp::Description::parse(invite.sdp()) else { return invite.reject(488) };
        let local = match self.prepare(endpoint).await {
            Ok(local) => local,
            Err(OpenError::TooManySessions) => return invite.reject(486),
            Err(_) => return invite.reject(500),
        };
        let answered = describe(endpoint, &local).and_then(|description| description.answer(&offer).ok());
        let Some((answer, role)) = answered else { return invite.reject(488) };
        let inlet = self.inlet(invite.from().clone(), invite.to().cloned());
        let Ok(dialog) = invite.accept(&answer.to_bytes()).await else { return };
        let (remote, role) = remote_of(&offer, role);
        match endpoint.open(local, remote, role, inlet).await {
            Ok(session) => {
                // The peer decides how long it keeps its session; both ends see when the other has gone.
                tokio::select! {
                    // Whoever closes the connection says BYE as well; only one that forgets it gets ours.
                    () = session.ended() => drop(timeout(BYE_PATIENCE, dialog.ended()).await),
                    () = dialog.ended() => session.end(),
                }
            }
            Err(error) => tracing::debug!(code = error.code(), "incoming session failed"),
        }
        // Its place is free once the far end knows: BYEs that nobody answers wait among our requests, and must not be many.
        let _ = dialog.bye().await;
    }
}

/// Ends a session of ours when it was not used for a while, or when either side ended it.
async fn keep(session: Session, dialog: Dialog, last_used: Arc<Mutex<Instant>>, idle: Duration) {
    loop {
        let until = *last_used.lock().unwrap_or_else(PoisonError::into_inner) + idle;
        if until <= Instant::now() && !session.is_sending() {
            break;
        }
        tokio::select! {
            () = session.ended() => break,
            () = dialog.ended() => break,
            () = sleep_until(until.max(Instant::now() + KEEP_STEP)) => {}
        }
    }
    session.end();
    let _ = dialog.bye().await;
}

/// Takes sessions that peers open. Aborted, it ends them.
async fn take_invites(inner: Arc<Inner>) {
    // Half of the places are ours: peers that open sessions do not keep us from sending.
    let incoming_max = inner.endpoint.as_ref().map_or(1, |endpoint| endpoint.sessions_max().div_ceil(2));
    let turns = Turns::default();
    let mut sessions = JoinSet::new();
    loop {
        let invite = tokio::select! {
            invite = inner.agent.next_invite() => invite,
            Some(_) = sessions.join_next() => continue,
        };
        let Some(invite) = invite else { return };
        let turn = if sessions.len() < incoming_max { turns.take(invite.from()) } else { None };
        let Some(turn) = turn else {
            invite.reject(486);
            continue;
        };
        let inner = Arc::clone(&inner);
        sessions.spawn(async move {
            inner.take_invite(invite).await;
            drop(turn);
        });
    }
}

/// How many sessions each number has opened; those without a number count as one.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<HashMap<Option<PhoneNumber>, usize>>>);

impl Turns {
    fn take(&self, from: &Sender) -> Option<Turn> {
        let who = match from {
            Sender::Asserted(number) | Sender::Claimed(number) => Some(number.clone()),
            Sender::Anonymous => None,
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&who).copied().unwrap_or_default();
        if count >= SESSIONS_PER_NUMBER_MAX {
            return None;
        }
        counts.insert(who.clone(), count + 1);
        Some(Turn { turns: self.clone(), who })
    }
}

/// One session of a number's. Dropped, it counts no more.
struct Turn {
    turns: Turns,
    who: Option<PhoneNumber>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.who) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.who)),
        }
    }
}

/// Our end for a session description.
fn describe(endpoint: &Endpoint, local: &Local) -> Option<sdp::Local> {
    let (accept_types, accept_wrapped_types) = sdp::Local::wrapped();
    let next = local.path.first();
    let mut id = [0; 8];
    rand::rng().fill_bytes(&mut id);
    Some(sdp::Local {
        // Session ids are decimal numbers, and some readers take no more than 63 bits.
        session_id: u64::from_be_bytes(id) >> 1,
        address: next.host().parse().ok()?,
        port: next.port().unwrap_or(rcseal_rcs::msrp::Uri::PORT_DEFAULT),
        is_tls: endpoint.fingerprint().is_some(),
        fingerprint: endpoint.fingerprint(),
        path: local.path.clone(),
        accept_types,
        accept_wrapped_types,
        max_size: endpoint.message_len_max() as u64,
        can_connect: true,
        can_listen: true,
    })
}

/// The peer by its description, and who connects. A peer behind a relay cannot connect to us itself: we do, to the relay.
fn remote_of(description: &sdp::Description, role: sdp::Role) -> (Remote, Role) {
    let is_relayed = description.path.uris().len() > 1;
    let role = match role {
        sdp::Role::Connect => Role::Active,
        sdp::Role::Listen if is_relayed => Role::Active,
        sdp::Role::Listen => Role::Passive,
    };
    let remote = Remote {
        path: description.path.clone(),
        fingerprint: description.fingerprint,
        connect_to: Some(description.connect_to()),
    };
    (remote, role)
}

/// A session that did not come about carried nothing.
fn open_failure(error: OpenError) -> SendFailure {
    tracing::debug!(code = error.code(), "session failed");
    match error {
        OpenError::TooManySessions => SendFailure::Busy { retry_after: None },
        OpenError::Refused { status: 401 | 403 } => SendFailure::Unauthorized,
        OpenError::Refused { status } => SendFailure::Refused { status },
        OpenError::Listen(_)
        | OpenError::TlsSetup(_)
        | OpenError::Address
        | OpenError::Unreachable(_)
        | OpenError::Timeout
        | OpenError::WrongFingerprint
        | OpenError::Forbidden
        | OpenError::Mismatch
        | OpenError::Protocol => SendFailure::Unreachable,
    }
}

/// Puts what a session carried into the inbox.
struct InboxInlet {
    from: Sender,
    to: Option<PhoneNumber>,
    inbox: Arc<Inbox>,
    patience: Duration,
}

#[async_trait]
impl Inlet for InboxInlet {
    async fn take(&self, message: Received) -> Answer {
        let content_type = message.content_type.as_str().to_owned();
        self.inbox.put(self.from.clone(), self.to.clone(), content_type, None, message.body, self.patience).await
    }
}
