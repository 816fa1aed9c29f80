//! Attempts on mailboxes, with the tokens that the broker was given, and on what goes out by the trunk.

use std::sync::Arc;

use rcseal_client::ClientError;
use rcseal_client::net::{Anonymous, Endpoint, Timeouts};
use rcseal_credential::UnverifiedKeySet;
use rcseal_engine::message::MessageState;
use rcseal_engine::policy::{DeliveryMode, RoutePreference, Subject};
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::frame::{self, Assembly, AssemblyLimits, Progress};
use rcseal_wire::api::broker::LookupAnswer;
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender};
use rcseal_wire::frame::{Submit, SubmitStatus};
use rcseal_wire::id::{DeviceAddress, DeviceNumber, EnvelopeId, MailboxId};
use rcseal_wire::token::DeliveryToken;

use super::Attempt;
use super::mappings::now_ms;
use super::stage::{Acquainted, Stage, shown};
use crate::carrier::SimCarrier;
use crate::data::World;
use crate::matrix::{MatrixError, Phone};

fn broken(what: &'static str) -> MatrixError {
    MatrixError::Setup { what }
}

/// A mailbox that the broker may write into.
struct Opened {
    anonymous: Anonymous,
    mailbox: MailboxId,
    token: DeliveryToken,
}

impl Opened {
    async fn of(stage: &Stage, phone: &Phone, answer: &LookupAnswer) -> Result<Self, MatrixError> {
        let invitation = answer.invitation.as_ref().ok_or(broken("an invitation"))?;
        let token = DeliveryToken::parse(&invitation.delivery_token.0).map_err(|_| broken("a delivery token"))?;
        let endpoint = Endpoint::new(stage.relay.origin().clone(), stage.relay.trust(), Timeouts::default())
            .map_err(|_| broken("an endpoint"))?;
        let anonymous = Anonymous::new(endpoint);
        let bundles = anonymous
            .bundles(&phone.account, &token, vec![DeviceNumber::PRIMARY])
            .await
            .map_err(|error| MatrixError::Client(ClientError::from(error)))?;
        let mailbox = bundles.first().ok_or(broken("a mailbox"))?.mailbox;
        Ok(Self { anonymous, mailbox, token })
    }

    /// Puts an envelope into the mailbox under a fresh id.
    async fn put(&self, envelope: &[u8]) -> Result<SubmitStatus, MatrixError> {
        let submit = Submit {
            mailbox: self.mailbox,
            token: self.token.duplicate(),
            id: EnvelopeId::generate(&mut rand::rng()),
            ttl_seconds: 3600,
            envelope: envelope.to_vec().into(),
        };
        let statuses = self.anonymous.submit(&[submit]).await;
        let statuses = statuses.map_err(|error| MatrixError::Client(ClientError::from(error)))?;
        statuses.first().copied().ok_or(broken("an answer of the relay"))
    }
}

/// The envelope that a phone handed to the carrier last.
fn last_envelope(carrier: &SimCarrier) -> Result<Vec<u8>, MatrixError> {
    let record = carrier.record();
    let mut assembly = Assembly::new(AssemblyLimits::default());
    let mut whole = None;
    for seen in &record {
        let Ok(unwrapped) = chat::unwrap(&seen.handed_in.content_type, None, &seen.handed_in.body) else { continue };
        let Content::Body { content_type, body } = unwrapped.content else { continue };
        for part in frame::find_in(Some(&content_type), None, &body).into_owned().parts {
            if let Progress::Complete(blob) = assembly.add(part, 0).map_err(|_| broken("parts that fit"))? {
                whole = Some(blob.bytes.into_owned());
            }
        }
    }
    whole.ok_or(broken("an envelope at the carrier"))
}

async fn reasons(phone: &Phone) -> Result<Vec<String>, MatrixError> {
    let kept = phone.client.quarantined().await?;
    Ok(kept.iter().map(|envelope| envelope.reason.code().to_owned()).collect())
}

