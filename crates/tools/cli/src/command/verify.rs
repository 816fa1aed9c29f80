//! `rcseal verify`: are these the contact's own keys? Both sides see the same sixty digits, or scan each other's code.

use rcseal_client::client::ClientError;
use rcseal_engine::contact::{ContactError, Verification};
use serde_json::json;

use crate::args::VerifyArgs;
use crate::argument::{text_or_picture, write_code};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::scan::Wanted;
use crate::{device, qr};

/// Groups of digits on a line.
const GROUPS_PER_LINE: usize = 4;

/// What to do about a contact that is not verified.
const HOW_TO_COMPARE: &str = ": compare the digits over a call or in person, then run this with --confirm and the digits; \
     or give each other a picture of the code (--qr writes one, --scan-png reads one)";

/// Runs the command.
///
/// # Errors
/// [`CliError`]; exit code 7 when the scanned code or the compared digits are others.
pub(crate) async fn run(args: VerifyArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    // A picture without a code is refused before the store is opened.
    let scanned = text_or_picture(args.scan, args.scan_png.as_deref(), Wanted::Verification)?;
    let client = device::open(profile).await?;
    let account = device::contact(&client, &args.contact).await?.account;
    let number = match client.safety_number(account).await {
        // A contact that was just added: its keys have yet to be fetched.
        Err(ClientError::Contact(ContactError::NoKeySet)) => {
            client.sync_once().await?;
            client.safety_number(account).await?
        }
        other => other?,
    };
    let digits = number.numeric();
    let scan = number.qr_payload();
    // Both people may have to scan before either knows: the own code is written first, whatever the other's turns out to be.
    write_code(&scan, &args.code)?;
    let is_decided = scanned.is_some() || args.confirm.is_some();
    match (scanned, args.confirm) {
        (Some(scanned), _) => client.verify_scan(account, scanned).await?,
        // The contact's keys may be others by now than those that the digits were shown for.
        (None, Some(compared)) => client.verify_digits(account, compared).await?,
        (None, None) => {}
    }
    let contact = client.contact(account).await?;
    output.result(
        || {
            json!({
                "account": account.to_string(),
                "safety_number": digits,
                "scan": scan,
                "verification": contact.verification.as_str(),
                "qr": args.code.shown(),
            })
        },
        || {
            let groups: Vec<&str> = digits.split(' ').collect();
            let lines: Vec<String> =
                groups.chunks(GROUPS_PER_LINE).map(|line| format!("    {}", line.join(" "))).collect();
            let (name, lines) = (device::name_of(&contact), lines.join("\n"));
            if is_decided {
                // Nothing is left to compare, so nothing is shown to scan.
                return format!("{name} is {}\n\n{lines}", contact.verification.as_str());
            }
            format!(
                "safety number with {name}\n\n{lines}\n\n{}\n{scan}\n\n{}{}",
                qr::render(&scan, output.is_terminal()).unwrap_or_default(),
                contact.verification.as_str(),
                match contact.verification {
                    Verification::Verified => "",
                    Verification::Unverified | Verification::Changed => HOW_TO_COMPARE,
                }
            )
        },
    );
    Ok(())
}
