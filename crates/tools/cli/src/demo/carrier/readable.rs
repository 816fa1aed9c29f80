//! The steps in which something would go, or goes, in words that the carrier can read: refused, by the user's leave, and for a time.

use std::time::Duration;

use rand::rngs::StdRng;
use rcseal_client::ClientError;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::plain::{PlainError, PlainState};
use rcseal_engine::policy::{ConsentState, DeliveryMode, EntryKind, FallbackPolicy, PolicyScope, Subject};
use rcseal_sim::carrier::StandardPhone;
use rcseal_sim::story::{in_an_hour, words};
use rcseal_wire::content::Body;

use super::said::carrier_reads;
use super::scene::{CAROL_NUMBER, LIMIT, PAGE, Scene, phone_number, until};
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

const MODE: DeliveryMode = DeliveryMode::CarrierReadable;
/// Readable words are a line.
const LEN: usize = 60;
/// How long a carrier gets to deliver words that nothing end to end confirms; some never do.
const PLAIN_LIMIT: Duration = Duration::from_secs(1);

/// Plays them; answers the marks of what went readable, by decision.
pub(super) async fn play(scene: &Scene, rng: &mut StdRng, telling: &mut Telling) -> Result<Vec<String>, StepError> {
    let client = &scene.alice.client;
    let carol = phone_number(CAROL_NUMBER)?;
    let phone = scene.carrier.attach_standard(&carol);
    client.open_thread(carol.clone(), "Carol".to_owned()).await?;

    telling
        .begin("readable_refused", "Alice writes to a number with standard messaging only; her policy is the default");
    let (refused_mark, refused) = words(rng, LEN);
    let decision = match client.send_plain(carol.clone(), refused).await {
        Err(ClientError::Plain(PlainError::Refused(stored))) => stored.decision,
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(StepError::NotShown { what: "a refusal".to_owned() }),
    };
    ensure(!carrier_reads(&scene.carrier, &refused_mark), "nothing at the carrier")?;
    telling.held(&format!("{} ({}); it is in her journal", decision.reason.text(), decision.reason.code()));

    telling.begin(
        "readable_agreed",
        "she allows `downgrade`, attests that Carol has no encryption, and agrees that the carrier can read, for an hour",
    );
    let subject = Subject::Number(NumberKey::of(&carol));
    client.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await?;
    client.attest_absence(carol.clone(), in_an_hour()).await?;
    client.give_consent(subject, MODE, in_an_hour()).await?;
    let (agreed_mark, agreed) = words(rng, LEN);
    let shown = agreed_readable(scene, &phone, agreed).await?;
    carrier_has(scene, &agreed_mark).await?;
    telling.held(&shown);

    telling.begin(
        "downgrade_shown",
        "she goes without encryption towards Bob too, which takes an acknowledgement of its own",
    );
    let (downgraded_mark, downgraded) = words(rng, LEN);
    let shown = downgraded_conversation(scene, downgraded).await?;
    carrier_has(scene, &downgraded_mark).await?;
    telling.held(&shown);

    telling.begin("restored", "she takes it back, and the next message is end to end again");
    let (restored_mark, restored) = words(rng, LEN);
    restore(scene, restored).await?;
    ensure(!carrier_reads(&scene.carrier, &restored_mark), "nothing readable at the carrier")?;
    telling.held("Bob has it, end to end; her journal has the way there and back");
    // The refused words were written nowhere but here, and the restored ones went end to end: the relay must have neither.
    Ok(vec![refused_mark, agreed_mark, downgraded_mark, restored_mark])
}

/// The carrier writes down what it saw after it has delivered it.
async fn carrier_has(scene: &Scene, mark: &str) -> Result<(), StepError> {
    let reads = until(LIMIT, || async { Ok(carrier_reads(&scene.carrier, mark)) });
    ensure(reads.await?, "words that the carrier reads, as the decision named")
}

