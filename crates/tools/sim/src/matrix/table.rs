//! How a run of the matrix is told: a report with a row for each group of cells and the totals, and for people what was wrong.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is what the command prints")]

use std::collections::BTreeMap;

use rcseal_report::{Report, Row};

use super::cell::{Cell, Mode};
use super::faults::FaultyCell;
use super::outcome::{Fate, Told};
use super::retained::KeyCell;
use super::{Finished, Run};
use crate::data::{CarrierProfile, Event, Expectation, Step};
use crate::story::with_causes;

/// Names of cells, one a line, with what each stands for.
pub(super) fn list(cells: &[Cell], faulty: &[FaultyCell], keys: &[KeyCell]) {
    for cell in cells {
        println!("{} (stands for {})", cell.id(), cell.stands_for);
    }
    for cell in faulty {
        println!("{}", cell.id());
    }
    for cell in keys {
        println!("{}", cell.id());
    }
}

/// Says why there is no report.
pub(super) fn complain(error: &(dyn std::error::Error + 'static)) {
    eprintln!("rcseal-sim: {}", with_causes(error));
}

/// Cells that are shown in one row.
fn group(finished: &Finished) -> String {
    let Cell { mode, carrier, state, .. } = &finished.cell;
    if let Some((_, what)) = finished.id.split_once('@') {
        let of = if *mode == Mode::ServerEncrypted { mode.as_str() } else { "network" };
        return format!("{of}_{what}");
    }
    if mode.is_off_carrier() {
        return format!("{}_{}", mode.as_str(), state.name);
    }
    if finished.cell.may_be_readable() {
        format!("readable_over_{}", carrier.name)
    } else if finished.cell.is_downgradable() {
        state.name.clone()
    } else if finished.cell.wants_carrier() {
        format!("{}_over_{}", mode.as_str(), carrier.name)
    } else if finished.cell.has_client {
        let (near, far) = (&finished.cell.near.name, &finished.cell.far.name);
        format!("{}_{near}_to_{far}", mode.as_str())
    } else {
        state.name.clone()
    }
}

/// What a cell is to come to besides what every cell is: that messages over a carrier that says it carries them go by it.
fn is_as_expected(finished: &Finished) -> bool {
    let Ok(outcome) = &finished.outcome else { return false };
    let is_otherwise = finished.cell.may_be_readable() || finished.cell.state.event == Some(Event::Reinstalled);
    if !finished.cell.wants_carrier() || is_otherwise {
        return true;
    }
    // A phone that is off gets nothing by a carrier that keeps nothing.
    let is_offline = finished.cell.state.event == Some(Event::Offline);
    outcome.messages.iter().all(|told| match (finished.cell.carrier.expect, &told.fate) {
        (Expectation::Native, Fate::Delivered(mode)) => mode.as_str() == finished.cell.mode.as_str(),
        (Expectation::Native, Fate::FellBack(_)) => is_offline,
        (Expectation::Relayed, Fate::FellBack(_)) => true,
        // After some failures in a row the relay is taken at once.
        (Expectation::Relayed, Fate::Delivered(mode)) => {
            mode.as_str() == "relayed" || (finished.cell.needs_broker() && harms_bytes_only(&finished.cell.carrier))
        }
        (Expectation::Either, _) => true,
        (Expectation::Native | Expectation::Relayed, _) => false,
    })
}

/// Whether a carrier says that it carries bytes, and harms nothing but line ends in them: what goes by way of a broker is text, which survives.
fn harms_bytes_only(carrier: &CarrierProfile) -> bool {
    !carrier.steps.is_empty() && carrier.steps.iter().all(|step| matches!(step, Step::CrlfToLf { .. }))
}

fn messages(run: &Run) -> impl Iterator<Item = (&Finished, &Told)> {
    run.finished.iter().flat_map(|finished| {
        finished.outcome.iter().flat_map(move |outcome| outcome.messages.iter().map(move |told| (finished, told)))
    })
}

/// Counts of fates, as one text.
fn summary<'a>(told: impl Iterator<Item = &'a Told>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for told in told {
        let word = if told.is_foreign { format!("foreign_{}", told.fate.word()) } else { told.fate.word() };
        *counts.entry(word).or_default() += 1;
        *readers.entry(told.readers()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{word} {count}")).collect();
    let readers: Vec<&str> = readers.into_keys().collect();
    format!("{}; read by {}", counts.join(", "), readers.join(" or "))
}

/// Whether a fate is of a kind.
type IsFate<'a> = &'a dyn Fn(&Fate) -> bool;

/// The report.
pub(super) fn report(name: &str, run: &Run) -> Report {
    let mut report = Report::new(name);
    let mut groups: Vec<(String, Vec<&Finished>)> = Vec::new();
    for finished in &run.finished {
        let name = group(finished);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, cells)) => cells.push(finished),
            None => groups.push((name, vec![finished])),
        }
    }
    for (name, cells) in &groups {
        let told =
            cells.iter().filter_map(|finished| finished.outcome.as_ref().ok()).flat_map(|outcome| &outcome.messages);
        report.measure(Row::equal(name, summary(told), &format!("{} cells", cells.len())));
    }
    let count = |is: &dyn Fn(&Told) -> bool| messages(run).filter(|(_, told)| is(told)).count();
    let wrongs =
        run.finished.iter().filter_map(|finished| finished.outcome.as_ref().ok()).flat_map(|o| &o.wrongs).count();
    let broken = run.finished.iter().filter(|finished| finished.outcome.is_err()).count();
    let stands_for: usize = run.finished.iter().map(|finished| finished.cell.stands_for).sum();
    report.measure(Row::higher("cells", run.finished.len(), "runs"));
    report.measure(Row::higher("combinations", stands_for, "named by these runs"));
    report.measure(Row::higher("messages", count(&|_| true), "messages"));
    let fates: [(&str, IsFate<'_>); 7] = [
        ("delivered_as_decided", &|fate| matches!(fate, Fate::Delivered(_))),
        ("delivered_by_fallback", &|fate| matches!(fate, Fate::FellBack(_))),
        ("refused_with_reason", &|fate| matches!(fate, Fate::Refused(code) if !code.is_empty())),
        ("failed_with_reason", &|fate| matches!(fate, Fate::Failed(_))),
        ("readable_by_leave", &|fate| matches!(fate, Fate::Readable { .. })),
        ("readable_not_confirmed", &|fate| matches!(fate, Fate::Unconfirmed(_))),
        ("readable_believed_a_lying_carrier", &|fate| matches!(fate, Fate::Believed)),
    ];
    for (name, is) in fates {
        report.measure(Row::higher(name, count(&|told| is(&told.fate) && !told.is_foreign), "messages"));
    }
    report.measure(Row::higher("from_phones_without_a_client", count(&|told| told.is_foreign), "messages"));
    report.measure(Row::lower("minutes", run.took.as_secs_f64() / 60.0, "min"));
    let mut none = |name: &str, count: usize, unit: &str| {
        report.promise_row(Row::equal(name, count, unit).goal(0));
    };
    none("lost", count(&|told| matches!(told.fate, Fate::Lost(_))), "messages");
    none("shown_twice", count(&|told| told.shown > 1 && !matches!(told.fate, Fate::Readable { .. })), "messages");
    none("readable_unnamed", count(&|told| !told.unnamed_readers().is_empty()), "messages");
    none("silent_downgrades", count(&Told::is_silent_downgrade), "messages");
    none("refusals_without_reason", count(&Told::is_refused_without_reason), "messages");
    none(
        "carriers_not_as_stated",
        run.finished.iter().filter(|it| it.outcome.is_ok() && !is_as_expected(it)).count(),
        "cells",
    );
    none("other_wrongs", wrongs, "cells");
    none("cells_not_played", broken, "cells");
    report.promise("search_of_the_relay_is_sound", run.is_search_sound);
    // A search that never finds anything would find nothing here either.
    let readable = count(&|told| matches!(told.fate, Fate::Readable { .. }));
    if readable > 0 {
        let is_seen = |told: &Told| told.carrier_could_read || told.server_could_read;
        let seen = count(&|told| matches!(told.fate, Fate::Readable { .. }) && is_seen(told));
        report.promise("search_of_the_carrier_is_sound", seen == readable);
    }
    report
}

