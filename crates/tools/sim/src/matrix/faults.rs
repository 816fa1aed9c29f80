//! Cells behind a proxy: the same story, with a network between the phones and their relay that delays, thins, slices, resets, swallows or
//! corrupts.
//!
//! Each has a relay of its own, because a login is bound to the address that a relay is reached under.

use std::time::Duration;

use super::MatrixError;
use super::cell::{self, Cell, Mode};
use super::outcome::CellOutcome;
use super::relay::Relay;
use super::story;
use crate::data::World;
use crate::proxy::Faults;

/// A cell behind a proxy.
#[derive(Debug)]
pub struct FaultyCell {
    /// What the network is called.
    pub name: &'static str,
    /// What it does.
    pub faults: Faults,
    /// The cell.
    pub cell: Cell,
}

impl FaultyCell {
    /// What reports call it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.cell.id(), self.name)
    }

    /// Whether a quick look has it.
    #[must_use]
    pub fn is_in_smoke(&self) -> bool {
        self.name == "resets" && self.cell.mode == Mode::Relayed
    }
}

/// The networks.
fn networks() -> Vec<(&'static str, Faults)> {
    let milliseconds = Duration::from_millis;
    vec![
        ("slow", Faults { delay: milliseconds(40), jitter: milliseconds(30), ..Faults::default() }),
        ("thin", Faults { bytes_per_second: Some(120_000), slice_max: Some(700), ..Faults::default() }),
        ("sliced", Faults { slice_max: Some(5), ..Faults::default() }),
        ("resets", Faults { reset_within: Some(200_000), ..Faults::default() }),
        ("corrupting", Faults { corrupt_one_in: Some(150_000), ..Faults::default() }),
    ]
}

/// Every network, between two pairs of phones: one on the relay alone, and one whose carrier loses everything, so that all depends on the
/// relay.
#[must_use]
pub(super) fn cells(world: &World) -> Vec<FaultyCell> {
    let is_wanted = |cell: &Cell| {
        let names = (cell.near.name.as_str(), cell.far.name.as_str());
        let relayed = cell.mode == Mode::Relayed && names == ("android_app", "ios");
        let native =
            cell.mode == Mode::Native && names == ("android_oem", "android_oem") && cell.carrier.name == "blackhole";
        cell.state.name == "fresh" && (relayed || native)
    };
    let wanted: Vec<Cell> = cell::cells(world).into_iter().filter(is_wanted).collect();
    let behind = |(name, faults): (&'static str, Faults)| {
        wanted.iter().map(move |cell| FaultyCell {
            name,
            faults: faults.clone(),
            cell: Cell { stands_for: 0, ..cell.clone() },
        })
    };
    networks().into_iter().flat_map(behind).collect()
}

/// Plays one.
///
/// # Errors
/// As [`story::play`], and where the network did nothing.
pub(super) async fn play(cell: &FaultyCell, number: usize, seed: u64) -> Result<CellOutcome, MatrixError> {
    let relay = Relay::start_behind(cell.faults.clone(), seed).await?;
    let mut outcome = story::play(&cell.cell, number, &relay, seed).await?;
    let counts = relay.proxy().ok_or(MatrixError::Setup { what: "a proxy" })?.counts();
    let is_to_harm = cell.faults.reset_within.is_some() || cell.faults.corrupt_one_in.is_some();
    if counts.bytes() == 0 || (is_to_harm && !counts.has_harmed()) {
        outcome.wrongs.push("the network did nothing".to_owned());
    }
    drop(relay.stop().await);
    Ok(outcome)
}
