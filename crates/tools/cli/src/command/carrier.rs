//! `rcseal carrier …`: the carrier account of this device.

use std::io;
use std::path::Path;

use rcseal_client::client::{CarrierStatus, Client};
use rcseal_engine::number::NumberState;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{ByBrokerArgs, CarrierCommand, CarrierSet, SipArgs};
use crate::argument;
use crate::carrier::by_broker;
use crate::carrier::{self, ByBroker, CarrierSettings, REGISTER_WAIT, TrunkSettings, Way, Wire};
use crate::command::delivery::route_preference;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::{Profile, read_at_most};

/// A password longer than this is a file given by mistake.
const PASSWORD_LEN_MAX: u64 = 4096;
/// A PEM bundle longer than this is a file given by mistake.
const AUTHORITY_LEN_MAX: u64 = 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: CarrierCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        CarrierCommand::Set(CarrierSet::Sip(args)) => set(*args, profile, output).await,
        CarrierCommand::Set(CarrierSet::Broker(args)) => set_by_broker(&args, profile, output).await,
        CarrierCommand::Show => {
            let client = device::open(profile).await?;
            if let Some(settings) = by_broker::read(&client).await? {
                output.result(|| settings.json(), || settings.text());
                return Ok(());
            }
            let settings = carrier::read(&client).await?.ok_or(CliError::NoCarrier)?;
            output.result(|| settings.json(), || settings.text());
            Ok(())
        }
        CarrierCommand::Remove => {
            let client = device::open(profile).await?;
            carrier::write(&client, None).await?;
            by_broker::write(&client, None).await?;
            client.leave_carrier().await?;
            // Contacts hear of it now, or with the next command.
            let _ = client.sync_once().await;
            output.result(
                || json!({ "event": "carrier_removed" }),
                || {
                    "the carrier account is forgotten; contacts are told that nothing comes here by a carrier"
                        .to_owned()
                },
            );
            Ok(())
        }
        CarrierCommand::Status => status(profile, output).await,
    }
}

async fn set(args: SipArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    // Files that cannot be used are refused before the store is opened.
    let mut settings = settings(&args)?;
    let client = device::open(profile).await?;
    device::account(&client).await?;
    if let Some(before) = carrier::read(&client).await?.filter(|before| before.number == settings.number) {
        // The registrar knows this device by it.
        settings.instance = before.instance;
    }
    // A configuration with which nothing starts is not kept.
    let way = Way::open(&settings, REGISTER_WAIT).await?;
    carrier::write(&client, Some(&settings)).await?;
    by_broker::write(&client, None).await?;
    way.attach_to(&client).await?;
    if let Some(route) = args.preference {
        client.set_route_preference(None, Some(route_preference(route))).await?;
    }
    // Contacts learn of the number now, or with the next command.
    let _ = client.sync_once().await;
    output.result(
        || {
            let mut json = settings.json();
            let registration = way.json();
            for field in ["registered", "seconds", "code", "reason"] {
                json[field] = registration[field].clone();
            }
            json
        },
        || format!("{}\n{}", settings.text(), way.text()),
    );
    let outcome = way.registered.clone();
    way.close(&client).await;
    match outcome {
        Ok(_) => Ok(()),
        Err(failure) => Err(CliError::Carrier(failure)),
    }
}

/// The broker carries from now on: a SIP account that was set before is forgotten.
async fn set_by_broker(args: &ByBrokerArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    let settings = ByBroker::new(args.number.as_str().to_owned(), args.patience);
    // A number that the broker has not bound to this account would take messages nowhere.
    let numbers = client.own_numbers().await?;
    let is_bound = numbers.iter().any(|own| own.number == args.number && own.state == NumberState::Mapped);
    if !is_bound {
        return Err(CliError::NoClaim { count: 0 });
    }
    settings.attach_to(&client).await?;
    carrier::write(&client, None).await?;
    by_broker::write(&client, Some(&settings)).await?;
    if let Some(route) = args.preference {
        client.set_route_preference(None, Some(route_preference(route))).await?;
    }
    // Contacts learn of the number now, or with the next command.
    let _ = client.sync_once().await;
    output.result(|| settings.json(), || settings.text());
    Ok(())
}

