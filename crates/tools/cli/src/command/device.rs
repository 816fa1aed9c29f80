//! `rcseal device …` and `rcseal devices`.

use rcseal_engine::account::AccountState;
use rcseal_wire::id::{Custody, DeviceNumber, Platform};
use rcseal_wire::link::LinkRequest;
use serde_json::json;

use crate::args::DeviceCommand;
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
pub(crate) async fn run(command: DeviceCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        DeviceCommand::Link { server, ca, code } => {
            let (client, _) = device::begin(profile, &server, &ca, AccountState::Registering).await?;
            let linking = client.link_start(server, Platform::Desktop, Custody::User).await?;
            let text = linking.expose_text();
            write_code(&text, &code)?;
            output.result(
                || json!({ "event": "link", "link": text, "qr": code.shown() }),
                || {
                    format!(
                        "{}\n{text}\n\nscan this on the primary device, or run there:\n    rcseal device approve {text}\n\
                         whoever sees this code can link this device; it is good once",
                        qr::render(&text, output.is_terminal()).unwrap_or_default()
                    )
                },
            );
            client.link_finish(linking).await?;
            let account = device::account(&client).await?;
            output.note(&format!("note: {}", profile.protection()));
            output.result(
                || {
                    let mut json = view::account_json(&account);
                    json["event"] = json!("linked");
                    json
                },
                || format!("linked as device {} of account {}", account.address.device.get(), account.address.account),
            );
            Ok(())
        }
        DeviceCommand::Approve { text, scan_png } => {
            let text = text_or_picture(text, scan_png.as_deref(), Wanted::Link)?.unwrap_or_default();
            let request: LinkRequest = text.parse().map_err(|error: rcseal_wire::link::LinkError| {
                CliError::Malformed { what: "the link text", code: error.code() }
            })?;
            let client = device::open(profile).await?;
            let number = client.link_approve(request).await?;
            output.result(
                || json!({ "event": "approved", "device": number.get() }),
                || format!("device {} is linked", number.get()),
            );
            // The device is linked whether or not the contacts can be told now; the next command tells them.
            let _ = client.sync_once().await;
            Ok(())
        }
        DeviceCommand::Keys => super::keys::run(profile, output).await,
        DeviceCommand::Remove { number } => {
            let device = DeviceNumber::new(number)
                .map_err(|error| CliError::Malformed { what: "the device number", code: error.code() })?;
            let client = device::open(profile).await?;
            client.remove_device(device).await?;
            let synced = client.sync_once().await;
            // The key set says whether it is, not that somebody asked for it: the server may be away, or have refused.
            let devices = device::account(&client).await?.devices;
            if devices.iter().any(|known| known.number == device) {
                synced?;
                return Err(CliError::NotRemoved { device: number });
            }
            output.result(|| json!({ "event": "removed", "device": number }), || format!("device {number} is removed"));
            synced?;
            Ok(())
        }
    }
}

/// Lists the devices of the account.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn list(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let account = device::account(&client).await?;
    let own = account.address.device.get();
    for device in &account.devices {
        output.result(
            || view::device_json(device, Some(own)),
            || {
                let note = if device.number.get() == own { "  (this device)" } else { "" };
                format!("{:>3}  {}  {}{note}", device.number.get(), device.platform, device.custody)
            },
        );
    }
    Ok(())
}
