//! The adversary's part: somebody who runs the relay, or stands between, and tries three things.
//!
//! What is done is done with real material. Envelopes come out of Bob's own mailbox at the real relay, and go back in through its open
//! door, by Bob's delivery token, as a dishonest relay or contact would do it. The old key set is the one that the real directory served
//! before; it is handed to Bob's engine directly, in the place of a directory's answer, which shows the reason. Then the whole relay is
//! replaced by an old copy of itself, under its own certificate and address, and Bob's phone meets it over the network.

use std::path::Path;
use std::time::Duration;

use rcseal_engine::account::AccountError;
use rcseal_engine::contact::{KeySetOutcome, KeySetRefusal};
use rcseal_engine::media::sealed_len;
use rcseal_report::Row;
use rcseal_wire::content::{Body, Content};
use rcseal_wire::frame::{Submit, SubmitStatus};
use rcseal_wire::id::EnvelopeId;
use rcseal_wire::problem::ProblemCode;

use super::evidence::Evidence;
use super::inside::Inside;
use super::stage::{Phone, Stage, StepError, ensure};
use super::story::{ALICE, Cast, STILL_WAITING, UNDER_ATTACK, messages};
use super::telling::Telling;

/// Where a session envelope is damaged: behind kind, tag and nonce, in the ciphertext.
const DAMAGED_AT: usize = 64;
/// How often Bob asks the true directory before the demo gives up, and how long he waits in between: little, because asking is two
/// commands, which take a multiple of it.
const ASKS_MAX: u32 = 100;
const ASK_AGAIN: Duration = Duration::from_millis(25);
/// How long the adversary's envelopes may wait.
const TTL_SECONDS: u32 = 3600;

/// The signed key set that the directory has of a phone's account now.
pub(super) async fn keep_key_set(phone: &Phone) -> Result<Vec<u8>, StepError> {
    let inside = Inside::open(phone)?;
    let token = inside.engine(|engine| engine.delivery_token())?;
    Ok(inside.anonymous()?.key_set(&inside.account()?.address.account, &token).await?)
}

