//! What comes in: answers to our requests, and requests of others.
//!
//! Only the next hop is listened to. Who sends is what the message claims in `From`, unless the message came over a trusted trunk and says
//! whom the core asserts. A message is answered when its consumer answers; until then its retransmissions are absorbed.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::Sender;

use super::agent::{Core, token};
use super::field::NameAddr;
use super::link::{Origin, is_known};
use super::lock;
use super::message::{Message, Method, Start};
use super::table::{Seen, ServerKey};
use super::write::Writer;
use crate::transport::{Answer, Inbound};

/// What we take requests of.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, MESSAGE, OPTIONS";

/// What we take bodies of.
const ACCEPT: &str = "message/cpim, message/imdn+xml, text/plain, application/sdp";

/// How long who found us busy should wait, in seconds.
const RETRY_AFTER: &str = "5";

/// A request that came in, and the means to answer it.
pub(super) struct Call {
    core: Weak<Core>,
    key: ServerKey,
    pub(super) origin: Origin,
    pub(super) request: Arc<Message>,
    pub(super) tag: String,
    is_answered: bool,
}

impl Call {
    pub(super) fn writer(&self, status: u16) -> Writer {
        Writer::response(&self.request, status, &self.tag)
    }

    pub(super) fn core(&self) -> Option<Arc<Core>> {
        self.core.upgrade()
    }

    /// Sends a provisional answer.
    pub(super) fn provisional(&self, status: u16) {
        if let (Some(core), Ok(bytes)) = (self.core.upgrade(), self.writer(status).finish(&[])) {
            core.servers.provisional(&self.key, &bytes);
            self.origin.connection.answer(self.origin.source, bytes);
        }
    }

    /// Sends the final answer.
    pub(super) fn answer(mut self, writer: Writer, body: &[u8]) -> Option<Bytes> {
        self.is_answered = true;
        let core = self.core.upgrade()?;
        // What a response repeats was read from a message without control characters, so it can be written.
        let bytes = writer.finish(body).ok()?;
        // An INVITE's answer is repeated over any way until it is acknowledged, so it is kept for any.
        let is_kept = !self.origin.connection.is_reliable || *self.request.cseq().1 == Method::Invite;
        core.servers.answered(&self.key, &bytes, is_kept);
        self.origin.connection.answer(self.origin.source, bytes.clone());
        Some(bytes)
    }

    pub(super) fn refuse(self, status: u16) {
        let mut writer = self.writer(status);
        match status {
            405 => drop(writer.field("Allow", ALLOW)),
            415 => drop(writer.field("Accept", ACCEPT)),
            503 => drop(writer.field("Retry-After", RETRY_AFTER)),
            420 => {
                let required: Vec<&str> = self.request.list("Require").collect();
                writer.field("Unsupported", &required.join(", "));
            }
            _ => {}
        }
        self.answer(writer, &[]);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_answered
            && let Some(core) = self.core.upgrade()
        {
            core.servers.abandon(&self.key);
        }
    }
}

/// Takes a message.
pub(super) fn take(core: &Arc<Core>, message: Box<Message>, origin: Origin) {
    match message.start() {
        Start::Response { status } => {
            let status = *status;
            if let Some(late) = core.clients.deliver(message) {
                acknowledge_again(core, &late, status, &origin);
            }
        }
        Start::Request { method, .. } => {
            let method = method.clone();
            take_request(core, *message, &method, origin, None);
        }
    }
}

/// Takes a message whose body was too large: it is answered so.
pub(super) fn oversize(core: &Arc<Core>, message: Message, origin: Origin) {
    if let Start::Request { method, .. } = message.start() {
        let method = method.clone();
        take_request(core, message, &method, origin, Some(413));
    }
}

/// The final answer to an INVITE comes again until it is acknowledged (RFC 3261, sections 13.2.2.4 and 17.1.1.2).
fn acknowledge_again(core: &Core, answer: &Message, status: u16, origin: &Origin) {
    if *answer.cseq().1 != Method::Invite || status < 200 {
        return;
    }
    let ack = if status < 300 {
        core.dialogs.ack_of(answer)
    } else {
        let acks = lock(&core.refused_acks);
        acks.iter().find(|(branch, _)| branch == answer.branch()).map(|(_, ack)| ack.clone())
    };
    if let Some(ack) = ack {
        origin.connection.answer(origin.connection.peer, ack);
    }
}

