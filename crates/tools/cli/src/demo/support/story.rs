//! The steps that lead from a business's readable messages into the app, and what is said there.

use rand::Rng as _;
use rcseal_carrier::business::MessageId as AgentMessageId;
use rcseal_carrier::business::continuation::{POSTBACK, Wording};
use rcseal_carrier::business::fake::Disorder;
use rcseal_engine::UnixMillis;
use rcseal_engine::case::{CaseProgress, NewCase};
use rcseal_engine::number::Claimed;
use rcseal_rcs::number::PhoneNumber;
use rcseal_report::Row;
use rcseal_sim::story::in_an_hour;
use rcseal_wire::api::business::{BusinessContent, BusinessMessageRequest, BusinessSms, BusinessStatus};
use rcseal_wire::content::CaseId;
use rcseal_wire::continuation::Continuation;
use rcseal_wire::id::ConversationId;

use super::scene::{App, CUSTOMER_NUMBER, Scene};
use super::{closing, links, reminder};
use crate::demo::carrier::scene::{LIMIT, phone_number, until};
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

/// How long the provider may try to deliver what the agent says.
pub(super) const TTL_SECONDS: u64 = 60;
/// Digits of a one-time code.
const CODE_LEN: usize = 6;

/// A message that was said, for the receipt at the end.
pub(super) struct Receipt {
    /// What it was.
    pub(super) what: String,
    /// Which channels carried it.
    pub(super) channel: String,
    /// How it stands.
    pub(super) state: String,
    /// Who on the way could read it.
    pub(super) readers: &'static str,
}

/// What was said so far.
#[derive(Default)]
pub(super) struct Said {
    /// Marks of what was said end to end and nowhere else.
    pub(super) secret: Vec<String>,
    /// Marks of what the agent said, which its provider and the broker read.
    pub(super) open: Vec<String>,
    /// A receipt for each message.
    pub(super) receipts: Vec<Receipt>,
}

impl Said {
    /// Words with a mark in them that stands nowhere else.
    pub(super) fn secret(&mut self, words: &str) -> String {
        let mark = mark();
        let text = format!("{words} ({mark})");
        self.secret.push(mark);
        text
    }

    /// The same of words that are meant for everybody on the way.
    pub(super) fn open(&mut self, words: &str) -> String {
        let mark = mark();
        let text = format!("{words} (ref {mark})");
        self.open.push(mark);
        text
    }

    /// Notes how an agent's message stands.
    pub(super) fn by_agent(&mut self, what: &str, status: &BusinessStatus, readers: &'static str) {
        let channel = status.channel.as_deref().unwrap_or("not known");
        let channel = if status.by_both { "RCS and SMS".to_owned() } else { channel.to_owned() };
        let read = if status.read { ", read" } else { "" };
        let state = format!("{}{read}", status.phase);
        self.receipts.push(Receipt { what: what.to_owned(), channel, state, readers });
    }

    /// Notes a message of the app's.
    pub(super) fn in_app(&mut self, what: &str, readers: &'static str) {
        self.receipts.push(Receipt {
            what: what.to_owned(),
            channel: "app, by the relay".to_owned(),
            state: "delivered".to_owned(),
            readers,
        });
    }
}

fn mark() -> String {
    let mut random = [0; 8];
    rand::rng().fill_bytes(&mut random);
    hex::encode(random)
}

/// An agent's message under a fresh id.
pub(super) fn agent_message(
    content: BusinessContent,
    sms: Option<BusinessSms>,
) -> Result<BusinessMessageRequest, StepError> {
    let mut random = [0; 16];
    rand::rng().fill_bytes(&mut random);
    agent_message_as(AgentMessageId::from_random(random), content, sms)
}

/// An agent's message under this id.
pub(super) fn agent_message_as(
    id: AgentMessageId,
    content: BusinessContent,
    sms: Option<BusinessSms>,
) -> Result<BusinessMessageRequest, StepError> {
    let to = CUSTOMER_NUMBER.parse().map_err(|_| StepError::NotShown { what: "the customer's number".to_owned() })?;
    Ok(BusinessMessageRequest { id: id.to_string(), agent: None, to, content, ttl_seconds: TTL_SECONDS, sms })
}

/// A case that was opened, with the link that the card holds.
pub(super) struct OpenedCase {
    pub(super) case: CaseId,
    pub(super) continuation: Continuation,
}

/// The business opens a case for the customer's number.
pub(super) async fn open_case(
    business: &App,
    reference: &str,
    greeting: String,
    expires_at: UnixMillis,
) -> Result<OpenedCase, StepError> {
    let number = Some(phone_number(CUSTOMER_NUMBER)?);
    let new = NewCase { reference: reference.to_owned(), number, expires_at, greeting };
    let continuation = business.client.open_case(new).await?;
    Ok(OpenedCase { case: CaseId::of(&continuation.token), continuation })
}