/// What was wrong, for people, beside the report: each broken promise with its cell.
pub(super) fn explain(run: &Run) {
    for finished in &run.finished {
        let id = &finished.id;
        match &finished.outcome {
            Err(error) => eprintln!("{id}: not played: {}", with_causes(error)),
            Ok(outcome) => {
                for wrong in &outcome.wrongs {
                    eprintln!("{id}: {wrong}");
                }
                for told in &outcome.messages {
                    if let Fate::Lost(state) = told.fate {
                        eprintln!(
                            "{id}: lost, {:?} of {} bytes: its sender has it for {state}",
                            told.direction, told.len
                        );
                    }
                    for reader in told.unnamed_readers() {
                        eprintln!("{id}: {:?} of {} bytes could be read by the {reader}", told.direction, told.len);
                    }
                    if told.is_silent_downgrade() {
                        eprintln!("{id}: {:?} of {} bytes went readable without leave", told.direction, told.len);
                    }
                }
                if !is_as_expected(finished) {
                    let fates: Vec<String> = outcome.messages.iter().map(|told| told.fate.word()).collect();
                    eprintln!("{id}: not as the carrier's table says: {}", fates.join(", "));
                }
            }
        }
    }
    let mut slowest: Vec<(u64, &str)> = run
        .finished
        .iter()
        .filter_map(|finished| finished.outcome.as_ref().ok().map(|outcome| (outcome.took_ms, finished.id.as_str())))
        .collect();
    slowest.sort_unstable();
    for (took_ms, id) in slowest.iter().rev().take(5) {
        eprintln!("slowest: {took_ms} ms {id}");
    }
}
