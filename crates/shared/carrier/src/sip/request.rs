//! Requests of ours: written, sent until they are answered, and sent again with credentials where the answer asks for them.
//!
//! A challenge is answered once for each request: who refuses credentials that were made for its own challenge refuses them. One more
//! answer is given where the carrier says that its nonce was too old, or where a SIM had to tell its count; more than [`ROUNDS_MAX`] are
//! never sent. Later requests carry the credentials at once, but only to who asked for them: what proves us to the registrar stands in no
//! request that a peer gets to see, since whoever has such an answer can try passwords on it. For the same reason a registrar or proxy that
//! had an answer by SHA-256 is not answered by MD5 later.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, SendFailure};
use tokio::time::{Instant, timeout_at};

use super::agent::{Core, token};
use super::config::Access;
use super::link::{Connection, DATAGRAM_SEND_MAX};
use super::lock;
use super::message::{Message, Method, Start};
use super::write::Writer;
use crate::auth::{Challenge, Session};

/// The most times that one request is sent, with credentials or without.
const ROUNDS_MAX: usize = 4;

/// The magic that begins a branch (RFC 3261, section 8.1.1.7).
const BRANCH_PREFIX: &str = "z9hG4bK";

/// Sessions on the challenges of each asker.
#[derive(Default)]
pub(super) struct Authorizations(Mutex<[Slot; 3]>);

#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    /// The request line's URI that the challenge was for.
    uri: String,
    /// Whether the asker has taken an answer that was not by MD5.
    has_taken_strong: bool,
}

/// Who asks for credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// 401 to REGISTER.
    Registrar,
    /// 401 to anything else: a carrier that stands in for the far end, or the far end itself.
    FarEnd,
    /// 407.
    Proxy,
}

impl Asker {
    /// Who may ask for credentials in requests of this method.
    const fn of(method: &Method) -> [Self; 2] {
        match method {
            Method::Register => [Self::Registrar, Self::Proxy],
            _ => [Self::FarEnd, Self::Proxy],
        }
    }

    const fn of_status(status: u16, method: &Method) -> Option<Self> {
        match (status, method) {
            (401, Method::Register) => Some(Self::Registrar),
            (401, _) => Some(Self::FarEnd),
            (407, _) => Some(Self::Proxy),
            _ => None,
        }
    }

    const fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::Registrar | Self::FarEnd => ("WWW-Authenticate", "Authorization"),
            Self::Proxy => ("Proxy-Authenticate", "Proxy-Authorization"),
        }
    }
}

impl Authorizations {
    fn slots(&self) -> MutexGuard<'_, [Slot; 3]> {
        lock(&self.0)
    }

    /// What goes along with a request to `uri` unasked.
    fn get(&self, asker: Asker, uri: &str) -> Option<Arc<Session>> {
        let slots = self.slots();
        let slot = &slots[asker as usize];
        if asker == Asker::FarEnd && slot.uri != uri { None } else { slot.session.clone() }
    }

    fn set(&self, asker: Asker, uri: &str, session: Option<Arc<Session>>) {
        let slot = &mut self.slots()[asker as usize];
        uri.clone_into(&mut slot.uri);
        slot.session = session;
    }

    /// Remembers that an asker has taken an answer.
    fn taken(&self, asker: Asker, session: &Session) {
        self.slots()[asker as usize].has_taken_strong |= session.challenge().algorithm().is_strong();
    }

    /// Whether a challenge is weaker than what its asker has taken before. Far ends are many, and nothing is known of one by another.
    fn is_downgrade(&self, asker: Asker, challenge: &Challenge) -> bool {
        asker != Asker::FarEnd && self.slots()[asker as usize].has_taken_strong && !challenge.algorithm().is_strong()
    }
}

/// A request before it has a branch, a way and credentials.
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) route: Vec<String>,
    pub(super) extra: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether it names our contact, which depends on the way that it leaves by.
    pub(super) wants_contact: bool,
}

impl Draft {
    /// A request outside dialogs, to a number.
    pub(super) fn new(core: &Core, method: Method, to: &PhoneNumber) -> Self {
        Self::between(core, method, &core.config.own, to)
    }

    /// The same in the name of one of our numbers. Only on a trunk is anything but our own believed.
    pub(super) fn between(core: &Core, method: Method, from: &PhoneNumber, to: &PhoneNumber) -> Self {
        let uri = to.to_sip_uri(&core.config.domain);
        let own = from.to_sip_uri(&core.config.domain);
        let mut extra = Vec::new();
        if core.config.trunk().is_some() {
            extra.push(("P-Asserted-Identity", format!("<{own}>")));
        }
        Self {
            method,
            from: format!("<{own}>;tag={}", token()),
            to: format!("<{uri}>"),
            uri,
            call_id: token(),
            cseq: 1,
            route: core.route(),
            extra,
            body: Bytes::new(),
            wants_contact: false,
        }
    }

