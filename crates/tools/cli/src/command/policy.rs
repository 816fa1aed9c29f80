//! `rcseal account policy`: what sending does after a contact's account key has changed.

use rcseal_engine::contact::{ChangePolicy, ContactView};
use serde_json::json;

use crate::args::OnChange;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;

/// Runs the command: chooses a policy if one was given, and prints what applies.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(
    on_change: Option<OnChange>,
    contact: Option<String>,
    profile: &Profile,
    output: Output,
) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let wanted = match contact {
        Some(wanted) => Some(device::contact(&client, &wanted).await?.account),
        None => None,
    };
    if let Some(chosen) = on_change {
        let chosen = policy(chosen);
        match wanted {
            Some(account) => client.set_contact_policy(account, Some(chosen)).await?,
            None => client.set_change_policy(chosen).await?,
        }
    }
    let of_account = device::account(&client).await?.change_policy;
    let mut contacts = client.contacts().await?;
    contacts.retain(|contact| match wanted {
        Some(wanted) => contact.account == wanted,
        None => contact.change_policy.is_some(),
    });
    output.result(
        || {
            json!({
                "on_change": of_account.as_str(),
                "contacts": contacts
                    .iter()
                    .map(|contact| json!({
                        "account": contact.account.to_string(),
                        "on_change": contact.change_policy.map(ChangePolicy::as_str),
                        "effective": effective(of_account, contact).as_str(),
                    }))
                    .collect::<Vec<_>>(),
            })
        },
        || {
            let mut text = format!("after a change of an account key: {}", words(of_account));
            for contact in &contacts {
                let effective = effective(of_account, contact);
                text.push_str(&format!("\n    {}: {}", device::name_of(contact), words(effective)));
                if contact.change_policy.is_some_and(|of_contact| of_contact < of_account) {
                    text.push_str("; the milder one that was chosen has no effect");
                }
            }
            text
        },
    );
    Ok(())
}

const fn policy(chosen: OnChange) -> ChangePolicy {
    match chosen {
        OnChange::Block => ChangePolicy::Block,
        OnChange::Warn => ChangePolicy::Warn,
        OnChange::Allow => ChangePolicy::Allow,
    }
}

/// The stricter of the two counts.
fn effective(of_account: ChangePolicy, contact: &ContactView) -> ChangePolicy {
    contact.change_policy.map_or(of_account, |of_contact| of_contact.max(of_account))
}

const fn words(policy: ChangePolicy) -> &'static str {
    match policy {
        ChangePolicy::Block => "block: nothing is sent until the change is accepted or compared",
        ChangePolicy::Warn => "warn: it is sent, and you are reminded",
        ChangePolicy::Allow => "allow: it is sent",
    }
}
