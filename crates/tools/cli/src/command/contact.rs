//! `rcseal contact …` and `rcseal contacts`.

use std::time::Duration;

use rcseal_client::client::Client;
use rcseal_credential::Succession;
use rcseal_engine::account::TOKEN_OVERLAP_MS;
use rcseal_engine::capability::{ContactCapabilities, NumberKey};
use rcseal_engine::carrier::NumberView;
use rcseal_engine::contact::{ContactView, Verification};
use rcseal_engine::policy::DeliveryMode;
use rcseal_wire::id::AccountId;
use rcseal_wire::invitation::{Invitation, InvitationError};
use serde_json::{Value, json};

use crate::args::{CodeFile, ContactCommand, TokenCommand};
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
        ContactCommand::Invite { code } => invite(&device::open(profile).await?, &code, output).await,
        ContactCommand::Add { invitation, scan_png, name } => {
            // A text or picture that is no invitation is refused before the store is opened.
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
            Ok(())
        }
        ContactCommand::Remove { contact } => {
            let (client, contact) = find(&contact, profile).await?;
            client.remove_contact(contact.account).await?;
            // On the primary device the server hears of the new delivery token now, or with the next command.
            let _ = client.sync_once().await;
            if !device::account(&client).await?.is_primary {
                output.note(
                    "note: it knows the token to write to you; `rcseal contact token replace` on the primary device changes that",
                );
            }
            output.result(
                || json!({ "event": "contact_removed", "account": contact.account.to_string() }),
                || format!("{} is removed; what was said stays (`rcseal export`)", device::name_of(&contact)),
            );
            Ok(())
        }
        ContactCommand::Show { contact } => {
            let (client, contact) = find(&contact, profile).await?;
            let reach = Reach::read(&client, contact.account).await?;
            output.result(|| reach.json_of(&contact), || format!("{}{}", line(&contact), reach.text()));
            Ok(())
        }
        ContactCommand::Number { contact, number, remove } => {
            let (client, contact) = find(&contact, profile).await?;
            if number.is_some() || remove {
                client.set_contact_number(contact.account, number).await?;
            }
            let reach = Reach::read(&client, contact.account).await?;
            output.result(|| reach.json_of(&contact), || format!("{}{}", device::name_of(&contact), reach.text()));
            Ok(())
        }
        ContactCommand::Rename { contact, name } => {
            let (client, contact) = find(&contact, profile).await?;
            client.rename_contact(contact.account, name).await?;
            let before = device::name_of(&contact);
            tell(&client, contact.account, output, |after| format!("{before} is called {after} now")).await
        }
        ContactCommand::Block { contact } => block(&contact, true, profile, output).await,
        ContactCommand::Unblock { contact } => block(&contact, false, profile, output).await,
        ContactCommand::Accept { contact } => {
            let (client, contact) = find(&contact, profile).await?;
            client.accept_change(contact.account).await?;
            // What was kept back goes out.
            let synced = client.sync_once().await;
            let how = contact.changed_how;
            let contact = client.contact(contact.account).await?;
            output.result(
                || {
                    let mut json = view::contact_json(&contact);
                    json["accepted"] = json!(how.map(Succession::as_str));
                    json
                },
                || {
                    let name = device::name_of(&contact);
                    format!(
                        "the new account key of {name} is accepted: {}\nnobody has compared it; `rcseal verify` does",
                        view::how_it_changed(how)
                    )
                },
            );
            synced.map(|_| ()).map_err(Into::into)
        }
        ContactCommand::HighRisk { contact, off } => {
            let (client, contact) = find(&contact, profile).await?;
            let conversation = client.direct_conversation(contact.account).await?;
            client.set_high_risk(conversation, !off).await?;
            output.result(
                || json!({ "event": "high_risk", "account": contact.account.to_string(), "high_risk": !off }),
                || {
                    let reminded = if off { "not reminded any more" } else { "reminded now and then" };
                    format!("you are {reminded} to compare safety numbers with {}", device::name_of(&contact))
                },
            );
            Ok(())
        }
        ContactCommand::Token(TokenCommand::Replace { now }) => replace_token(now, profile, output).await,
    }
}

async fn find(wanted: &str, profile: &Profile) -> Result<(Client, ContactView), CliError> {
    let client = device::open(profile).await?;
    let contact = device::contact(&client, wanted).await?;
    Ok((client, contact))
}

/// Prints a contact as it is now.
async fn tell(
    client: &Client,
    account: AccountId,
    output: Output,
    text: impl FnOnce(&str) -> String,
) -> Result<(), CliError> {
    let contact = client.contact(account).await?;
    output.result(|| view::contact_json(&contact), || text(&device::name_of(&contact)));
    Ok(())
}

async fn invite(client: &Client, code: &CodeFile, output: Output) -> Result<(), CliError> {
    let text = client.invite().await?.expose_text();
    write_code(&text, code)?;
    output.result(
        || json!({ "invitation": text, "qr": code.shown() }),
        || {
            format!(
                "{}\n{text}\n\ngive this to the person you invite, and to nobody else: whoever holds it may write to you",
                qr::render(&text, output.is_terminal()).unwrap_or_default()
            )
        },
    );
    Ok(())
}

async fn block(wanted: &str, is_blocked: bool, profile: &Profile, output: Output) -> Result<(), CliError> {
    let (client, contact) = find(wanted, profile).await?;
    client.block_contact(contact.account, is_blocked).await?;
    tell(&client, contact.account, output, |name| {
        format!("{name} is {}", if is_blocked { "blocked" } else { "not blocked any more" })
    })
    .await
}