fn take_request(core: &Arc<Core>, request: Message, method: &Method, origin: Origin, refusal: Option<u16>) {
    if *method == Method::Ack {
        core.dialogs.acknowledged(&request);
        return;
    }
    let key = ServerKey::of(&request);
    match core.servers.begin(&key) {
        Seen::New => {}
        Seen::Processing(provisional) => {
            if let Some(provisional) = provisional {
                origin.connection.answer(origin.source, provisional);
            }
            return;
        }
        Seen::Answered(answer) => {
            origin.connection.answer(origin.source, answer);
            return;
        }
        Seen::Full => {
            let mut writer = Writer::response(&request, 503, &token());
            writer.field("Retry-After", RETRY_AFTER);
            if let Ok(bytes) = writer.finish(&[]) {
                origin.connection.answer(origin.source, bytes);
            }
            return;
        }
    }
    let call =
        Call { core: Arc::downgrade(core), key, origin, request: Arc::new(request), tag: token(), is_answered: false };
    if let Some(status) = refusal {
        return call.refuse(status);
    }
    if *method != Method::Cancel && call.request.header("Require").is_some_and(|required| !required.is_empty()) {
        return call.refuse(420);
    }
    match method {
        Method::Message => message(core, call),
        Method::Options => options(core, call),
        Method::Invite => super::dialog::incoming(core, call),
        Method::Bye => super::dialog::incoming_bye(core, call),
        Method::Cancel => super::dialog::incoming_cancel(core, call),
        Method::Register if is_trusted(core, &call.origin) => {
            // A core tells the application servers on its trunk who has registered (3GPP TS 24.229, section 5.4.1.7).
            let expires = call.request.header("Expires").unwrap_or("0").to_owned();
            let mut writer = call.writer(200);
            writer.field("Expires", &expires);
            call.answer(writer, &[]);
        }
        Method::Register | Method::Ack | Method::Other(_) => call.refuse(405),
    }
}

/// Whether what came this way may say who sends.
fn is_trusted(core: &Core, origin: &Origin) -> bool {
    core.config.trunk().is_some() && is_known(core, origin.connection.peer, origin.source.ip())
}

/// Who sends a request.
pub(super) fn sender(core: &Core, call: &Call) -> Sender {
    let number = |value: &str| NameAddr::parse(value).and_then(|address| PhoneNumber::from_uri(address.uri).ok());
    if is_trusted(core, &call.origin)
        && let Some(asserted) = call.request.list("P-Asserted-Identity").find_map(number)
    {
        return Sender::Asserted(asserted);
    }
    call.request.header("From").and_then(number).map_or(Sender::Anonymous, Sender::Claimed)
}

/// Whom a request is for: the number in the request line, which proxies may have changed to where it goes, and else the one that its sender
/// wrote.
pub(super) fn recipient(call: &Call) -> Option<PhoneNumber> {
    let addressed = match call.request.start() {
        Start::Request { uri, .. } => PhoneNumber::from_uri(uri).ok(),
        Start::Response { .. } => None,
    };
    addressed.or_else(|| PhoneNumber::from_uri(NameAddr::parse(call.request.header("To")?)?.uri).ok())
}

fn message(core: &Arc<Core>, call: Call) {
    let Some(content_type) = call.request.header("Content-Type").filter(|value| !value.is_empty()) else {
        return call.refuse(400);
    };
    let content_type = content_type.to_owned();
    let content_encoding = call.request.header("Content-Encoding").map(str::to_owned);
    let Ok(place) = core.inbound.try_reserve() else { return call.refuse(503) };
    let size = u32::try_from(call.request.size()).unwrap_or(u32::MAX);
    let Ok(room) = Arc::clone(&core.inbound_room).try_acquire_many_owned(size) else { return call.refuse(503) };
    let from = sender(core, &call);
    let body = call.request.body().to_vec();
    let to = recipient(&call);
    let reference = format!("{} {}", call.request.call_id(), call.request.cseq().0);
    let inbound = Inbound::new(from, content_type, content_encoding, body, move |answer| {
        match answer {
            Answer::Accepted => {
                let writer = call.writer(200);
                call.answer(writer, &[]);
            }
            refusal => call.refuse(refusal.status()),
        }
        drop(room);
    });
    place.send(inbound.addressed(to, Some(reference)));
}

fn options(core: &Core, call: Call) {
    let mut writer = call.writer(200);
    writer.field("Contact", &core.contact(&call.origin.connection));
    writer.field("Allow", ALLOW).field("Accept", ACCEPT);
    call.answer(writer, &[]);
}