async fn agreed_readable(scene: &Scene, phone: &StandardPhone, words: String) -> Result<String, StepError> {
    let client = &scene.alice.client;
    let carol = phone_number(CAROL_NUMBER)?;
    let order = client.send_plain(carol.clone(), words.clone()).await?;
    let message = || async {
        let messages = client.plain_messages(carol.clone(), None, PAGE).await?;
        let found = messages.into_iter().find(|message| message.order == order);
        found.ok_or_else(|| StepError::NotShown { what: "the message in her thread".to_owned() })
    };
    // A carrier that asks to come again later keeps it queued, which shows.
    until(PLAIN_LIMIT, || async { Ok(message().await?.state != PlainState::Queued) }).await?;
    let is_there = || phone.shown().borrow().iter().any(|shown| shown.text == words);
    let is_changed = || !phone.shown().borrow().is_empty();
    until(PLAIN_LIMIT, || async { Ok(is_there()) }).await?;
    let message = message().await?;
    ensure(message.mode == MODE, "a message that says that the carrier can read it")?;
    let stored = client.decision_of(message.id).await?;
    let stored = stored.ok_or_else(|| StepError::NotShown { what: "a stored decision".to_owned() })?;
    ensure(matches!(stored.decision.consent, ConsentState::Given(_)), "a decision that names the consent")?;
    let journal = client.journal(0, PAGE).await?;
    let is_journalled = journal.iter().any(|it| it.message == Some(message.id) && it.kind == EntryKind::Downgrade);
    ensure(is_journalled, "a downgrade in her journal")?;
    let arrived = match (is_there(), is_changed()) {
        (true, _) => "Carol's phone shows it",
        (false, true) => "Carol's phone shows it, changed: nothing protects readable words",
        (false, false) => "Carol's phone shows nothing, which no end-to-end receipt can tell her",
    };
    Ok(format!(
        "{}\n      her thread marks it {:?} and {:?}; {arrived}",
        stored.decision.reason.text(),
        message.mode.as_str(),
        message.state.as_str()
    ))
}

async fn downgraded_conversation(scene: &Scene, words: String) -> Result<String, StepError> {
    let client = &scene.alice.client;
    let conversation = scene.conversation;
    let subject = Subject::Conversation(conversation);
    let unacknowledged = client.explain(subject).await?.decision;
    ensure(!unacknowledged.is_readable(), "a policy alone that changes nothing for a conversation that is end to end")?;
    client.give_consent(subject, MODE, in_an_hour()).await?;
    ensure(!client.explain(subject).await?.decision.is_readable(), "a consent alone that changes nothing either")?;
    client.acknowledge_downgrade(conversation, MODE).await?;
    let is_told = until(LIMIT, || async {
        let messages = scene.bob.client.messages(conversation, None, PAGE).await?;
        let is_notice = |body: &Body| matches!(body, Body::DeliveryNotice(notice) if notice.mode == MODE.code());
        Ok(messages.iter().any(|message| message.content.as_ref().is_some_and(|content| is_notice(content.body()))))
    });
    ensure(is_told.await?, "a notice of it on Bob's side, end to end")?;
    let id = client.send_text(conversation, words.clone()).await?;
    let message = client.message(conversation, scene.alice.account, id).await?;
    let message = message.ok_or_else(|| StepError::NotShown { what: "the message in her conversation".to_owned() })?;
    ensure(!message.encryption.is_end_to_end(), "a message that says on her side that it is readable")?;
    let number = scene.alice.number.clone();
    let in_thread = || async {
        let messages = scene.bob.client.plain_messages(number.clone(), None, PAGE).await?;
        Ok::<_, StepError>(messages.into_iter().find(|message| message.words == words))
    };
    until(PLAIN_LIMIT, || async { Ok(in_thread().await?.is_some()) }).await?;
    let is_in_conversation = scene.bob.texts(conversation).await?.iter().any(|(_, text)| *text == words);
    ensure(!is_in_conversation, "readable words that stay out of Bob's encrypted conversation")?;
    let shown = match in_thread().await? {
        Some(message) => format!("it came into the thread of her number, marked {:?}", message.mode.as_str()),
        None => "the words did not come as they were, and stand in no conversation of his".to_owned(),
    };
    Ok(format!("her message is marked {:?}; Bob was told end to end, and {shown}", message.encryption.mode().as_str()))
}

async fn restore(scene: &Scene, words: String) -> Result<(), StepError> {
    let client = &scene.alice.client;
    client.restore_conversation(scene.conversation).await?;
    client.set_fallback_policy(PolicyScope::Account, None).await?;
    client.send_text(scene.conversation, words.clone()).await?;
    let arrived = until(LIMIT, || async {
        let texts = scene.bob.texts(scene.conversation).await?;
        Ok(texts.iter().any(|(message, text)| *text == words && message.encryption.is_end_to_end()))
    });
    ensure(arrived.await?, "a message that reaches Bob end to end again")?;
    let journal = client.journal(0, PAGE).await?;
    ensure(journal.iter().any(|entry| entry.kind == EntryKind::Restoration), "the restoration in her journal")
}
