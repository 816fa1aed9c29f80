//! The registration (RFC 3261, section 10).

use std::sync::Arc;
use std::time::Duration;

use rcseal_rcs::transport::SendFailure;
use tokio::time::{Instant, sleep, sleep_until};

use super::agent::Core;
use super::field::{self, NameAddr};
use super::link::Connection;
use super::lock;
use super::message::{Message, Method, Start};
use super::request::{Draft, failure, registers};

/// The longest registration that is asked for because a registrar will not have a shorter one.
const EXPIRES_MAX: u32 = 7 * 86_400;

/// The shortest time between two registrations, and the longest wait after a failed one.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The most hops of a registrar's route.
const ROUTE_MAX: usize = 8;

/// How a registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Nobody has asked for one, or it was ended.
    None,
    /// The carrier has us until then.
    Until(std::time::Instant),
    /// The last try failed; it is tried again, unless the credentials were refused.
    Failed(SendFailure),
}

pub(super) async fn register(core: &Core) -> Result<Duration, SendFailure> {
    if !registers(&core.config.access) {
        core.connection().await?;
        return Ok(Duration::MAX);
    }
    let outcome = ask(core, core.config.timers.expires).await;
    core.registration.send_replace(match &outcome {
        Ok(granted) => Registration::Until(std::time::Instant::now() + *granted),
        Err(failure) => Registration::Failed(failure.clone()),
    });
    outcome
}

pub(super) async fn unregister(core: &Core) -> Result<(), SendFailure> {
    ask(core, Duration::ZERO).await?;
    core.registration.send_replace(Registration::None);
    Ok(())
}

/// Renews the registration before it ends and after the way was lost. Does nothing before the first registration was asked for.
pub(super) async fn keep(core: Arc<Core>) {
    let mut state = core.registration.subscribe();
    let mut way = core.way.subscribe();
    let mut registered_over = None;
    let mut wait = RETRY_WAITS.0;
    loop {
        let now = state.borrow_and_update().clone();
        let connection = way.borrow_and_update().as_ref().map(|way| way.id);
        match now {
            Registration::None | Registration::Failed(SendFailure::Unauthorized) => {
                registered_over = None;
                if state.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Registration::Until(end) => {
                wait = RETRY_WAITS.0;
                let over = *registered_over.get_or_insert(connection);
                let is_same_way = connection.is_none() || over == connection;
                if is_same_way {
                    let left = end.saturating_duration_since(std::time::Instant::now());
                    // A quarter of the time is left for tries that fail.
                    let renewal = Instant::now() + (left.mul_f64(0.75)).max(Duration::from_millis(200));
                    tokio::select! {
                        () = sleep_until(renewal) => {}
                        _ = state.changed() => continue,
                        _ = way.changed() => continue,
                    }
                }
            }
            Registration::Failed(_) => {
                let is_new = |way: &Option<Arc<Connection>>| way.as_ref().is_some_and(|way| Some(way.id) != connection);
                tokio::select! {
                    () = sleep(wait) => wait = (wait * 2).min(RETRY_WAITS.1),
                    // A way that was opened since is as good a reason as time that has passed; how often that happens is bounded where it is opened.
                    () = async { drop(way.wait_for(is_new).await) } => {}
                }
            }
        }
        registered_over = None;
        if let Err(failure) = register(&core).await {
            tracing::debug!(code = failure.code(), "registration was not renewed");
        }
    }
}

async fn ask(core: &Core, expires: Duration) -> Result<Duration, SendFailure> {
    let mut asked = u32::try_from(expires.as_secs()).unwrap_or(EXPIRES_MAX).min(EXPIRES_MAX);
    let mut draft = Draft::new(core, Method::Register, &core.config.own);
    draft.uri = format!("sip:{}", core.config.domain);
    draft.wants_contact = true;
    draft.route = core.config.trunk().map(|trunk| trunk.route.clone()).unwrap_or_default();
    if core.config.trunk().is_some() {
        draft.from = format!("<sip:{}>;tag={}", core.config.domain, super::agent::token());
    }
    // A contact that we registered over a way that is gone would be tried for every message until it ends by itself.
    let connection = core.connection().await?;
    let contact = core.contact_uri(&connection);
    let earlier = lock(&core.registered_contact).clone();
    if let Some(earlier) = earlier.filter(|earlier| *earlier != contact) {
        draft.extra.push(("Contact", format!("<{earlier}>;expires=0")));
    }
    for is_last in [false, true] {
        draft.extra.retain(|(name, _)| *name != "Expires");
        draft.extra.push(("Expires", asked.to_string()));
        let answer = draft.send_any(core).await.inspect_err(|failure| {
            // A registrar answers at once. Where it does not, something on the way takes what is sent and passes nothing on.
            if *failure == SendFailure::NoAnswer {
                connection.give_up();
            }
        })?;
        match answer.start() {
            Start::Response { status: 200..=299 } => {
                *lock(&core.registered_contact) = (asked > 0).then_some(contact);
                let route = answer
                    .list("Service-Route")
                    .take(ROUTE_MAX)
                    .filter_map(NameAddr::parse)
                    .map(|hop| hop.uri.to_owned());
                *lock(&core.service_route) = route.collect();
                return Ok(Duration::from_secs(granted(core, &answer).unwrap_or(asked).into()));
            }
            Start::Response { status: 423 } if !is_last => {
                let least = answer
                    .header("Min-Expires")
                    .and_then(field::number)
                    .filter(|least| (asked..=EXPIRES_MAX).contains(least));
                asked = least.ok_or(SendFailure::Refused { status: 423 })?;
                draft.cseq += 1;
            }
            _ => return Err(failure(&answer)),
        }
    }
    Err(SendFailure::Refused { status: 423 })
}

/// For how long our contact is registered: what stands at it, or for all.
fn granted(core: &Core, answer: &Message) -> Option<u32> {
    let connection = core.way.borrow().clone();
    let ours = connection.map(|connection| core.contact_uri(&connection));
    let is_ours = |uri: &str| ours.as_deref().is_some_and(|ours| same_contact(ours, uri));
    let contact = answer.list("Contact").filter_map(NameAddr::parse).find(|contact| is_ours(contact.uri));
    let at_contact =
        contact.and_then(|contact| field::parameter(contact.parameters, "expires").flatten()).and_then(field::number);
    at_contact.or_else(|| answer.header("Expires").and_then(field::number))
}

/// Whether two contacts are the same up to parameters of the URI, which registrars add to.
fn same_contact(ours: &str, theirs: &str) -> bool {
    let base = |uri: &str| uri.split(';').next().unwrap_or_default().to_ascii_lowercase();
    base(ours) == base(theirs)
}
