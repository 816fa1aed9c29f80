//! `rcseal account recover` and `rcseal account reset …`: an account back on a device that has none, and how its own devices object.
//!
//! Recovery codes and tickets are read from standard input: every user of a machine can read the command lines of all others. What was
//! begun stays in the profile until it is done, so a command that was interrupted, or that the server did not answer, is repeated as it
//! was; the code or ticket is not read again then. The account's new recovery code is printed before the server is asked to change
//! anything, because it exists nowhere else.

use rcseal_client::client::Client;
use rcseal_client::recovery_code;
use rcseal_engine::account::{AccountState, NewAccount, TakeoverStarted};
use rcseal_wire::id::{Custody, Platform};
use serde_json::json;

use crate::args::{LostAccount, ResetCommand};
use crate::argument::line;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Takes an account back with its recovery code.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn recover(lost: LostAccount, profile: &Profile, output: Output) -> Result<(), CliError> {
    let (client, begun) = device::begin(profile, &lost.server, &lost.ca, AccountState::Recovering).await?;
    match begun {
        Some(begun) => must_be_wanted(begun.address.account, &lost)?,
        None => {
            let seed = recovery_code::parse(&line()?)?;
            let started = client.begin_recovery(lost.account, new_account(&lost), seed).await?;
            tell_code(&started, profile, &client, output);
        }
    }
    client.finish_recovery().await?;
    // Contacts are told, and what they need to write to this device is uploaded, now or with the next command.
    let synced = client.sync_once().await;
    let account = device::account(&client).await?;
    output.result(
        || view::account_json(&account),
        || {
            format!(
                "account {} is this device's, as device {}; its other devices are logged out\n\
                 the old recovery code is void; contacts see that the account was recovered",
                account.address.account,
                account.address.device.get()
            )
        },
    );
    synced.map(|_| ()).map_err(Into::into)
}

/// Asks for a reset, looks whether one is pending, calls it off, or gives up what was begun here.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn reset(command: ResetCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        ResetCommand::Request { lost } => request(lost, profile, output).await,
        ResetCommand::Status => {
            let client = device::open(profile).await?;
            device::account(&client).await?;
            let pending = client.pending_reset().await?.map(|pending| pending.effective_at_ms);
            tell_pending(pending, output);
            Ok(())
        }
        ResetCommand::Veto => {
            let client = device::open(profile).await?;
            device::account(&client).await?;
            client.veto_reset().await?;
            output.result(
                || json!({ "effective_at_ms": null }),
                || "no reset is pending any more: what was asked for is called off, and its ticket is void".to_owned(),
            );
            Ok(())
        }
        ResetCommand::Abandon { yes: _ } => abandon(profile, output).await,
    }
}

/// Without `--yes` the command line does not parse.
async fn abandon(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let begun = device::account(&client).await?.address.account;
    client.abandon_takeover().await?;
    output.result(
        || json!({ "account": begun.to_string(), "abandoned": true }),
        || {
            format!(
                "given up: of what was begun for account {begun}, nothing is left in this profile\n\
                 a reset that is still pending at the server is called off by a device of the account only; a recovery whose\n\
                 answer did not arrive may have been carried out, and then the new recovery code is the one that counts"
            )
        },
    );
    Ok(())
}

async fn request(lost: LostAccount, profile: &Profile, output: Output) -> Result<(), CliError> {
    let (client, begun) = device::begin(profile, &lost.server, &lost.ca, AccountState::Resetting).await?;
    match begun {
        Some(begun) => must_be_wanted(begun.address.account, &lost)?,
        None => {
            let ticket = line()?;
            let started = client.begin_reset(lost.account, new_account(&lost), ticket.to_string()).await?;
            tell_code(&started, profile, &client, output);
        }
    }
    let accepted = client.finish_reset().await?;
    let synced = if accepted.in_force { client.sync_once().await.map(|_| ()) } else { Ok(()) };
    let account = device::account(&client).await?;
    output.result(
        || {
            let mut json = view::account_json(&account);
            json["effective_at_ms"] = json!(accepted.effective_at_ms);
            json["in_force"] = json!(accepted.in_force);
            json
        },
        || {
            if accepted.in_force {
                format!("account {} is this device's; contacts see that it was reset", account.address.account)
            } else {
                format!(
                    "the reset takes effect at {}, unless a device of the account calls it off\n\
                     run the same command again then; it needs no ticket",
                    view::moment(accepted.effective_at_ms)
                )
            }
        },
    );
    Ok(synced?)
}

/// What was begun here is finished, not something else.
fn must_be_wanted(begun: rcseal_wire::id::AccountId, lost: &LostAccount) -> Result<(), CliError> {
    if begun == lost.account { Ok(()) } else { Err(CliError::OtherTakeover { account: begun }) }
}

fn new_account(lost: &LostAccount) -> NewAccount {
    NewAccount {
        origin: lost.server.clone(),
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: lost.name.clone(),
    }
}

/// The new code exists here and now only.
fn tell_code(started: &TakeoverStarted, profile: &Profile, client: &Client, output: Output) {
    let code = started.recovery_seed.as_ref().map(recovery_code::expose);
    let code = code.as_ref().map(|code| code.as_str());
    output.note(&format!("note: {}", profile.protection()));
    output.result(
        || {
            json!({
                "event": "recovery_code",
                "recovery_code": code,
                "protection": client.protection_level().as_str(),
            })
        },
        || {
            code.map_or_else(
                || "the account's old recovery codes stay good; there are as many as there can be, so there is no new one".to_owned(),
                |code| format!("new recovery code, shown once; write it down and keep it away from this device:\n\n    {code}\n"),
            )
        },
    );
}

fn tell_pending(effective_at_ms: Option<u64>, output: Output) {
    output.result(
        || json!({ "effective_at_ms": effective_at_ms }),
        || match effective_at_ms {
            None => "no reset is pending".to_owned(),
            Some(at) => format!(
                "somebody asked the operator to begin this account again, with keys that you do not have; it takes effect at {}\n\
                 call it off with `rcseal account reset veto`, unless it was you",
                view::moment(at)
            ),
        },
    );
}
