//! Sessions (RFC 3261, sections 12 and 13): opened with an INVITE, described by SDP, ended with a BYE.
//!
//! What the session carries is not known here; the SDP bodies are handed through. A session is not changed once it stands: who tries is
//! answered 488, and the session stays as it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::sdp::CONTENT_TYPE as SDP;
use rcseal_rcs::transport::{SendFailure, Sender};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::agent::Core;
use super::config::ICSI_SESSION;
use super::field::NameAddr;
use super::inbound::{self, Call};
use super::lock;
use super::message::{Message, Method};
use super::request::Draft;
use super::table::ServerKey;

/// The most hops of a session's route.
const ROUTE_MAX: usize = 16;

/// A session as both ends name it.
struct Legs {
    call_id: String,
    local: String,
    remote: String,
    local_tag: String,
    remote_tag: String,
    target: String,
    route: Vec<String>,
    cseq: AtomicU32,
    ended: watch::Sender<bool>,
    acknowledged: watch::Sender<bool>,
    /// The acknowledgement that we sent, for answers that come again.
    ack: Mutex<Option<Bytes>>,
}

/// A call id, and our tag in it.
type DialogKey = (String, String);

/// Sessions that stand, and INVITEs that wait for us.
pub(super) struct Dialogs {
    standing: Mutex<HashMap<DialogKey, Arc<Legs>>>,
    ringing: Mutex<HashMap<ServerKey, Arc<watch::Sender<bool>>>>,
    max: usize,
}

impl Dialogs {
    pub(super) fn new(max: usize) -> Self {
        Self { standing: Mutex::default(), ringing: Mutex::default(), max }
    }

    fn add(&self, legs: &Arc<Legs>) -> bool {
        let mut standing = lock(&self.standing);
        let has_room = standing.len() < self.max;
        if has_room {
            standing.insert((legs.call_id.clone(), legs.local_tag.clone()), Arc::clone(legs));
        }
        has_room
    }

    fn remove(&self, legs: &Legs) {
        lock(&self.standing).remove(&(legs.call_id.clone(), legs.local_tag.clone()));
    }

    /// The session that a request from the far end is of.
    fn of_request(&self, request: &Message) -> Option<Arc<Legs>> {
        let key = (request.call_id().to_owned(), request.to_tag()?.to_owned());
        lock(&self.standing).get(&key).filter(|legs| request.from_tag() == Some(&legs.remote_tag)).cloned()
    }

    /// The acknowledgement for an answer that came again.
    pub(super) fn ack_of(&self, answer: &Message) -> Option<Bytes> {
        let key = (answer.call_id().to_owned(), answer.from_tag()?.to_owned());
        let legs = lock(&self.standing).get(&key).filter(|legs| answer.to_tag() == Some(&legs.remote_tag)).cloned()?;
        lock(&legs.ack).clone()
    }

    /// The far end has our answer.
    pub(super) fn acknowledged(&self, ack: &Message) {
        if let Some(legs) = self.of_request(ack) {
            legs.acknowledged.send_replace(true);
        }
    }
}

/// A session that stands. Dropping it ends it.
pub struct Dialog {
    core: Weak<Core>,
    legs: Arc<Legs>,
    remote_sdp: Bytes,
}

impl Dialog {
    /// How the far end described the session.
    #[must_use]
    pub fn remote_sdp(&self) -> &[u8] {
        &self.remote_sdp
    }

    /// Ends the session and waits until the far end knows.
    ///
    /// # Errors
    /// [`SendFailure`]; the session has ended for us all the same.
    pub async fn bye(&self) -> Result<(), SendFailure> {
        match self.core.upgrade() {
            Some(core) => bye(core, Arc::clone(&self.legs)).await,
            None => Err(SendFailure::Unreachable),
        }
    }

    /// Waits until the session has ended, by whichever side.
    pub async fn ended(&self) {
        // The sender lives in `legs`, which this keeps.
        let _ = self.legs.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        if *self.legs.ended.borrow() {
            return;
        }
        if let (Some(core), Ok(runtime)) = (self.core.upgrade(), tokio::runtime::Handle::try_current()) {
            let legs = Arc::clone(&self.legs);
            runtime.spawn(async move { bye(core, legs).await });
        }
    }
}

impl std::fmt::Debug for Dialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialog").field("ended", &*self.legs.ended.borrow()).finish_non_exhaustive()
    }
}

async fn bye(core: Arc<Core>, legs: Arc<Legs>) -> Result<(), SendFailure> {
    core.dialogs.remove(&legs);
    if legs.ended.send_replace(true) {
        return Ok(());
    }
    let cseq = legs.cseq.fetch_add(1, Ordering::Relaxed) + 1;
    within(&legs, Method::Bye, cseq).send(&core).await.map(drop)
}

