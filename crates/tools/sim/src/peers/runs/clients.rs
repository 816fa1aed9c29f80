//! Two clients of ours, with engines, stores and a relay, and Kamailio with each of its scripts as their carrier.
//!
//! The native way is preferred. Whatever the script does to messages, each must come out at the far end once and unchanged: by the carrier
//! where that lets it through, otherwise by the relay, which the sender's journal then says. And a third party, `linphonec`: what the
//! sender's policy makes of somebody who has nothing of ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcseal_client::client::CarrierOptions;
use rcseal_client::{Client, ClientError};
use rcseal_engine::UnixMillis;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::message::MessageState;
use rcseal_engine::plain::{PlainError, PlainState};
use rcseal_engine::policy::{DeliveryMode, EntryKind, FallbackPolicy, PolicyScope, RoutePreference, Subject};
use rcseal_report::Report;
use rcseal_wire::content::Body;
use rcseal_wire::id::ConversationId;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::super::line::{Over, number_of, random};
use super::super::linphone::{Leg, Linphone};
use super::super::{Kamailio, Mangle, Setup, User};
use super::sessions::{Sealing, open, open_by};
use super::{PATIENCE, RunError, expect};
use crate::data::{Background, Platform, RcsAccess, World};
use crate::matrix::{MatrixError, Phone, Relay};

/// How long a carrier may leave an envelope unconfirmed before it goes by the relay: short, so that a test sees both.
const CARRIER_PATIENCE: Duration = Duration::from_secs(3);
/// Until a message has arrived and its sender knows.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(25);
const PAGE: usize = 100;
/// Pairs at a time.
const AT_ONCE: usize = 3;

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let relay = Arc::new(Relay::start().await?);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for mangle in Mangle::ALL {
        for is_transparent in [true, false] {
            let (relay, room) = (Arc::clone(&relay), Arc::clone(&room));
            let task = tokio::spawn(async move {
                let _place = room.acquire().await;
                pair(*mangle, is_transparent, &relay).await
            });
            let form = if is_transparent { "binary" } else { "text" };
            running.push((format!("clients_{}_{form}", mangle.name().replace('-', "_")), *mangle, task));
        }
    }
    for (id, mangle, task) in running {
        let Ok(seen) = task.await else { continue };
        let seen = seen?;
        // A script that leaves frames recognisable must not cost the native way; the others must cost nothing but that.
        let expected = match mangle {
            Mangle::Carry | Mangle::StripHeaders | Mangle::RenameHeaders | Mangle::TextType | Mangle::Prefix => {
                "native"
            }
            _ if seen == "native" || seen == "by the relay" => &seen,
            _ => "delivered once and unchanged",
        };
        expect(report, &id, &seen, expected);
    }
    legacy(report, &relay).await?;
    drop(relay);
    Ok(())
}

fn platform() -> Result<Platform, RunError> {
    let world = World::load().map_err(|_| MatrixError::Setup { what: "the world's files" })?;
    let runs = |platform: &Platform| platform.rcs == RcsAccess::HostStack && platform.background == Background::Runs;
    Ok(world.platforms.into_iter().find(runs).ok_or(MatrixError::Setup { what: "a platform" })?)
}

/// How a phone comes to its carrier.
pub(super) struct Hop<'a> {
    carrier: &'a Kamailio,
    by: Option<SocketAddr>,
}

impl<'a> Hop<'a> {
    /// Straight, with a registration before anything else.
    const fn to(carrier: &'a Kamailio) -> Self {
        Self { carrier, by: None }
    }

    /// By way of somebody who may not even let a registration pass.
    pub(super) const fn by(carrier: &'a Kamailio, by: SocketAddr) -> Self {
        Self { carrier, by: Some(by) }
    }
}

pub(super) async fn phone(relay: &Relay, hop: Hop<'_>, user: &User, is_transparent: bool) -> Result<Phone, RunError> {
    let number = number_of(user);
    let mut phone = Phone::new(&platform()?, relay, &user.number, number.clone()).await?;
    let transport = match hop.by {
        None => open(hop.carrier, user, Over::Tcp, Sealing::Tls, is_transparent).await?,
        Some(by) => open_by(hop.carrier, user, by, Sealing::Tls, is_transparent).await?,
    };
    let options = CarrierOptions { patience: CARRIER_PATIENCE, ..CarrierOptions::new(number) };
    phone.client.attach_transport(options, transport).await.map_err(MatrixError::from)?;
    phone.switch_on();
    Ok(phone)
}

