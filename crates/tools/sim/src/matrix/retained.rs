//! Words that the operator's server can read: sealed to a key in its hardware module, kept there, and handed out to the recipient.
//!
//! Without the user's leave everything stays end to end. With it words arrive, labelled at both ends as readable by the server; on the
//! relay's disk they are sealed to its key, which is what the search at the end of a run looks for. A phone that has not been told inside
//! the encryption (it was installed again) lists them apart, and not in the conversation, until its peer says so again. When the leave is
//! taken back everything is end to end.
//!
//! Beside the cells, two runs with a relay of their own: the key is destroyed, and the server is moved to another region. What is sealed to
//! the old key is refused by that name, and what is written next goes end to end.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcseal_engine::message::{EncryptionStatus, MessageState};
use rcseal_engine::policy::DeliveryMode;
use rcseal_engine::retained::ServerKeyState;
use rcseal_server::config::ServerEncryptionConfig;
use tokio::time::Instant;

use super::MatrixError;
use super::cell::{Cell, Mode, cells};
use super::leave::{allow, announce, expect, is_by_leave, is_relayed, take_back, try_without};
use super::outcome::{CellOutcome, Direction, Fate, Told};
use super::relay::Relay;
use super::story::{BACK_LENS, LIMIT, OUT_LENS, Pair, Played, Sent, Stage, knows, look_up, meet, numbers, until};
use crate::carrier::SimCarrier;
use crate::data::{Event, World};
use crate::hsm::{Hsm, NEEDED};

const MODE: DeliveryMode = DeliveryMode::ServerEncrypted;
/// What the matrix calls a message that a phone lists apart, because nobody told it that such would come.
const UNANNOUNCED: &str = "retained_unannounced";

pub(super) async fn play(stage: &Stage<'_>, rng: &mut StdRng) -> Result<Played, MatrixError> {
    let Stage { cell, relay, .. } = *stage;
    // Said before anything is set up: without a key there is nothing to play.
    Hsm::of_process().ok_or(MatrixError::Setup { what: NEEDED })?;
    let (mut told, mut wrongs) = (Vec::new(), Vec::new());
    let mut pair = meet(stage, rng).await?;
    learn_key(&pair, Direction::Out).await?;
    if cell.is_downgradable() {
        allow(&pair, Direction::Out, MODE).await?;
    } else {
        try_without(&pair, MODE, &mut wrongs).await?;
    }
    if !cell.state.is_acknowledged {
        told.extend(end_to_end(&pair, stage, rng, &mut wrongs).await?);
    }
    if cell.is_downgradable() && !cell.state.is_acknowledged {
        return finish(pair, told, wrongs).await;
    }
    allow(&pair, Direction::Out, MODE).await?;
    announce(&pair, Direction::Out, MODE, &mut wrongs).await?;
    match cell.state.event {
        None => {}
        Some(Event::Offline) => pair.far.switch_off().await?,
        Some(Event::Reinstalled) => {
            let Pair { near, far, conversation } = pair;
            let mut far = far.reinstall(relay, "Far").await?;
            far.switch_on();
            pair = Pair { near, far, conversation };
            // It was never told, and so nothing is in its conversation.
            let sent = pair.send(Direction::Out, &OUT_LENS[..1], rng).await?;
            let untold = by_leave(&pair, stage, &sent, &mut wrongs).await?;
            expect(
                "to a phone that was not told",
                &untold,
                |fate| *fate == Fate::Unconfirmed(UNANNOUNCED),
                &mut wrongs,
            );
            told.extend(untold);
            // The users meet it again end to end, and one of them says so again.
            take_back(&pair, Direction::Out, &mut wrongs).await?;
            told.extend(end_to_end(&pair, stage, rng, &mut wrongs).await?);
            allow(&pair, Direction::Out, MODE).await?;
            announce(&pair, Direction::Out, MODE, &mut wrongs).await?;
        }
    }
    let sent = pair.send(Direction::Out, &OUT_LENS, rng).await?;
    if cell.state.event == Some(Event::Offline) {
        await_stored(&pair, &sent).await?;
        pair.far.switch_on();
    }
    let mut readable = by_leave(&pair, stage, &sent, &mut wrongs).await?;
    if cell.state.event.is_none() {
        // The other side's words go the same way by its own user's leave only.
        learn_key(&pair, Direction::Back).await?;
        allow(&pair, Direction::Back, MODE).await?;
        announce(&pair, Direction::Back, MODE, &mut wrongs).await?;
        let back = pair.send(Direction::Back, &BACK_LENS, rng).await?;
        readable.extend(by_leave(&pair, stage, &back, &mut wrongs).await?);
        take_back(&pair, Direction::Back, &mut wrongs).await?;
    }
    expect("by leave", &readable, is_by_leave, &mut wrongs);
    told.extend(readable);
    take_back(&pair, Direction::Out, &mut wrongs).await?;
    told.extend(end_to_end(&pair, stage, rng, &mut wrongs).await?);
    finish(pair, told, wrongs).await
}