/// Both phones have their numbers on this carrier, through the broker, and prefer it.
async fn on_carrier(stage: &Stage, pair: &Acquainted, name: &str) -> Result<Arc<SimCarrier>, MatrixError> {
    let carrier = SimCarrier::new(World::load()?.carrier(name)?.clone(), 1);
    for phone in [&pair.ada, &pair.bob] {
        let joined = stage.broker()?.join(&phone.client, &phone.number, &carrier).await;
        joined.map_err(|error| MatrixError::Relay(Box::new(error)))?;
        phone.client.set_route_preference(None, Some(RoutePreference::Native)).await?;
    }
    pair.ada.client.set_contact_number(pair.bob.account, Some(pair.bob.number.clone())).await?;
    pair.bob.client.set_contact_number(pair.ada.account, Some(pair.ada.number.clone())).await?;
    let subject = Subject::Conversation(pair.conversation);
    for _ in 0..40 {
        pair.ada.wake().await?;
        pair.bob.wake().await?;
        if pair.bob.client.explain(subject).await?.inputs.ways.has(DeliveryMode::Brokered) {
            return Ok(carrier);
        }
    }
    Err(broken("a way through the broker"))
}

pub(super) async fn play(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    stage.lies.stop();
    let mut attempts = mailboxes(stage).await?;
    attempts.extend(outbound(stage).await?);
    Ok(attempts)
}

/// Replays, alterations, other mailboxes, and words in somebody's name.
async fn mailboxes(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let pair = stage.acquainted().await?;
    let Acquainted { ada, bob, answer, conversation } = &pair;
    let carrier = on_carrier(stage, &pair, "clean").await?;
    let box_of_ada = Opened::of(stage, ada, answer).await?;
    let (_, text) = stage.words();
    bob.client.send_text(*conversation, text.clone()).await?;
    arrive(bob, ada, *conversation, &text).await?;
    let envelope = last_envelope(&carrier)?;

    for _ in 0..3 {
        box_of_ada.put(&envelope).await?;
    }
    look(ada).await?;
    let count = shown(ada, *conversation, &text).await?;
    let how = if count == 1 { "shown once".to_owned() } else { format!("shown {count} times") };
    attempts.push(Attempt::new("replay_an_envelope", format!("device: {how}"), "device: shown once"));

    let before = reasons(ada).await?.len();
    let mut altered = envelope.clone();
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    box_of_ada.put(&altered).await?;
    look(ada).await?;
    let new: Vec<String> = reasons(ada).await?.into_iter().skip(before).collect();
    attempts.push(Attempt::new("alter_an_envelope", format!("device: {}", new.join(", ")), "device: seal_broken"));

    let carl = stage.somebody("Carl").await?;
    stage.bind(&carl).await?;
    carl.client.look_up_number(&carl.number).await?;
    let shown_of_carl = stage.lies.told().seen_lookup.clone().ok_or(broken("an answer"))?;
    let box_of_carl = Opened::of(stage, &carl, &shown_of_carl).await?;
    box_of_carl.put(&envelope).await?;
    look(&carl).await?;
    attempts.push(Attempt::new(
        "put_it_into_anothers_mailbox",
        format!("device: {}", reasons(&carl).await?.join(", ")),
        "device: unknown_session",
    ));

    let (mark, words) = stage.words();
    let key_set = answer.key_set.as_ref().ok_or(broken("a key set"))?;
    let key_set = UnverifiedKeySet::parse(&key_set.0).map_err(|_| broken("a key set that parses"))?;
    let key_set = key_set.verify().map_err(|_| broken("a key set that holds"))?;
    let device = key_set.device(DeviceNumber::PRIMARY).ok_or(broken("a device"))?;
    let delivery = |content_type: &str, body: Vec<u8>| -> Result<Vec<u8>, MatrixError> {
        let e164 = |phone: &Phone| phone.number.as_str().parse().map_err(|_| broken("a number"));
        let delivery = CarrierDelivery {
            id: rand::random(),
            received_at_ms: now_ms(),
            channel: CarrierChannel::Rcs,
            to: e164(ada)?,
            from: DeliverySender::Asserted(e164(bob)?),
            content_type: content_type.to_owned(),
            content_encoding: None,
            body,
        };
        let to = DeviceAddress { account: ada.account, device: DeviceNumber::PRIMARY };
        delivery.seal(device.sealing_key(), to, &mut rand::rng()).map_err(|_| broken("a delivery that can be sealed"))
    };
    let injected = delivery("text/plain;charset=UTF-8", words.clone().into_bytes())?;
    for _ in 0..3 {
        box_of_ada.put(&injected).await?;
    }
    look(ada).await?;
    let in_conversation = shown(ada, *conversation, &words).await?;
    let mut in_thread = 0;
    for thread in ada.client.threads().await? {
        let messages = ada.client.plain_messages(thread.number, None, 50).await?;
        in_thread += messages.iter().filter(|message| message.words.contains(&mark)).count();
    }
    let how = format!("{in_conversation} in the conversation, {in_thread} in a thread as anybody's");
    attempts.push(Attempt::new(
        "put_words_into_a_contacts_mouth",
        how,
        "0 in the conversation, 1 in a thread as anybody's",
    ));

    let messages_before = crate::story::texts(&ada.client, *conversation, 100).await?.len();
    box_of_ada.put(&delivery(frame::MEDIA_TYPE, envelope[..envelope.len() / 2].to_vec())?).await?;
    look(ada).await?;
    let messages = crate::story::texts(&ada.client, *conversation, 100).await?.len();
    attempts.push(Attempt::new("inject_a_broken_frame", format!("{} shown", messages - messages_before), "0 shown"));
    Ok(attempts)
}