/// Looks until there is something.
async fn until<T, R>(limit: Duration, mut look: impl FnMut() -> R) -> Result<Option<T>, RunError>
where
    R: Future<Output = Result<Option<T>, ClientError>>,
{
    let ends_at = Instant::now() + limit;
    loop {
        if let Some(found) = look().await.map_err(MatrixError::from)? {
            return Ok(Some(found));
        }
        if Instant::now() >= ends_at {
            return Ok(None);
        }
        sleep(PAUSE).await;
    }
}

/// How often a text stands in a conversation.
async fn count(client: &Client, conversation: ConversationId, text: &str) -> Result<usize, ClientError> {
    let messages = client.messages(conversation, None, PAGE).await?;
    let is_it = |body: Option<&Body>| matches!(body, Some(Body::Text(found)) if found.as_str() == text);
    Ok(messages.iter().filter(|message| is_it(message.content.as_ref().map(|content| content.body()))).count())
}

fn text(len: usize) -> String {
    let mut text: String = random().iter().map(|byte| format!("{byte:02x}")).collect();
    text.push_str(" – räksmörgås 🦐 ");
    while text.len() < len {
        text.push_str("and so on, ");
    }
    text
}

/// Two new phones meet over the relay, prefer the carrier, and write in two lengths. By which way it went, or what went wrong.
async fn pair(mangle: Mangle, is_transparent: bool, relay: &Relay) -> Result<String, RunError> {
    let (alice, bob) = (User::nth(1), User::nth(2));
    let setup = Setup { mangle, ..Setup::of(vec![alice.clone(), bob.clone()]) };
    let carrier = Kamailio::start(&setup).await?;
    let near = phone(relay, Hop::to(&carrier), &alice, is_transparent).await?;
    let far = phone(relay, Hop::to(&carrier), &bob, is_transparent).await?;
    meet_and_write(near, far).await
}

/// Two new phones become contacts, write, and are gone. By which way the texts went, or what went wrong.
pub(super) async fn meet_and_write(near: Phone, far: Phone) -> Result<String, RunError> {
    let invitation = far.client.invite().await.map_err(MatrixError::from)?;
    near.client.add_contact(invitation, "Bob".to_owned()).await.map_err(MatrixError::from)?;
    let conversation = near.client.direct_conversation(far.account).await.map_err(MatrixError::from)?;
    for (from, to) in [(&near, &far), (&far, &near)] {
        let words = text(40);
        from.client.send_text(conversation, words.clone()).await.map_err(MatrixError::from)?;
        let arrived = until(LIMIT, || async { Ok((count(&to.client, conversation, &words).await? > 0).then_some(())) });
        arrived.await?.ok_or(MatrixError::Setup { what: "a first message" })?;
    }
    for (of, to) in [(&near, &far), (&far, &near)] {
        of.client.set_contact_number(to.account, Some(to.number.clone())).await.map_err(MatrixError::from)?;
        of.client.set_route_preference(None, Some(RoutePreference::Native)).await.map_err(MatrixError::from)?;
    }
    // Each learns by the relay, end to end, that the other takes frames.
    let is_way = until(LIMIT, || async {
        let explained = near.client.explain(Subject::Conversation(conversation)).await?;
        Ok(explained.inputs.ways.has(DeliveryMode::Native).then_some(()))
    });
    if is_way.await?.is_none() {
        return Ok("the carrier did not become a way".to_owned());
    }
    let mut ways = Vec::new();
    for len in [60, 3_000] {
        ways.push(send(&near, &far, conversation, text(len)).await?);
    }
    near.remove().await?;
    far.remove().await?;
    ways.dedup();
    Ok(match ways.as_slice() {
        [one] => one.clone(),
        several if several.iter().all(|way| way == "native" || way == "by the relay") => "by the relay".to_owned(),
        several => several.join(", "),
    })
}