/// A tampered envelope and a replayed one, beside the genuine one.
pub(super) async fn tampered_and_replayed(
    stage: &Stage,
    cast: &Cast,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<(), StepError> {
    telling.begin(
        "tampered_envelope_refused",
        "attack: an envelope out of Bob's mailbox, with one bit of its ciphertext changed, goes in again under a new id",
    );
    stage.run(&cast.alice, &["send", "Bob", UNDER_ATTACK]).await?;
    evidence.learn_text(UNDER_ATTACK);
    put_back(&cast.bob, evidence).await?;
    let received = stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    let reason = received.event("undecryptable").and_then(|line| line["reason"].as_str()).unwrap_or("none");
    ensure(reason == "seal_broken", format!("the reason seal_broken, but got {reason}"))?;
    let genuine = messages(&received.lines).filter(|line| line["content"]["text"] == UNDER_ATTACK).count();
    ensure(genuine == 1, format!("the genuine message once, but it came {genuine} times"))?;
    telling.promise(Row::equal("tampered_envelope_reason", reason, "").goal("seal_broken"));
    telling.held("refused: seal_broken. It is kept aside, changed nothing, and is acknowledged as undecryptable");

    telling
        .begin("replayed_envelope_refused", "attack: the same envelope, unchanged, goes in again under another new id");
    let summary = received.event("empty").cloned().unwrap_or_default();
    let duplicates = summary["duplicates"].as_u64().unwrap_or(0);
    ensure(duplicates == 1, format!("one envelope that was seen to be a duplicate, but got {duplicates}"))?;
    let history = stage.run(&cast.bob, &["history", ALICE]).await?;
    let kept = messages(&history.lines).filter(|line| line["content"]["text"] == UNDER_ATTACK).count();
    ensure(kept == 1, format!("the message once in Bob's history, but it is there {kept} times"))?;
    telling.promise(Row::equal("replayed_envelope_shown_again", kept - 1, "messages").goal(0));
    telling.held("refused: duplicate. Its message key was used and is gone; the message is in Bob's history once");
    Ok(())
}

/// Fetches what waits without acknowledging it, and submits two copies.
async fn put_back(phone: &Phone, evidence: &mut Evidence) -> Result<(), StepError> {
    let inside = Inside::open(phone)?;
    let (waiting, _) = inside.authenticated()?.fetch().await?;
    let envelope =
        waiting.last().ok_or_else(|| StepError::NotShown { what: "an envelope in the mailbox".to_owned() })?;
    evidence.learn_control("envelope that was delivered", middle(&envelope.envelope));
    let mut tampered = envelope.envelope.to_vec();
    let byte = tampered
        .get_mut(DAMAGED_AT)
        .ok_or_else(|| StepError::NotShown { what: "an envelope of full length".to_owned() })?;
    *byte ^= 1;
    let copies = [tampered.into(), envelope.envelope.clone()];
    let statuses = inside.anonymous()?.submit(&submissions(&inside, copies.into_iter())?).await?;
    // The relay cannot tell: it sees opaque bytes under a valid token. Refusing is the phone's part.
    ensure(statuses == [SubmitStatus::Stored; 2], "a relay that takes both")
}

/// A key set from before the tablet was linked, offered as if it were the newest.
pub(super) async fn rolled_back_key_set(cast: &Cast, telling: &mut Telling, old: &[u8]) -> Result<(), StepError> {
    telling.begin(
        "rolled_back_key_set_refused",
        "attack: the directory's earlier key set of Alice, from before her tablet, is offered as the newest",
    );
    let bob = Inside::open(&cast.bob)?;
    let alice = Inside::open(&cast.alice)?;
    let account = alice.account()?.address.account;
    let before = bob.engine(|engine| engine.contact_view(account))?;
    let offered = old.to_vec();
    let code = match bob.engine(move |engine| engine.handle_key_set(account, &offered))? {
        KeySetOutcome::Refused(refusal @ KeySetRefusal::Invalid(_)) => refusal.code(),
        other => return Err(StepError::NotShown { what: format!("a refused key set, but it was {other:?}") }),
    };
    let after = bob.engine(|engine| engine.contact_view(account))?;
    ensure(before.key_set_counter == after.key_set_counter, "Bob's view of Alice's devices, unchanged")?;
    // And whoever holds Alice's phone cannot make the directory itself go back.
    let server = match alice.authenticated()?.publish_key_set(old.to_vec()).await {
        Err(error) => error.problem().map_or("none", ProblemCode::as_str),
        Ok(()) => "accepted",
    };
    ensure(server == "key_set_rollback", format!("the directory's refusal key_set_rollback, but got {server}"))?;
    telling.promise(Row::equal("rolled_back_key_set_reason", code, "").goal("key_set_rollback"));
    telling.held(&format!(
        "refused: {code} by Bob's engine (handed over in this process, in the place of a directory's answer),\n      \
         and {server} by the directory itself when Alice's own key tries to publish it"
    ));
    Ok(())
}

/// An operator's attack: the whole relay is put back to what it was before Alice had a tablet, while Bob is about to ask for her devices.
pub(super) async fn rolled_back_directory(
    stage: &mut Stage,
    cast: &Cast,
    telling: &mut Telling,
) -> Result<(), StepError> {
    telling.begin(
        "rolled_back_directory_refused",
        "attack: Alice removes her tablet; the operator puts an old copy of the whole relay in its place and passes her messages on",
    );
    stage.run(&cast.alice, &["device", "remove", "2"]).await?;
    // Her phone has told Bob's that her devices changed. A dishonest relay hands that over, and shows the old directory beside it.
    let bob = Inside::open(&cast.bob)?;
    let (waiting, _) = bob.authenticated()?.fetch().await?;
    ensure(!waiting.is_empty(), "a message to Bob about Alice's devices")?;
    stage.kill_relay().await?;
    stage.start_copy().await?;
    let statuses =
        bob.anonymous()?.submit(&submissions(&bob, waiting.iter().map(|waits| waits.envelope.clone()))?).await?;
    ensure(statuses.iter().all(|status| *status == SubmitStatus::Stored), "a relay that passes the messages on")?;
    drop(bob);
    let deceived = stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    ensure(deceived.event("key_set_refused").is_some(), "a key set that Bob's phone refused")?;
    let devices = |answer: &super::stage::Answer| {
        answer.lines.first().and_then(|contact| contact["devices"].as_array()).map_or(0, Vec::len)
    };
    let before = devices(&stage.run(&cast.bob, &["contacts"]).await?);
    ensure(before == 2, format!("Bob's own view of Alice's two devices, unchanged, but he sees {before}"))?;

    stage.kill_relay().await?;
    stage.start_relay().await?;
    // The refused fetch is repeated after a while that grows; a new message makes Bob's phone look as soon as it may.
    let mut after = before;
    for _ in 0..ASKS_MAX {
        stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
        after = devices(&stage.run(&cast.bob, &["contacts"]).await?);
        if after == 1 {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    ensure(after == 1, "the tablet gone in Bob's eyes, once the true directory is back")?;
    let history = stage.run(&cast.bob, &["history", ALICE]).await?;
    let texts = messages(&history.lines).filter(|line| line["content"]["text"] == STILL_WAITING).count();
    ensure(texts == 1, format!("a message that both relays delivered, once, but it is there {texts} times"))?;
    telling.held(
        "refused over the network: Bob's phone keeps what it knew, and follows the true directory when it is back",
    );
    Ok(())
}

/// Envelopes as anybody who holds Bob's delivery token can submit them, each under a new id.
fn submissions(inside: &Inside, envelopes: impl Iterator<Item = bytes::Bytes>) -> Result<Vec<Submit>, StepError> {
    let mailbox = inside.account()?.mailbox;
    envelopes
        .map(|envelope| {
            Ok(Submit {
                mailbox,
                token: inside.engine(|engine| engine.delivery_token())?,
                id: EnvelopeId::generate(&mut rand::rng()),
                ttl_seconds: TTL_SECONDS,
                envelope,
            })
        })
        .collect()
}

/// A piece of the photo as the relay has it, fetched as anybody could who knows its id.
pub(super) async fn photo_ciphertext(phone: &Phone, folder: &Path) -> Result<Vec<u8>, StepError> {
    let inside = Inside::open(phone)?;
    let media = inside.engine(|engine| {
        let mut found = None;
        for conversation in engine.conversations()? {
            for message in engine.messages(conversation.id, None, 100)? {
                if let Some(Body::Media(media)) = message.content.map(Content::into_body) {
                    found = Some(media);
                }
            }
        }
        Ok::<_, AccountError>(found)
    })?;
    let blob = media.ok_or_else(|| StepError::NotShown { what: "a message with a file".to_owned() })?.blob;
    let path = folder.join("ciphertext");
    inside.anonymous()?.download_blob(&blob.id, sealed_len(blob.size), &blob.digest, &path, &mut |_| {}).await?;
    Ok(middle(&std::fs::read(path)?).to_vec())
}

/// Bytes out of the middle of an envelope: all ciphertext.
pub(super) fn middle(envelope: &[u8]) -> &[u8] {
    let start = envelope.len() / 2;
    envelope.get(start..start + 32).unwrap_or(envelope)
}