async fn replace_token(now: bool, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    let overlap = if now { 0 } else { TOKEN_OVERLAP_MS };
    client.replace_delivery_token(Duration::from_millis(overlap)).await?;
    // The server has to know the new token before anybody is told.
    let synced = client.sync_once().await;
    output.result(
        || json!({ "event": "token_replaced", "old_is_good_for_ms": overlap }),
        || {
            let old = if now { "are void now" } else { "are void in a week" };
            format!("the token is replaced; contacts are told, and invitations given out so far {old}")
        },
    );
    if synced?.is_complete { Ok(()) } else { Err(CliError::StillQueued) }
}

/// Lists the contacts.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn list(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    for contact in client.contacts().await? {
        let reach = Reach::read(&client, contact.account).await?;
        output.result(|| reach.json_of(&contact), || format!("{}{}", line(&contact), reach.short()));
    }
    Ok(())
}

fn line(contact: &ContactView) -> String {
    let mut line = format!(
        "{}  {}  {}  {} device(s)",
        contact.account,
        contact.verification.as_str(),
        device::name_of(contact),
        contact.devices.len()
    );
    if contact.verification == Verification::Changed {
        line.push_str(&format!("  · {}", view::how_it_changed(contact.changed_how)));
    }
    if contact.is_blocked {
        line.push_str("  · blocked");
    }
    line
}

/// By which ways a contact is reached, as far as is known.
struct Reach {
    number: NumberView,
    capabilities: ContactCapabilities,
    /// The mode that the user acknowledged for the conversation. While it is there, nothing else on the screen may suggest encryption.
    acknowledged: Option<DeliveryMode>,
}

impl Reach {
    async fn read(client: &Client, account: AccountId) -> Result<Self, CliError> {
        let conversation = client.direct_conversation(account).await?;
        Ok(Self {
            number: client.contact_number(account).await?,
            capabilities: client.capabilities(account).await?,
            acknowledged: client.acknowledged_downgrade(conversation).await?,
        })
    }

    fn json_of(&self, contact: &ContactView) -> Value {
        let mut json = view::contact_json(contact);
        json["number"] = json!(self.number.number.as_ref().map(|number| number.as_str()));
        json["carrier_devices"] = self
            .capabilities
            .devices
            .iter()
            .map(|device| {
                json!({
                    "device": device.device.get(),
                    "claimed_number": device.number.map(|number| number.text().to_owned()),
                    "frame_version": device.frame_version,
                    "native": self.is_native(device.number, device.frame_version),
                    "at_ms": device.at.0,
                })
            })
            .collect();
        json["capable"] = json!(
            self.capabilities.latch.map(|latch| { json!({ "by": latch.source.as_str(), "since_ms": latch.since.0 }) })
        );
        json["acknowledged"] = json!(self.acknowledged.map(DeliveryMode::as_str));
        json["carrier_says"] = json!(self.capabilities.hint.map(|hint| {
            json!({ "hint": hint.hint.as_str(), "answered_at_ms": hint.answered_at.0, "expires_at_ms": hint.expires_at.0 })
        }));
        json
    }

    /// Whether a device is reached natively, once this device is on a carrier.
    fn is_native(&self, claimed: Option<NumberKey>, frame_version: u8) -> bool {
        frame_version > 0 && claimed.is_some() && claimed == self.number.number.as_ref().map(NumberKey::of)
    }

    fn short(&self) -> String {
        let mut text =
            self.number.number.as_ref().map_or_else(String::new, |number| format!("  · {}", number.as_str()));
        if let Some(mode) = self.acknowledged {
            text.push_str(&format!("  · acknowledged to go WITHOUT end-to-end encryption, as {}", mode.as_str()));
        }
        text
    }

    fn text(&self) -> String {
        let mut text = match &self.number.number {
            Some(number) => format!("\n    number           {}, from you", number.as_str()),
            None => "\n    number           none; `rcseal contact number` gives it one".to_owned(),
        };
        for device in &self.capabilities.devices {
            let claimed = device.number.map_or_else(|| "no number".to_owned(), |number| number.text().to_owned());
            let reached = match (device.frame_version, self.is_native(device.number, device.frame_version)) {
                (0, _) => "nothing comes to it by a carrier",
                (_, true) => "reached natively, if this device is on a carrier",
                (_, false) => "not the number that you gave it, so it is reached by the relay",
            };
            text.push_str(&format!("\n    device {:<9} claims {claimed}: {reached}", device.device.get()));
        }
        match self.capabilities.latch {
            Some(latch) => text.push_str(&format!(
                "\n    encryption       known since {}, by {}",
                view::moment(latch.since.0),
                latch.source.as_str()
            )),
            None => text.push_str("\n    encryption       an account has it; nothing was exchanged yet"),
        }
        if let Some(mode) = self.acknowledged {
            text.push_str(&format!(
                "\n    NOT end-to-end   you acknowledged {} for this conversation; `rcseal policy explain` says what counts now",
                mode.as_str()
            ));
        }
        if let Some(hint) = self.capabilities.hint {
            text.push_str(&format!(
                "\n    the carrier says {} ({}), which decides nothing about encryption",
                hint.hint.as_str(),
                view::moment(hint.answered_at.0)
            ));
        }
        text
    }
}
