//! `rcseal policy …`: how messages go, by whose leave, and what became of that.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcseal_client::client::Client;
use rcseal_engine::UnixMillis;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::conversation::direct_conversation_id;
use rcseal_engine::plain::ThreadView;
use rcseal_engine::policy::{
    Choice, Consent, ConsentId, ConsentState, Decision, DeliveryMode, Explanation, FallbackPolicy, JOURNAL_PAGE_MAX,
    JournalEntry, PolicyScope, Reader, Recipient, RoutePreference, StoredDecision, Subject,
};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{AccountId, ConversationId};
use serde_json::{Value, json};

use crate::args::{AbsenceCommand, ConsentCommand, Fallback, PolicyCommand, ReadableMode, Route};
use crate::device::{self, Whom};
use crate::error::{CliError, next_step};
use crate::output::Output;
use crate::profile::Profile;
use crate::view::moment;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: PolicyCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    match command {
        PolicyCommand::Show { whom } => show(&client, whom.as_deref(), output).await,
        PolicyCommand::Set { policy, contact, tenant } => {
            let scope = match (&contact, tenant) {
                (Some(wanted), _) => PolicyScope::Subject(device::whom(&client, wanted).await?.subject(&client).await?),
                (None, true) => PolicyScope::Tenant,
                (None, false) => PolicyScope::Account,
            };
            client.set_fallback_policy(scope, fallback(policy)).await?;
            show(&client, contact.as_deref(), output).await
        }
        PolicyCommand::Route { route, contact } => {
            let subject = match &contact {
                Some(wanted) => Some(device::whom(&client, wanted).await?.subject(&client).await?),
                None => None,
            };
            client.set_route_preference(subject, Some(route_preference(route))).await?;
            output.result(
                || json!({ "event": "route", "route": route_preference(route).as_str(), "contact": contact }),
                || {
                    let who = contact.as_deref().unwrap_or("everybody who has no choice of their own");
                    format!("{} for {who}, where there are both ways", route_preference(route).as_str())
                },
            );
            Ok(())
        }
        PolicyCommand::Explain { whom } => {
            let whom = device::whom(&client, &whom).await?;
            let explanation = client.explain(whom.subject(&client).await?).await?;
            output.result(|| explanation_json(&whom, &explanation), || explanation_text(&whom, &explanation));
            Ok(())
        }
        PolicyCommand::Consent(command) => consent(&client, command, output).await,
        PolicyCommand::Acknowledge { whom, mode } => acknowledge(&client, &whom, delivery_mode(mode), output).await,
        PolicyCommand::Restore { contact } => {
            let contact = device::contact(&client, &contact).await?;
            let conversation = client.direct_conversation(contact.account).await?;
            let notice = client.restore_conversation(conversation).await?;
            let _ = client.sync_once().await;
            output.result(
                || json!({ "event": "conversation_restored", "conversation": conversation.to_string(), "message": notice.to_string() }),
                || format!("the conversation with {} is end-to-end encrypted again; it is told", device::name_of(&contact)),
            );
            Ok(())
        }
        PolicyCommand::Absence(command) => absence(&client, command, output).await,
        PolicyCommand::Journal { after, operator: None } => journal(&client, after, output).await,
        PolicyCommand::Journal { operator: Some(_), .. } => {
            let summary = client.journal_summary(UnixMillis(0)).await?;
            output.result(
                || serde_json::to_value(&summary).unwrap_or_default(),
                || {
                    let mut text = format!(
                        "{} entries, {}, hash {}",
                        summary.entries,
                        if summary.is_unbroken { "unbroken" } else { "BROKEN: an entry was changed or is missing" },
                        summary.chain
                    );
                    for row in &summary.rows {
                        text.push_str(&format!(
                            "\n{:>6}  {}  {} → {}  {}",
                            row.count, row.kind, row.wanted, row.taken, row.reason
                        ));
                    }
                    text
                },
            );
            Ok(())
        }
        PolicyCommand::Decisions { limit } => {
            let names = Names::of(&client).await?;
            for stored in client.decisions(None, usize::from(limit)).await? {
                output.result(|| stored_json(&stored), || stored_text(&stored, &names));
            }
            Ok(())
        }
    }
}

// ---- words of the command line

/// The preference of a word.
pub(crate) const fn route_preference(route: Route) -> RoutePreference {
    match route {
        Route::Relayed => RoutePreference::Relayed,
        Route::Native => RoutePreference::Native,
    }
}

