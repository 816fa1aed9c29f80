//! What the demo shows, step by step. Every step runs commands of this executable on profiles, looks at what they answered, and holds
//! only if that is what was promised.

use serde_json::Value;

use super::attack;
use super::change;
use super::closing;
use super::evidence::Evidence;
use super::photo;
use super::stage::{Phone, Stage, StepError, ensure};
use super::telling::Telling;

/// What is said in the demo; each is looked for on the relay's disk.
pub(super) const FIRST: &str = "Did the harbour lights come on again last night?";
const REPLY: &str = "Every one of them, and the old ferry whistled twice";
/// Eleven bytes, so that it can be looked for without being found by accident.
const REACTION: &str = "👩‍🚀";
const ONE_WHILE_AWAY: &str = "Leave the green door open for the piano movers";
const TWO_WHILE_AWAY: &str = "The spare key hangs behind the barometer";
const CAPTION: &str = "Sunset from the lighthouse stairs";
const TO_BOTH_DEVICES: &str = "Read this wherever you sit down first";
const FROM_THE_TABLET: &str = "Typed with two thumbs on the kitchen table";
pub(super) const UNDER_ATTACK: &str = "Meet me where the tram line ends";
pub(super) const STILL_WAITING: &str = "This one stays in the mailbox until morning";
/// What the people are called.
pub(super) const ALICE: &str = "Alice Liddell-Hargreaves";
const BOB: &str = "Bob Cratchit-Lindqvist";
/// What the photo is called.
const PHOTO_NAME: &str = "lighthouse-stairs-sunset.png";

/// Everybody on the stage.
pub(super) struct Cast {
    pub(super) alice: Phone,
    pub(super) bob: Phone,
    pub(super) tablet: Phone,
}

/// Starts what every step needs.
pub(super) async fn start_relay(stage: &mut Stage, telling: &mut Telling) -> Result<(), StepError> {
    telling.begin("relay_started", "a relay on a free loopback port: TLS 1.3, its store on disk");
    stage.start_relay().await?;
    telling.held(&format!("{} in a process of its own", stage.server));
    Ok(())
}

