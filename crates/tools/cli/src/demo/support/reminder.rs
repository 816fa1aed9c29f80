//! A message whose delivery nobody is sure of: it falls back to an SMS once, the late delivery comes too, and the app shows it once.
//!
//! The business says it in the app and, because the app is closed, by its agent under the same id, with an SMS if that is not delivered in
//! time. The fake provider then does what its documentation warns of: it says that it has taken the message back, and delivers it all the
//! same, and reports that when the SMS has left.

use rcseal_carrier::business::MessageId as AgentMessageId;
use rcseal_carrier::business::fake::Posted;
use rcseal_carrier::business::fake::rbm::Race;
use rcseal_wire::api::business::{BusinessContent, BusinessSms, WhenUnknown};
use rcseal_wire::id::ConversationId;
use rcseal_wire::message_link::MessageLink;

use super::scene::{BUSINESS_NUMBER, CUSTOMER_NUMBER, Scene};
use super::story::{Said, TTL_SECONDS, agent_message_as, is_delivered, promise};
use crate::demo::carrier::scene::{LIMIT, PAGE, phone_number, until};
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

/// An SMS that is nobody's copy.
const CONTROL: &str = "Your claim is being looked at.";

/// Plays it.
pub(super) async fn play(
    scene: &mut Scene,
    conversation: ConversationId,
    said: &mut Said,
    telling: &mut Telling,
) -> Result<(), StepError> {
    telling.begin(
        "falls_back_once",
        "Alice's app is closed; a reminder goes by the agent too, which cannot deliver it in time, so that an SMS leaves",
    );
    scene.customer.close().await;
    // Whoever is on the way of the agent's copy may read it, by the business's decision.
    let words = said.open("Reminder: the assessor comes on Friday at nine.");
    let id = scene.business.client.send_text(conversation, words.clone()).await?;
    let agent_id = AgentMessageId::from_bytes(*id.as_bytes());
    let sms_before = scene.network.to(CUSTOMER_NUMBER).len();
    scene.provider.has_rcs(CUSTOMER_NUMBER, false);
    scene.provider.race(Race::SaidAndDelivered);
    let sms = BusinessSms { text: format!("{words} {}", MessageLink { message: id }), when_unknown: WhenUnknown::Wait };
    let content = BusinessContent::Text { text: words.clone(), suggestions: Vec::new() };
    let message = agent_message_as(agent_id, content, Some(sms))?;
    scene.http.say(&message).await?;
    scene.http.wait_for(&message.id, "waiting").await?;
    // The provider's own clock: its time to live ends now.
    scene.provider.advance(std::time::Duration::from_secs(TTL_SECONDS + 1));
    let (late, notices): (Vec<_>, Vec<_>) = scene.provider.take_webhooks().into_iter().partition(is_delivery);
    ensure(!late.is_empty() && !notices.is_empty(), "a provider that takes back and delivers")?;
    hand_in(scene, &notices).await?;
    let left = until(LIMIT, || async { Ok(scene.network.to(CUSTOMER_NUMBER).len() > sms_before) }).await?;
    ensure(left, "an SMS in its place")?;
    // Asked for again, and reported again, it does not leave again.
    scene.http.say(&message).await?;
    hand_in(scene, &notices).await?;
    let sms = scene.network.to(CUSTOMER_NUMBER).pop();
    let sms = sms.ok_or_else(|| StepError::NotShown { what: "the SMS at the network".to_owned() })?;
    let forwarded_before = scene.forwarded();
    scene.network.report_delivered(&scene.http, &sms).await?;
    scene.network.bring(&scene.http, &sms).await?;
    scene.network.bring(&scene.http, &sms).await?;
    let is_sealed = until(LIMIT, || async { Ok(scene.forwarded() > forwarded_before) }).await?;
    ensure(is_sealed, "an SMS that the broker puts into her mailbox, sealed to her device")?;
    let status = scene.http.wait_for(&message.id, "delivered").await?;
    ensure(status.channel.as_deref() == Some("SMS"), "a receipt that names SMS")?;
    telling.held(
        "the time to live passed, the provider said that it took it back, and one SMS left; the receipt names SMS",
    );

    telling.begin("late_delivery_said", "and then the provider reports that it had delivered it all the same");
    hand_in(scene, &late).await?;
    let both = until(LIMIT, || async { Ok(scene.http.status(&message.id).await?.by_both) }).await?;
    ensure(both && is_delivered(scene, &message.id), "a receipt that says that both ways were taken")?;
    let status = scene.http.status(&message.id).await?;
    said.by_agent("reminder", &status, "provider, carriers, broker");
    telling.held("the receipt says so: by RCS and by SMS. Nothing more leaves");

    telling.begin(
        "shown_once",
        "Alice opens the app: the SMS is in her mailbox and the message in her conversation, under one id",
    );
    scene.customer.open();
    scene.customer.wait_for_text(conversation, &words).await?;
    let settled = until(LIMIT, || async { scene.business.is_delivered(conversation, id).await }).await?;
    ensure(settled, "a receipt of her device")?;
    // An SMS behind both: once it is shown, everything before it was taken in, and SMS are shown here at all.
    scene.network.bring_words(&scene.http, &sms, CONTROL).await?;
    let sender = phone_number(BUSINESS_NUMBER)?;
    let in_thread =
        || async { Ok::<_, StepError>(scene.customer.client.plain_messages(sender.clone(), None, PAGE).await?) };
    let is_shown = || async { Ok(in_thread().await?.iter().any(|message| message.words == CONTROL)) };
    ensure(until(LIMIT, is_shown).await?, "an SMS of its own that the app shows")?;
    let shown = scene.customer.texts(conversation).await?.iter().filter(|(_, text)| text.contains(&words)).count();
    let thread = in_thread().await?;
    let beside = thread.iter().filter(|message| message.words.contains(&words)).count();
    let sent = scene.network.to(CUSTOMER_NUMBER).len() - sms_before;
    promise(telling, "sms_sent", sent as u64, "messages", 1);
    promise(telling, "shown_in_app", (shown + beside) as u64, "messages", 1);
    ensure(sent == 1 && shown == 1 && beside == 0, "one SMS, and the message once in the app")?;
    said.in_app("reminder, in the app", "its copies are readable");
    telling.held(
        "three copies were on their way, and the app shows one, the one that came end to end.\n      \
         An SMS that is nothing else's copy is shown. Her phone's own app for messages, which is not ours, has the late RCS copy as well",
    );
    Ok(())
}

async fn hand_in(scene: &Scene, posted: &[Posted]) -> Result<(), StepError> {
    for one in posted {
        let status = scene.http.webhook(one).await?;
        ensure(status == 200, format!("a webhook that the broker takes, but it said {status}"))?;
    }
    Ok(())
}

/// Whether a webhook reports a delivery: what it says stands in it as base64.
fn is_delivery(posted: &Posted) -> bool {
    use base64::Engine as _;
    let outer: serde_json::Value = serde_json::from_slice(&posted.body).unwrap_or_default();
    let data = outer["message"]["data"].as_str().unwrap_or_default();
    let inner = base64::engine::general_purpose::STANDARD.decode(data).unwrap_or_default();
    let event: serde_json::Value = serde_json::from_slice(&inner).unwrap_or_default();
    event["eventType"] == "DELIVERED"
}
