//! What happens in one cell: two phones meet, write to each other in three lengths both ways, and everything that came of it is looked up
//! on both sides and at the carrier.
//!
//! The story waits for conditions, with a limit, and wakes suspended apps meanwhile as a push would. A limit that is reached is no error
//! here: what then has not arrived is lost, and says so.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcseal_client::{Client, ClientError};
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_engine::policy::{DeliveryMode, EntryKind, JournalEntry, RoutePreference, Subject};
use rcseal_engine::send::SendError;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{ConversationId, MessageId};
use tokio::time::{Instant, sleep};

use super::MatrixError;
use super::cell::{Cell, Mode};
use super::downgrade;
use super::legacy;
use super::outcome::{CellOutcome, Direction, Fate, Told};
use super::phone::Phone;
use super::relay::Relay;
use super::{retained, sms};
use crate::carrier::SimCarrier;
use crate::data::{Event, Platform, Step};
use crate::story::{texts, words};

/// How long something may take that has to happen. Many times what it takes on a machine that does much else.
pub(super) const LIMIT: Duration = Duration::from_secs(40);
/// How long two devices may take to learn of each other that both are on the carrier.
const CARDS_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two pushes.
const PUSH_PAUSE: Duration = Duration::from_millis(200);
/// Messages read at once: more than any cell has.
const PAGE: usize = 500;

/// Lengths of the messages: a line, what is longer than a pager message takes, and nearly the longest text there is.
pub(super) const OUT_LENS: [usize; 3] = [60, 2_000, 16_000];
/// Lengths of the answers.
pub(super) const BACK_LENS: [usize; 2] = [60, 2_000];

/// Numbers that no two cells share.
pub(super) fn numbers(cell_number: usize) -> Result<(PhoneNumber, PhoneNumber), MatrixError> {
    let number = |last: usize| {
        let text = format!("+1415{:07}", 2_000_000 + cell_number * 2 + last);
        text.parse().map_err(|_| MatrixError::Setup { what: "a phone number" })
    };
    Ok((number(0)?, number(1)?))
}

/// Looks until there is something, waking phones meanwhile. `None` when the limit is over.
pub(super) async fn until<T, R>(
    phones: &[&Phone],
    limit: Duration,
    mut look: impl FnMut() -> R,
) -> Result<Option<T>, MatrixError>
where
    R: Future<Output = Result<Option<T>, MatrixError>>,
{
    let ends_at = Instant::now() + limit;
    let mut pushed_at = None::<Instant>;
    loop {
        if let Some(found) = look().await? {
            return Ok(Some(found));
        }
        if Instant::now() >= ends_at {
            return Ok(None);
        }
        if pushed_at.is_none_or(|at| at.elapsed() >= PUSH_PAUSE) {
            for phone in phones {
                phone.wake().await?;
            }
            pushed_at = Some(Instant::now());
        } else {
            sleep(PAUSE).await;
        }
    }
}

/// Runs a cell.
///
/// # Errors
/// What keeps a cell from being played at all; what goes wrong with messages is in the outcome.
pub async fn play(cell: &Cell, number: usize, relay: &Relay, seed: u64) -> Result<CellOutcome, MatrixError> {
    let began = Instant::now();
    let seed = seed.wrapping_mul(1_000_003).wrapping_add(u64::try_from(number).unwrap_or(0));
    let carrier = SimCarrier::new(cell.carrier.clone(), seed);
    let stage = Stage { cell, numbers: numbers(number)?, relay, carrier: &carrier };
    let mut rng = StdRng::seed_from_u64(seed);
    let (messages, wrongs) = match (cell.mode, cell.has_client) {
        (Mode::ServerEncrypted, true) => retained::play(&stage, &mut rng).await?,
        (Mode::Sms, _) => sms::play(&stage, &mut rng).await?,
        (_, true) => between_clients(&stage, &mut rng).await?,
        (_, false) => legacy::play(&stage, &mut rng).await?,
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(CellOutcome { messages, wrongs, took_ms })
}

/// Where a cell is played.
pub(super) struct Stage<'a> {
    pub(super) cell: &'a Cell,
    /// Of the near phone and of the far one.
    pub(super) numbers: (PhoneNumber, PhoneNumber),
    pub(super) relay: &'a Relay,
    pub(super) carrier: &'a Arc<SimCarrier>,
}