/// What goes out is lost, cut, or sent twice by whoever sits on the trunk.
async fn outbound(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let cases = [
        ("drop_what_goes_out_and_say_it_was_taken", "blackhole", "arrived once by the relay"),
        ("cut_what_goes_out", "truncate_everything", "arrived once by the relay"),
        ("send_what_goes_out_three_times", "duplicate", "arrived once by the carrier"),
    ];
    for (id, carrier, expected) in cases {
        let pair = stage.acquainted().await?;
        let carrier = on_carrier(stage, &pair, carrier).await?;
        let (_, text) = stage.words();
        let sent = pair.bob.client.send_text(pair.conversation, text.clone()).await?;
        arrive(&pair.bob, &pair.ada, pair.conversation, &text).await?;
        let count = shown(&pair.ada, pair.conversation, &text).await?;
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let fell_back = pair.bob.client.journal(0, 100).await?.iter().any(|entry| entry.message == Some(sent));
        let by = if fell_back { "by the relay" } else { "by the carrier" };
        attempts.push(Attempt::new(id, format!("arrived {times} {by}"), expected));
        drop(carrier);
    }
    Ok(attempts)
}

/// The phone looks into its mailbox some times.
async fn look(phone: &Phone) -> Result<(), MatrixError> {
    for _ in 0..3 {
        phone.wake().await?;
    }
    Ok(())
}

/// Both look until the words are there and their sender knows, or long enough.
async fn arrive(
    from: &Phone,
    to: &Phone,
    conversation: rcseal_wire::id::ConversationId,
    text: &str,
) -> Result<(), MatrixError> {
    let limit = tokio::time::Instant::now() + std::time::Duration::from_secs(40);
    while tokio::time::Instant::now() < limit {
        from.wake().await?;
        to.wake().await?;
        let own = crate::story::texts(&from.client, conversation, 100).await?;
        let is_told = own.iter().any(|(message, known)| {
            known == text && matches!(message.state, MessageState::Delivered | MessageState::Read)
        });
        if is_told && shown(to, conversation, text).await? > 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(broken("a message that arrives"))
}