    /// Says which service this is of, so that application servers of the core take it on (3GPP TS 24.229; RFC 3841, RFC 6050).
    pub(super) fn service(&mut self, core: &Core, icsi: &str) {
        if core.config.trunk().is_none() {
            self.extra.push(("P-Preferred-Service", icsi.to_owned()));
        }
        self.extra.push(("Accept-Contact", format!("*;+g.3gpp.icsi-ref=\"{}\"", icsi.replace(':', "%3A"))));
    }

    /// Names the conversation and this contribution to it: UUIDs, since a messaging server refuses anything else.
    pub(super) fn conversation(&mut self, id: Option<[u8; 16]>) {
        let Some(id) = id else { return };
        let mut contribution = [0; 16];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut contribution);
        self.extra.push(("Conversation-ID", CarrierMessageId::from_random(id).as_str().to_owned()));
        self.extra.push(("Contribution-ID", CarrierMessageId::from_random(contribution).as_str().to_owned()));
    }

    /// The beginning of this request, and of those that are about it and repeat it: its acknowledgement after a refusal, its cancellation.
    fn head(&self, core: &Core, connection: &Connection, branch: &str, method: &str, to: &str) -> Writer {
        let mut writer = Writer::request(method, &self.uri);
        writer.field("Via", &format!("SIP/2.0/{} {};branch={branch};rport", core.config.wire.name(), connection.local));
        writer.field("Max-Forwards", "70");
        for route in &self.route {
            writer.field("Route", &format!("<{route}>"));
        }
        writer.field("From", &self.from);
        writer.field("To", to);
        writer.field("Call-ID", &self.call_id);
        writer.field("CSeq", &format!("{} {method}", self.cseq));
        writer
    }

    fn write(
        &self,
        core: &Core,
        connection: &Connection,
        branch: &str,
        authorizations: &[(&str, String)],
    ) -> Result<Bytes, SendFailure> {
        let mut writer = self.head(core, connection, branch, self.method.as_str(), &self.to);
        if self.wants_contact {
            let contact = match self.method {
                Method::Register => core.registrars_contact(connection),
                _ => core.contact(connection),
            };
            writer.field("Contact", &contact);
        }
        for (name, value) in authorizations {
            writer.field(name, value);
        }
        for (name, value) in &self.extra {
            writer.field(name, value);
        }
        let bytes = writer.finish(&self.body).map_err(|_| SendFailure::Unfit)?;
        if !connection.is_reliable && bytes.len() > DATAGRAM_SEND_MAX {
            return Err(SendFailure::Unfit);
        }
        Ok(bytes)
    }

    /// Sends it, and answers with a 2xx or with what the refusal means.
    pub(super) async fn send(&mut self, core: &Core) -> Result<Box<Message>, SendFailure> {
        let answer = self.send_any(core).await?;
        match answer.start() {
            Start::Response { status: 200..=299 } => Ok(answer),
            _ => Err(failure(&answer)),
        }
    }

    /// Sends it, and answers with whatever final answer came that is not a challenge we could meet.
    pub(super) async fn send_any(&mut self, core: &Core) -> Result<Box<Message>, SendFailure> {
        let mut fresh = [const { None::<Arc<Session>> }; 3];
        for round in 0.. {
            let connection = core.connection().await?;
            let mut authorizations = Vec::new();
            let mut used = Vec::new();
            for asker in Asker::of(&self.method) {
                if let Some(session) = core.authorizations.get(asker, &self.uri) {
                    authorizations
                        .push((asker.headers().1, session.authorization(self.method.as_str(), &self.uri, &self.body)));
                    used.push((asker, session));
                }
            }
            let branch = format!("{BRANCH_PREFIX}{}", token());
            let bytes = self.write(core, &connection, &branch, &authorizations)?;
            let answer = self.exchange(core, &connection, &branch, bytes).await?;
            let Start::Response { status } = answer.start() else { return Err(SendFailure::NoAnswer) };
            let Some(asker) = Asker::of_status(*status, &self.method) else {
                used.iter().for_each(|(asker, session)| core.authorizations.taken(*asker, session));
                return Ok(answer);
            };
            let Some(credentials) = core.config.credentials() else { return Ok(answer) };
            let challenge = Challenge::strongest(answer.all(asker.headers().0), credentials)
                .map_err(|_| SendFailure::Unauthorized)?;
            if core.authorizations.is_downgrade(asker, &challenge) {
                tracing::warn!(algorithm = challenge.algorithm().as_str(), "challenge is weaker than the one before");
                return Err(SendFailure::Unauthorized);
            }
            let earlier = fresh[asker as usize].take();
            let is_refused = earlier.is_some_and(|session| !challenge.is_stale() && !session.is_resynchronisation());
            if is_refused || round + 1 >= ROUNDS_MAX {
                core.authorizations.set(asker, &self.uri, None);
                return Err(SendFailure::Unauthorized);
            }
            let session = Session::open(challenge, credentials).map_err(|error| {
                tracing::warn!(code = error.code(), "challenge is not answered");
                SendFailure::Unauthorized
            })?;
            let session = Arc::new(session);
            core.authorizations.set(asker, &self.uri, Some(Arc::clone(&session)));
            fresh[asker as usize] = Some(session);
            self.cseq += 1;
        }
        Err(SendFailure::Unauthorized)
    }

    /// One transaction: sent until a final answer comes (RFC 3261, section 17.1).
    async fn exchange(
        &self,
        core: &Core,
        connection: &Arc<Connection>,
        branch: &str,
        bytes: Bytes,
    ) -> Result<Box<Message>, SendFailure> {
        let timers = core.config.timers;
        let is_invite = self.method == Method::Invite;
        let _turn = core.pending.acquire().await.map_err(|_| SendFailure::Unreachable)?;
        let mut ticket = core.clients.expect(branch, self.method.clone(), connection.id);
        connection.send(&bytes).await?;
        let begun = Instant::now();
        let mut deadline = begun + timers.answer;
        let mut interval = timers.t1;
        let mut is_trying = false;
        let mut is_cancelled = false;
        let mut next = if connection.is_reliable { None } else { Some(begun + interval) };
        loop {
            let until = next.map_or(deadline, |next| next.min(deadline));
            match timeout_at(until, ticket.answers.recv()).await {
                Ok(Some(answer)) => {
                    let Start::Response { status } = answer.start() else { continue };
                    let status = *status;
                    if status >= 200 {
                        if is_invite && status >= 300 {
                            let ack = self.ack_of_refusal(core, connection, branch, &answer)?;
                            core.keep_ack(branch.to_owned(), ack.clone());
                            connection.send(&ack).await?;
                        }
                        return Ok(answer);
                    }
                    if is_invite {
                        // The far end has it: nothing is sent again, and a person may be deciding.
                        next = None;
                        if !is_trying {
                            deadline = begun + timers.invite.max(timers.answer);
                        }
                    } else {
                        interval = timers.t2;
                        next = next.map(|_| Instant::now() + interval);
                    }
                    is_trying = true;
                }
                // The connection ended, or nobody can answer any more: what was sent may have arrived.
                Ok(None) => return Err(SendFailure::NoAnswer),
                Err(_) if Instant::now() >= deadline => {
                    if is_invite && is_trying && !is_cancelled {
                        is_cancelled = true;
                        self.cancel(core, connection, branch).await;
                        deadline = Instant::now() + timers.t2;
                        continue;
                    }
                    return Err(SendFailure::NoAnswer);
                }
                Err(_) => {
                    connection.send(&bytes).await?;
                    interval = if is_invite { interval * 2 } else { (interval * 2).min(timers.t2) };
                    next = next.map(|_| Instant::now() + interval);
                }
            }
        }
    }

    /// The acknowledgement of a refused INVITE, which is the INVITE's hop's business (RFC 3261, section 17.1.1.3).
    fn ack_of_refusal(
        &self,
        core: &Core,
        connection: &Connection,
        branch: &str,
        answer: &Message,
    ) -> Result<Bytes, SendFailure> {
        let to = answer.header("To").unwrap_or(&self.to);
        let writer = self.head(core, connection, branch, "ACK", to);
        writer.finish(&[]).map_err(|_| SendFailure::Unfit)
    }

    /// Takes an INVITE back. Its own answer is of no interest; the INVITE's is waited for.
    async fn cancel(&self, core: &Core, connection: &Connection, branch: &str) {
        let writer = self.head(core, connection, branch, "CANCEL", &self.to);
        if let Ok(bytes) = writer.finish(&[]) {
            let _ = connection.send(&bytes).await;
        }
    }

    /// Sends it once without waiting for an answer: an acknowledgement.
    pub(super) async fn send_once(&self, core: &Core) -> Result<Bytes, SendFailure> {
        let connection = core.connection().await?;
        let bytes = self.write(core, &connection, &format!("{BRANCH_PREFIX}{}", token()), &[])?;
        connection.send(&bytes).await?;
        Ok(bytes)
    }
}

/// What a refusal means to who wanted to send.
pub(super) fn failure(answer: &Message) -> SendFailure {
    let Start::Response { status } = answer.start() else { return SendFailure::NoAnswer };
    match *status {
        401 | 407 => SendFailure::Unauthorized,
        404 | 410 | 480 | 604 => SendFailure::NotFound,
        // A proxy waited for the far end in vain.
        408 => SendFailure::NoAnswer,
        413 | 513 => SendFailure::TooLarge,
        415 | 488 => SendFailure::UnsupportedMedia,
        486 | 503 | 600 => SendFailure::Busy { retry_after: retry_after(answer) },
        status => SendFailure::Refused { status },
    }
}

fn retry_after(answer: &Message) -> Option<u32> {
    let value = answer.header("Retry-After")?;
    super::field::number(value.split([';', ' ', '(']).next()?)
}

/// Whether this user agent registers itself.
pub(super) const fn registers(access: &Access) -> bool {
    match access {
        Access::Register(_) => true,
        Access::Unregistered(_) => false,
        Access::Trunk(trunk) => trunk.registers_third_party,
    }
}