impl Stage<'_> {
    /// The near phone, new and switched on.
    pub(super) async fn near(&self) -> Result<Phone, MatrixError> {
        self.phone(&self.cell.near, "Near", &self.numbers.0, true).await
    }

    async fn far(&self) -> Result<Phone, MatrixError> {
        self.phone(&self.cell.far, "Far", &self.numbers.1, self.cell.has_frames).await
    }

    async fn phone(
        &self,
        platform: &Platform,
        name: &str,
        number: &PhoneNumber,
        has_frames: bool,
    ) -> Result<Phone, MatrixError> {
        let mut phone = Phone::new(platform, self.relay, name, number.clone()).await?;
        phone.join(self.cell.mode, self.relay, self.carrier, has_frames).await?;
        phone.switch_on();
        Ok(phone)
    }
}

/// A message on its way.
pub(super) struct Sent {
    pub(super) direction: Direction,
    pub(super) mark: String,
    pub(super) text: String,
    /// Its id, or why there is none.
    pub(super) id: Result<MessageId, &'static str>,
}

/// Two phones with a conversation.
pub(super) struct Pair {
    pub(super) near: Phone,
    pub(super) far: Phone,
    pub(super) conversation: ConversationId,
}

impl Pair {
    pub(super) fn sides(&self, direction: Direction) -> (&Phone, &Phone) {
        match direction {
            Direction::Out => (&self.near, &self.far),
            Direction::Back => (&self.far, &self.near),
        }
    }

    /// Sends these lengths, one right after the other.
    pub(super) async fn send(
        &self,
        direction: Direction,
        lens: &[usize],
        rng: &mut StdRng,
    ) -> Result<Vec<Sent>, MatrixError> {
        let (from, to) = self.sides(direction);
        let mut sent = Vec::new();
        for len in lens {
            let (mark, text) = words(rng, *len);
            let mut id = from.client.send_text(self.conversation, text.clone()).await;
            if let Err(ClientError::Send(SendError::VerificationChanged)) = &id {
                // The user looks at the change and accepts it.
                from.client.accept_change(to.account).await?;
                id = from.client.send_text(self.conversation, text.clone()).await;
            }
            let id = match id {
                Ok(id) => Ok(id),
                Err(ClientError::Send(error)) => Err(error.code()),
                Err(error) => return Err(error.into()),
            };
            sent.push(Sent { direction, mark, text, id });
        }
        Ok(sent)
    }

    /// Whether the sender's app has nothing more to learn of a message.
    pub(super) async fn is_settled(&self, sent: &Sent) -> Result<bool, MatrixError> {
        let Ok(id) = sent.id else { return Ok(true) };
        let (from, _) = self.sides(sent.direction);
        let message = from.client.message(self.conversation, from.account, id).await?;
        Ok(message.is_none_or(|message| !matches!(message.state, MessageState::Queued | MessageState::Stored)))
    }

