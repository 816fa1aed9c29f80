//! The chapter in which phones' code talks: a device over the Kotlin face and one over the Swift face of the SDK, each a process of its
//! own, through the relay of the demo. What they say is looked for on the relay's disk with everything else.
//!
//! It never replaces the story that follows: attacks need an engine that can be opened up, which a phone's is not.

mod driver;
mod launch;

use serde_json::{Value, json};

use self::driver::Driver;
pub(crate) use self::launch::{Found, find};
use super::evidence::Evidence;
use super::photo;
use super::stage::{Stage, StepError, ensure};
use super::telling::Telling;

/// What is said, by whom first.
const FROM_ANDROID: &str = "The bakery by the bridge opens at six tomorrow";
const FROM_IOS: &str = "Then I will bring the blue thermos and two cups";
const HELLO: &str = "Hello from the other side of the river";
const PHOTO_FROM_ANDROID: &str = "bridge-at-six-in-the-morning.png";
const PHOTO_FROM_IOS: &str = "blue-thermos-and-two-cups.png";
const EMOJI: &str = "\u{1f44d}";

/// Plays the chapter. The first step that does not hold ends the demo.
pub(super) async fn play(
    found: &Found,
    stage: &Stage,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<(), StepError> {
    telling.begin("phones_registered", "a phone in Kotlin (Android) and one in Swift (iOS) open the SDK and register");
    let mut android = Driver::start("Android", &found.0.android, stage.folder())?;
    let mut ios = Driver::start("iOS", &found.0.ios, stage.folder())?;
    android.begin(&stage.server, &stage.authority(), "android").await?;
    ios.begin(&stage.server, &stage.authority(), "ios").await?;
    telling.held("each in a process of its own, over the library that an app is shipped with");

    telling.begin("phones_meet", "iOS invites Android, whose first text makes them known to each other");
    meet(&mut android, &mut ios).await?;
    evidence.learn_text(HELLO);
    telling.held("the text is in iOS's list, from a contact that it did not have before");

    telling.begin("phones_text", "a text each way, with its receipts");
    text(&mut android, &mut ios, FROM_ANDROID).await?;
    text(&mut ios, &mut android, FROM_IOS).await?;
    evidence.learn_text(FROM_ANDROID);
    evidence.learn_text(FROM_IOS);
    telling.held("both arrived end to end and are `delivered`, then `read`, where they came from");

    telling.begin("phones_photo", "a photo each way");
    let sent = picture(&mut android, &mut ios, PHOTO_FROM_ANDROID, evidence).await?
        + picture(&mut ios, &mut android, PHOTO_FROM_IOS, evidence).await?;
    telling.held(&format!("{sent} bytes in all, the same on both sides"));

    telling.begin("phones_reaction", "a reaction each way");
    reaction(&mut android, &mut ios, FROM_IOS).await?;
    reaction(&mut ios, &mut android, FROM_ANDROID).await?;
    telling.held("each shows on the message that it is for");

    telling.begin("phones_wrong_code", "a QR code that is nobody's");
    wrong_code(&mut android).await?;
    wrong_code(&mut ios).await?;
    telling.held("both phones refused it and verified nobody");

    telling.begin("phones_verified", "they verify each other by QR code");
    verify(&mut android, &mut ios).await?;
    verify(&mut ios, &mut android).await?;
    telling.held("the digits are the same in Kotlin and in Swift, and each padlock says verified, end to end");

    telling.begin("phones_closed", "both close");
    android.end().await?;
    ios.end().await?;
    telling.held("their processes ended by themselves");
    Ok(())
}

async fn meet(android: &mut Driver, ios: &mut Driver) -> Result<(), StepError> {
    let invitation = ios.ask("invite", json!({})).await?["invitation"].clone();
    let added = android.ask("add", json!({ "invitation": invitation, "name": ios.name })).await?;
    added["contact"].as_str().unwrap_or_default().clone_into(&mut android.contact);
    android.about("text", json!({ "text": HELLO })).await?;
    ios.contact = ios.first_contact().await?;
    ios.sees("the first text", |message| message["text"] == HELLO).await.map(drop)
}

async fn text(from: &mut Driver, to: &mut Driver, words: &str) -> Result<(), StepError> {
    let sent = from.about("text", json!({ "text": words })).await?;
    ensure(sent["mode"] == "relayed", format!("{}: a text that is relayed, but it is {}", from.name, sent["mode"]))?;
    let heard = to.sees("the text", |message| came(message) && message["text"] == words).await?;
    ensure(heard["is_end_to_end"] == true, format!("{}: a text that came end to end", to.name))?;
    ensure(heard["message"] == sent["message"], format!("{}: the id that the sender knows", to.name))?;
    let is_in = |message: &Value, state: &str| message["message"] == sent["message"] && message["state"] == state;
    from.sees("delivered", |message| is_in(message, "delivered")).await?;
    to.about("read", json!({ "order": heard["order"] })).await?;
    from.sees("read", |message| is_in(message, "read")).await.map(drop)
}

async fn picture(from: &mut Driver, to: &mut Driver, name: &str, evidence: &mut Evidence) -> Result<usize, StepError> {
    let bytes = photo::png(rand::random()).map_err(std::io::Error::other)?;
    evidence.learn_photo(&bytes);
    evidence.learn_text(name);
    let path = from.hand_in(name, &bytes)?;
    from.about("file", json!({ "path": path, "caption": name })).await?;
    let heard = to.sees("the photo", |message| came(message) && message["file"] == name).await?;
    ensure(heard["kind"] == "media" && heard["text"] == name, format!("{}: a photo with its caption", to.name))?;
    let copy = to.fetch(&heard, &format!("copy-of-{name}")).await?;
    ensure(copy == bytes, format!("{}: the bytes that were sent", to.name))?;
    Ok(bytes.len())
}

async fn reaction(from: &mut Driver, to: &mut Driver, about: &str) -> Result<(), StepError> {
    let message = from.sees("the text", |message| came(message) && message["text"] == about).await?;
    from.about("react", json!({ "message": message["message"], "emoji": EMOJI })).await?;
    let shows = |known: &Value| known["message"] == message["message"] && known["reactions"] == json!([EMOJI]);
    to.sees("the reaction", shows).await.map(drop)
}

async fn wrong_code(phone: &mut Driver) -> Result<(), StepError> {
    let scanned = phone.about("scan", json!({ "qr": "nobody's" })).await;
    ensure(scanned.is_err(), format!("{}: a refusal", phone.name))?;
    let contact = phone.about("contact", json!({})).await?;
    ensure(contact["verification"] == "unverified", format!("{}: an unverified contact", phone.name))
}

async fn verify(from: &mut Driver, to: &mut Driver) -> Result<(), StepError> {
    let (ours, theirs) = (from.about("safety", json!({})).await?, to.about("safety", json!({})).await?);
    ensure(ours["numeric"].is_string() && ours["numeric"] == theirs["numeric"], "the same digits on both phones")?;
    from.about("scan", json!({ "qr": theirs["qr"] })).await?;
    let contact = from.about("contact", json!({})).await?;
    ensure(contact["verification"] == "verified", format!("{}: a verified contact", from.name))?;
    let security = from.about("security", json!({})).await?;
    let is_said = security["padlock"] == "verified" && security["is_end_to_end"] == true;
    ensure(is_said, format!("{}: a verified padlock, but {security}", from.name))
}

fn came(message: &Value) -> bool {
    message["is_outgoing"] == false
}
