//! Keys that change: those of a session when somebody asks for it, and the account key, once while Bob looks and twice while he does not.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use super::inside::Inside;
use super::stage::{Phone, Stage, StepError, ensure};
use super::story::{ALICE, Cast, messages};
use super::telling::Telling;

const UNDER_NEW_KEYS: &str = "Nobody who copied my phone yesterday reads this";
const AFTER_ACCEPTING: &str = "So it is you, with the new key ring";
const AFTER_CATCHING_UP: &str = "Two locksmiths in one week, really?";
/// What a session draws anew when it turns.
const RATCHET_KEY: &str = "ratchet key";

/// New keys for the session between the two phones, on demand.
pub(super) async fn rekey(
    stage: &Stage,
    cast: &Cast,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<(), StepError> {
    telling.begin("rekey", "Alice asks for new session keys now; both directions get them");
    let before = (turned_at(stage, &cast.alice, "Bob").await?, turned_at(stage, &cast.bob, ALICE).await?);
    let keys = (ratchet_keys(&cast.alice)?, ratchet_keys(&cast.bob)?);
    let asked = stage.run(&cast.alice, &["rekey", "Bob"]).await?;
    let devices = asked.event("rekey").and_then(|line| line["asked"].as_u64()).unwrap_or(0);
    ensure(devices > 0, "a device that was asked")?;
    // The answer comes with Bob's next connection, and turns Alice's side with hers; what she sends then turns his.
    let shown = stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    ensure(messages(&shown.lines).next().is_none(), "nothing that anybody is shown of it")?;
    stage.run(&cast.alice, &["listen", "--until-empty"]).await?;
    stage.run(&cast.alice, &["send", "Bob", UNDER_NEW_KEYS]).await?;
    evidence.learn_text(UNDER_NEW_KEYS);
    received(stage, &cast.bob, UNDER_NEW_KEYS).await?;
    let after = (turned_at(stage, &cast.alice, "Bob").await?, turned_at(stage, &cast.bob, ALICE).await?);
    ensure(after.0 > before.0, "Bob's direction under a new key in Alice's eyes")?;
    ensure(after.1 > before.1, "Alice's direction under a new key in Bob's eyes")?;
    for (phone, before) in [(&cast.alice, &keys.0), (&cast.bob, &keys.1)] {
        let drawn = ratchet_keys(phone)?.difference(before).count();
        ensure(drawn > 0, format!("a ratchet key that {} did not have before", phone.name))?;
    }
    telling.held(
        "a ping and a pong that nobody is shown; each phone drew a new ratchet key, and the other counts from it",
    );
    Ok(())
}

/// When the session with the first device of a contact last turned.
async fn turned_at(stage: &Stage, phone: &Phone, contact: &str) -> Result<u64, StepError> {
    let sessions = stage.run(phone, &["sessions", contact]).await?;
    let active = sessions.lines.iter().find(|line| line["device"] == 1).and_then(|line| {
        line["sessions"].as_array()?.iter().find(|session| session["active"] == true)?["turned_at_ms"].as_u64()
    });
    active.ok_or_else(|| StepError::NotShown { what: format!("a session between {} and {contact}", phone.name) })
}

fn ratchet_keys(phone: &Phone) -> Result<BTreeSet<Vec<u8>>, StepError> {
    let secrets = Inside::open(phone)?.secrets()?;
    Ok(secrets.iter().filter(|secret| secret.kind == RATCHET_KEY).map(|secret| secret.bytes.to_vec()).collect())
}

/// A new account key of a contact whose safety number was compared.
pub(super) async fn account_key(
    stage: &Stage,
    cast: &Cast,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<(), StepError> {
    telling.begin("account_key_rotated", "Alice replaces her account key; Bob had compared the old one");
    stage.run(&cast.alice, &["account", "rotate-key"]).await?;
    evidence.learn_secrets(&cast.alice)?;
    let told = stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    let how = told.event("account_key_changed").and_then(|line| line["how"].as_str()).unwrap_or("nothing").to_owned();
    ensure(how == "migrated", format!("a change that the old key vouches for, but it was {how}"))?;
    let state = alice_in(stage, &cast.bob).await?.text("verification")?;
    ensure(state == "changed", format!("a contact that is `changed`, but it is `{state}`"))?;
    let kept = stage.attempt(&cast.bob, &["send", ALICE, AFTER_ACCEPTING]).await?;
    ensure(kept.code == Some(7), format!("a message that is not sent, exit code 7, but got {:?}", kept.code))?;
    let accepted = stage.run(&cast.bob, &["contact", "accept", ALICE]).await?;
    ensure(accepted.text("accepted")? == "migrated", "an answer that says what was accepted")?;
    stage.run(&cast.bob, &["send", ALICE, AFTER_ACCEPTING]).await?;
    evidence.learn_text(AFTER_ACCEPTING);
    received(stage, &cast.alice, AFTER_ACCEPTING).await?;
    telling.held("`verified` became `changed`, and nothing was sent to her until he had accepted the new key");
    Ok(())
}

/// Changes of the account key that a contact was not there to see.
pub(super) async fn missed(
    stage: &Stage,
    cast: &Cast,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<(), StepError> {
    telling.begin("missed_changes_caught_up", "she replaces it twice more while Bob is away");
    for _ in 0..2 {
        stage.run(&cast.alice, &["account", "rotate-key"]).await?;
        evidence.learn_secrets(&cast.alice)?;
    }
    let told = stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    ensure(told.event("key_set_refused").is_none(), "key sets that follow from one another")?;
    ensure(told.event("account_key_changed").is_some(), "a change that Bob is told of")?;
    let (hers, his) =
        (stage.run(&cast.alice, &["verify", "Bob"]).await?, stage.run(&cast.bob, &["verify", ALICE]).await?);
    ensure(hers.text("safety_number")? == his.text("safety_number")?, "the same safety number on both sides")?;
    stage.run(&cast.bob, &["send", ALICE, AFTER_CATCHING_UP]).await?;
    evidence.learn_text(AFTER_CATCHING_UP);
    received(stage, &cast.alice, AFTER_CATCHING_UP).await?;
    telling
        .held("Bob's phone fetched every key set between, checked each signature by the key before, and is up to date");
    Ok(())
}

async fn alice_in(stage: &Stage, phone: &Phone) -> Result<super::stage::Answer, StepError> {
    stage.run(phone, &["contacts"]).await
}

async fn received(stage: &Stage, phone: &Phone, text: &str) -> Result<(), StepError> {
    let received = stage.run(phone, &["listen", "--until-empty"]).await?;
    ensure(messages(&received.lines).any(|line| line["content"]["text"] == text), format!("the message {text:?}"))
}
