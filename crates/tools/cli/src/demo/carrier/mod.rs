//! `rcseal demo --carrier PROFILE`: two phones that have a number each write to one another over a carrier that does to messages what its
//! profile says, and nothing is lost, and nobody reads what the decision did not name.
//!
//! The other demo's phones are processes that meet in sockets. Here they are clients of the library in this process, because a simulated
//! carrier is one; the relay is reached over TLS on loopback all the same.
//!
//! | module | what |
//! |---|---|
//! | [`scene`] | the relay, the carrier and the phones; `demo --web` plays on it too |
//! | [`story`], [`readable`] | the steps: end to end, and without |
//! | [`said`] | one message, and what became of it |

mod readable;
pub(super) mod said;
pub(super) mod scene;
mod story;

use std::process::ExitCode;
use std::time::Instant;

use rcseal_report::Format;
use rcseal_sim::data::{CarrierProfile, World};
use serde_json::json;

use super::stage::StepError;
use super::telling::Telling;
use crate::error::CliError;
use crate::output::Output;
use crate::serve::wait_for_stop;

/// The word that names every carrier instead of one.
pub(crate) const LIST: &str = "list";

const INTRO: &str = "\
Two phones with a number each write to one another over a simulated carrier, with a relay to fall back on.
Both phones are clients of the library in this process; the relay is reached over TLS on loopback.
";

/// Plays the story over the carrier of this name, or lists the carriers.
///
/// # Errors
/// [`CliError`] when it cannot even begin.
pub(crate) async fn run(name: &str, seed: u64, output: Output) -> Result<ExitCode, CliError> {
    if name == LIST {
        return list(output);
    }
    let profile = profile(name)?;
    let mut telling = Telling::with(output, "demo carrier", INTRO);
    let started = Instant::now();
    telling.say(&format!("    The carrier {:?} {}.\n", profile.name, profile.what));
    let played = tokio::select! {
        played = story::play(profile, seed, &mut telling) => played,
        () = wait_for_stop() => Err(StepError::NotShown { what: "the rest: it was interrupted".to_owned() }),
    };
    if let Err(error) = &played {
        if telling.current().is_none() {
            telling.begin("story_finished", "the story");
        }
        telling.broke(&super::explain(error));
    }
    telling.measure("duration_ms", started.elapsed());
    Ok(ExitCode::from(telling.report().finish(Format::from_json_flag(output.is_json()))))
}

/// The carrier of a name.
pub(super) fn profile(name: &str) -> Result<CarrierProfile, CliError> {
    world()?.carrier(name).cloned().map_err(|error| failed(&error))
}

/// Every simulated carrier.
pub(super) fn world() -> Result<World, CliError> {
    World::load().map_err(|error| failed(&error))
}

fn failed(error: &rcseal_sim::data::DataError) -> CliError {
    CliError::Demo { step: "start".to_owned(), detail: error.to_string() }
}

fn list(output: Output) -> Result<ExitCode, CliError> {
    for carrier in world()?.carriers {
        output.result(
            || json!({ "event": "carrier", "name": carrier.name, "what": carrier.what, "seen_at": carrier.seen_at }),
            || format!("{:<28}{}", carrier.name, carrier.what),
        );
    }
    Ok(ExitCode::SUCCESS)
}