/// Plays the whole story at a relay that runs. The first step that does not hold ends it.
pub(super) async fn play(stage: &mut Stage, telling: &mut Telling, evidence: &mut Evidence) -> Result<Cast, StepError> {
    let cast = Cast { alice: stage.phone("Alice"), bob: stage.phone("Bob"), tablet: stage.phone("Alice tablet") };

    telling.begin("registration", "two phones register, each with an encrypted store of its own");
    register(stage, &cast.alice, ALICE).await?;
    register(stage, &cast.bob, BOB).await?;
    evidence.learn_secrets(&cast.alice)?;
    evidence.learn_secrets(&cast.bob)?;
    evidence.learn_name(ALICE);
    evidence.learn_name(BOB);
    telling.held("the relay has public keys, a mailbox id and the hash of a delivery token of each");

    telling.begin("first_message", "Bob invites Alice, and her first message arrives while he listens");
    first_message(stage, &cast, telling).await?;
    evidence.learn_text(FIRST);

    telling.begin("reply_and_reaction", "he answers it and reacts to it");
    reply_and_reaction(stage, &cast).await?;
    evidence.learn_text(REPLY);
    evidence.learn_text(REACTION);
    telling.held("Alice sees the answer to her message, and the reaction on it");

    telling.begin(
        "offline_and_restart",
        "Bob is offline, and the relay is killed (SIGKILL) between two messages and restarted",
    );
    offline_and_restart(stage, &cast).await?;
    evidence.learn_text(ONE_WHILE_AWAY);
    evidence.learn_text(TWO_WHILE_AWAY);
    telling.held("both arrived, in order, once: one had waited at the relay, one in Alice's outbox");

    telling.begin("photo", "a photo with a caption and a thumbnail");
    let (bytes, size) = photo(stage, &cast).await?;
    evidence.learn_photo(&bytes);
    evidence.learn_control("the photo's ciphertext", &attack::photo_ciphertext(&cast.bob, stage.folder()).await?);
    evidence.learn_text(CAPTION);
    evidence.learn_text(PHOTO_NAME);
    evidence.learn_secrets(&cast.alice)?;
    telling.held(&format!("{size} bytes arrived as they were sent, with a thumbnail that Alice's phone made"));

    telling.begin("read_receipts", "Alice sees that her messages were read");
    read_receipts(stage, &cast).await?;
    telling.held("every message of hers is `read`");

    telling.begin("second_device", "Alice links a tablet; no account key moves");
    let old_key_set = second_device(stage, &cast).await?;
    evidence.learn_text(TO_BOTH_DEVICES);
    evidence.learn_text(FROM_THE_TABLET);
    evidence.learn_secrets(&cast.tablet)?;
    telling.held("Bob's next message reached both of her devices, and what the tablet sent reached Bob and her phone");

    telling.begin("safety_numbers", "safety numbers match on both sides and on Alice's tablet");
    let number = safety_numbers(stage, &cast).await?;
    telling.held(&number);

    telling
        .begin("verified_by_picture", "Alice and Bob verify each other without a camera: by pictures of their codes");
    verified_by_picture(stage, &cast).await?;
    telling
        .held("each phone read the other's code out of a PNG and took it; Alice's own code in its place was refused");

    change::rekey(stage, &cast, telling, evidence).await?;

    attack::tampered_and_replayed(stage, &cast, telling, evidence).await?;
    attack::rolled_back_key_set(&cast, telling, &old_key_set).await?;

    change::account_key(stage, &cast, telling, evidence).await?;
    change::missed(stage, &cast, telling, evidence).await?;

    telling.begin("relay_disk", "what the relay's disk holds");
    let found = closing::relay_disk(stage, &cast, evidence).await?;
    telling.held(&found);

    attack::rolled_back_directory(stage, &cast, telling).await?;
    Ok(cast)
}

async fn register(stage: &Stage, phone: &Phone, name: &str) -> Result<(), StepError> {
    let authority = stage.authority().display().to_string();
    let answer =
        stage.run(phone, &["account", "create", "--server", &stage.server, "--ca", &authority, "--name", name]).await?;
    ensure(answer.lines.iter().any(|line| line["registered"] == true), "an account that the relay knows")
}

async fn first_message(stage: &Stage, cast: &Cast, telling: &mut Telling) -> Result<(), StepError> {
    let invitation = stage.run(&cast.bob, &["contact", "invite"]).await?.text("invitation")?;
    stage.run(&cast.alice, &["contact", "add", &invitation, "--name", "Bob"]).await?;
    let mut listening = stage.live(&cast.bob, &["listen", "--read"])?;
    let started = std::time::Instant::now();
    stage.run(&cast.alice, &["send", "Bob", FIRST]).await?;
    let message = listening.event("message").await?;
    let took = started.elapsed();
    ensure(message["content"]["text"] == FIRST, "the text as it was sent")?;
    ensure(message["encryption"]["end_to_end"] == true, "a message that says that it was end-to-end encrypted")?;
    ensure(listening.stop().await? == Some(0), "a listener that stops when it is told to")?;
    telling.measure("first_message_ms", took);
    telling.held(&format!("it arrived {} ms after `rcseal send` was started", took.as_millis()));
    Ok(())
}

async fn reply_and_reaction(stage: &Stage, cast: &Cast) -> Result<(), StepError> {
    let history = stage.run(&cast.bob, &["history", ALICE]).await?;
    let first = message_with(&history.lines, FIRST)?["message"].as_str().unwrap_or_default().to_owned();
    stage.run(&cast.bob, &["send", ALICE, REPLY, "--reply-to", &first]).await?;
    stage.run(&cast.bob, &["send", ALICE, "--reaction", REACTION, "--to", &first]).await?;
    stage.run(&cast.alice, &["listen", "--until-empty", "--read"]).await?;
    let history = stage.run(&cast.alice, &["history", "Bob"]).await?;
    ensure(
        message_with(&history.lines, REPLY)?["reply_to"] == first.as_str(),
        "an answer that names the message it answers",
    )?;
    let reacted = &message_with(&history.lines, FIRST)?["reactions"][0]["emoji"];
    ensure(reacted == REACTION, "a reaction on the message")
}