fn settings(args: &SipArgs) -> Result<CarrierSettings, CliError> {
    let number = args.number.as_str().to_owned();
    let mut settings = CarrierSettings::new(args.registrar.clone(), args.domain.as_str().to_owned(), number);
    settings.user.clone_from(&args.user);
    settings.password = args.password_file.as_deref().map(password).transpose()?.map(|password| password.to_string());
    settings.authority = match (&args.ca, args.registrar.wire) {
        (Some(path), _) => {
            let failed = |source| CliError::File { path: path.clone(), source };
            let bytes = read_at_most(path, AUTHORITY_LEN_MAX).map_err(failed)?;
            let invalid = |error| failed(io::Error::new(io::ErrorKind::InvalidData, error));
            Some(String::from_utf8(bytes).map_err(invalid)?)
        }
        (None, Wire::Tls) => return Err(CliError::NoCarrierAuthority),
        (None, Wire::Udp | Wire::Tcp) => None,
    };
    settings.trunk = args.trunk.then(|| TrunkSettings {
        route: args.route.clone(),
        is_third_party: args.third_party,
        trusted: args.trusted.clone(),
    });
    settings.is_unregistered = args.unregistered;
    settings.local = args.local;
    settings.set_sessions(args.sessions);
    settings.is_text_only = args.text_only;
    settings.patience_seconds = args.patience;
    Ok(settings)
}

/// Where the broker carries, there is nothing to register: what waits is what there is to tell.
async fn status_by_broker(client: &Client, settings: &ByBroker, output: Output) -> Result<(), CliError> {
    settings.attach_to(client).await?;
    let status = client.carrier_status().await?;
    output.result(
        || {
            let mut json = settings.json();
            json["event"] = json!("carrier");
            json["waiting"] = waiting_json(&status);
            json
        },
        || {
            let view = &status.view;
            format!(
                "{}\nready {}, handed over and not confirmed {} (kept by the carrier {}), back for the relay {}",
                settings.text(),
                view.ready,
                view.handed_over,
                view.kept_by_carrier,
                view.back
            )
        },
    );
    Ok(())
}

fn password(path: &Path) -> Result<Zeroizing<String>, CliError> {
    if path == Path::new("-") {
        return argument::line();
    }
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let bytes = Zeroizing::new(read_at_most(path, PASSWORD_LEN_MAX).map_err(failed)?);
    let text =
        std::str::from_utf8(&bytes).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    // The line end that every editor adds is not part of it.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "there is no password in it")));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

async fn status(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    if let Some(settings) = by_broker::read(&client).await? {
        return status_by_broker(&client, &settings, output).await;
    }
    let settings = carrier::read(&client).await?.ok_or(CliError::NoCarrier)?;
    let way = Way::open(&settings, REGISTER_WAIT).await?;
    let status = client.carrier_status().await?;
    output.result(
        || {
            let mut json = way.json();
            json["registration_ms"] = json!(u64::try_from(way.took.as_millis()).unwrap_or(u64::MAX));
            json["waiting"] = waiting_json(&status);
            json["mutations"] =
                status.view.mutations.iter().map(|it| json!({ "code": it.code, "count": it.count })).collect();
            json
        },
        || {
            let mut text = way.text();
            let view = &status.view;
            text.push_str(&format!(
                "\nready {}, handed over and not confirmed {} (kept by the carrier {}), back for the relay {}",
                view.ready, view.handed_over, view.kept_by_carrier, view.back
            ));
            for mutation in &view.mutations {
                text.push_str(&format!("\ncarriers did to what came here: {} × {}", mutation.count, mutation.code));
            }
            text
        },
    );
    let outcome = way.registered.clone();
    way.close(&client).await;
    match outcome {
        Ok(_) => Ok(()),
        Err(failure) => Err(CliError::Carrier(failure)),
    }
}

fn waiting_json(status: &CarrierStatus) -> Value {
    let view = &status.view;
    json!({
        "ready": view.ready,
        "handed_over": view.handed_over,
        "kept_by_carrier": view.kept_by_carrier,
        "back": view.back,
    })
}
