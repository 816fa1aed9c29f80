//! A conversation between two clients whose policy and consent would allow less than end to end.
//!
//! Nothing less is sent before the user has said so for this conversation. Then words go readable, each by a decision with a consent and an
//! entry in the journal; the far phone was told end to end, and what comes readable comes into a thread with the number there, never into
//! the conversation. When the user takes it back, everything is end to end again, which the rest of the story shows.

use rand::rngs::StdRng;
use rcseal_client::ClientError;
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, PolicyError, PolicyScope, Subject};
use rcseal_wire::id::MessageId;

use super::MatrixError;
use super::cell::{Cell, have_arrived};
use super::legacy::{LENS, limit_over};
use super::outcome::{Direction, Fate, Told};
use super::story::{LIMIT, Pair, has_downgrade_entry, until};
use crate::carrier::SimCarrier;
use crate::story::{in_an_hour, words};

const PAGE: usize = 200;

pub(super) async fn play(
    cell: &Cell,
    pair: &Pair,
    carrier: &SimCarrier,
    rng: &mut StdRng,
    wrongs: &mut Vec<String>,
) -> Result<Vec<Told>, MatrixError> {
    let near = &pair.near.client;
    let subject = Subject::Conversation(pair.conversation);
    near.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await?;
    if cell.state.has_consent {
        match near.give_consent(subject, DeliveryMode::CarrierReadable, in_an_hour()).await {
            // An agreement that could serve nothing is refused; the story goes on end to end.
            Err(ClientError::Policy(PolicyError::NoWayForMode { .. })) if !cell.near_is_on_carrier() => {}
            given => drop(given?),
        }
    }
    if !cell.state.is_acknowledged {
        return Ok(Vec::new());
    }
    let notice = match near.acknowledge_downgrade(pair.conversation, DeliveryMode::CarrierReadable).await {
        Ok(notice) => notice,
        // There is no way that anybody could read; the story goes on end to end.
        Err(ClientError::Policy(PolicyError::NotAllowed)) if !cell.may_be_readable() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut told = Vec::new();
    for len in LENS {
        told.push(send(cell, pair, carrier, words(rng, len)).await?);
    }
    near.restore_conversation(pair.conversation).await?;
    if near.acknowledged_downgrade(pair.conversation).await?.is_some() {
        wrongs.push("a downgrade that was taken back is still there".to_owned());
    }
    if !is_shown(pair, notice).await? {
        wrongs.push("the far phone was not told of the downgrade".to_owned());
    }
    Ok(told)
}

/// Whether the far phone shows the notice, which came end to end.
async fn is_shown(pair: &Pair, notice: MessageId) -> Result<bool, MatrixError> {
    let phones = [&pair.near, &pair.far];
    let shown = until(&phones, LIMIT, || async {
        let found = pair.far.client.message(pair.conversation, pair.near.account, notice).await?;
        Ok(found.filter(|notice| notice.encryption.is_end_to_end()).map(|_| ()))
    });
    Ok(shown.await?.is_some())
}

/// What the far phone has in its thread with the near one's number, oldest first.
async fn thread(pair: &Pair) -> Result<Vec<String>, MatrixError> {
    let far = &pair.far.client;
    let has_thread = far.threads().await?.iter().any(|thread| thread.number == pair.near.number);
    if !has_thread {
        return Ok(Vec::new());
    }
    let messages = far.plain_messages(pair.near.number.clone(), None, PAGE).await?;
    Ok(messages.into_iter().rev().map(|message| message.words).collect())
}

/// What is new in it since it had so many messages.
async fn new_in_thread(pair: &Pair, before: usize) -> Result<Vec<String>, MatrixError> {
    Ok(thread(pair).await?.into_iter().skip(before).collect())
}

async fn send(
    cell: &Cell,
    pair: &Pair,
    carrier: &SimCarrier,
    (mark, text): (String, String),
) -> Result<Told, MatrixError> {
    let before = thread(pair).await?.len();
    let near = &pair.near;
    let id = match near.client.send_text(pair.conversation, text.clone()).await {
        Ok(id) => Ok(id),
        Err(ClientError::Send(error)) => Err(error.code()),
        Err(error) => return Err(error.into()),
    };
    let phones = [&pair.near, &pair.far];
    until(&phones, limit_over(carrier), || async {
        let Ok(id) = id else { return Ok(Some(())) };
        let message = near.client.message(pair.conversation, near.account, id).await?;
        let is_over = message.is_some_and(|message| matches!(message.state, MessageState::Failed { .. }));
        let new = new_in_thread(pair, before).await?;
        let has_arrived = have_arrived(&cell.carrier, new.iter().map(String::as_str), &mark);
        Ok((is_over || has_arrived).then_some(()))
    })
    .await?;
    let shown = new_in_thread(pair, before).await?;
    let (mut decision, mut is_journalled) = (None, false);
    let fate = match id {
        Err(code) => Fate::Refused(code),
        Ok(id) => {
            decision = near.client.decision_of(id).await?;
            is_journalled = has_downgrade_entry(&near.client, id).await?;
            let message = near.client.message(pair.conversation, near.account, id).await?;
            fate_of(cell, message.as_ref(), &shown, (&mark, &text))
        }
    };
    let told = Told::new(Direction::Out, (&mark, &text), fate, carrier);
    Ok(Told { decision, has_downgrade_entry: is_journalled, shown: shown.len(), ..told })
}

fn fate_of(cell: &Cell, message: Option<&MessageView>, shown: &[String], (mark, text): (&str, &str)) -> Fate {
    let is_intact = shown.iter().any(|shown| shown == text);
    if have_arrived(&cell.carrier, shown.iter().map(String::as_str), mark) {
        return Fate::Readable { is_intact };
    }
    match message.map(|message| message.state) {
        Some(MessageState::Failed { reason }) => Fate::Failed(reason.code()),
        Some(MessageState::Delivered | MessageState::Read) => Fate::Believed,
        Some(state) => Fate::Unconfirmed(state.as_str()),
        None => Fate::Lost("unknown"),
    }
}