const fn fallback(policy: Fallback) -> Option<FallbackPolicy> {
    match policy {
        Fallback::Block => Some(FallbackPolicy::Block),
        Fallback::Verify => Some(FallbackPolicy::Verify),
        Fallback::Downgrade => Some(FallbackPolicy::Downgrade),
        Fallback::None => None,
    }
}

const fn delivery_mode(mode: ReadableMode) -> DeliveryMode {
    match mode {
        ReadableMode::CarrierReadable => DeliveryMode::CarrierReadable,
        ReadableMode::Sms => DeliveryMode::Sms,
        ReadableMode::ServerEncrypted => DeliveryMode::ServerEncrypted,
    }
}

fn from_now(span: Duration) -> UnixMillis {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(span);
    UnixMillis(u64::try_from(end.as_millis()).unwrap_or(u64::MAX))
}

// ---- what is set

async fn show(client: &Client, wanted: Option<&str>, output: Output) -> Result<(), CliError> {
    let account = client.fallback_policy(PolicyScope::Account).await?.unwrap_or(FallbackPolicy::Block);
    let tenant = client.fallback_policy(PolicyScope::Tenant).await?;
    let mut counts = tenant.map_or(account, |tenant| tenant.max(account));
    let mut json = json!({
        "account": account.as_str(),
        "tenant": tenant.map(FallbackPolicy::as_str),
    });
    let mut text = format!("for everybody: {}", words(account));
    if let Some(tenant) = tenant {
        text.push_str(&format!("\nby the operator: {}", words(tenant)));
    }
    if let Some(wanted) = wanted {
        let whom = device::whom(client, wanted).await?;
        let subject = whom.subject(client).await?;
        let own = client.fallback_policy(PolicyScope::Subject(subject)).await?;
        let route = client.route_preference(subject).await?;
        counts = own.map_or(counts, |own| own.max(counts));
        json["contact"] = json!(whom.name());
        json["of_contact"] = json!(own.map(FallbackPolicy::as_str));
        json["route"] = json!(route.as_str());
        let own = own.map_or_else(|| "nothing of its own".to_owned(), |own| words(own).to_owned());
        text.push_str(&format!("\nfor {}: {own}\nroute: {}", whom.name(), route.as_str()));
    }
    json["counts"] = json!(counts.as_str());
    text.push_str(&format!("\nwhat counts, the strictest: {}", counts.as_str()));
    output.result(|| json, || text);
    Ok(())
}

const fn words(policy: FallbackPolicy) -> &'static str {
    match policy {
        FallbackPolicy::Block => "block: what cannot go end to end is not sent",
        FallbackPolicy::Verify => "verify: it is not sent, and you are asked to find out what the recipient can do",
        FallbackPolicy::Downgrade => "downgrade: it is sent readable by others where you have agreed to that",
    }
}

// ---- why

fn explanation_json(whom: &Whom, explanation: &Explanation) -> Value {
    let inputs: serde_json::Map<_, _> =
        explanation.lines().into_iter().map(|(name, value)| (name.replace([' ', '\''], "_"), json!(value))).collect();
    let mut json = decision_json(&explanation.decision);
    json["whom"] = json!(whom.name());
    json["subject"] = subject_json(explanation.subject);
    json["rule"] = json!(explanation.rule());
    json["inputs"] = Value::Object(inputs);
    json["next_step"] = json!(next_step(&explanation.decision, &whom.argument()));
    json
}

fn explanation_text(whom: &Whom, explanation: &Explanation) -> String {
    let mut text = format!("a text to {}:", whom.name());
    for (name, value) in explanation.lines() {
        text.push_str(&format!("\n    {name:<36}{value}"));
    }
    let decision = &explanation.decision;
    let choice = match decision.choice {
        Choice::Send(mode) => format!("send, {}", mode.as_str()),
        Choice::Refuse => "refuse".to_owned(),
    };
    text.push_str(&format!(
        "\nrule {}\n{choice} [{}]\n{}",
        explanation.rule(),
        decision.reason.code(),
        decision.reason.text()
    ));
    if let Some(mode) = decision.mode() {
        let readers: Vec<_> = mode.readers().iter().copied().map(Reader::as_str).collect();
        text.push_str(&format!("\nwho can read it: {}", readers.join(", ")));
    }
    if let Some(step) = next_step(decision, &whom.argument()) {
        text.push_str(&format!("\n{step}"));
    }
    text
}