/// A request within a session.
fn within(legs: &Legs, method: Method, cseq: u32) -> Draft {
    Draft {
        method,
        uri: legs.target.clone(),
        from: legs.local.clone(),
        to: legs.remote.clone(),
        call_id: legs.call_id.clone(),
        cseq,
        route: legs.route.clone(),
        extra: Vec::new(),
        body: Bytes::new(),
        wants_contact: false,
    }
}

fn route_of<'a>(hops: impl Iterator<Item = &'a str>) -> Vec<String> {
    hops.take(ROUTE_MAX).filter_map(NameAddr::parse).map(|hop| hop.uri.to_owned()).collect()
}

fn is_sdp(message: &Message) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(SDP);
    message.header("Content-Type").is_some_and(essence)
}

/// Opens a session.
pub(super) async fn invite(
    core: &Arc<Core>,
    from: &PhoneNumber,
    to: &PhoneNumber,
    sdp: Bytes,
) -> Result<Dialog, SendFailure> {
    let mut draft = Draft::between(core, Method::Invite, from, to);
    draft.wants_contact = true;
    draft.extra.push(("Content-Type", SDP.to_owned()));
    draft.extra.push(("Allow", inbound::ALLOW.to_owned()));
    draft.service(core, ICSI_SESSION);
    let mut conversation = [0; 16];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut conversation);
    draft.conversation(Some(conversation));
    draft.body = sdp;
    let answer = draft.send(core).await?;
    let contact = answer.list("Contact").find_map(NameAddr::parse);
    let mut route = route_of(answer.list("Record-Route"));
    route.reverse();
    let local_tag = answer.from_tag().unwrap_or_default().to_owned();
    let legs = Arc::new(Legs {
        call_id: draft.call_id.clone(),
        local: draft.from.clone(),
        remote: answer.header("To").unwrap_or(&draft.to).to_owned(),
        local_tag,
        remote_tag: answer.to_tag().unwrap_or_default().to_owned(),
        target: contact.map_or_else(|| draft.uri.clone(), |contact| contact.uri.to_owned()),
        route,
        cseq: AtomicU32::new(draft.cseq),
        ended: watch::Sender::new(false),
        acknowledged: watch::Sender::new(true),
        ack: Mutex::default(),
    });
    let ack = within(&legs, Method::Ack, draft.cseq).send_once(core).await?;
    *lock(&legs.ack) = Some(ack);
    let dialog = Dialog { core: Arc::downgrade(core), legs: Arc::clone(&legs), remote_sdp: answer.body().clone() };
    // Both of these end with a BYE, because the far end believes that there is a session.
    if !core.dialogs.add(&legs) {
        return Err(SendFailure::Busy { retry_after: None });
    }
    if !is_sdp(&answer) || answer.to_tag().is_none() {
        return Err(SendFailure::Refused { status: 200 });
    }
    Ok(dialog)
}

/// A session that somebody wants to open. Dropped without an answer, it is answered with 480.
pub struct IncomingInvite {
    from: Sender,
    to: Option<PhoneNumber>,
    call: Option<Call>,
    /// Whether the far end took its wish back.
    cancelled: Arc<watch::Sender<bool>>,
}

impl IncomingInvite {
    /// Who wants to open it.
    #[must_use]
    pub const fn from(&self) -> &Sender {
        &self.from
    }

    /// With which of our numbers, as the carrier says.
    #[must_use]
    pub const fn to(&self) -> Option<&PhoneNumber> {
        self.to.as_ref()
    }

    /// How the far end describes the session.
    #[must_use]
    pub fn sdp(&self) -> &[u8] {
        self.call.as_ref().map_or(&[], |call| call.request.body())
    }

