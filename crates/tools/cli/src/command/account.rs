//! `rcseal account create` and `rcseal account show`.

use rcseal_client::client::{Client, ClientError};
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
            let client = device::begin(profile, &server, &ca).await?;
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
                    format!(
                        "account {}\ndevice  {}{}\nserver  {}\nname    {}",
                        account.address.account,
                        account.address.device.get(),
                        if account.is_primary { " (primary)" } else { "" },
                        account.origin,
                        account.display_name
                    )
                },
            );
            Ok(())
        }
    }
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
        Some(account) if account.state == AccountState::Registering && account.is_primary => None,
        Some(_) => return Err(ClientError::from(AccountError::Exists).into()),
        None => {
            let created = client.create_account(new).await?;
            output.note(&format!("note: {}", profile.protection()));
            Some(group(&hex::encode(created.recovery_seed.expose())))
        }
    };
    let registered = client.register(invite).await;
    let account = device::account(client).await?;
    // The recovery code exists here and now only, so it is printed even when the server refused.
    output.result(
        || {
            let mut json = view::account_json(&account);
            json["recovery_code"] = json!(recovery_code);
            json["protection"] = json!(client.protection_level().as_str());
            json
        },
        || {
            let mut text = format!("account {}\nserver  {}", account.address.account, account.origin);
            if let Some(code) = &recovery_code {
                text.push_str(&format!(
                    "\n\nrecovery code, shown once; write it down and keep it away from this device:\n\n    {code}\n"
                ));
            }
            text
        },
    );
    Ok(registered?)
}

/// Groups of four characters, which people copy with fewer mistakes.
fn group(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    characters.chunks(4).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_in_groups_of_four() {
        assert_eq!(group("0123456789ab"), "0123-4567-89ab");
    }
}
