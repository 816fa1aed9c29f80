//! `rcseal account create`, `rcseal account show` and `rcseal account rotate-key`.

use rcseal_client::client::{Client, ClientError};
use rcseal_client::recovery_code;
use rcseal_engine::account::{AccountError, AccountState, NewAccount};
use rcseal_wire::id::{Custody, Platform};
use serde_json::json;

use crate::args::AccountCommand;
use crate::argument::secret;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: AccountCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        AccountCommand::Create { server, ca, invite, name } => {
            let invite = invite.map(secret).transpose()?;
            let (client, _) = device::begin(profile, &server, &ca, AccountState::Registering).await?;
            let new =
                NewAccount { origin: server, platform: Platform::Desktop, custody: Custody::User, display_name: name };
            create(&client, new, invite, profile, output).await
        }
        AccountCommand::Show => {
            let client = device::open(profile).await?;
            let account = device::account(&client).await?;
            output.result(
                || view::account_json(&account),
                || {
                    let reset = account.reset_at.map(|at| {
                        let at = view::moment(at.0);
                        format!("\n\na reset of this account is pending until {at}; `rcseal account reset veto` calls it off")
                    });
                    let state = match account.state {
                        AccountState::Active => "",
                        AccountState::Registering => {
                            "\n\nthe server has not admitted this account yet; repeat `rcseal account create`"
                        }
                        AccountState::Recovering => {
                            "\n\nthe server has not given this account back yet; repeat `rcseal account recover`"
                        }
                        AccountState::Resetting => {
                            "\n\nthis account is not this device's before its reset is in force; repeat `rcseal account reset request`"
                        }
                    };
                    format!(
                        "account {}\ndevice  {}{}\nserver  {}\nname    {}{state}{}",
                        account.address.account,
                        account.address.device.get(),
                        if account.is_primary { " (primary)" } else { "" },
                        account.origin,
                        account.display_name,
                        reset.unwrap_or_default()
                    )
                },
            );
            Ok(())
        }
        AccountCommand::RotateKey => rotate(profile, output).await,
        AccountCommand::Recover { lost } => super::takeover::recover(lost, profile, output).await,
        AccountCommand::Reset { command } => super::takeover::reset(command, profile, output).await,
        AccountCommand::Policy { on_change, contact } => super::policy::run(on_change, contact, profile, output).await,
    }
}

async fn rotate(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let before = device::account(&client).await?.key_set_counter;
    client.rotate_account_key().await?;
    let synced = client.sync_once().await;
    let account = device::account(&client).await?;
    let is_published = account.key_set_counter > before;
    output.result(
        || {
            json!({
                "account": account.address.account.to_string(),
                "key_set_counter": account.key_set_counter,
                "published": is_published,
            })
        },
        || {
            if is_published {
                "the account key is replaced; contacts who had verified you see that it changed".to_owned()
            } else {
                "the new account key waits here for the server".to_owned()
            }
        },
    );
    synced?;
    if is_published { Ok(()) } else { Err(CliError::StillQueued) }
}

async fn create(
    client: &Client,
    new: NewAccount,
    invite: Option<String>,
    profile: &Profile,
    output: Output,
) -> Result<(), CliError> {
    let recovery_code = match client.account().await? {
        // A first attempt that did not reach the server, or was refused: the same keys are registered now.
        Some(account) if account.state == AccountState::Registering && account.is_primary => {
            if !new.display_name.is_empty() {
                client.name_unregistered(new.display_name).await?;
            }
            None
        }
        Some(_) => return Err(ClientError::from(AccountError::Exists).into()),
        None => {
            let created = client.create_account(new).await?;
            output.note(&format!("note: {}", profile.protection()));
            Some(recovery_code::expose(&created.recovery_seed))
        }
    };
    let registered = client.register(invite).await;
    let account = device::account(client).await?;
    // The recovery code exists here and now only, so it is printed even when the server refused.
    output.result(
        || {
            let mut json = view::account_json(&account);
            json["recovery_code"] = json!(recovery_code.as_deref());
            json["protection"] = json!(client.protection_level().as_str());
            json
        },
        || {
            let mut text = format!("account {}\nserver  {}", account.address.account, account.origin);
            if let Some(code) = &recovery_code {
                text.push_str(&format!(
                    "\n\nrecovery code, shown once; write it down and keep it away from this device:\n\n    {}\n",
                    code.as_str()
                ));
            }
            text
        },
    );
    Ok(registered?)
}