async fn offline_and_restart(stage: &mut Stage, cast: &Cast) -> Result<(), StepError> {
    stage.run(&cast.alice, &["send", "Bob", ONE_WHILE_AWAY]).await?;
    stage.kill_relay().await?;
    let queued = stage.attempt(&cast.alice, &["send", "Bob", TWO_WHILE_AWAY]).await?;
    ensure(queued.code == Some(3), format!("exit code 3 while the relay is away, not {:?}", queued.code))?;
    // What an operator could have kept: the whole relay as it was before Alice had a tablet. An attack at the end uses it.
    stage.copy_relay()?;
    let state = queued.event("sent").map(|line| line["state"].clone());
    ensure(state == Some("queued".into()), "a message that waits in the outbox")?;
    stage.start_relay().await?;
    stage.run(&cast.alice, &["listen", "--until-empty"]).await?;
    let received = stage.run(&cast.bob, &["listen", "--until-empty", "--read"]).await?;
    let texts: Vec<&str> = messages(&received.lines).filter_map(|line| line["content"]["text"].as_str()).collect();
    ensure(texts == [ONE_WHILE_AWAY, TWO_WHILE_AWAY], format!("both messages once and in order, but got {texts:?}"))
}

async fn photo(stage: &Stage, cast: &Cast) -> Result<(Vec<u8>, usize), StepError> {
    let bytes = photo::png(rand::random()).map_err(std::io::Error::other)?;
    let path = stage.folder().join(PHOTO_NAME);
    std::fs::write(&path, &bytes)?;
    let path = path.display().to_string();
    stage.run(&cast.alice, &["send", "Bob", CAPTION, "--file", &path]).await?;
    let saved = stage.folder().join("saved").display().to_string();
    let received = stage.run(&cast.bob, &["listen", "--until-empty", "--read", "--save", &saved]).await?;
    let content =
        messages(&received.lines).find(|line| line["content"]["kind"] == "media").map(|line| &line["content"]);
    let content = content.ok_or_else(|| StepError::NotShown { what: "a message with a file".to_owned() })?;
    ensure(content["caption"] == CAPTION, "the caption as it was written")?;
    ensure(content["thumbnail_size"].as_u64().is_some_and(|size| size > 0), "a thumbnail")?;
    let place = received.event("saved").and_then(|line| line["path"].as_str()).unwrap_or_default().to_owned();
    ensure(!place.is_empty(), "a saved file")?;
    ensure(std::fs::read(place)? == bytes, "the photo's own bytes")?;
    let size = bytes.len();
    Ok((bytes, size))
}

async fn read_receipts(stage: &Stage, cast: &Cast) -> Result<(), StepError> {
    stage.run(&cast.alice, &["listen", "--until-empty"]).await?;
    let history = stage.run(&cast.alice, &["history", "Bob"]).await?;
    let outgoing: Vec<&Value> = history.lines.iter().filter(|line| line["outgoing"] == true).collect();
    ensure(outgoing.len() == 4, format!("four messages of Alice's, but got {}", outgoing.len()))?;
    for message in outgoing {
        ensure(message["state"] == "read", format!("a message that was read, but it is {}", message["state"]))?;
    }
    Ok(())
}