fn decision_json(decision: &Decision) -> Value {
    json!({
        "choice": match decision.choice {
            Choice::Send(_) => "send",
            Choice::Refuse => "refuse",
        },
        "mode": decision.mode().map(DeliveryMode::as_str),
        "end_to_end": decision.mode().map(DeliveryMode::is_end_to_end),
        "readers": decision.mode().map(|mode| mode.readers().iter().copied().map(Reader::as_str).collect::<Vec<_>>()),
        "reason": decision.reason.code(),
        "text": decision.reason.text(),
        "consent": decision.consent.as_str(),
        "consent_id": match decision.consent {
            ConsentState::Given(ConsentId(id)) => Some(id),
            ConsentState::NotNeeded
            | ConsentState::Needed
            | ConsentState::AcknowledgementNeeded
            | ConsentState::VerificationNeeded => None,
        },
    })
}

fn subject_json(subject: Subject) -> Value {
    match subject {
        Subject::Conversation(id) => json!({ "conversation": id.to_string() }),
        Subject::Number(number) => json!({ "number": number.text() }),
        Subject::Server => json!({ "server": true }),
    }
}

/// What the user calls contacts and threads: ids are for machines.
struct Names {
    conversations: BTreeMap<ConversationId, String>,
    accounts: BTreeMap<AccountId, String>,
    threads: BTreeMap<NumberKey, String>,
}

impl Names {
    async fn of(client: &Client) -> Result<Self, CliError> {
        let own = device::account(client).await?.address.account;
        let (mut conversations, mut accounts) = (BTreeMap::new(), BTreeMap::new());
        for contact in client.contacts().await? {
            conversations.insert(direct_conversation_id(own, contact.account), device::name_of(&contact));
            accounts.insert(contact.account, device::name_of(&contact));
        }
        let named = |thread: ThreadView| {
            let whom = Whom::Number { number: thread.number.clone(), name: thread.name };
            (NumberKey::of(&thread.number), whom.name())
        };
        let threads = client.threads().await?.into_iter().map(named).collect();
        Ok(Self { conversations, accounts, threads })
    }

    /// Whom a decision was about. Of a contact that was removed there is only the conversation's id.
    fn subject(&self, subject: Subject) -> String {
        match subject {
            Subject::Conversation(id) => {
                self.conversations.get(&id).cloned().unwrap_or_else(|| format!("conversation {id}"))
            }
            Subject::Number(number) => self.number(number),
            Subject::Server => "the server's key".to_owned(),
        }
    }

    fn number(&self, number: NumberKey) -> String {
        self.threads.get(&number).cloned().unwrap_or_else(|| number.text().to_owned())
    }

    /// For whom a consent is.
    fn recipient(&self, recipient: Recipient) -> String {
        let account = |account| self.accounts.get(&account).cloned().unwrap_or_else(|| account.to_string());
        match (recipient.account.map(account), recipient.number) {
            (Some(name), Some(number)) => format!("{name} at {}", number.text()),
            (Some(name), None) => name,
            (None, Some(number)) => self.number(number),
            (None, None) => "nobody".to_owned(),
        }
    }
}

fn stored_json(stored: &StoredDecision) -> Value {
    let mut json = decision_json(&stored.decision);
    json["decision"] = json!(stored.decision.number);
    json["at_ms"] = json!(stored.at.0);
    json["subject"] = subject_json(stored.subject);
    json["message"] = json!(stored.message.map(|message| message.to_string()));
    json["wanted"] = json!(stored.wanted.as_str());
    json
}

fn stored_text(stored: &StoredDecision, names: &Names) -> String {
    format!(
        "{:>6}  {}  {}  {}  {}",
        stored.decision.number,
        moment(stored.at.0),
        stored.decision.mode().map_or("refused", DeliveryMode::as_str),
        stored.decision.reason.code(),
        names.subject(stored.subject)
    )
}

// ---- the user's word

async fn consent(client: &Client, command: ConsentCommand, output: Output) -> Result<(), CliError> {
    match command {
        ConsentCommand::Give { whom, mode, span } => {
            let whom = device::whom(client, &whom).await?;
            let (mode, until) = (delivery_mode(mode), from_now(span));
            let id = client.give_consent(whom.subject(client).await?, mode, until).await?;
            output.result(
                || json!({ "event": "consent_given", "consent": id.0, "whom": whom.name(), "mode": mode.as_str(), "expires_at_ms": until.0 }),
                || {
                    format!(
                        "consent {}: messages to {} may go as {} until {}; `rcseal policy consent withdraw {}` takes it back",
                        id.0,
                        whom.name(),
                        mode.as_str(),
                        moment(until.0),
                        id.0
                    )
                },
            );
        }
        ConsentCommand::Withdraw { id } => {
            client.withdraw_consent(ConsentId(id)).await?;
            output.result(
                || json!({ "event": "consent_withdrawn", "consent": id }),
                || format!("consent {id} is withdrawn; what has left already stays where it is"),
            );
        }
        ConsentCommand::List => {
            let names = Names::of(client).await?;
            for consent in client.consents().await? {
                output.result(|| consent_json(&consent), || consent_text(&consent, &names));
            }
        }
    }
    Ok(())
}