/// Plays the whole story. The first step that does not hold ends it.
pub(super) async fn play(telling: &mut Telling) -> Result<(), StepError> {
    let mut said = Said::default();
    let customer_number = phone_number(CUSTOMER_NUMBER)?;

    telling.begin(
        "scene_set",
        "a relay, a broker, a FAKE provider of RCS for Business, a FAKE SMS network, the business and Alice",
    );
    let mut scene = Scene::new().await?;
    // Everything that the provider reports it reports twice, newest first, as providers do on a bad day.
    scene.provider.disorder(Disorder { copies: 1, is_backwards: true });
    scene.provider.has_rcs(CUSTOMER_NUMBER, true);
    telling.held(&format!(
        "the relay is {}, the broker {}; every webhook of the fake provider comes twice and out of order",
        scene.relay_origin(),
        scene.broker_origin()
    ));

    telling.begin("number_bound", "Alice shows the broker that her number is hers, by a code that comes as an SMS");
    bind_number(&scene, &customer_number).await?;
    telling.held("the broker countersigned what her device signed; she lets the number be found");

    telling
        .begin("agent_message", "the business's agent writes to her by RCS, where provider, carrier and broker read");
    agent_writes(&scene, &mut said).await?;
    telling.held("delivered and read by RCS, by the provider's reports; her answer reached the business once");

    telling.begin("card", "the agent sends the card *Continue securely*; on it is a link, and nothing of the case");
    let greeting = said.secret("Your claim is open. What has happened?");
    let opened = open_case(&scene.business, "claim 4711", greeting.clone(), in_an_hour()).await?;
    let link = card(&scene, &opened, &mut said).await?;
    telling.held("delivered by RCS; her phone shows the card, and she taps it");

    telling.begin("continued", "the link opens the app on the same case, end to end");
    let conversation = follow(&scene, &opened, &link, &greeting).await?;
    telling.held(
        "both sides call it \"claim 4711\"; the business's greeting came end to end, and the case says that her account has the number",
    );

    telling.begin("end_to_end", "they talk");
    talk(&scene, conversation, &mut said).await?;
    said.in_app("greeting", "nobody");
    said.in_app("what happened", "nobody");
    said.in_app("the answer", "nobody");
    telling
        .held("both ways, each confirmed by the other device, and not a word of it at the provider or the SMS network");

    links::play(&scene, &opened, &link, conversation, telling).await?;
    reminder::play(&mut scene, conversation, &mut said, telling).await?;

    telling.begin("closed", "the business closes the case, and the link opens nothing any more");
    scene.business.client.close_case(opened.case).await?;
    let is_closed = |view: &rcseal_engine::case::CaseView| view.progress == CaseProgress::Closed;
    scene.customer.wait_for_case(conversation, opened.case, is_closed, "a case that is closed in the app").await?;
    scene.customer.client.continue_case(link.clone()).await?;
    let view =
        scene.customer.wait_for_case(conversation, opened.case, is_closed, "a closed case that stays closed").await?;
    telling.held(&format!("Alice's app says {:?}; the conversation stays", view.progress.as_str()));

    telling.begin("receipts", "which channel each message really took");
    telling.held(&closing::receipts(&said, telling)?);

    telling.begin("disks", "what provider, SMS network, broker and relay hold of what was said end to end");
    let found = closing::search(scene, &said, &link, telling).await?;
    telling.held(&found);
    Ok(())
}

/// Both sides take the broker, and the customer has the number bound to the account.
async fn bind_number(scene: &Scene, number: &PhoneNumber) -> Result<(), StepError> {
    scene.business.client.use_broker(scene.broker_origin()).await?;
    let client = &scene.customer.client;
    client.use_broker(scene.broker_origin()).await?;
    client.claim_number(number).await?;
    let came = until(LIMIT, || async { Ok(!scene.network.to(CUSTOMER_NUMBER).is_empty()) }).await?;
    ensure(came, "a code by SMS")?;
    let words = scene.network.to(CUSTOMER_NUMBER).last().map(super::network::Sms::words).unwrap_or_default();
    let code: String = words.chars().filter(char::is_ascii_digit).take(CODE_LEN).collect();
    let claimed = client.confirm_number(number, &code, None).await?;
    ensure(claimed == Claimed::Mapped, "a number that the broker maps to her account")?;
    client.set_number_visibility(number, true).await?;
    // What comes for the number is put into her mailbox from now on.
    client.attach_broker(scene.broker_origin(), number.clone()).await?;
    Ok(())
}