/// Answers the signed key set that the directory had before the tablet was linked.
async fn second_device(stage: &Stage, cast: &Cast) -> Result<Vec<u8>, StepError> {
    let old_key_set = attack::keep_key_set(&cast.alice).await?;
    let authority = stage.authority().display().to_string();
    let mut linking = stage.live(&cast.tablet, &["device", "link", "--server", &stage.server, "--ca", &authority])?;
    let link = linking.event("link").await?["link"].as_str().unwrap_or_default().to_owned();
    stage.run(&cast.alice, &["device", "approve", &link]).await?;
    linking.event("linked").await?;
    ensure(linking.end().await? == Some(0), "a linked tablet")?;

    // Bob hears of the new device over his session with Alice's phone, and fetches the key set that names it.
    stage.run(&cast.bob, &["listen", "--until-empty"]).await?;
    let contacts = stage.run(&cast.bob, &["contacts"]).await?;
    let devices = contacts.lines.first().and_then(|line| line["devices"].as_array()).map_or(0, Vec::len);
    ensure(devices == 2, format!("two devices of Alice's in Bob's eyes, but got {devices}"))?;

    stage.run(&cast.bob, &["send", ALICE, TO_BOTH_DEVICES]).await?;
    for device in [&cast.alice, &cast.tablet] {
        let received = stage.run(device, &["listen", "--until-empty"]).await?;
        message_with(&received.lines, TO_BOTH_DEVICES)?;
    }
    stage.run(&cast.tablet, &["send", "Bob", FROM_THE_TABLET]).await?;
    for device in [&cast.bob, &cast.alice] {
        let received = stage.run(device, &["listen", "--until-empty"]).await?;
        let message = message_with(&received.lines, FROM_THE_TABLET)?;
        ensure(message["sender"]["device"] == 2, "a message of the tablet's")?;
        ensure(
            message["outgoing"] == (device.name == cast.alice.name),
            "a message that counts as Alice's own on her phone",
        )?;
    }
    Ok(old_key_set)
}

async fn safety_numbers(stage: &Stage, cast: &Cast) -> Result<String, StepError> {
    let alice = stage.run(&cast.alice, &["verify", "Bob"]).await?;
    let bob = stage.run(&cast.bob, &["verify", ALICE]).await?;
    let tablet = stage.run(&cast.tablet, &["verify", "Bob"]).await?;
    let number = alice.text("safety_number")?;
    ensure(number == bob.text("safety_number")?, "the same number on both sides")?;
    ensure(number == tablet.text("safety_number")?, "the same number on a linked device")?;
    Ok(number)
}

/// Each writes a code, a picture changes hands, and each reads the other's.
async fn verified_by_picture(stage: &Stage, cast: &Cast) -> Result<(), StepError> {
    let picture = |phone: &Phone| stage.folder().join(format!("{}-code.png", phone.name)).display().to_string();
    let (hers, his) = (picture(&cast.alice), picture(&cast.bob));
    stage.run(&cast.alice, &["verify", "Bob", "--qr", &hers]).await?;
    stage.run(&cast.bob, &["verify", ALICE, "--qr", &his]).await?;
    // One's own code is not the other's.
    let wrong = stage.attempt(&cast.alice, &["verify", "Bob", "--scan-png", &hers]).await?;
    ensure(wrong.code == Some(7), format!("exit code 7 for a code that is not Bob's, not {:?}", wrong.code))?;
    for (phone, contact, shown) in [(&cast.alice, "Bob", &his), (&cast.bob, ALICE, &hers)] {
        let scanned = stage.run(phone, &["verify", contact, "--scan-png", shown]).await?;
        ensure(scanned.text("verification")? == "verified", "a verified contact")?;
    }
    Ok(())
}

/// The messages among the lines of an answer.
pub(super) fn messages(lines: &[Value]) -> impl Iterator<Item = &Value> {
    lines.iter().filter(|line| line["event"] == "message")
}

fn message_with<'a>(lines: &'a [Value], text: &str) -> Result<&'a Value, StepError> {
    messages(lines)
        .find(|line| line["content"]["text"] == text)
        .ok_or_else(|| StepError::NotShown { what: format!("the message {text:?}") })
}