fn consent_json(consent: &Consent) -> Value {
    json!({
        "consent": consent.id.0,
        "account": consent.recipient.account.map(|account| account.to_string()),
        "number": consent.recipient.number.map(|number| number.text().to_owned()),
        "mode": consent.mode.as_str(),
        "given_at_ms": consent.given_at.0,
        "expires_at_ms": consent.expires_at.0,
        "withdrawn_at_ms": consent.withdrawn_at.map(|at| at.0),
    })
}

fn consent_text(consent: &Consent, names: &Names) -> String {
    let end = match consent.withdrawn_at {
        Some(at) => format!("withdrawn {}", moment(at.0)),
        None => format!("until {}", moment(consent.expires_at.0)),
    };
    format!("{:>6}  {}  {}  {end}", consent.id.0, consent.mode.as_str(), names.recipient(consent.recipient))
}

async fn acknowledge(client: &Client, wanted: &str, mode: DeliveryMode, output: Output) -> Result<(), CliError> {
    let whom = device::whom(client, wanted).await?;
    match &whom {
        Whom::Contact(contact) => {
            let conversation = client.direct_conversation(contact.account).await?;
            client.acknowledge_downgrade(conversation, mode).await?;
            // The other side is to see it as soon as it can.
            let _ = client.sync_once().await;
        }
        Whom::Number { number, .. } => client.acknowledge_plain(number.clone(), mode).await?,
    }
    output.result(
        || json!({ "event": "acknowledged", "whom": whom.name(), "mode": mode.as_str() }),
        || {
            let ends = match &whom {
                Whom::Contact(contact) => {
                    format!("`rcseal policy restore {}` ends that", device::argument_for(contact))
                }
                Whom::Number { .. } => "withdrawing the consent ends that".to_owned(),
            };
            format!("NOT end-to-end encrypted from now on: messages to {} go as {}; {ends}", whom.name(), mode.as_str())
        },
    );
    Ok(())
}

async fn absence(client: &Client, command: AbsenceCommand, output: Output) -> Result<(), CliError> {
    let (number, until): (PhoneNumber, _) = match command {
        AbsenceCommand::Attest { number, span } => {
            let until = from_now(span);
            client.attest_absence(number.clone(), until).await?;
            (number, Some(until))
        }
        AbsenceCommand::Withdraw { number } => {
            client.withdraw_attestation(number.clone()).await?;
            (number, None)
        }
    };
    output.result(
        || json!({ "event": "absence", "number": number.as_str(), "attested_until_ms": until.map(|until| until.0) }),
        || match until {
            Some(until) => {
                format!("on your word {} has no encryption, until {}", number.as_str(), moment(until.0))
            }
            None => format!("nothing is attested of {} any more", number.as_str()),
        },
    );
    Ok(())
}

// ---- what became of it

async fn journal(client: &Client, mut after: u64, output: Output) -> Result<(), CliError> {
    let names = Names::of(client).await?;
    loop {
        let entries = client.journal(after, JOURNAL_PAGE_MAX).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = last.number;
        for entry in &entries {
            output.result(|| entry_json(entry), || entry_text(entry, &names));
        }
    }
}

fn entry_json(entry: &JournalEntry) -> Value {
    json!({
        "entry": entry.number,
        "at_ms": entry.at.0,
        "kind": entry.kind.as_str(),
        "subject": subject_json(entry.subject),
        "message": entry.message.map(|message| message.to_string()),
        "wanted": entry.wanted.as_str(),
        "taken": entry.taken.map(DeliveryMode::as_str),
        "reason": entry.reason.code(),
        "text": entry.reason.text(),
        "consent": entry.consent.map(|consent| consent.0),
        "decision": entry.decision,
        "chain": hex::encode(entry.chain),
    })
}

fn entry_text(entry: &JournalEntry, names: &Names) -> String {
    format!(
        "{:>6}  {}  {}  {} → {}  {}  {}",
        entry.number,
        moment(entry.at.0),
        entry.kind.as_str(),
        entry.wanted.as_str(),
        entry.taken.map_or("not sent", DeliveryMode::as_str),
        entry.reason.code(),
        names.subject(entry.subject)
    )
}
