//! A cell whose far phone has nothing of ours: what the policy refuses, and what it lets go by the user's leave.

use std::time::Duration;

use rand::rngs::StdRng;
use rcseal_client::ClientError;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::plain::{PlainError, PlainMessageView, PlainSender, PlainState};
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, PolicyError, PolicyScope, StoredDecision, Subject};
use rcseal_rcs::number::PhoneNumber;

use super::MatrixError;
use super::cell::{Cell, have_arrived};
use super::outcome::{Direction, Fate, Told};
use super::phone::Phone;
use super::story::{Stage, has_downgrade_entry, until};
use crate::carrier::{Origin, SimCarrier, StandardPhone};
use crate::data::{Event, FallbackWord, Step};
use crate::story::{in_an_hour, words};

/// How long a readable message may take, one way. A carrier that never takes it keeps the sender's app waiting, which shows.
pub(super) const LIMIT: Duration = Duration::from_secs(15);
/// How long a message that was refused for now is waited for.
pub(super) const REFUSED_LIMIT: Duration = Duration::from_millis(600);
/// Lengths of the messages: a readable one is as long as a carrier takes, and no frames are cut.
pub(super) const LENS: [usize; 2] = [60, 900];
const PAGE: usize = 100;

type Played = (Vec<Told>, Vec<String>);

pub(super) fn policy(word: FallbackWord) -> FallbackPolicy {
    match word {
        FallbackWord::Block => FallbackPolicy::Block,
        FallbackWord::Verify => FallbackPolicy::Verify,
        FallbackWord::Downgrade => FallbackPolicy::Downgrade,
    }
}

pub(super) async fn play(stage: &Stage<'_>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let Stage { cell, numbers: (_, ref far_number), carrier, .. } = *stage;
    let near = stage.near().await?;
    let far = carrier.attach_standard(far_number);
    if cell.state.event == Some(Event::Offline) {
        carrier.set_online(far_number, false);
    }
    let subject = Subject::Number(NumberKey::of(far_number));
    near.client.open_thread(far_number.clone(), "Far".to_owned()).await?;
    near.client.set_fallback_policy(PolicyScope::Account, Some(policy(cell.state.policy))).await?;
    if cell.state.is_attested {
        near.client.attest_absence(far_number.clone(), in_an_hour()).await?;
    }
    if cell.state.has_consent {
        match near.client.give_consent(subject, DeliveryMode::CarrierReadable, in_an_hour()).await {
            // An agreement that could serve nothing is refused, and so is what is written.
            Err(ClientError::Policy(PolicyError::NoWayForMode { .. })) if !cell.near_is_on_carrier() => {}
            given => drop(given?),
        }
    }
    let (mut told, mut wrongs) = (Vec::new(), Vec::new());
    for len in LENS {
        let (mark, text) = words(rng, len);
        told.push(send_out(cell, &near, &far, far_number, carrier, (mark, text)).await?);
    }
    if cell.near_is_on_carrier() {
        for len in LENS {
            let (mark, text) = words(rng, len);
            told.push(send_back(&near, &far, carrier, (mark, text)).await?);
        }
    }
    if !near.client.conversations().await?.is_empty() {
        wrongs.push("a readable message began a conversation".to_owned());
    }
    near.remove().await?;
    Ok((told, wrongs))
}

/// The near phone writes.
async fn send_out(
    cell: &Cell,
    near: &Phone,
    far: &StandardPhone,
    far_number: &PhoneNumber,
    carrier: &SimCarrier,
    (mark, text): (String, String),
) -> Result<Told, MatrixError> {
    let before = far.shown().borrow().len();
    let record_before = carrier.record().len();
    let sent = near.client.send_plain(far_number.clone(), text.clone()).await;
    let (mut decision, mut is_journalled) = (None, false);
    let fate = match sent {
        Err(ClientError::Plain(PlainError::Refused(refused))) => {
            decision = Some(StoredDecision { message: None, ..*refused });
            Fate::Refused(refused.decision.reason.code())
        }
        Err(ClientError::Plain(error)) => Fate::Refused(error.code()),
        Err(error) => return Err(error.into()),
        Ok(order) => {
            let written = Written { order, mark: &mark, text: &text, before, record_before };
            let message = await_plain(cell, near, far, far_number, carrier, &written).await?;
            decision = near.client.decision_of(message.id).await?;
            is_journalled = has_downgrade_entry(&near.client, message.id).await?;
            fate_of(cell, far, &message, &written)
        }
    };
    let told = Told::new(Direction::Out, (&mark, &text), fate, carrier);
    Ok(Told { decision, has_downgrade_entry: is_journalled, shown: far.shown().borrow().len() - before, ..told })
}