async fn finish(pair: Pair, told: Vec<Told>, wrongs: Vec<String>) -> Result<Played, MatrixError> {
    let Pair { near, far, .. } = pair;
    near.remove().await?;
    far.remove().await?;
    Ok((told, wrongs))
}

/// One side's user looks at whose key it is.
async fn learn_key(pair: &Pair, direction: Direction) -> Result<(), MatrixError> {
    let (from, _) = pair.sides(direction);
    let key = from.client.refresh_server_key().await?;
    let is_usable = key.is_some_and(|key| key.state == ServerKeyState::Usable);
    is_usable.then_some(()).ok_or(MatrixError::Setup { what: NEEDED })
}

/// A line each way, which must go end to end.
async fn end_to_end(
    pair: &Pair,
    stage: &Stage<'_>,
    rng: &mut StdRng,
    wrongs: &mut Vec<String>,
) -> Result<Vec<Told>, MatrixError> {
    let mut told = Vec::new();
    for direction in [Direction::Out, Direction::Back] {
        if direction == Direction::Back && !knows(pair).await? {
            wrongs.push("the far phone does not know who writes".to_owned());
            continue;
        }
        let sent = pair.send(direction, &OUT_LENS[..1], rng).await?;
        pair.settle(&sent).await?;
        for message in &sent {
            told.push(look_up(pair, message, stage.carrier).await?);
        }
    }
    expect("end to end", &told, is_relayed, wrongs);
    Ok(told)
}

