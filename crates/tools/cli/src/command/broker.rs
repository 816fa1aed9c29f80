//! `rcseal broker …`: the broker that this device uses.

use rcseal_client::client::Client;
use rcseal_engine::number::BrokerView;
use rcseal_wire::origin::Origin;
use serde_json::{Value, json};

use crate::args::BrokerCommand;
use crate::carrier::by_broker;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::{device, view};

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: BrokerCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        BrokerCommand::Use { broker, ca } => {
            // An authority that cannot be read is refused before the store is opened, and one whose broker is refused is not kept.
            let authority = ca.as_deref().map(|ca| profile.read_broker_authority(ca)).transpose()?;
            let trust = match &authority {
                Some(authority) => authority.trust.clone(),
                None => profile.authority()?,
            };
            let client = device::open_with(profile, trust).await?;
            device::account(&client).await?;
            let pinned = use_broker(&client, &broker).await?;
            if let Some(authority) = &authority {
                profile.adopt_broker_authority(authority)?;
            }
            tell(&pinned, output);
            Ok(())
        }
        BrokerCommand::Show => {
            let client = device::open(profile).await?;
            match client.broker().await? {
                Some(broker) => tell(&broker, output),
                None => output.result(
                    || json!({ "event": "broker", "broker": Value::Null }),
                    || "no broker is used; `rcseal broker use` begins that".to_owned(),
                ),
            }
            Ok(())
        }
        BrokerCommand::Forget => {
            let client = device::open(profile).await?;
            if by_broker::read(&client).await?.is_some() {
                by_broker::write(&client, None).await?;
                client.leave_carrier().await?;
            }
            client.forget_broker().await?;
            profile.forget_broker_authority()?;
            // The server hears that the broker's token is void now, or with the next command.
            let _ = client.sync_once().await;
            output.result(
                || json!({ "event": "broker_forgotten" }),
                || "the broker is forgotten, with what it said; evidence against it stays".to_owned(),
            );
            Ok(())
        }
    }
}

async fn use_broker(client: &Client, origin: &Origin) -> Result<BrokerView, CliError> {
    Ok(client.use_broker(origin).await?)
}

fn tell(broker: &BrokerView, output: Output) {
    output.result(
        || {
            json!({
                "event": "broker",
                "broker": broker.origin.to_string(),
                "key": broker.key.to_string(),
                "pinned_at": broker.pinned_at.0,
                "token_known": broker.is_token_known,
            })
        },
        || {
            let missing = if broker.is_token_known {
                ""
            } else {
                "\nthe server does not know the broker's delivery token yet: nothing that it forwards arrives before that"
            };
            format!(
                "{}\nkey {}, pinned {}{missing}",
                broker.origin,
                broker.key,
                view::moment(broker.pinned_at.0)
            )
        },
    );
}