/// How long a readable message is waited for: a carrier that delivers none is not waited for long.
pub(super) fn limit_over(carrier: &SimCarrier) -> Duration {
    let is_dropping = |step: &Step| {
        matches!(step, Step::Drop { .. } | Step::Refuse { .. } | Step::DropAbove { .. } | Step::RefuseAbove { .. })
    };
    if carrier.profile().steps.iter().any(is_dropping) { REFUSED_LIMIT } else { LIMIT }
}

async fn plain_message(near: &Phone, number: &PhoneNumber, order: u64) -> Result<PlainMessageView, MatrixError> {
    let messages = near.client.plain_messages(number.clone(), None, PAGE).await?;
    let found = messages.into_iter().find(|message| message.order == order);
    found.ok_or(MatrixError::Setup { what: "a message that was just written" })
}

/// A message that the near phone has written.
struct Written<'a> {
    order: u64,
    mark: &'a str,
    text: &'a str,
    /// What the far phone showed before.
    before: usize,
    /// What the carrier had seen before.
    record_before: usize,
}

impl Written<'_> {
    /// What the far phone shows since.
    fn shown(&self, far: &StandardPhone) -> Vec<String> {
        far.shown().borrow()[self.before..].iter().map(|shown| shown.text.clone()).collect()
    }

    fn has_arrived(&self, cell: &Cell, far: &StandardPhone) -> bool {
        have_arrived(&cell.carrier, self.shown(far).iter().map(String::as_str), self.mark)
    }
}

/// Waits until the far phone shows it, or the near one's app will learn no more.
async fn await_plain(
    cell: &Cell,
    near: &Phone,
    far: &StandardPhone,
    number: &PhoneNumber,
    carrier: &SimCarrier,
    written: &Written<'_>,
) -> Result<PlainMessageView, MatrixError> {
    let is_over = |message: &PlainMessageView| match message.state {
        PlainState::Failed | PlainState::NotAllowed => true,
        PlainState::Queued => false,
        PlainState::Unconfirmed | PlainState::Stored | PlainState::Sent => written.has_arrived(cell, far),
        PlainState::Delivered | PlainState::Displayed | PlainState::Received => true,
    };
    until(&[near], limit_over(carrier), || async {
        let message = plain_message(near, number, written.order).await?;
        let is_seen = carrier.record()[written.record_before..].iter().any(|seen| seen.origin == Origin::Phone);
        Ok((is_seen && is_over(&message)).then_some(()))
    })
    .await?;
    plain_message(near, number, written.order).await
}

fn fate_of(cell: &Cell, far: &StandardPhone, message: &PlainMessageView, written: &Written<'_>) -> Fate {
    if written.has_arrived(cell, far) {
        return Fate::Readable { is_intact: written.shown(far).iter().any(|shown| shown == written.text) };
    }
    match message.state {
        PlainState::Failed => Fate::Failed("carrier_failed"),
        PlainState::NotAllowed => Fate::Refused("no_longer_allowed"),
        PlainState::Queued => Fate::Unconfirmed("queued"),
        PlainState::Unconfirmed => Fate::Unconfirmed("unconfirmed"),
        PlainState::Stored => Fate::Unconfirmed("stored"),
        PlainState::Sent => Fate::Unconfirmed("sent"),
        PlainState::Delivered | PlainState::Displayed | PlainState::Received => Fate::Believed,
    }
}

/// The far phone writes: everybody on the way can read that, and it comes into a thread.
async fn send_back(
    near: &Phone,
    far: &StandardPhone,
    carrier: &SimCarrier,
    (mark, text): (String, String),
) -> Result<Told, MatrixError> {
    let inbound = |messages: Vec<PlainMessageView>| {
        let theirs = messages.into_iter().filter(|message| !matches!(message.sender, PlainSender::Own));
        theirs.map(|message| message.words).collect::<Vec<_>>()
    };
    let told = far.send_text(&near.number, &text).await;
    let limit = if told.is_ok() { REFUSED_LIMIT } else { Duration::from_millis(100) };
    let phones = [near];
    let arrived = until(&phones, limit, || async {
        for thread in near.client.threads().await? {
            let words = inbound(near.client.plain_messages(thread.number, None, PAGE).await?);
            if let Some(found) = words.into_iter().find(|words| words.contains(&mark)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    });
    let fate = match arrived.await? {
        Some(words) => Fate::Readable { is_intact: words == text },
        // The far phone is not ours to vouch for, and its carrier is as it is.
        None => Fate::Unconfirmed("foreign"),
    };
    let shown = usize::from(matches!(fate, Fate::Readable { .. }));
    Ok(Told { shown, is_foreign: true, ..Told::new(Direction::Back, (&mark, &text), fate, carrier) })
}
