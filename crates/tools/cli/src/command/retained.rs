//! `rcseal retained …`: conversations that the server's operator can read, by agreement of those who talk.
//!
//! The agreement itself is `policy consent give … server_encrypted` and `policy acknowledge … server_encrypted`; sending is `send`. Here is
//! the key to which such messages are sealed, how long they are kept, and what came that way without having been announced end to end.

use rcseal_client::client::Client;
use rcseal_engine::retained::ServerKeyView;
use rcseal_wire::api::retained::ServerKey;
use serde_json::{Value, json};

use crate::args::RetainedCommand;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::{device, safe_text, view};

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: RetainedCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    match command {
        RetainedCommand::Key => {
            let key = client.refresh_server_key().await?;
            tell(key.as_ref(), output);
            Ok(())
        }
        RetainedCommand::Accept { key } => {
            client.accept_server_key(key).await?;
            tell(client.server_key().await?.as_ref(), output);
            Ok(())
        }
        RetainedCommand::Class { class } => {
            client.set_retention_class(class).await?;
            tell(client.server_key().await?.as_ref(), output);
            Ok(())
        }
        RetainedCommand::List => list(&client, output).await,
        RetainedCommand::Dismiss { place } => {
            client.dismiss_retained(place).await?;
            output.result(
                || json!({ "event": "retained_dismissed", "place": place }),
                || format!("{place} is taken away here; the server keeps it as long as it keeps its class"),
            );
            Ok(())
        }
    }
}

fn key_json(key: &ServerKey) -> Value {
    json!({
        "key": key.key_id.to_string(),
        "tenant": key.tenant.name,
        "region": key.region,
        "classes": key.classes.iter().map(|class| json!({ "name": class.name, "days": class.days })).collect::<Vec<_>>(),
        "default_class": key.default_class,
        "not_after": key.not_after_ms,
    })
}

fn key_text(key: &ServerKey) -> String {
    let classes: Vec<String> =
        key.classes.iter().map(|class| format!("{} ({} days)", safe_text::one_line(&class.name), class.days)).collect();
    format!(
        "{} of {}, in {}; kept as {}",
        key.key_id,
        safe_text::one_line(&key.tenant.name),
        safe_text::one_line(&key.region),
        classes.join(", ")
    )
}

fn tell(key: Option<&ServerKeyView>, output: Output) {
    let Some(key) = key else {
        output.result(
            || json!({ "event": "server_key", "state": Value::Null }),
            || "the server reads nothing: it offers no key for that".to_owned(),
        );
        return;
    };
    output.result(
        || {
            let mut json = key_json(&key.key);
            json["event"] = json!("server_key");
            json["server"] = json!(key.origin.to_string());
            json["state"] = json!(key.state.as_str());
            json["pinned_at"] = json!(key.pinned_at.0);
            json["offered"] = key.offered.as_ref().map(key_json).unwrap_or_default();
            json["class"] = json!(key.class);
            json
        },
        || {
            let mut text = format!(
                "{}, pinned {}, {}\nwho holds this key reads what is sent in the mode server_encrypted; each opening is written down there",
                key_text(&key.key),
                view::moment(key.pinned_at.0),
                key.state.as_str()
            );
            if let Some(class) = &key.class {
                text.push_str(&format!("\nyour class: {}", safe_text::one_line(class)));
            }
            if let Some(offered) = &key.offered {
                text.push_str(&format!(
                    "\nOFFERED: {}\nit is another tenant's or in another region; `rcseal retained accept {}` takes it",
                    key_text(offered),
                    offered.key_id
                ));
            }
            text
        },
    );
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    // What came since is fetched first; where the server is away, what is here is shown.
    let _ = client.sync_once().await;
    for one in client.retained_unannounced().await? {
        output.result(
            || {
                json!({
                    "event": "retained_unannounced",
                    "place": one.sequence,
                    "message": one.id.to_string(),
                    "account": one.from.account.to_string(),
                    "sent_at": one.sent_at.0,
                    "text": one.words,
                })
            },
            || {
                format!(
                    "{:>4}  {}  {} (as the server says): {}",
                    one.sequence,
                    view::moment(one.sent_at.0),
                    one.from.account,
                    safe_text::one_line(&one.words)
                )
            },
        );
    }
    Ok(())
}