    /// Opens the session with our description, and waits until the far end knows.
    ///
    /// # Errors
    /// [`SendFailure::NotFound`] where the far end took its wish back, [`SendFailure::Busy`] where there are too many sessions,
    /// [`SendFailure::NoAnswer`] where it never acknowledged; the session is ended then.
    pub async fn accept(mut self, sdp: &[u8]) -> Result<Dialog, SendFailure> {
        let call = self.call.take().ok_or(SendFailure::NotFound)?;
        let core = call.core().ok_or(SendFailure::Unreachable)?;
        lock(&core.dialogs.ringing).retain(|_, cancelled| !Arc::ptr_eq(cancelled, &self.cancelled));
        if *self.cancelled.borrow() {
            call.refuse(487);
            return Err(SendFailure::NotFound);
        }
        let request = Arc::clone(&call.request);
        let legs = Arc::new(legs_of_invite(&call));
        if !core.dialogs.add(&legs) {
            call.refuse(486);
            return Err(SendFailure::Busy { retry_after: None });
        }
        let dialog =
            Dialog { core: Arc::downgrade(&core), legs: Arc::clone(&legs), remote_sdp: request.body().clone() };
        let origin = call.origin.clone();
        let mut writer = call.writer(200);
        for hop in request.all("Record-Route") {
            writer.field("Record-Route", hop);
        }
        writer.field("Contact", &core.contact(&origin.connection)).field("Content-Type", SDP);
        let answer = call.answer(writer, sdp).ok_or(SendFailure::Unfit)?;
        // The answer is repeated until it is acknowledged, over any way (RFC 3261, section 13.3.1.4).
        let timers = core.config.timers;
        let deadline = Instant::now() + timers.answer;
        let mut interval = timers.t1;
        let mut acknowledged = legs.acknowledged.subscribe();
        loop {
            let next = (Instant::now() + interval).min(deadline);
            if let Ok(known) = timeout_at(next, acknowledged.wait_for(|known| *known)).await {
                return if known.is_ok() { Ok(dialog) } else { Err(SendFailure::NoAnswer) };
            }
            if Instant::now() >= deadline {
                return Err(SendFailure::NoAnswer);
            }
            origin.connection.answer(origin.source, answer.clone());
            interval = (interval * 2).min(timers.t2);
        }
    }

    /// Refuses the session with a status of 400 or more; 486 is "busy", 488 "not like this", 603 "no".
    pub fn reject(mut self, status: u16) {
        if let Some(call) = self.call.take() {
            self.refuse(call, status.clamp(400, 699));
        }
    }

    fn refuse(&self, call: Call, status: u16) {
        if let Some(core) = call.core() {
            lock(&core.dialogs.ringing).retain(|_, cancelled| !Arc::ptr_eq(cancelled, &self.cancelled));
        }
        let is_cancelled = *self.cancelled.borrow();
        call.refuse(if is_cancelled { 487 } else { status });
    }

    /// Waits until the far end takes its wish back. What is to be done then is to drop this.
    pub async fn cancelled(&self) {
        // The sender lives in `self`.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

impl Drop for IncomingInvite {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.refuse(call, 480);
        }
    }
}

impl std::fmt::Debug for IncomingInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingInvite").field("from", &self.from).finish_non_exhaustive()
    }
}

fn legs_of_invite(call: &Call) -> Legs {
    let request = &call.request;
    let contact =
        request.list("Contact").find_map(NameAddr::parse).or_else(|| NameAddr::parse(request.header("From")?));
    Legs {
        call_id: request.call_id().to_owned(),
        local: format!("{};tag={}", request.header("To").unwrap_or_default(), call.tag),
        remote: request.header("From").unwrap_or_default().to_owned(),
        local_tag: call.tag.clone(),
        remote_tag: request.from_tag().unwrap_or_default().to_owned(),
        target: contact.map(|contact| contact.uri.to_owned()).unwrap_or_default(),
        route: route_of(request.list("Record-Route")),
        cseq: AtomicU32::new(0),
        ended: watch::Sender::new(false),
        acknowledged: watch::Sender::new(false),
        ack: Mutex::default(),
    }
}

/// Somebody wants to open a session, or to change one.
pub(super) fn incoming(core: &Arc<Core>, call: Call) {
    if call.request.to_tag().is_some() {
        let status = if core.dialogs.of_request(&call.request).is_some() { 488 } else { 481 };
        return call.refuse(status);
    }
    if call.request.from_tag().is_none() {
        return call.refuse(400);
    }
    if !is_sdp(&call.request) {
        return call.refuse(415);
    }
    let Ok(place) = core.invites.try_reserve() else { return call.refuse(486) };
    call.provisional(100);
    let cancelled = Arc::new(watch::Sender::new(false));
    lock(&core.dialogs.ringing).insert(ServerKey::of_invite(&call.request), Arc::clone(&cancelled));
    let (from, to) = (inbound::sender(core, &call), inbound::recipient(&call));
    place.send(IncomingInvite { from, to, call: Some(call), cancelled });
}

/// The far end has ended a session.
pub(super) fn incoming_bye(core: &Arc<Core>, call: Call) {
    let Some(legs) = core.dialogs.of_request(&call.request) else { return call.refuse(481) };
    core.dialogs.remove(&legs);
    legs.ended.send_replace(true);
    let writer = call.writer(200);
    call.answer(writer, &[]);
}

/// The far end takes an INVITE back.
pub(super) fn incoming_cancel(core: &Arc<Core>, call: Call) {
    let ringing = lock(&core.dialogs.ringing).remove(&ServerKey::of_invite(&call.request));
    match ringing {
        Some(cancelled) => {
            cancelled.send_replace(true);
            let writer = call.writer(200);
            call.answer(writer, &[]);
        }
        None => call.refuse(481),
    }
}
