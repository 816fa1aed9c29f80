//! The carrier matrix: every mode, carrier, pair of platforms and state, each as a run of two real clients over real stores, with one real
//! relay between them.
//!
//! A cell's messages end in one of these ways: delivered end to end as decided; delivered end to end by another way, with the reason in
//! the sender's journal; refused with a reason; delivered readable by the user's leave; not confirmed, which the sender's app shows;
//! or lost, which must not be. Beside that, for each message: who could read it, from everything that the carrier saw and everything
//! that the relay has on disk, against the readers that the stored decision names.
//!
//! | file | what |
//! |---|---|
//! | `cell.rs` | which runs there are |
//! | `relay.rs`, `phone.rs` | the relay, and phones as their platforms let apps live |
//! | `story.rs`, `downgrade.rs`, `legacy.rs` | what happens in a cell: end to end, readable by leave, and without a client at the far end |
//! | `retained.rs`, `sms.rs`, `leave.rs` | the modes that have nothing to do with a carrier's RCS: words that the server can read, short messages, and the leave for both |
//! | `faults.rs` | cells behind a proxy with faults |
//! | `outcome.rs`, `table.rs` | what came of it, and how it is told |

mod cell;
mod downgrade;
mod faults;
mod leave;
mod legacy;
mod outcome;
mod phone;
mod relay;
mod retained;
mod sms;
mod story;
mod table;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rcseal_client::ClientError;
use rcseal_report::Format;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub use self::cell::{Cell, Mode, cells, is_in_smoke};
pub use self::outcome::{CellOutcome, Direction, Fate, Told};
pub use self::phone::Phone;
pub use self::relay::Relay;
use self::retained::KeyCell;
pub use self::story::play;
use crate::data::{DataError, World};
use crate::hsm;
use crate::search::Search;

/// Cells that are run at once: they wait more than they compute.
const JOBS: usize = 10;
/// The longest that a cell may take; then it counts as failed.
const CELL_LIMIT: Duration = Duration::from_secs(180);

/// What the matrix can be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only a quick look: each kind of outcome once.
    #[arg(long)]
    smoke: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Only cells whose name has this in it, such as `native/clean/`; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Only say which cells there are.
    #[arg(long)]
    list: bool,
    /// What carriers and texts draw their randomness from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cells at once.
    #[arg(long, default_value_t = JOBS)]
    jobs: usize,
}

/// Why a cell, or the matrix, could not be played.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// The files of worlds are wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A client failed in a way that is no outcome.
    #[error("a client failed")]
    Client(#[from] ClientError),
    /// The relay or a vault could not be set up.
    #[error("the relay or a vault could not be set up")]
    Relay(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something of the run's own.
    #[error("the system refused {what}")]
    Io {
        /// What.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A step before the cell's own did not come about.
    #[error("there is no {what}")]
    Setup {
        /// What should be.
        what: &'static str,
    },
    /// It did not come to its end.
    #[error("it did not come to its end")]
    Slow,
}

impl MatrixError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Data(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Relay(_) => "matrix_relay",
            Self::Io { .. } => "matrix_io",
            Self::Setup { .. } => "matrix_setup",
            Self::Slow => "matrix_slow",
        }
    }
}

/// A cell and what came of it.
#[derive(Debug)]
pub struct Finished {
    /// The cell's name.
    pub id: String,
    /// The cell.
    pub cell: Cell,
    /// What came of it.
    pub outcome: Result<CellOutcome, MatrixError>,
}

/// What one run of the matrix came to.
#[derive(Debug)]
pub struct Run {
    /// Every cell, in order.
    pub finished: Vec<Finished>,
    /// Whether the search of the relay's disk found what must be there.
    pub is_search_sound: bool,
    /// How long it took.
    pub took: Duration,
}

