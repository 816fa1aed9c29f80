//! `rcseal demo support`: a business writes to a customer by RCS, as businesses do, and the two go on in the app, where nobody else reads.
//!
//! The relay, the broker and the clients are real, each with a store of its own, and speak over TLS on loopback. The provider of RCS for
//! Business and the SMS network are **fakes** on this machine that follow published protocols, and the story says so wherever they act:
//! what it shows of them is how the broker treats them.
//!
//! | module | what |
//! |---|---|
//! | [`scene`] | the relay, the broker, the clients |
//! | [`network`] | the fake SMS network |
//! | [`tenant`] | the business's and the provider's requests to the broker |
//! | [`story`], [`links`], [`reminder`] | the steps: into the app; links that open nothing; a message that falls back |
//! | [`closing`] | which channel carried each message, who could read it, and what is on the disks |

mod closing;
mod links;
mod network;
mod reminder;
mod scene;
mod story;
mod tenant;

use std::process::ExitCode;
use std::time::Instant;

use rcseal_report::Format;

use super::stage::StepError;
use super::telling::Telling;
use crate::error::CliError;
use crate::output::Output;
use crate::serve::wait_for_stop;

const INTRO: &str = "\
A business writes to a customer by RCS, and both go on in the app, end to end.
Relay, broker and clients are real and speak over TLS on loopback. The provider of RCS for Business and the SMS network are
FAKES on this machine, written from published protocols.
";

/// Plays the story.
///
/// # Errors
/// [`CliError`] when it cannot even begin.
pub(super) async fn run(output: Output) -> Result<ExitCode, CliError> {
    let mut telling = Telling::with(output, "demo support", INTRO);
    let started = Instant::now();
    let played = tokio::select! {
        played = story::play(&mut telling) => played,
        () = wait_for_stop() => Err(StepError::NotShown { what: "the rest: it was interrupted".to_owned() }),
    };
    match &played {
        Ok(()) => telling.say(&format!("{}\n", closing::WHO_READS_WHAT)),
        Err(error) => {
            if telling.current().is_none() {
                telling.begin("story_finished", "the story");
            }
            telling.broke(&super::explain(error));
        }
    }
    telling.measure("duration_ms", started.elapsed());
    Ok(ExitCode::from(telling.report().finish(Format::from_json_flag(output.is_json()))))
}