/// Waits until what was written by leave has come to its end, and looks it up.
async fn by_leave(
    pair: &Pair,
    stage: &Stage<'_>,
    sent: &[Sent],
    wrongs: &mut Vec<String>,
) -> Result<Vec<Told>, MatrixError> {
    let phones = [&pair.near, &pair.far];
    until(&phones, LIMIT, || async {
        for message in sent {
            if !pair.is_settled(message).await? && !is_listed_apart(pair, message).await? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let mut told = Vec::new();
    for message in sent {
        let found = look_up(pair, message, stage.carrier).await?;
        let is_apart = is_listed_apart(pair, message).await?;
        let has_come = found.shown > 0;
        if has_come && !is_labelled(pair, message).await? {
            wrongs.push("a message that the server can read is not labelled so at both ends".to_owned());
        }
        if has_come && is_apart {
            wrongs.push("a message is in the conversation and listed apart".to_owned());
        }
        let fate = if is_apart { Fate::Unconfirmed(UNANNOUNCED) } else { found.fate };
        // Nobody but the server can have opened it for the recipient.
        told.push(Told { fate, server_could_read: is_apart || has_come, ..found });
    }
    Ok(told)
}

/// Whether the recipient lists it among what nobody announced.
async fn is_listed_apart(pair: &Pair, sent: &Sent) -> Result<bool, MatrixError> {
    let (_, to) = pair.sides(sent.direction);
    let listed = to.client.retained_unannounced().await?;
    Ok(listed.iter().any(|view| Ok(view.id) == sent.id && view.words == sent.text))
}

/// Whether both ends say who can read it.
async fn is_labelled(pair: &Pair, sent: &Sent) -> Result<bool, MatrixError> {
    let Ok(id) = sent.id else { return Ok(false) };
    let (from, to) = pair.sides(sent.direction);
    for client in [&from.client, &to.client] {
        let message = client.message(pair.conversation, from.account, id).await?;
        if message.is_none_or(|message| message.encryption != EncryptionStatus::ServerEncrypted) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until the server has all of it.
async fn await_stored(pair: &Pair, sent: &[Sent]) -> Result<(), MatrixError> {
    let phones = [&pair.near];
    let stored = until(&phones, LIMIT, || async {
        for message in sent {
            let Ok(id) = message.id else { continue };
            let found = pair.near.client.message(pair.conversation, pair.near.account, id).await?;
            if found.is_some_and(|found| found.state == MessageState::Queued) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    });
    // A limit that is reached here shows in what becomes of the messages.
    stored.await.map(|_| ())
}

/// What happens to the server's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFate {
    /// It is destroyed.
    Destroyed,
    /// It belongs to another region than the server.
    Elsewhere,
}

/// A run with a relay of its own, to whose key something happens.
#[derive(Debug)]
pub struct KeyCell {
    /// What happens to the key.
    pub fate: KeyFate,
    /// The cell.
    pub cell: Cell,
}

impl KeyCell {
    /// What reports call it.
    pub(super) fn id(&self) -> String {
        format!("{}@{}", self.cell.id(), self.code())
    }

    /// Whether a quick look has it.
    pub(super) const fn is_in_smoke(&self) -> bool {
        matches!(self.fate, KeyFate::Destroyed)
    }

    /// The code under which the server refuses, and the sender's app says why.
    pub(super) const fn code(&self) -> &'static str {
        match self.fate {
            KeyFate::Destroyed => "server_key_destroyed",
            KeyFate::Elsewhere => "region_mismatch",
        }
    }

    const fn state(&self) -> ServerKeyState {
        match self.fate {
            KeyFate::Destroyed => ServerKeyState::Gone,
            KeyFate::Elsewhere => ServerKeyState::RegionMismatch,
        }
    }
}

/// Both fates, between two phones.
pub(super) fn key_cells(world: &World) -> Vec<KeyCell> {
    let is_wanted = |cell: &Cell| {
        let is_pair = cell.near.name == "android_oem" && cell.far.name == "ios";
        cell.mode == Mode::ServerEncrypted && is_pair && cell.state.name == "fresh"
    };
    let found = cells(world).into_iter().find(is_wanted).into_iter();
    let fates = [KeyFate::Destroyed, KeyFate::Elsewhere];
    found.flat_map(|cell| fates.map(|fate| KeyCell { fate, cell: Cell { stands_for: 0, ..cell.clone() } })).collect()
}

/// Plays one. Not beside anything else that uses the module: a server that stops closes it for its whole process, and the others have to
/// open it again.
///
/// # Errors
/// As [`super::play`].
pub(super) async fn play_key(key_cell: &KeyCell, number: usize, seed: u64) -> Result<CellOutcome, MatrixError> {
    let began = Instant::now();
    let hsm = Hsm::of_process().ok_or(MatrixError::Setup { what: NEEDED })?;
    let label = key_cell.code();
    let relay = Relay::start_with_key(hsm.encryption(label)).await?;
    let changed = match key_cell.fate {
        KeyFate::Destroyed => hsm.encryption_without_key(label),
        KeyFate::Elsewhere => hsm.encryption_elsewhere(label),
    };
    let carrier = SimCarrier::new(key_cell.cell.carrier.clone(), seed);
    let stage = Stage { cell: &key_cell.cell, numbers: numbers(number)?, relay: &relay, carrier: &carrier };
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(u64::try_from(number).unwrap_or(0)));
    let played = without_key(key_cell, &stage, &mut rng, changed).await;
    drop(relay.stop().await);
    let (messages, wrongs) = played?;
    Ok(CellOutcome { messages, wrongs, took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) })
}

async fn without_key(
    key_cell: &KeyCell,
    stage: &Stage<'_>,
    rng: &mut StdRng,
    changed: ServerEncryptionConfig,
) -> Result<Played, MatrixError> {
    let mut wrongs = Vec::new();
    let mut pair = meet(stage, rng).await?;
    learn_key(&pair, Direction::Out).await?;
    allow(&pair, Direction::Out, MODE).await?;
    announce(&pair, Direction::Out, MODE, &mut wrongs).await?;
    let sent = pair.send(Direction::Out, &OUT_LENS[..1], rng).await?;
    let mut told = by_leave(&pair, stage, &sent, &mut wrongs).await?;
    expect("by leave", &told, is_by_leave, &mut wrongs);
    pair.near.switch_off().await?;
    pair.far.switch_off().await?;
    let sent = pair.send(Direction::Out, &OUT_LENS[..1], rng).await?;
    stage.relay.restart_with(|config| config.server_encryption = Some(changed)).await?;
    pair.near.switch_on();
    pair.far.switch_on();
    let refused = by_leave(&pair, stage, &sent, &mut wrongs).await?;
    expect(key_cell.code(), &refused, |fate| *fate == Fate::Failed(key_cell.code()), &mut wrongs);
    told.extend(refused);
    let state = pair.near.client.server_key().await?.map(|key| key.state);
    if state != Some(key_cell.state()) {
        wrongs.push(format!("the app has the server's key for {state:?}"));
    }
    told.extend(end_to_end(&pair, stage, rng, &mut wrongs).await?);
    finish(pair, told, wrongs).await
}
