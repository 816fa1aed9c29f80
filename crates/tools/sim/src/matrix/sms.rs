//! Short messages: what the policy refuses, words that go so by the user's leave, links that say nothing, and one message shown once.
//!
//! Between two clients nothing goes by the short message centre without leave. With it words do, once each, even where the centre does not
//! answer; they come into a thread with the number, never into the conversation. A service that sends a message both ways, because it does
//! not know which will arrive, names it in the short message: whichever comes second is not shown again. To a phone without a client words
//! go by policy and consent alone, and an invitation, which has no words of anybody's, at any time.

use std::sync::Arc;

use rand::rngs::StdRng;
use rcseal_client::ClientError;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::message::MessageState;
use rcseal_engine::plain::{PlainError, PlainMessageView, PlainSender, PlainState};
use rcseal_engine::policy::{DeliveryMode, PolicyScope, StoredDecision, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::invitation::Invitation;
use rcseal_wire::message_link::MessageLink;

use super::MatrixError;
use super::leave::{allow, announce, expect, is_by_leave, is_relayed, take_back, try_without};
use super::legacy::{LENS, LIMIT as PLAIN_LIMIT, policy};
use super::outcome::{Direction, Fate, Told};
use super::phone::Phone;
use super::story::{LIMIT, Pair, Played, Sent, Stage, has_downgrade_entry, knows, look_up, meet, until};
use crate::data::Event;
use crate::smsc::Smsc;
use crate::story::{in_an_hour, words};

const MODE: DeliveryMode = DeliveryMode::Sms;
/// Words that say only that everything before them was taken in.
const MARKER_LEN: usize = 40;
const PAGE: usize = 100;

pub(super) async fn play(stage: &Stage<'_>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let smsc = Smsc::new();
    let (told, mut wrongs) = if stage.cell.has_client {
        between_clients(stage, &smsc, rng).await?
    } else {
        to_standard_phone(stage, &smsc, rng).await?
    };
    if smsc.repeats() > 0 {
        wrongs.push(format!("{} short messages were sent more than once", smsc.repeats()));
    }
    Ok((told, wrongs))
}

async fn between_clients(stage: &Stage<'_>, smsc: &Arc<Smsc>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let cell = stage.cell;
    let (mut told, mut wrongs) = (Vec::new(), Vec::new());
    let mut pair = meet(stage, rng).await?;
    smsc.lend(&pair.near.number, &pair.near.client).await?;
    smsc.lend(&pair.far.number, &pair.far.client).await?;
    if cell.is_downgradable() {
        allow(&pair, Direction::Out, MODE).await?;
    } else {
        try_without(&pair, MODE, &mut wrongs).await?;
    }
    if !cell.state.is_acknowledged {
        told.extend(end_to_end(&pair, stage, smsc, rng, &mut wrongs).await?);
        if !smsc.seen().is_empty() {
            wrongs.push("something went by short message without leave".to_owned());
        }
    }
    if !cell.is_downgradable() || cell.state.is_acknowledged {
        allow(&pair, Direction::Out, MODE).await?;
        announce(&pair, Direction::Out, MODE, &mut wrongs).await?;
        match cell.state.event {
            None => {}
            Some(Event::Offline) => {
                pair.far.switch_off().await?;
                smsc.set_online(&pair.far.number, false);
            }
            Some(Event::Reinstalled) => {
                let Pair { near, far, conversation } = pair;
                let mut far = far.reinstall(stage.relay, "Far").await?;
                far.switch_on();
                smsc.lend(&far.number, &far.client).await?;
                pair = Pair { near, far, conversation };
            }
        }
        let mut readable = Vec::new();
        for len in LENS {
            readable.push(by_leave(&mut pair, stage, smsc, words(rng, len), false).await?);
        }
        readable.push(by_leave(&mut pair, stage, smsc, words(rng, LENS[0]), true).await?);
        expect("by leave", &readable, is_by_leave, &mut wrongs);
        told.extend(readable);
        take_back(&pair, Direction::Out, &mut wrongs).await?;
    }
    told.extend(end_to_end(&pair, stage, smsc, rng, &mut wrongs).await?);
    let both_ways = [
        first_by_sms(&mut pair, stage, smsc, rng, &mut wrongs).await?,
        first_in_session(&pair, stage, smsc, rng, &mut wrongs).await?,
    ];
    expect("by both ways", &both_ways, is_relayed, &mut wrongs);
    told.extend(both_ways);
    let Pair { near, far, .. } = pair;
    near.remove().await?;
    far.remove().await?;
    Ok((told, wrongs))
}

/// What the centre could read beside what the carrier could: it is one.
fn seen_by(smsc: &Smsc, told: Told) -> Told {
    Told { carrier_could_read: told.carrier_could_read || smsc.could_read(&told.mark), ..told }
}

/// What a client shows of a number in a thread, oldest first, without the user's own words.
async fn thread(phone: &Phone, with: &PhoneNumber) -> Result<Vec<String>, MatrixError> {
    if !phone.client.threads().await?.iter().any(|thread| thread.number == *with) {
        return Ok(Vec::new());
    }
    let messages = phone.client.plain_messages(with.clone(), None, PAGE).await?;
    let theirs = messages.into_iter().rev().filter(|message| !matches!(message.sender, PlainSender::Own));
    Ok(theirs.map(|message| message.words).collect())
}

async fn count_in_thread(phone: &Phone, with: &PhoneNumber, mark: &str) -> Result<usize, MatrixError> {
    Ok(thread(phone, with).await?.iter().filter(|words| words.contains(mark)).count())
}

/// Waits until words are in the far phone's thread with the near one.
async fn await_in_thread(pair: &Pair, mark: &str) -> Result<bool, MatrixError> {
    let phones = [&pair.near, &pair.far];
    let arrived = until(&phones, LIMIT, || async {
        Ok((count_in_thread(&pair.far, &pair.near.number, mark).await? > 0).then_some(()))
    });
    Ok(arrived.await?.is_some())
}

/// A line each way, which must go end to end.
async fn end_to_end(
    pair: &Pair,
    stage: &Stage<'_>,
    smsc: &Smsc,
    rng: &mut StdRng,
    wrongs: &mut Vec<String>,
) -> Result<Vec<Told>, MatrixError> {
    let mut told = Vec::new();
    for direction in [Direction::Out, Direction::Back] {
        if direction == Direction::Back && !knows(pair).await? {
            wrongs.push("the far phone does not know who writes".to_owned());
            continue;
        }
        let sent = pair.send(direction, &LENS[..1], rng).await?;
        pair.settle(&sent).await?;
        for message in &sent {
            told.push(seen_by(smsc, look_up(pair, message, stage.carrier).await?));
        }
    }
    expect("end to end", &told, is_relayed, wrongs);
    Ok(told)
}

/// The near phone writes by its user's leave. A centre that does not answer has carried the message all the same.
async fn by_leave(
    pair: &mut Pair,
    stage: &Stage<'_>,
    smsc: &Smsc,
    (mark, text): (String, String),
    is_silent: bool,
) -> Result<Told, MatrixError> {
    if is_silent {
        smsc.be_silent_once();
    }
    let near = pair.near.client.clone();
    let (conversation, account) = (pair.conversation, pair.near.account);
    let id = match near.send_text(conversation, text.clone()).await {
        Ok(id) => id,
        Err(ClientError::Send(error)) => {
            return Ok(Told::new(Direction::Out, (&mark, &text), Fate::Refused(error.code()), stage.carrier));
        }
        Err(error) => return Err(error.into()),
    };
    until(&[&pair.near], LIMIT, || async {
        let message = near.message(conversation, account, id).await?;
        Ok(message.filter(|message| message.state != MessageState::Queued).map(|_| ()))
    })
    .await?;
    // A phone that is off has nothing of what was written to it until it is on.
    pair.far.switch_on();
    smsc.set_online(&pair.far.number, true);
    await_in_thread(pair, &mark).await?;
    let shown: Vec<String> =
        thread(&pair.far, &pair.near.number).await?.into_iter().filter(|words| words.contains(&mark)).collect();
    let state = near.message(conversation, account, id).await?.map(|message| message.state);
    let fate = match (shown.first(), state) {
        (Some(words), _) => Fate::Readable { is_intact: *words == text },
        (None, Some(MessageState::Failed { reason })) => Fate::Failed(reason.code()),
        (None, Some(state)) => Fate::Unconfirmed(state.as_str()),
        (None, None) => Fate::Lost("unknown"),
    };
    let told = Told {
        decision: near.decision_of(id).await?,
        has_downgrade_entry: has_downgrade_entry(&near, id).await?,
        shown: shown.len(),
        ..Told::new(Direction::Out, (&mark, &text), fate, stage.carrier)
    };
    Ok(seen_by(smsc, told))
}

/// What a service sends beside a message of a session: other words, and which message they are.
fn copy_of(sent: &Sent, rng: &mut StdRng) -> Result<(String, String), MatrixError> {
    let id = sent.id.map_err(|_| MatrixError::Setup { what: "a message that goes both ways" })?;
    let (mark, text) = words(rng, MARKER_LEN);
    Ok((mark, format!("{text} {}", MessageLink { message: id })))
}

/// The message as it stands in the conversation and, by its other words, in the thread.
async fn look_up_both(
    pair: &Pair,
    stage: &Stage<'_>,
    smsc: &Smsc,
    sent: &Sent,
    mark: &str,
) -> Result<Told, MatrixError> {
    let told = seen_by(smsc, look_up(pair, sent, stage.carrier).await?);
    let in_thread = count_in_thread(&pair.far, &pair.near.number, mark).await?;
    Ok(Told { shown: told.shown + in_thread, ..told })
}

/// The short message is there before the session's message has left.
async fn first_by_sms(
    pair: &mut Pair,
    stage: &Stage<'_>,
    smsc: &Smsc,
    rng: &mut StdRng,
    wrongs: &mut Vec<String>,
) -> Result<Told, MatrixError> {
    pair.near.switch_off().await?;
    let sent = pair.send(Direction::Out, &LENS[..1], rng).await?.remove(0);
    let (mark, copy) = copy_of(&sent, rng)?;
    smsc.carry(&pair.near.number, &pair.far.number, &copy, 2);
    if !await_in_thread(pair, &mark).await? {
        wrongs.push("a message that came by short message alone was not shown".to_owned());
    }
    // A link that says that it waits has nothing of it, and is the user's to send at any time.
    let before = smsc.seen().len();
    if let Ok(id) = sent.id {
        pair.near.client.send_sms_wake_up(pair.far.number.clone(), pair.conversation, id).await?;
        let is_bare = |text: &String| MessageLink { message: id }.is_alone_in(text);
        if !smsc.seen()[before..].iter().all(is_bare) {
            wrongs.push("a link that a message waits says more than that".to_owned());
        }
    }
    pair.near.switch_on();
    pair.settle(std::slice::from_ref(&sent)).await?;
    look_up_both(pair, stage, smsc, &sent, &mark).await
}

/// The short message comes when the session's message is there, and twice.
async fn first_in_session(
    pair: &Pair,
    stage: &Stage<'_>,
    smsc: &Smsc,
    rng: &mut StdRng,
    wrongs: &mut Vec<String>,
) -> Result<Told, MatrixError> {
    let sent = pair.send(Direction::Out, &LENS[..1], rng).await?.remove(0);
    pair.settle(std::slice::from_ref(&sent)).await?;
    let (mark, copy) = copy_of(&sent, rng)?;
    smsc.carry(&pair.near.number, &pair.far.number, &copy, 2);
    // What comes in order has come when what was sent behind it has.
    let (marker, text) = words(rng, MARKER_LEN);
    smsc.carry(&pair.near.number, &pair.far.number, &text, 1);
    if !await_in_thread(pair, &marker).await? {
        wrongs.push("a short message of the number's was not shown".to_owned());
    }
    look_up_both(pair, stage, smsc, &sent, &mark).await
}

async fn to_standard_phone(stage: &Stage<'_>, smsc: &Arc<Smsc>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let Stage { cell, numbers: (_, ref far), .. } = *stage;
    let (mut told, mut wrongs) = (Vec::new(), Vec::new());
    let near = stage.near().await?;
    smsc.lend(&near.number, &near.client).await?;
    smsc.attach_standard(far);
    near.client.open_thread(far.clone(), "Far".to_owned()).await?;
    near.client.set_fallback_policy(PolicyScope::Account, Some(policy(cell.state.policy))).await?;
    if cell.state.is_attested {
        near.client.attest_absence(far.clone(), in_an_hour()).await?;
    }
    if cell.state.has_consent {
        near.client.give_consent(Subject::Number(NumberKey::of(far)), MODE, in_an_hour()).await?;
    }
    near.client.send_sms_invitation(far.clone()).await?;
    for len in LENS {
        told.push(send_out(&near, far, stage, smsc, words(rng, len), false).await?);
    }
    told.push(send_out(&near, far, stage, smsc, words(rng, LENS[0]), true).await?);
    let is_right = |fate: &Fate| match fate {
        Fate::Refused(_) => !cell.state.has_consent,
        fate => cell.state.has_consent && is_by_leave(fate),
    };
    expect("to a phone without a client", &told, is_right, &mut wrongs);
    for len in LENS {
        told.push(take_in(&near, far, stage, smsc, words(rng, len)).await?);
    }
    let is_invitation = smsc.seen().first().is_some_and(|text| text.parse::<Invitation>().is_ok());
    if !is_invitation {
        wrongs.push("the invitation did not come first, or is none".to_owned());
    }
    if !near.client.conversations().await?.is_empty() {
        wrongs.push("a short message began a conversation".to_owned());
    }
    near.remove().await?;
    Ok((told, wrongs))
}

async fn plain_message(near: &Phone, number: &PhoneNumber, order: u64) -> Result<PlainMessageView, MatrixError> {
    let messages = near.client.plain_messages(number.clone(), None, PAGE).await?;
    let found = messages.into_iter().find(|message| message.order == order);
    found.ok_or(MatrixError::Setup { what: "a message that was just written" })
}

/// The near phone writes to a number.
async fn send_out(
    near: &Phone,
    far: &PhoneNumber,
    stage: &Stage<'_>,
    smsc: &Smsc,
    (mark, text): (String, String),
    is_silent: bool,
) -> Result<Told, MatrixError> {
    if is_silent {
        smsc.be_silent_once();
    }
    let order = match near.client.send_plain(far.clone(), text.clone()).await {
        Ok(order) => order,
        Err(ClientError::Plain(PlainError::Refused(refused))) => {
            let fate = Fate::Refused(refused.decision.reason.code());
            let told = Told {
                decision: Some(StoredDecision { message: None, ..*refused }),
                ..Told::new(Direction::Out, (&mark, &text), fate, stage.carrier)
            };
            return Ok(seen_by(smsc, told));
        }
        Err(ClientError::Plain(error)) => {
            let fate = Fate::Refused(error.code());
            return Ok(seen_by(smsc, Told::new(Direction::Out, (&mark, &text), fate, stage.carrier)));
        }
        Err(error) => return Err(error.into()),
    };
    let shown =
        |mark: &str| smsc.shown(far).into_iter().map(|(_, text)| text).filter(|text| text.contains(mark)).count();
    until(&[near], PLAIN_LIMIT, || async {
        let state = plain_message(near, far, order).await?.state;
        Ok((state != PlainState::Queued && shown(&mark) > 0).then_some(()))
    })
    .await?;
    let message = plain_message(near, far, order).await?;
    let is_intact = smsc.shown(far).iter().any(|(from, words)| *from == near.number && *words == text);
    let fate = if shown(&mark) > 0 { Fate::Readable { is_intact } } else { Fate::Unconfirmed(message.state.as_str()) };
    let told = Told {
        decision: near.client.decision_of(message.id).await?,
        has_downgrade_entry: has_downgrade_entry(&near.client, message.id).await?,
        shown: shown(&mark),
        ..Told::new(Direction::Out, (&mark, &text), fate, stage.carrier)
    };
    Ok(seen_by(smsc, told))
}

/// The far phone writes, and the network delivers it twice: it comes into the thread, once.
async fn take_in(
    near: &Phone,
    far: &PhoneNumber,
    stage: &Stage<'_>,
    smsc: &Smsc,
    (mark, text): (String, String),
) -> Result<Told, MatrixError> {
    smsc.carry(far, &near.number, &text, 2);
    until(&[near], PLAIN_LIMIT, || async { Ok((count_in_thread(near, far, &mark).await? > 0).then_some(())) }).await?;
    let found: Vec<String> = thread(near, far).await?.into_iter().filter(|words| words.contains(&mark)).collect();
    let fate = match found.first() {
        Some(words) => Fate::Readable { is_intact: *words == text },
        None => Fate::Unconfirmed("foreign"),
    };
    let told = Told::new(Direction::Back, (&mark, &text), fate, stage.carrier);
    Ok(seen_by(smsc, Told { shown: found.len(), is_foreign: true, ..told }))
}