async fn send(near: &Phone, far: &Phone, conversation: ConversationId, words: String) -> Result<String, RunError> {
    let sent_before = far.client.carrier_status().await.map_err(MatrixError::from)?.received;
    let id = near.client.send_text(conversation, words.clone()).await.map_err(MatrixError::from)?;
    let settled = until(LIMIT, || async {
        let message = near.client.message(conversation, near.account, id).await?;
        Ok(message.filter(|message| matches!(message.state, MessageState::Delivered | MessageState::Read)).map(drop))
    });
    let is_settled = settled.await?.is_some();
    let shown = count(&far.client, conversation, &words).await.map_err(MatrixError::from)?;
    let entries = near.client.journal(0, PAGE).await.map_err(MatrixError::from)?;
    let fell_back = entries.iter().any(|entry| entry.message == Some(id) && entry.kind == EntryKind::Fallback);
    let by_carrier = far.client.carrier_status().await.map_err(MatrixError::from)?.received > sent_before;
    Ok(match (shown, is_settled) {
        (0, _) => "LOST".to_owned(),
        (1, true) if fell_back => "by the relay".to_owned(),
        (1, true) if by_carrier => "native".to_owned(),
        (1, true) => "by the relay, without a word in the journal".to_owned(),
        (1, false) => "arrived, and its sender was not told".to_owned(),
        _ => "SHOWN TWICE".to_owned(),
    })
}

/// `linphonec` at the far end: words do not go readable unless the user's policy, word and leave say so.
async fn legacy(report: &mut Report, relay: &Relay) -> Result<(), RunError> {
    let (alice, carol) = (User::nth(1), User::nth(3));
    let carrier = Kamailio::start(&Setup::of(vec![alice.clone(), carol.clone()])).await?;
    let linphone = Linphone::start(&carrier, &carol, Leg::Udp).await?;
    let near = phone(relay, Hop::to(&carrier), &alice, true).await?;
    let number = number_of(&carol);
    let subject = Subject::Number(NumberKey::of(&number));
    near.client.open_thread(number.clone(), "Carol".to_owned()).await.map_err(MatrixError::from)?;

    let refused = refusal(&near, &number).await?;
    expect(report, "linphone_policy_block", &refused, "policy_blocks");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let hour = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(0) + 3_600_000);
    for (policy, expected) in
        [(FallbackPolicy::Verify, "capability_unknown"), (FallbackPolicy::Downgrade, "capability_unknown")]
    {
        near.client.set_fallback_policy(PolicyScope::Account, Some(policy)).await.map_err(MatrixError::from)?;
        let refused = refusal(&near, &number).await?;
        expect(report, &format!("linphone_policy_{}", policy.as_str()), &refused, expected);
    }
    near.client.attest_absence(number.clone(), hour).await.map_err(MatrixError::from)?;
    let refused = refusal(&near, &number).await?;
    expect(report, "linphone_without_consent", &refused, "consent_missing");
    near.client.give_consent(subject, DeliveryMode::CarrierReadable, hour).await.map_err(MatrixError::from)?;
    let words = format!("by your leave {}", text(20));
    let order = near.client.send_plain(number.clone(), words.clone()).await.map_err(MatrixError::from)?;
    report.promise("linphone_shows_words_with_consent", linphone.shows(words.trim(), PATIENCE).await);
    let delivered = until(PATIENCE, || async {
        let messages = near.client.plain_messages(number.clone(), None, PAGE).await?;
        Ok(messages
            .into_iter()
            .find(|message| message.order == order && message.state == PlainState::Delivered)
            .map(drop))
    });
    report.promise("linphone_receipt_understood", delivered.await?.is_some());
    let entries = near.client.journal(0, PAGE).await.map_err(MatrixError::from)?;
    let downgrades = entries.iter().filter(|entry| entry.kind == EntryKind::Downgrade).count();
    report.promise("linphone_downgrade_in_the_journal", downgrades == 1);
    near.remove().await?;
    Ok(())
}

/// Why words did not go.
async fn refusal(near: &Phone, number: &rcseal_rcs::number::PhoneNumber) -> Result<String, RunError> {
    match near.client.send_plain(number.clone(), "not for everybody".to_owned()).await {
        Ok(_) => Ok("sent".to_owned()),
        Err(ClientError::Plain(PlainError::Refused(refused))) => Ok(refused.decision.reason.code().to_owned()),
        Err(error) => Err(MatrixError::from(error).into()),
    }
}