    /// The users let every message go that waits for them. Answers how many those were.
    pub(super) async fn approve_held(&self) -> Result<usize, MatrixError> {
        let mut count = 0;
        for phone in [&self.near, &self.far] {
            for held in phone.client.held_resends().await? {
                phone.client.approve_resend(held.conversation, held.message).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Waits until every message is settled. What a user has to decide on the way, the user decides in favour of the message.
    pub(super) async fn settle(&self, sent: &[Sent]) -> Result<bool, MatrixError> {
        let phones = [&self.near, &self.far];
        let settled = until(&phones, LIMIT, || async {
            if self.approve_held().await? > 0 {
                return Ok(None);
            }
            for message in sent {
                if !self.is_settled(message).await? {
                    return Ok(None);
                }
            }
            // What was found to have failed right now may wait for the user since.
            if self.approve_held().await? > 0 {
                return Ok(None);
            }
            Ok(Some(()))
        });
        Ok(settled.await?.is_some())
    }
}

pub(super) type Played = (Vec<Told>, Vec<String>);

async fn between_clients(stage: &Stage<'_>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let Stage { cell, relay, carrier, .. } = *stage;
    let mut wrongs = Vec::new();
    let mut pair = meet(stage, rng).await?;
    if cell.wants_carrier() && !both_by_carrier(cell, &pair).await? {
        wrongs.push("the carrier did not become a way".to_owned());
    }
    match cell.state.event {
        None => {}
        Some(Event::Offline) => {
            pair.far.switch_off().await?;
            if pair.far.is_seen_by_carrier() {
                carrier.set_online(&pair.far.number, false);
            }
        }
        Some(Event::Reinstalled) => {
            let Pair { near, far, conversation } = pair;
            let mut far = far.reinstall(relay, "Far").await?;
            far.join(cell.mode, relay, carrier, cell.has_frames).await?;
            far.switch_on();
            pair = Pair { near, far, conversation };
        }
    }
    let mut told = Vec::new();
    if cell.is_downgradable() {
        told = downgrade::play(cell, &pair, carrier, rng, &mut wrongs).await?;
    }
    let mut sent = pair.send(Direction::Out, &OUT_LENS, rng).await?;
    if cell.state.event == Some(Event::Offline) {
        await_hand_over(&pair, &sent).await?;
        carrier.set_online(&pair.far.number, true);
        pair.far.switch_on();
    }
    let mut is_settled = pair.settle(&sent).await?;
    if cell.state.event == Some(Event::Reinstalled) && !knows(&pair).await? {
        wrongs.push("the reinstalled phone does not know who writes".to_owned());
    } else {
        if cell.state.event == Some(Event::Reinstalled) {
            prefer(&pair.far, &pair.near, cell).await?;
        }
        let back = pair.send(Direction::Back, &BACK_LENS, rng).await?;
        is_settled &= pair.settle(&back).await?;
        sent.extend(back);
    }
    for message in &sent {
        told.push(look_up(&pair, message, carrier).await?);
    }
    if !is_settled && told.iter().all(|told| told.shown > 0) {
        for message in &sent {
            if !pair.is_settled(message).await? {
                let len = message.text.len();
                wrongs.push(format!("{:?} of {len} bytes arrived, and its sender was not told", message.direction));
            }
        }
    }
    check_conversations(&pair, &sent, carrier, &mut wrongs).await?;
    let Pair { near, far, .. } = pair;
    near.remove().await?;
    far.remove().await?;
    Ok((told, wrongs))
}

/// Two new phones get to know each other: an invitation, a message, an answer.
pub(super) async fn meet(stage: &Stage<'_>, rng: &mut StdRng) -> Result<Pair, MatrixError> {
    let cell = stage.cell;
    let (near, far) = tokio::join!(stage.near(), stage.far());
    let (near, far) = (near?, far?);
    near.client.add_contact(far.client.invite().await?, "Far".to_owned()).await?;
    let conversation = near.client.direct_conversation(far.account).await?;
    let (_, opening) = words(rng, 60);
    near.client.send_text(conversation, opening.clone()).await?;
    let pair = Pair { near, far, conversation };
    let arrived = |client: &Client, text: String| {
        let client = client.clone();
        async move { Ok(texts(&client, conversation, PAGE).await?.iter().any(|(_, known)| *known == text).then_some(())) }
    };
    let phones = [&pair.near, &pair.far];
    let opened = until(&phones, LIMIT, || arrived(&pair.far.client, opening.clone())).await?;
    opened.ok_or(MatrixError::Setup { what: "a first message" })?;
    prefer(&pair.near, &pair.far, cell).await?;
    prefer(&pair.far, &pair.near, cell).await?;
    let (_, answer) = words(rng, 60);
    pair.far.client.send_text(conversation, answer.clone()).await?;
    let answered = until(&phones, LIMIT, || arrived(&pair.near.client, answer.clone())).await?;
    answered.ok_or(MatrixError::Setup { what: "a first answer" })?;
    Ok(pair)
}

/// The user of one phone gives the other a number and says which way is preferred.
async fn prefer(of: &Phone, to: &Phone, cell: &Cell) -> Result<(), MatrixError> {
    of.client.set_contact_number(to.account, Some(to.number.clone())).await?;
    let preference = match cell.mode {
        Mode::Native | Mode::Brokered => RoutePreference::Native,
        Mode::Relayed | Mode::ServerEncrypted | Mode::Sms => RoutePreference::Relayed,
    };
    of.client.set_route_preference(None, Some(preference)).await?;
    Ok(())
}

/// Waits until both sides would go by the carrier, if the carrier lets them.
async fn both_by_carrier(cell: &Cell, pair: &Pair) -> Result<bool, MatrixError> {
    let mode = if cell.needs_broker() { DeliveryMode::Brokered } else { DeliveryMode::Native };
    let subject = Subject::Conversation(pair.conversation);
    let phones = [&pair.near, &pair.far];
    let both = until(&phones, CARDS_LIMIT, || async {
        for phone in [&pair.near, &pair.far] {
            if !phone.client.explain(subject).await?.inputs.ways.has(mode) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    });
    Ok(both.await?.is_some())
}

/// Whether the far phone has the near one among its contacts: after it was installed again, once something has arrived from there.
pub(super) async fn knows(pair: &Pair) -> Result<bool, MatrixError> {
    let phones = [&pair.near, &pair.far];
    let known =
        until(&phones, PUSH_PAUSE, || async { Ok(pair.far.client.direct_conversation(pair.near.account).await.ok()) });
    Ok(known.await?.is_some())
}

/// Waits until the near phone has got rid of everything: a relay or a carrier has it.
async fn await_hand_over(pair: &Pair, sent: &[Sent]) -> Result<(), MatrixError> {
    let phones = [&pair.near];
    let done = until(&phones, LIMIT, || async {
        let status = pair.near.client.carrier_status().await?;
        let mut queued = 0;
        for message in sent {
            let Ok(id) = message.id else { continue };
            let found = pair.near.client.message(pair.conversation, pair.near.account, id).await?;
            queued += usize::from(found.is_some_and(|found| found.state == MessageState::Queued));
        }
        Ok((status.view.ready == 0 && queued <= status.view.kept_by_carrier).then_some(()))
    });
    // A limit that is reached here shows in what becomes of the messages.
    done.await.map(|_| ())
}

/// What the journal says of a message.
async fn entries_of(client: &Client, id: MessageId) -> Result<Vec<JournalEntry>, MatrixError> {
    let entries = client.journal(0, PAGE).await?;
    Ok(entries.into_iter().filter(|entry| entry.message == Some(id)).collect())
}

/// Whether the journal has it that a message went readable.
pub(super) async fn has_downgrade_entry(client: &Client, id: MessageId) -> Result<bool, MatrixError> {
    Ok(entries_of(client, id).await?.iter().any(|entry| entry.kind == EntryKind::Downgrade))
}

/// Looks a message up on both sides and at the carrier.
pub(super) async fn look_up(pair: &Pair, sent: &Sent, carrier: &SimCarrier) -> Result<Told, MatrixError> {
    let (from, to) = pair.sides(sent.direction);
    let arrived: Vec<MessageView> = texts(&to.client, pair.conversation, PAGE)
        .await?
        .into_iter()
        .filter(|(message, text)| *text == sent.text && message.sender.account == from.account)
        .map(|(message, _)| message)
        .collect();
    let (mut decision, mut is_journalled) = (None, false);
    let fate = match sent.id {
        Err(code) => Fate::Refused(code),
        Ok(id) => {
            decision = from.client.decision_of(id).await?;
            is_journalled = has_downgrade_entry(&from.client, id).await?;
            let entries = entries_of(&from.client, id).await?;
            let fallback = entries.iter().find(|entry| entry.kind == EntryKind::Fallback);
            let message = from.client.message(pair.conversation, from.account, id).await?;
            let state = message.as_ref().map(|message| message.state);
            match (arrived.first(), state) {
                (Some(here), _) if !here.encryption.is_end_to_end() => Fate::Readable { is_intact: true },
                (Some(here), _) => match fallback {
                    Some(entry) => Fate::FellBack(entry.reason.code()),
                    None => Fate::Delivered(here.encryption.mode()),
                },
                (None, Some(MessageState::Failed { reason })) => Fate::Failed(reason.code()),
                (None, Some(MessageState::Undecryptable { reason })) => Fate::Failed(reason.code()),
                (None, state) => Fate::Lost(state.map_or("unknown", MessageState::as_str)),
            }
        }
    };
    let told = Told::new(sent.direction, (&sent.mark, &sent.text), fate, carrier);
    Ok(Told { decision, has_downgrade_entry: is_journalled, shown: arrived.len(), ..told })
}

/// Nothing stands in a conversation that no phone wrote, nothing twice, and nothing that came readable.
async fn check_conversations(
    pair: &Pair,
    sent: &[Sent],
    carrier: &SimCarrier,
    wrongs: &mut Vec<String>,
) -> Result<(), MatrixError> {
    let injected: Vec<&str> = carrier
        .profile()
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Inject { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    for phone in [&pair.near, &pair.far] {
        let texts = texts(&phone.client, pair.conversation, PAGE).await?;
        for (message, text) in &texts {
            if injected.iter().any(|injected| text.contains(injected)) {
                wrongs.push("the carrier's own words stand in a conversation".to_owned());
            }
            // What its own user let go readable is the one exception.
            let is_by_leave = message.is_outgoing && carrier.could_read(text.as_bytes());
            if !message.encryption.is_end_to_end() && !is_by_leave {
                wrongs.push("a readable message stands in a conversation that is end to end".to_owned());
            }
        }
        for message in sent {
            let count = texts.iter().filter(|(_, text)| *text == message.text).count();
            if count > 1 {
                wrongs.push(format!("a message stands in a conversation {count} times"));
            }
        }
        let status = phone.client.quarantined().await?;
        let is_reinstalled = !status.is_empty();
        // What cannot be decrypted after a reinstallation was for keys that are gone.
        if is_reinstalled && pair.near.folder() == phone.folder() {
            wrongs.push(format!("{} envelopes could not be decrypted at the near phone", status.len()));
        }
    }
    Ok(())
}