/// A text of the agent's, and the customer's answer, all of it readable on the way.
async fn agent_writes(scene: &Scene, said: &mut Said) -> Result<(), StepError> {
    let text = said.open("Hello Alice, we have received your claim.");
    let message = agent_message(BusinessContent::Text { text, suggestions: Vec::new() }, None)?;
    scene.http.say(&message).await?;
    scene.http.wait_for(&message.id, "waiting").await?;
    let arrived = until(LIMIT, || async { Ok(is_delivered(scene, &message.id)) }).await?;
    ensure(arrived, "a message that the provider delivers")?;
    scene.provider.reads(CUSTOMER_NUMBER);
    let answer = said.open("Can I tell you something that is private?");
    scene.provider.says(CUSTOMER_NUMBER, &answer);
    scene.report().await?;
    let status = scene.http.wait_for(&message.id, "delivered").await?;
    ensure(status.channel.as_deref() == Some("RCS") && status.read, "a receipt that names RCS")?;
    said.by_agent("agent's text", &status, "provider, carrier, broker");
    let heard = scene.http.events().await?.into_iter().filter(|event| event.text.as_deref() == Some(answer.as_str()));
    ensure(heard.count() == 1, "an answer that the business is told once")
}

/// Whether the fake provider delivered a message to her phone's own app for messages.
pub(super) fn is_delivered(scene: &Scene, id: &str) -> bool {
    scene.provider.messages().iter().any(|message| message.id == id && message.is_delivered)
}

/// The agent sends the card; answers the link as her phone has it from the card.
async fn card(scene: &Scene, opened: &OpenedCase, said: &mut Said) -> Result<String, StepError> {
    let site = "https://support.example".parse();
    let site = site.map_err(|_| StepError::NotShown { what: "the address of a page".to_owned() })?;
    let Wording { title, body, button } = Wording::default();
    let content = BusinessContent::ContinueSecurely {
        link: opened.continuation.expose_web_text(&site),
        expires_at_ms: opened.continuation.expires_at_ms,
        title,
        body,
        button: button.clone(),
    };
    let message = agent_message(content, None)?;
    scene.http.say(&message).await?;
    let arrived = until(LIMIT, || async { Ok(is_delivered(scene, &message.id)) }).await?;
    ensure(arrived, "a card that the provider delivers")?;
    scene.provider.taps(CUSTOMER_NUMBER, &button, POSTBACK);
    scene.report().await?;
    let status = scene.http.wait_for(&message.id, "delivered").await?;
    ensure(status.channel.as_deref() == Some("RCS"), "a receipt that names RCS")?;
    said.by_agent("card", &status, "provider, carrier, broker");
    let taps = scene.http.events().await?.into_iter().filter(|event| event.postback.as_deref() == Some(POSTBACK));
    ensure(taps.count() == 1, "a tap that the business is told once")?;
    let shown = scene.provider.messages().into_iter().find(|known| known.id == message.id);
    let card = shown.map(|message| message.body["contentMessage"]["richCard"]["standaloneCard"]["cardContent"].clone());
    let card = card.ok_or_else(|| StepError::NotShown { what: "the card on her phone".to_owned() })?;
    ensure(!card.to_string().contains("4711"), "a card that says nothing of the case")?;
    let link = card["suggestions"][0]["action"]["openUrlAction"]["url"].as_str();
    link.map(str::to_owned).ok_or_else(|| StepError::NotShown { what: "a card with a link".to_owned() })
}

/// The app opens the link, and the case goes on there.
async fn follow(scene: &Scene, opened: &OpenedCase, link: &str, greeting: &str) -> Result<ConversationId, StepError> {
    let (business, customer) = (&scene.business, &scene.customer);
    let conversation = customer.client.continue_case(link.to_owned()).await?;
    let is_open = "a case that is open on both sides";
    for side in [customer, business] {
        let view =
            side.wait_for_case(conversation, opened.case, |view| view.progress == CaseProgress::Open, is_open).await?;
        ensure(view.reference == "claim 4711", "one reference on both sides")?;
    }
    let held = business.client.business_case(opened.case).await?;
    ensure(held.account == Some(customer.account) && held.refused == 0, "a case that is hers, at the business")?;
    customer.wait_for_text(conversation, greeting).await?;
    let verified = "a case that says that her account has the number";
    for side in [business, customer] {
        side.wait_for_case(conversation, opened.case, |view| view.is_number_verified, verified).await?;
    }
    Ok(conversation)
}

/// What nobody else is to read.
async fn talk(scene: &Scene, conversation: ConversationId, said: &mut Said) -> Result<(), StepError> {
    let question = said.secret("I was ill on the journey; my doctor's letter says angina.");
    scene.customer.say(conversation, &question).await?;
    scene.business.wait_for_text(conversation, &question).await?;
    let answer = said.secret("Thank you. We pay 1,840 to the account that ends in 77.");
    scene.business.say(conversation, &answer).await?;
    scene.customer.wait_for_text(conversation, &answer).await?;
    let leaks = closing::seen_outside(scene, &said.secret);
    ensure(leaks == 0, "nothing of it at the provider or the SMS network")
}

/// Adds a promise of a count that has to be a certain one.
pub(super) fn promise(telling: &mut Telling, id: &str, value: u64, unit: &str, goal: u64) {
    telling.promise(Row::equal(id, value, unit).goal(goal));
}
