//! `rcseal contact …` and `rcseal contacts`.

use rcseal_wire::invitation::{Invitation, InvitationError};
use serde_json::json;

use crate::args::ContactCommand;
use crate::argument::{text_or_picture, write_code};
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::scan::Wanted;
use crate::{qr, view};

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: ContactCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        ContactCommand::Invite { code } => {
            let client = device::open(profile).await?;
            let text = client.invite().await?.expose_text();
            write_code(&text, &code)?;
            output.result(
                || json!({ "invitation": text, "qr": code.shown() }),
                || {
                    format!(
                        "{}\n{text}\n\ngive this to the person you invite, and to nobody else: whoever holds it may write to you",
                        qr::render(&text, output.is_terminal()).unwrap_or_default()
                    )
                },
            );
        }
        ContactCommand::Add { invitation, scan_png, name } => {
            let text = text_or_picture(invitation, scan_png.as_deref(), Wanted::Invitation)?.unwrap_or_default();
            let invitation: Invitation = text
                .parse()
                .map_err(|error: InvitationError| CliError::Malformed { what: "the invitation", code: error.code() })?;
            let client = device::open(profile).await?;
            let account = client.add_contact(invitation, name).await?;
            // The contact's keys are fetched now if the server is there, and with the next command otherwise.
            let _ = client.sync_once().await;
            let contact = client.contact(account).await?;
            output
                .result(|| view::contact_json(&contact), || format!("added {} ({account})", device::name_of(&contact)));
        }
    }
    Ok(())
}

/// Lists the contacts.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn list(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    for contact in client.contacts().await? {
        output.result(
            || view::contact_json(&contact),
            || {
                format!(
                    "{}  {}  {}  {} device(s)",
                    contact.account,
                    contact.verification.as_str(),
                    device::name_of(&contact),
                    contact.devices.len()
                )
            },
        );
    }
    Ok(())
}
