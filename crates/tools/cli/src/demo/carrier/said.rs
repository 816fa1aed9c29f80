//! One message of the demo: what became of it, what the carrier did to it, and whether anybody read it who should not have.

use rcseal_engine::message::MessageState;
use rcseal_engine::policy::{EntryKind, StoredDecision};
use rcseal_rcs::frame;
use rcseal_rcs::transport::Taken;
use rcseal_sim::carrier::{Origin, Seen, SimCarrier};
use rcseal_wire::id::MessageId;

use super::scene::{LIMIT, PAGE, Phone, Scene, until};
use crate::demo::stage::StepError;

/// A message that was sent and is over.
#[derive(Debug)]
pub(crate) struct Said {
    /// From whom to whom, and how long.
    pub(crate) what: String,
    /// Words that stand in it and nowhere else.
    pub(crate) mark: String,
    /// Whether it stands in the recipient's conversation, once and as it was written.
    pub(crate) arrived_once: bool,
    /// Whether the recipient's client says that it came end to end.
    pub(crate) is_end_to_end: bool,
    /// The way that it came, by the recipient's client.
    pub(crate) way: &'static str,
    /// Why not the wanted way, for people; `None` where it was the wanted one.
    pub(crate) reason: Option<(&'static str, &'static str)>,
    /// Whether its sender was told that it is there.
    pub(crate) is_confirmed: bool,
    /// What the carrier did to it.
    pub(crate) carried: String,
}

/// Sends a text and waits until its sender has nothing more to learn of it.
pub(crate) async fn say(
    scene: &Scene,
    from: &Phone,
    to: &Phone,
    mark: String,
    text: String,
) -> Result<Said, StepError> {
    let record_before = scene.carrier.record().len();
    let id = from.client.send_text(scene.conversation, text.clone()).await?;
    let state = || async {
        let message = from.client.message(scene.conversation, from.account, id).await?;
        Ok::<_, StepError>(message.map(|message| message.state))
    };
    until(LIMIT, || async { Ok(!matches!(state().await?, Some(MessageState::Queued | MessageState::Stored))) }).await?;
    let copies: Vec<_> = to.texts(scene.conversation).await?.into_iter().filter(|(_, known)| *known == text).collect();
    let encryption = copies.first().map(|(message, _)| message.encryption);
    let reason = reason(from, id).await?;
    let record = scene.carrier.record();
    Ok(Said {
        what: format!("{} to {}, {} bytes", from.name, to.name, text.len()),
        mark,
        arrived_once: copies.len() == 1,
        is_end_to_end: encryption.is_some_and(|encryption| encryption.is_end_to_end()),
        way: encryption.map_or("nowhere", |encryption| encryption.mode().as_str()),
        reason,
        is_confirmed: matches!(state().await?, Some(MessageState::Delivered | MessageState::Read)),
        carried: carried(&record[record_before..], from),
    })
}

/// Why it did not go the wanted way: what the journal says, or the decision.
async fn reason(from: &Phone, id: MessageId) -> Result<Option<(&'static str, &'static str)>, StepError> {
    let journal = from.client.journal(0, PAGE).await?;
    let entry = journal.iter().find(|entry| entry.message == Some(id) && entry.kind == EntryKind::Fallback);
    if let Some(entry) = entry {
        return Ok(Some((entry.reason.code(), entry.reason.text())));
    }
    let decision = from.client.decision_of(id).await?;
    let is_other = |stored: &StoredDecision| stored.decision.mode() != Some(stored.wanted);
    Ok(decision.filter(is_other).map(|stored| (stored.decision.reason.code(), stored.decision.reason.text())))
}

/// What the carrier did to the frames of a sender, for people.
fn carried(record: &[std::sync::Arc<Seen>], from: &Phone) -> String {
    let frames: Vec<&Seen> = record
        .iter()
        .map(AsRef::as_ref)
        .filter(|seen| seen.origin == Origin::Phone && seen.from == from.number && has_frame(seen))
        .collect();
    if frames.is_empty() {
        return "the carrier was not handed anything".to_owned();
    }
    let bytes: usize = frames.iter().map(|seen| seen.handed_in.body.len()).sum();
    let passed: usize = frames.iter().map(|seen| seen.passed_on.len()).sum();
    let changed = frames.iter().flat_map(|seen| seen.passed_on.iter().filter(|it| **it != seen.handed_in)).count();
    let done = match (passed, changed) {
        (0, _) => "passed none on".to_owned(),
        (passed, 0) => format!("passed on {passed} as they were"),
        (passed, changed) => format!("passed on {passed}, {changed} of them changed"),
    };
    format!(
        "the carrier was handed {} of {bytes} bytes, {done}, and answered {}",
        many(frames.len(), "message"),
        told(&frames)
    )
}

fn has_frame(seen: &Seen) -> bool {
    !frame::find(&seen.handed_in.body).parts.is_empty()
}

fn told(frames: &[&Seen]) -> String {
    let mut answers: Vec<&'static str> = frames
        .iter()
        .map(|seen| match &seen.told {
            Ok(Taken::Answered) => "200",
            Ok(Taken::Stored) => "202",
            Err(failure) => failure.code(),
        })
        .collect();
    answers.sort_unstable();
    answers.dedup();
    answers.join(" and ")
}

/// A count with its noun.
pub(crate) fn many(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Whether the carrier could read these words in anything that a phone handed in or it passed on.
pub(crate) fn carrier_reads(carrier: &SimCarrier, mark: &str) -> bool {
    carrier.could_read(mark.as_bytes())
}