/// Runs the command.
pub async fn command(arguments: &Arguments) -> ExitCode {
    if !arguments.list {
        match hsm::in_own_process(std::env::args_os().skip(1)).await {
            Ok(None) => {}
            Ok(Some(status)) if status.success() => return ExitCode::SUCCESS,
            Ok(Some(_)) => return ExitCode::FAILURE,
            Err(source) => return fail(&MatrixError::Io { what: "a token of SoftHSM2", source }),
        }
    }
    let world = match World::load() {
        Ok(world) => world,
        Err(error) => return fail(&error),
    };
    let wanted = |id: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| id.contains(only.as_str()));
    let cells: Vec<Cell> = cells(&world)
        .into_iter()
        .filter(|cell| !arguments.smoke || is_in_smoke(cell))
        .filter(|cell| wanted(&cell.id()))
        .collect();
    let faulty: Vec<faults::FaultyCell> = faults::cells(&world)
        .into_iter()
        .filter(|cell| !arguments.smoke || cell.is_in_smoke())
        .filter(|cell| wanted(&cell.id()))
        .collect();
    let keys: Vec<KeyCell> = retained::key_cells(&world)
        .into_iter()
        .filter(|cell| !arguments.smoke || cell.is_in_smoke())
        .filter(|cell| wanted(&cell.id()))
        .collect();
    if arguments.list {
        table::list(&cells, &faulty, &keys);
        return ExitCode::SUCCESS;
    }
    match run(cells, faulty, keys, arguments.seed, arguments.jobs).await {
        Ok(run) => {
            let name = if arguments.smoke { "matrix smoke" } else { "matrix" };
            let report = table::report(name, &run);
            table::explain(&run);
            ExitCode::from(report.finish(Format::from_json_flag(arguments.json)))
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    table::complain(error);
    ExitCode::FAILURE
}

/// Plays these cells, some at once.
///
/// # Errors
/// What keeps all of them from being played.
pub async fn run(
    cells: Vec<Cell>,
    faulty: Vec<faults::FaultyCell>,
    keys: Vec<KeyCell>,
    seed: u64,
    jobs: usize,
) -> Result<Run, MatrixError> {
    let began = Instant::now();
    let relay = Arc::new(Relay::start().await?);
    let slots = Arc::new(Semaphore::new(jobs.max(1)));
    let mut playing = JoinSet::new();
    let (count, faulty_count) = (cells.len(), faulty.len());
    for (number, cell) in cells.into_iter().enumerate() {
        let (relay, slots) = (Arc::clone(&relay), Arc::clone(&slots));
        playing.spawn(async move {
            let Ok(_slot) = slots.acquire_owned().await else { return (number, None) };
            let played = timeout(CELL_LIMIT, play(&cell, number, &relay, seed)).await;
            let outcome = played.unwrap_or(Err(MatrixError::Slow));
            (number, Some(Finished { id: cell.id(), cell, outcome }))
        });
    }
    for (number, cell) in faulty.into_iter().enumerate() {
        let (number, slots) = (count + number, Arc::clone(&slots));
        playing.spawn(async move {
            let Ok(_slot) = slots.acquire_owned().await else { return (number, None) };
            let played = timeout(CELL_LIMIT, faults::play(&cell, number, seed)).await;
            let outcome = played.unwrap_or(Err(MatrixError::Slow));
            (number, Some(Finished { id: cell.id(), cell: cell.cell, outcome }))
        });
    }
    let mut finished = Vec::new();
    while let Some(played) = playing.join_next().await {
        match played {
            Ok((number, Some(done))) => finished.push((number, done)),
            Ok((_, None)) => {}
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(MatrixError::Slow),
            },
        }
    }
    // One after the other and alone: see `retained::play_key`.
    for (number, cell) in keys.into_iter().enumerate() {
        let number = count + faulty_count + number;
        let played = timeout(CELL_LIMIT, retained::play_key(&cell, number, seed)).await;
        let outcome = played.unwrap_or(Err(MatrixError::Slow));
        finished.push((number, Finished { id: cell.id(), cell: cell.cell, outcome }));
    }
    finished.sort_by_key(|(number, _)| *number);
    let mut finished: Vec<Finished> = finished.into_iter().map(|(_, finished)| finished).collect();
    let relay = Arc::into_inner(relay).ok_or(MatrixError::Setup { what: "a relay that nobody uses any more" })?;
    let is_search_sound = search_relay(relay, &mut finished).await?;
    Ok(Run { finished, is_search_sound, took: began.elapsed() })
}

/// Whose disk is searched.
#[derive(Clone, Copy)]
enum Operator {
    Relay,
    Broker,
}

/// Looks for the marks of every message on the relay's disk and on the broker's. Answers whether the search finds what must be there.
async fn search_relay(relay: Relay, finished: &mut [Finished]) -> Result<bool, MatrixError> {
    // A store names the origin nowhere, but the file of a certificate begins like every such file.
    const MUST_BE_THERE: &str = "-----BEGIN CERTIFICATE-----";
    let (relay, broker) = relay.stop().await;
    let mut is_sound = true;
    let folders = [(Some(relay), Operator::Relay), (broker, Operator::Broker)];
    for (folder, operator) in folders.into_iter().filter_map(|(folder, operator)| Some((folder?, operator))) {
        let mut search = Search::default();
        search.add(MUST_BE_THERE, MUST_BE_THERE.as_bytes());
        let outcomes = finished.iter().filter_map(|finished| finished.outcome.as_ref().ok());
        for told in outcomes.flat_map(|outcome| &outcome.messages) {
            search.add(&told.mark, told.mark.as_bytes());
        }
        let path = folder.path().to_owned();
        let searched = tokio::task::spawn_blocking(move || search.run(&path)).await;
        let found = searched
            .map_err(|_| MatrixError::Slow)?
            .map_err(|source| MatrixError::Io { what: "a search of an operator's disk", source })?;
        let outcomes = finished.iter_mut().filter_map(|finished| finished.outcome.as_mut().ok());
        for told in outcomes.flat_map(|outcome| &mut outcome.messages) {
            let has_it = found.hits.contains_key(&told.mark);
            match operator {
                Operator::Relay => told.relay_could_read |= has_it,
                Operator::Broker => told.broker_could_read |= has_it,
            }
        }
        is_sound &= found.hits.contains_key(MUST_BE_THERE);
    }
    Ok(is_sound)
}
