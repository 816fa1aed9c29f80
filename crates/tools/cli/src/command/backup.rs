//! `rcseal backup …` and `rcseal delete-account`: a device's archive, and its end.
//!
//! Secrets are read from standard input, and a drawn one is printed before the file is written: a backup whose secret nobody saw is lost.

use std::path::{Path, PathBuf};

use rcseal_client::backup::{BackupSecret, RestoreDevice, RestoreKind, RestoreOutcome, SecretKind};
use rcseal_client::client::{Client, ClientError};
use rcseal_wire::id::{Custody, Platform};
use serde_json::json;

use crate::args::BackupCommand;
use crate::argument::line;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Runs `backup`.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: BackupCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        BackupCommand::Create { file, passphrase } => create(file, passphrase, profile, output).await,
        BackupCommand::Inspect { file } => inspect(file, output).await,
        BackupCommand::Restore { file, ca } => restore(file, ca.as_deref(), profile, output).await,
    }
}

async fn create(file: PathBuf, passphrase: bool, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    let secret = if passphrase {
        BackupSecret::passphrase(&line()?).map_err(ClientError::from)?
    } else {
        let secret = BackupSecret::generate();
        let text = secret.expose_text();
        output.result(
            || json!({ "event": "backup_secret", "backup_secret": text.as_str() }),
            || {
                format!(
                    "secret of the backup, shown once; write it down and keep it away from this device:\n\n    {}\n",
                    *text
                )
            },
        );
        secret
    };
    let summary = client.create_backup(&file, secret, |_| {}).await.map_err(of_file(&file))?;
    output.result(
        || {
            json!({
                "event": "backed_up",
                "rows": summary.rows,
                "bytes": summary.bytes,
                "secret": summary.secret.as_str(),
                "has_account_key": summary.has_account_key,
            })
        },
        || {
            let restores = if summary.has_account_key {
                "it restores this account on a new device, and its secret is as good as the device"
            } else {
                "it holds no account key: it brings contacts and messages into an account, and no account back"
            };
            format!("{} rows, {} bytes; {restores}", summary.rows, summary.bytes)
        },
    );
    Ok(())
}

async fn inspect(file: PathBuf, output: Output) -> Result<(), CliError> {
    let info = Client::inspect_backup(&file).await.map_err(of_file(&file))?;
    output.result(
        || {
            json!({
                "secret": info.secret.as_str(),
                "created_at_ms": info.created_at_ms,
                "bytes": info.bytes,
                "memory_kib": info.memory_kib,
                "passes": info.passes,
            })
        },
        || {
            format!(
                "opens with a {}; made {}; {} bytes; a guess costs {} MiB, {} passes\n\
                 what a backup says before it is opened may have been altered",
                match info.secret {
                    SecretKind::Passphrase => "passphrase",
                    SecretKind::Generated => "generated secret",
                },
                view::moment(info.created_at_ms),
                info.bytes,
                info.memory_kib / 1024,
                info.passes
            )
        },
    );
    Ok(())
}

async fn restore(file: PathBuf, ca: Option<&Path>, profile: &Profile, output: Output) -> Result<(), CliError> {
    let info = Client::inspect_backup(&file).await.map_err(of_file(&file))?;
    let client = match ca {
        Some(ca) => {
            let authority = profile.read_authority(ca)?;
            let client = device::open_with(profile, authority.trust.clone()).await?;
            // A device that has its account trusts whom it trusts.
            if client.account().await?.is_none() {
                profile.adopt_authority(&authority)?;
            }
            client
        }
        None => device::open(profile).await?,
    };
    let text = line()?;
    let secret = match info.secret {
        SecretKind::Passphrase => BackupSecret::Passphrase(text.to_string().into()),
        SecretKind::Generated => BackupSecret::parse_generated(&text).map_err(ClientError::from)?,
    };
    let here = RestoreDevice { platform: Platform::Desktop, custody: Custody::User };
    let outcome = client.restore_backup(&file, secret, here, |_| {}).await.map_err(of_file(&file))?;
    // Contacts are told, and what they need to write to this device is uploaded, now or with the next command.
    let synced = client.sync_once().await;
    let account = device::account(&client).await?;
    output.result(
        || {
            let mut json = view::account_json(&account);
            json["event"] = json!("restored");
            json["kind"] = json!(outcome.kind.as_str());
            json["contacts"] = json!(outcome.restored.contacts);
            json["verified"] = json!(outcome.restored.verified);
            json["conversations"] = json!(outcome.restored.conversations);
            json["messages"] = json!(outcome.restored.messages);
            json
        },
        || told(&outcome, account.address.device.get()),
    );
    Ok(synced.map(|_| ())?)
}

fn told(outcome: &RestoreOutcome, device: u8) -> String {
    let restored = &outcome.restored;
    let brought = format!(
        "{} contacts ({} verified), {} conversations, {} messages",
        restored.contacts, restored.verified, restored.conversations, restored.messages
    );
    match outcome.kind {
        RestoreKind::NewDevice => format!(
            "account {} is this device's, as device {device}; its other devices are logged out, and contacts see a new device\n{brought}",
            outcome.account
        ),
        RestoreKind::Imported => format!("{brought}, into account {}", outcome.account),
    }
}

/// Deletes the account and everything here. Without `--yes` the command line does not parse.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn delete_account(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let account = device::account(&client).await?.address.account;
    client.delete_account().await?;
    output.result(
        || json!({ "event": "account_deleted", "account": account.to_string() }),
        || {
            format!(
                "account {account} is deleted at its server, and everything of it here\n\
                 contacts are not told: what they send from now on is refused; files that you sent stay there until they expire"
            )
        },
    );
    Ok(())
}

fn of_file(path: &Path) -> impl Fn(ClientError) -> CliError {
    let path = path.to_owned();
    move |error| match error {
        ClientError::File(source) => CliError::File { path: path.clone(), source },
        other => other.into(),
    }
}
