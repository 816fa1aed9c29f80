//! `rcseal rekey`: new ratchet keys for the sessions with a contact, now or by the clock.

use rcseal_engine::rekey::RekeyInterval;
use serde_json::json;

use crate::args::{Every, RekeyArgs};
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;

/// Runs the command. The keys have turned when the contact's devices have answered: with their next connection, and with ours after that.
///
/// # Errors
/// [`CliError`]; [`CliError::StillQueued`] when what was asked waits for the server.
pub(crate) async fn run(args: RekeyArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let contact = device::contact(&client, &args.contact).await?;
    let conversation = client.direct_conversation(contact.account).await?;
    let name = device::name_of(&contact);
    if let Some(every) = args.every {
        let interval = match every {
            Every::Off => None,
            Every::Interval(interval) => Some(interval),
        };
        client.set_rekey_interval(conversation, interval).await?;
        output.result(
            || {
                json!({
                    "event": "rekey_interval",
                    "account": contact.account.to_string(),
                    "minutes": interval.map(RekeyInterval::minutes),
                })
            },
            || by_themselves(&name, interval),
        );
        return Ok(());
    }
    let asked = client.rekey_now(conversation).await?;
    let synced = client.sync_once().await;
    let interval = client.rekey_interval(conversation).await?;
    output.result(
        || {
            json!({
                "event": "rekey",
                "account": contact.account.to_string(),
                "conversation": conversation.to_string(),
                "asked": asked,
                "minutes": interval.map(RekeyInterval::minutes),
            })
        },
        || {
            let devices = match asked {
                0 => {
                    "no device was asked: there is no session yet, or each was asked within the last minute".to_owned()
                }
                1 => format!("one device of {name}'s and yours was asked; the keys are new once it has answered"),
                several => {
                    format!(
                        "{several} devices of {name}'s and yours were asked; the keys are new once they have answered"
                    )
                }
            };
            format!("{devices}\n{}", by_themselves(&name, interval))
        },
    );
    if asked > 0 && !synced?.is_outbox_empty {
        return Err(CliError::StillQueued);
    }
    Ok(())
}

/// How often without being asked, in words.
fn by_themselves(name: &str, interval: Option<RekeyInterval>) -> String {
    const HOUR: u32 = 60;
    const DAY: u32 = 24 * HOUR;
    let Some(interval) = interval else {
        return format!("sessions with {name} get new keys when you ask, and when they answer; never by the clock");
    };
    let every = match interval.minutes() {
        minutes if minutes.is_multiple_of(DAY) => format!("{} d", minutes / DAY),
        minutes if minutes.is_multiple_of(HOUR) => format!("{} h", minutes / HOUR),
        minutes => format!("{minutes} min"),
    };
    format!("sessions with {name} get new keys by themselves every {every} while you talk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_told_in_its_largest_whole_unit() {
        let told = |minutes| by_themselves("Bob", RekeyInterval::from_minutes(minutes));
        assert_eq!(told(90), "sessions with Bob get new keys by themselves every 90 min while you talk");
        assert_eq!(told(120), "sessions with Bob get new keys by themselves every 2 h while you talk");
        assert_eq!(told(2880), "sessions with Bob get new keys by themselves every 2 d while you talk");
    }
}
