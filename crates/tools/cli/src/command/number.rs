//! `rcseal number …`: this account's phone numbers at the broker, who has others', and what brokers did.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use rcseal_client::client::Client;
use rcseal_engine::number::{Claimed, LookupResult, NumberState, OwnNumberView};
use rcseal_rcs::number::PhoneNumber;
use serde_json::{Value, json};

use crate::args::{NumberCommand, Visible};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::{Profile, read_at_most};
use crate::{argument, device, safe_text, view};

/// A release longer than this is a file given by mistake.
const RELEASE_LEN_MAX: u64 = 4096;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: NumberCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    match command {
        NumberCommand::Claim { number } => {
            let started = client.claim_number(&number).await?;
            output.result(
                || {
                    json!({
                        "event": "number_claimed",
                        "number": number.as_str(),
                        "expires_in_seconds": started.expires_in_seconds,
                        "resend_after_seconds": started.resend_after_seconds,
                    })
                },
                || {
                    format!(
                        "a code is on its way to {}; it is good for {} min\nthen: rcseal number confirm CODE",
                        number.as_str(),
                        started.expires_in_seconds / 60
                    )
                },
            );
            Ok(())
        }
        NumberCommand::Confirm { code, number, release } => {
            let release = release.as_deref().map(read_release).transpose()?;
            let number = match number {
                Some(number) => number,
                None => waiting_number(&client).await?,
            };
            let code = argument::secret(code)?;
            let claimed = client.confirm_number(&number, code.trim(), release).await?;
            told(&number, &claimed, output)
        }
        NumberCommand::Show => list(&client.own_numbers().await?, output),
        NumberCommand::Watch => list(&client.watch_numbers().await?, output),
        NumberCommand::Release { number, to } => {
            let release = client.release_number(&number).await?;
            write_new(&to, &release)?;
            output.result(
                || json!({ "event": "number_released", "number": number.as_str(), "release": to }),
                || {
                    format!(
                        "{} is let go; whoever shows {} to the broker with a code of the number has it without a wait",
                        number.as_str(),
                        to.display()
                    )
                },
            );
            Ok(())
        }
        NumberCommand::Veto { number } => {
            client.veto_number(&number).await?;
            output.result(
                || json!({ "event": "number_vetoed", "number": number.as_str() }),
                || format!("the claim of another account to {} is called off", number.as_str()),
            );
            Ok(())
        }
        NumberCommand::Find { number, add } => find(&client, &number, add, output).await,
        NumberCommand::Visibility { number, visible } => {
            let is_visible = visible == Visible::On;
            client.set_number_visibility(&number, is_visible).await?;
            output.result(
                || json!({ "event": "number_visibility", "number": number.as_str(), "visible": is_visible }),
                || {
                    let what = if is_visible { "shows this account to whoever asks for" } else { "says nothing of" };
                    format!("the broker {what} {}", number.as_str())
                },
            );
            Ok(())
        }
        NumberCommand::Evidence { id: Some(id), to: Some(to) } => {
            let (broker, evidence) = client.export_evidence(id).await?;
            write_new(&to, &evidence)?;
            output.result(
                || json!({ "event": "evidence_written", "id": id, "broker": broker.to_string(), "file": to }),
                || format!("{} holds it; it is checked against the broker's key {broker}", to.display()),
            );
            Ok(())
        }
        NumberCommand::Evidence { .. } => evidence(&client, output).await,
    }
}

/// The number that a code was sent to, where it is one.
async fn waiting_number(client: &Client) -> Result<PhoneNumber, CliError> {
    let numbers = client.own_numbers().await?;
    let waits = |number: &&OwnNumberView| {
        matches!(number.state, NumberState::CodeSent | NumberState::Verified | NumberState::Pending)
    };
    match numbers.iter().filter(waits).collect::<Vec<_>>().as_slice() {
        [number] => Ok(number.number.clone()),
        [] => Err(CliError::NoClaim { count: 0 }),
        several => Err(CliError::NoClaim { count: several.len() }),
    }
}

