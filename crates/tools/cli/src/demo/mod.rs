//! `rcseal demo`: one command that shows the whole system, and exits with 0 only if every step held.
//!
//! It starts a relay and plays two phones and a tablet, all of them processes of this same executable on profiles of their own; they meet
//! in sockets and nowhere else. Between those processes it opens profiles through the library, to learn the secrets it then looks for on
//! the relay's disk, and to play the adversary ([`inside`], [`attack`]).
//!
//! | module | what |
//! |---|---|
//! | [`phones`] | the chapter before the story, in which a phone in Kotlin talks to one in Swift |
//! | [`story`] | the steps |
//! | [`change`] | the steps in which keys change |
//! | [`stage`] | processes, and their end |
//! | [`telling`] | what is printed, and the report |
//! | [`evidence`], [`closing`] | what is looked for ([`rcseal_sim::search`]), and what came of it |
//! | [`carrier`] | another demo: two phones over a simulated carrier, in this process |
//! | [`support`] | another one: a business that writes by RCS and continues in the app |
//! | [`web`] | the same two phones on a page, with what carrier and relay see between them |

mod attack;
mod carrier;
mod change;
mod closing;
mod evidence;
mod inside;
mod phones;
mod photo;
mod stage;
mod story;
mod support;
mod telling;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use rcseal_report::Format;

pub(crate) use self::carrier::LIST as LIST_CARRIERS;
use self::evidence::Evidence;
use self::stage::{Stage, StepError};
use self::story::Cast;
use self::telling::Telling;
use crate::args::{DemoArgs, DemoStory, Engines};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::create_private_dir;
use crate::serve::wait_for_stop;

/// Plays the demo and answers the exit code of its report.
///
/// # Errors
/// [`CliError`] when it cannot even begin.
pub(crate) async fn run(args: DemoArgs, output: Output) -> Result<ExitCode, CliError> {
    if let Some(DemoStory::Support) = args.story {
        return support::run(output).await;
    }
    if args.web {
        return web::run(args.carrier.as_deref(), args.port, args.seed, output).await;
    }
    if let Some(name) = &args.carrier {
        return carrier::run(name, args.seed, output).await;
    }
    let phones = phones::find(args.engines, args.phones)?;
    if phones.is_none() && args.engines == Engines::Auto {
        output.note(
            "the phones' code is not built here (`cargo xtask sdk cross` builds it): both sides are played in Rust",
        );
    }
    let (folder, temporary) = folder(args.dir)?;
    let mut telling = Telling::new(output);
    let mut evidence = Evidence::default();
    let started = Instant::now();
    let failed = |error: StepError| CliError::Demo { step: "start".to_owned(), detail: explain(&error) };
    let mut stage = Stage::new(folder.clone()).map_err(failed)?;
    let played = tokio::select! {
        played = play(phones.as_ref(), &mut stage, &mut telling, &mut evidence) => played,
        () = wait_for_stop() => Err(StepError::NotShown { what: "the rest: it was interrupted".to_owned() }),
    };
    match &played {
        Ok(_) => telling.say(&format!("{}\n", closing::WHO_READS_WHAT)),
        Err(error) => {
            if telling.current().is_none() {
                telling.begin("story_finished", "the story");
            }
            telling.broke(&explain(error));
        }
    }
    let (words, photo, secrets) = evidence.counts();
    telling.count("texts_and_names_searched", words as u64, "");
    telling.count("photo_pieces_searched", photo as u64, "");
    telling.count("secrets_searched", secrets as u64, "");
    telling.measure("duration_ms", started.elapsed());
    if let (Ok(cast), true) = (&played, args.keep) {
        keep(&mut stage, cast, output);
        // Nothing of a folder that is in use is removed.
        temporary.map(tempfile::TempDir::keep);
    } else {
        let _ = stage.kill_relay().await;
    }
    Ok(ExitCode::from(telling.report().finish(Format::from_json_flag(output.is_json()))))
}

/// The relay, the phones' chapter where there are phones, and the story.
async fn play(
    phones: Option<&phones::Found>,
    stage: &mut Stage,
    telling: &mut Telling,
    evidence: &mut Evidence,
) -> Result<Cast, StepError> {
    story::start_relay(stage, telling).await?;
    if let Some(found) = phones {
        phones::play(found, stage, telling, evidence).await?;
        telling.say("    From here on both sides are this program's own engine, which can be attacked from inside.\n");
    }
    story::play(stage, telling, evidence).await
}

/// Where to play: the folder that was asked for, or a temporary one that is removed at the end.
fn folder(wanted: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), CliError> {
    if let Some(folder) = wanted {
        let file = |source| CliError::File { path: folder.clone(), source };
        create_private_dir(&folder).map_err(file)?;
        // Profiles of an earlier demo would have accounts at a relay that is gone.
        if std::fs::read_dir(&folder).map_err(file)?.next().is_some() {
            return Err(CliError::File { path: folder, source: std::io::ErrorKind::DirectoryNotEmpty.into() });
        }
        return Ok((std::path::absolute(&folder).unwrap_or(folder), None));
    }
    let temporary = tempfile::Builder::new()
        .prefix("rcseal-demo-")
        .tempdir()
        .map_err(|source| CliError::File { path: std::env::temp_dir(), source })?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

/// Leaves the relay running and says how to go on. On standard error, so that the report stays the last line of the output.
fn keep(stage: &mut Stage, cast: &Cast, output: Output) {
    let executable = stage.executable().display().to_string();
    let server = stage.server.clone();
    let Some(id) = stage.leave_relay() else { return };
    output.note(&format!(
        "the relay {server} goes on running as process {id}; everything is in {}\n\
         talk through it in two terminals:\n    {executable} --profile {} chat Bob\n    {executable} --profile {} chat Alice\\ Liddell-Hargreaves\n\
         stop it with: kill {id}\n",
        stage.folder().display(),
        cast.alice.profile.display(),
        cast.bob.profile.display(),
    ));
}

/// An error and its causes, on one line.
fn explain(error: &StepError) -> String {
    crate::safe_text::one_line(&rcseal_sim::story::with_causes(error))
}
