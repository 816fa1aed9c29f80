//! Links that open nothing: followed again, followed by somebody else, too late, taken back; and a webhook that the provider did not send.

use std::time::Duration;

use rcseal_engine::UnixMillis;
use rcseal_engine::case::CaseProgress;
use rcseal_sim::story::in_an_hour;
use rcseal_wire::content::CaseStatus;
use rcseal_wire::continuation::Continuation;
use rcseal_wire::id::ConversationId;
use rcseal_wire::origin::Origin;
use tokio::time::sleep;

use super::scene::Scene;
use super::story::{OpenedCase, open_case, promise};
use crate::demo::carrier::scene::{LIMIT, until};
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

const HOUR_MS: u64 = 3_600_000;
/// How long the link lives that is to end.
const SHORT_LIFE_MS: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(50);

fn now() -> UnixMillis {
    UnixMillis(in_an_hour().0 - HOUR_MS)
}

/// Plays them.
pub(super) async fn play(
    scene: &Scene,
    opened: &OpenedCase,
    link: &str,
    conversation: ConversationId,
    telling: &mut Telling,
) -> Result<(), StepError> {
    let (business, customer) = (&scene.business, &scene.customer);

    telling.begin("replay_opens_nothing", "Alice's app follows the same link again");
    let texts = customer.texts(conversation).await?.len();
    customer.client.continue_case(link.to_owned()).await?;
    // What she says now is behind the token on the way, and so is the answer to it.
    customer.say(conversation, "Are you still there?").await?;
    business.say(conversation, "We are.").await?;
    customer.wait_for_text(conversation, "We are.").await?;
    let grown = customer.texts(conversation).await?.len() - texts;
    let cases = customer.client.cases_of(conversation).await?.len();
    ensure(grown == 2 && cases == 1, "one case and one greeting")?;
    telling.held("it is the same case, the business greets nobody twice, and nothing new is opened");

    telling.begin(
        "second_account_refused",
        "Mallory, who carries cards, reads the link off one and follows it with an account of her own",
    );
    let mut mallory = scene.stranger().await?;
    let hers = mallory.client.continue_case(link.to_owned()).await?;
    let used = CaseProgress::Refused(CaseStatus::Used);
    let view = mallory
        .wait_for_case(hers, opened.case, |view| view.progress == used, "a refusal for whoever comes second")
        .await?;
    ensure(
        view.reference.is_empty() && mallory.texts(hers).await?.is_empty(),
        "a refusal that says nothing of the case",
    )?;
    let is_reported = until(LIMIT, || async { Ok(business.client.business_case(opened.case).await?.refused == 1) });
    ensure(is_reported.await?, "a business that is told of the replay")?;
    let held = business.client.business_case(opened.case).await?;
    ensure(held.account == Some(customer.account), "a case that is still Alice's")?;
    promise(telling, "cases_taken_over", u64::from(held.account != Some(customer.account)), "cases", 0);
    telling
        .held(&format!("refused ({}), without a word of the case, and the business is told", view.progress.as_str()));

    telling.begin("expired_refused", "a link whose time has passed, as it is and with its time rewritten");
    let late = open_case(business, "claim 4712", String::new(), UnixMillis(now().0 + SHORT_LIFE_MS)).await?;
    let text = late.continuation.expose_text();
    while now().0 <= late.continuation.expires_at_ms {
        sleep(PAUSE).await;
    }
    let refused = match customer.client.continue_case(text.clone()).await {
        Err(error) => error.code(),
        Ok(_) => return Err(StepError::NotShown { what: "an app that refuses a link that has ended".to_owned() }),
    };
    ensure(refused == "continuation_expired", format!("an expired link, but the code is {refused}"))?;
    let rewritten = rewrite(&text)?;
    let hers = mallory.client.continue_case(rewritten).await?;
    let expired = CaseProgress::Refused(CaseStatus::Expired);
    mallory
        .wait_for_case(hers, late.case, |view| view.progress == expired, "a business that goes by its own clock")
        .await?;
    telling.held(&format!(
        "the app says {refused}; with a later time written into it the business refuses it ({})",
        expired.as_str()
    ));

    telling.begin("revoked_refused", "a link that the business took back");
    let revoked = open_case(business, "claim 4713", String::new(), in_an_hour()).await?;
    business.client.revoke_case(revoked.case).await?;
    let hers = customer.client.continue_case(revoked.continuation.expose_text()).await?;
    let back = CaseProgress::Refused(CaseStatus::Revoked);
    customer
        .wait_for_case(hers, revoked.case, |view| view.progress == back, "a refusal of what was taken back")
        .await?;
    mallory.close().await;
    telling.held(back.as_str());

    telling.begin("forged_webhook_refused", "somebody posts a webhook that the provider did not sign");
    forged(scene).await?;
    telling.held("401, and the business is told nothing");
    Ok(())
}

/// The same link with its end an hour from now. The time in it is for the app's own courtesy.
fn rewrite(text: &str) -> Result<String, StepError> {
    let mut link: Continuation =
        text.parse().map_err(|_| StepError::NotShown { what: "a link to a case".to_owned() })?;
    link.expires_at_ms = in_an_hour().0;
    let site: Result<Origin, _> = "https://support.example".parse();
    let site = site.map_err(|_| StepError::NotShown { what: "the address of a page".to_owned() })?;
    Ok(link.expose_web_text(&site))
}

async fn forged(scene: &Scene) -> Result<(), StepError> {
    let before = scene.http.events().await?.len();
    let mut forged = scene.provider.sign(br#"{"senderPhoneNumber":"+14155550121","text":"pay somebody else"}"#);
    // One letter of what was signed is another: it is base64 either way.
    let body = String::from_utf8_lossy(&forged.body).into_owned();
    let data = body.find("\"data\":\"").map(|at| at + 12).filter(|at| *at < body.len());
    let at = data.ok_or_else(|| StepError::NotShown { what: "a webhook with data".to_owned() })?;
    forged.body[at] = if forged.body[at] == b'A' { b'B' } else { b'A' };
    let status = scene.http.webhook(&forged).await?;
    ensure(status == 401, format!("a refusal of what is not signed, but the broker said {status}"))?;
    ensure(scene.http.events().await?.len() == before, "a business that is told nothing of it")
}
