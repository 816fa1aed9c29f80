//! `rcseal case …`: conversations with a business that begin on a readable card and go on end to end.
//!
//! A link opens its case for whoever follows it first, so it is printed once and read from standard input where that is wished.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcseal_client::client::Client;
use rcseal_engine::UnixMillis;
use rcseal_engine::case::{BusinessCaseView, CaseProgress, CaseView, NewCase};
use rcseal_wire::b64;
use rcseal_wire::content::CaseId;
use rcseal_wire::id::ConversationId;
use rcseal_wire::origin::Origin;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::args::CaseCommand;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::{argument, device, safe_text, view};

/// How long `case continue` waits for the business's answer. A business whose devices are away answers later, and `case list` says so.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Between two looks for it.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: CaseCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    match command {
        CaseCommand::Open { reference, number, expires, greeting, site } => {
            let expires_at = UnixMillis(now().saturating_add(u64::try_from(expires.as_millis()).unwrap_or(u64::MAX)));
            open(&client, NewCase { reference, number, expires_at, greeting }, site.as_ref(), output).await
        }
        CaseCommand::Continue { link } => follow(&client, argument::secret(link)?, output).await,
        CaseCommand::List { contact: Some(contact) } => {
            let contact = device::contact(&client, &contact).await?;
            let conversation = client.direct_conversation(contact.account).await?;
            // What the business made of a token may be waiting.
            let _ = client.sync_once().await;
            for case in client.cases_of(conversation).await? {
                output.result(|| case_json(&case), || case_text(&case));
            }
            Ok(())
        }
        CaseCommand::List { contact: None } => {
            let _ = client.sync_once().await;
            list(&client, output).await
        }
        CaseCommand::Revoke { case } => {
            client.revoke_case(case).await?;
            changed(case, "revoked", output);
            Ok(())
        }
        CaseCommand::Close { case } => {
            client.close_case(case).await?;
            changed(case, "closed", output);
            Ok(client.sync_once().await.map(|_| ())?)
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

async fn open(client: &Client, new: NewCase, site: Option<&Origin>, output: Output) -> Result<(), CliError> {
    let link = client.open_case(new).await?;
    let case = CaseId::of(&link.token);
    let text = site.map_or_else(|| link.expose_text(), |site| link.expose_web_text(site));
    output.result(
        || {
            json!({
                "event": "case_opened",
                "case": b64::encode(case.as_bytes()),
                "link": text,
                "expires_at": link.expires_at_ms,
            })
        },
        || {
            format!(
                "case {}\n{text}\n\nthe link opens the case for whoever follows it first, until {}; it is shown here and never again",
                b64::encode(case.as_bytes()),
                view::moment(link.expires_at_ms)
            )
        },
    );
    Ok(())
}

/// Follows a link, and waits a moment for what the business makes of it.
async fn follow(client: &Client, link: String, output: Output) -> Result<(), CliError> {
    let conversation = client.continue_case(link.trim().to_owned()).await?;
    let ends_at = Instant::now() + ANSWER_WAIT;
    let mut synced = client.sync_once().await;
    let case = loop {
        // The one that changed last is the one that was followed now.
        let case = client.cases_of(conversation).await?.into_iter().next();
        let is_answered = case.as_ref().is_some_and(|case| case.progress != CaseProgress::Waiting);
        if is_answered || Instant::now() >= ends_at || synced.is_err() {
            break case;
        }
        sleep(PAUSE).await;
        synced = client.sync_once().await;
    };
    if let Some(case) = &case {
        output.result(|| case_json(case), || case_text(case));
    }
    synced?;
    match case.map(|case| case.progress) {
        Some(refused @ CaseProgress::Refused(_)) => Err(CliError::CaseRefused { code: refused.as_str() }),
        _ => Ok(()),
    }
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let mut after = None;
    loop {
        let page = client.business_cases(after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.case);
        for case in &page {
            output.result(|| business_json(case), || business_text(case));
        }
    }
}

fn changed(case: CaseId, progress: &str, output: Output) {
    let case = b64::encode(case.as_bytes());
    output.result(
        || json!({ "event": "case", "case": case, "progress": progress }),
        || format!("case {case} is {progress}"),
    );
}

fn conversation_text(conversation: ConversationId) -> String {
    conversation.to_string()
}

fn case_json(case: &CaseView) -> Value {
    json!({
        "event": "case",
        "case": b64::encode(case.case.as_bytes()),
        "conversation": conversation_text(case.conversation),
        "role": case.role.as_str(),
        "progress": case.progress.as_str(),
        "reference": case.reference,
        "number_verified": case.is_number_verified,
        "changed_at": case.changed_at.0,
    })
}

fn case_text(case: &CaseView) -> String {
    let reference = safe_text::one_line(&case.reference);
    let number = if case.is_number_verified { ", the number is verified" } else { "" };
    format!("{}  {}  {reference}{number}", b64::encode(case.case.as_bytes()), case.progress.as_str())
}

fn business_json(case: &BusinessCaseView) -> Value {
    json!({
        "event": "business_case",
        "case": b64::encode(case.case.as_bytes()),
        "reference": case.reference,
        "number": case.number.map(|number| number.text().to_owned()),
        "expires_at": case.expires_at.0,
        "progress": case.progress.as_str(),
        "account": case.account.map(|account| account.to_string()),
        "number_verified": case.is_number_verified,
        "refused": case.refused,
    })
}

fn business_text(case: &BusinessCaseView) -> String {
    let mut text = format!(
        "{}  {}  {}",
        b64::encode(case.case.as_bytes()),
        case.progress.as_str(),
        safe_text::one_line(&case.reference)
    );
    if let Some(account) = case.account {
        text.push_str(&format!("  with {account}"));
    }
    match (case.number, case.is_number_verified) {
        (Some(number), true) => text.push_str(&format!(", who has {}", number.text())),
        (Some(number), false) => text.push_str(&format!(", begun with {}, not verified", number.text())),
        (None, _) => {}
    }
    if case.refused > 0 {
        text.push_str(&format!("; {} others came with its link and were refused", case.refused));
    }
    text
}