fn read_release(path: &Path) -> Result<Vec<u8>, CliError> {
    read_at_most(path, RELEASE_LEN_MAX).map_err(|source| CliError::File { path: path.to_owned(), source })
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn told(number: &PhoneNumber, claimed: &Claimed, output: Output) -> Result<(), CliError> {
    let (state, until) = match claimed {
        Claimed::Mapped => ("mapped", None),
        Claimed::Verified => ("verified", None),
        Claimed::Pending { until } => ("pending", Some(until.0)),
        Claimed::NotBelieved { finding } => return Err(CliError::BrokerLied { code: finding.code() }),
    };
    output.result(
        || json!({ "event": "number_confirmed", "number": number.as_str(), "state": state, "until": until }),
        || match until {
            Some(until) => format!(
                "another account has {} and is told; it is this one's from {} unless that account objects",
                number.as_str(),
                view::moment(until)
            ),
            None if state == "mapped" => {
                format!("{} is this account's, and the broker countersigned it", number.as_str())
            }
            None => format!("the code was right; run the command again to sign for {}", number.as_str()),
        },
    );
    Ok(())
}

fn list(numbers: &[OwnNumberView], output: Output) -> Result<(), CliError> {
    for number in numbers {
        output.result(|| number_json(number), || number_text(number));
    }
    if numbers.is_empty() && !output.is_json() {
        output.text("no number is claimed; `rcseal number claim` begins that");
    }
    Ok(())
}

fn number_json(number: &OwnNumberView) -> Value {
    let at = |time: Option<rcseal_engine::UnixMillis>| time.map(|time| time.0);
    json!({
        "event": "number",
        "number": number.number.as_str(),
        "state": number.state.as_str(),
        "pending_until": at(number.pending_until),
        "contested_until": at(number.contested_until),
        "sequence": number.sequence,
        "hash": number.hash.map(|hash| hash.to_string()),
        "expires_at": at(number.expires_at),
        "refusal": number.refusal,
        "watched_at": at(number.watched_at),
    })
}

fn number_text(number: &OwnNumberView) -> String {
    let mut text = format!("{}  {}", number.number.as_str(), number.state.as_str());
    if let Some(until) = number.expires_at {
        text.push_str(&format!(", until {}", view::moment(until.0)));
    }
    if let Some(until) = number.pending_until {
        text.push_str(&format!(", this account's from {} at the soonest", view::moment(until.0)));
    }
    if let Some(until) = number.contested_until {
        text.push_str(&format!(
            "\n  ANOTHER ACCOUNT claims it and gets it {}; `rcseal number veto {}` calls that off",
            view::moment(until.0),
            number.number.as_str()
        ));
    }
    if let Some(refusal) = &number.refusal {
        text.push_str(&format!(", refused: {}", safe_text::one_line(refusal)));
    }
    if let Some(at) = number.watched_at {
        text.push_str(&format!(", the broker showed it rightly {}", view::moment(at.0)));
    }
    text
}

async fn find(client: &Client, number: &PhoneNumber, add: Option<String>, output: Output) -> Result<(), CliError> {
    let result = client.look_up_number(number).await?;
    let found = match result {
        LookupResult::Found(found) => found,
        LookupResult::Refused(refusal) => return Err(CliError::BrokerLied { code: refusal.code }),
        LookupResult::Absent | LookupResult::Undiscoverable | LookupResult::KeySetNeeded { .. } => {
            let (code, text) = match result {
                LookupResult::Absent => ("absent", "the broker shows nobody for it; that is a hint, and no proof"),
                _ => ("undiscoverable", "the broker does not say; verify another way, or do not send"),
            };
            output.result(
                || json!({ "event": "number_looked_up", "number": number.as_str(), "result": code }),
                || format!("{}: {text}", number.as_str()),
            );
            return Ok(());
        }
    };
    let account = match add {
        Some(name) if !found.is_own => client.add_contact_by_number(number, name).await?,
        _ => found.account,
    };
    let is_contact = account == found.account && client.contact(account).await.is_ok();
    output.result(
        || {
            json!({
                "event": "number_looked_up",
                "number": number.as_str(),
                "result": "found",
                "account": account.to_string(),
                "own": found.is_own,
                "contact": is_contact,
                "grounds": found.grounds.as_str(),
                "change": found.change.map(|change| change.as_str()),
                "sequence": found.sequence,
                "expires_at": found.expires_at.0,
            })
        },
        || {
            let whose = if found.is_own { " (this account)" } else if is_contact { " (a contact)" } else { "" };
            format!(
                "{} is {account}'s{whose}, by {}, until {}\nboth the account and the broker signed it; nobody has compared keys: `rcseal verify` does",
                number.as_str(),
                found.grounds.as_str(),
                view::moment(found.expires_at.0)
            )
        },
    );
    Ok(())
}

async fn evidence(client: &Client, output: Output) -> Result<(), CliError> {
    let all = client.broker_evidence().await?;
    for one in &all {
        output.result(
            || {
                json!({
                    "event": "evidence",
                    "id": one.id,
                    "finding": one.finding.code(),
                    "number": one.number.map(|number| number.text().to_owned()),
                    "account": one.account.map(|account| account.to_string()),
                    "told_by": one.told_by.map(|account| account.to_string()),
                    "at": one.at.0,
                    "shows": one.shows.map(|shows| shows.as_str()),
                })
            },
            || {
                let number = one.number.map(|number| format!(" of {}", number.text())).unwrap_or_default();
                let shows = match one.shows {
                    Some(shows) => format!("what it signed shows {} to anybody", shows.as_str()),
                    None => "seen here; nothing that it signed shows it to others".to_owned(),
                };
                format!("{:>3}  {}  {}{number}; {shows}", one.id, view::moment(one.at.0), one.finding.code())
            },
        );
    }
    if all.is_empty() && !output.is_json() {
        output.text("no broker did anything here that it must not");
    }
    Ok(())
}
