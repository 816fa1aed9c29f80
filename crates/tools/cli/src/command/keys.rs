//! `rcseal device keys`: which public keys the server hands out for this account, and whether they are the ones that are here.

use rcseal_client::client::{Disagreement, KeyCheck, OwnKeys, OwnPrekey};
use rcseal_wire::api::{KeyMapDevice, KeyMapPrekey};
use rcseal_wire::id::Digest;
use serde_json::{Value, json};

use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;

/// Characters of a fingerprint that people are shown: enough to see that two differ.
const SHOWN_LEN: usize = 12;

/// Runs the command.
///
/// # Errors
/// [`CliError`]; [`CliError::KeysDisagree`] when the server's map is not what is here, after both were printed.
pub(crate) async fn run(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    // What is about to be uploaded or fetched is no disagreement.
    client.sync_once().await?;
    let check = client.check_keys().await?;
    output.result(|| check_json(&check), || check_text(&check));
    match check.disagreements.len() {
        0 => Ok(()),
        count => Err(CliError::KeysDisagree { count }),
    }
}

fn check_json(check: &KeyCheck) -> Value {
    json!({
        "key_set_counter": check.map.counter,
        "key_set_hash": check.map.key_set_hash.to_string(),
        "devices": check.map.devices.iter().map(|device| device_json(device, &check.own)).collect::<Vec<_>>(),
        "retired": check.map.retired.iter().map(|number| number.get()).collect::<Vec<_>>(),
        "disagreements": check
            .disagreements
            .iter()
            .map(|found| json!({ "code": found.code(), "device": found.device().map(|number| number.get()) }))
            .collect::<Vec<_>>(),
    })
}

fn device_json(device: &KeyMapDevice, own: &OwnKeys) -> Value {
    let is_own = device.device == own.device;
    json!({
        "device": device.device.get(),
        "this": is_own,
        "mailbox": device.mailbox.map(|mailbox| mailbox.to_string()),
        "added_at_counter": device.added_at_counter,
        "signed": device.signed.as_ref().map(prekey_json),
        "last_resort": device.last_resort.as_ref().map(prekey_json),
        "one_time": device.one_time,
        "one_time_kem": device.one_time_kem,
        "one_time_uploaded_at_ms": device.one_time_uploaded_at_ms,
        "here": is_own.then(|| json!({
            "signed": own.signed.map(own_json),
            "last_resort": own.last_resort.map(own_json),
            "one_time": own.one_time,
            "one_time_kem": own.one_time_kem,
        })),
    })
}

fn prekey_json(prekey: &KeyMapPrekey) -> Value {
    json!({ "id": prekey.id, "fingerprint": prekey.fingerprint.to_string(), "uploaded_at_ms": prekey.uploaded_at_ms })
}

fn own_json(prekey: OwnPrekey) -> Value {
    json!({ "id": prekey.id, "fingerprint": prekey.fingerprint.to_string() })
}

fn check_text(check: &KeyCheck) -> String {
    let mut lines = vec![format!("key set {}", check.map.counter)];
    for device in &check.map.devices {
        let own = (device.device == check.own.device).then_some(&check.own);
        lines.push(format!("device {}{}", device.device.get(), if own.is_some() { " (this device)" } else { "" }));
        for (what, listed, here) in [
            ("signed prekey", &device.signed, own.and_then(|own| own.signed)),
            ("last-resort prekey", &device.last_resort, own.and_then(|own| own.last_resort)),
        ] {
            let listed = listed.as_ref().map_or_else(|| "none".to_owned(), |key| shown(key.id, key.fingerprint));
            let mut line = format!("    {what:<20} {listed}");
            if own.is_some() {
                let here = here.map_or_else(|| "none".to_owned(), |key| shown(key.id, key.fingerprint));
                line.push_str(&if here == listed { "  · as here".to_owned() } else { format!("  · here {here}") });
            }
            lines.push(line);
        }
        lines.push(format!("    one-time prekeys     {} and {} KEM", device.one_time, device.one_time_kem));
    }
    for found in &check.disagreements {
        lines.push(format!("! {}", words(*found)));
    }
    lines.join("\n")
}

fn shown(id: u32, fingerprint: Digest) -> String {
    format!("{id} {}", fingerprint.to_string().chars().take(SHOWN_LEN).collect::<String>())
}

fn words(found: Disagreement) -> String {
    match found {
        Disagreement::OlderKeySet => "the server's key set is older than the one known here".to_owned(),
        Disagreement::NewerKeySet => "the server's key set is newer and was not taken here".to_owned(),
        Disagreement::OtherKeySet => "the server's key set is another one of the same number".to_owned(),
        Disagreement::UnknownDevice(number) => {
            format!("the server lists device {}, which the key set known here does not", number.get())
        }
        Disagreement::MissingDevice(number) => format!("the server does not list device {}", number.get()),
        Disagreement::OtherMailbox => "the server has another mailbox for this device".to_owned(),
        Disagreement::SignedPrekey => "the signed prekey is not this device's".to_owned(),
        Disagreement::LastResortPrekey => "the last-resort prekey is not this device's".to_owned(),
        Disagreement::MoreOneTimePrekeys => "the server has one-time prekeys whose secrets are not here".to_owned(),
    }
}
