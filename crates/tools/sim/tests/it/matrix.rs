//! Cells of the matrix that stand for something that went wrong once, and what the enumeration promises.

use std::collections::BTreeSet;

use rcseal_sim::data::World;
use rcseal_sim::matrix::{Cell, Fate, Mode, Relay, Told, cells, is_in_smoke, play};

/// Plays the cell of this name.
async fn played(id: &str) -> Vec<Told> {
    let cell = cells(&World::load().unwrap()).into_iter().find(|cell| cell.id() == id).unwrap();
    let relay = Relay::start().await.unwrap();
    let outcome = play(&cell, 0, &relay, 1).await.unwrap();
    assert_eq!(outcome.wrongs, [""; 0], "{id}");
    outcome.messages
}

fn words(told: &[Told]) -> Vec<String> {
    told.iter().map(|told| told.fate.word()).collect()
}

#[test]
fn every_combination_is_one_run_or_named_under_one() {
    let world = World::load().unwrap();
    let runs = cells(&world);
    let combinations = Mode::ALL.len() * world.carriers.len() * world.platforms.len().pow(2) * world.states.len();
    assert_eq!(runs.iter().map(|cell| cell.stands_for).sum::<usize>(), combinations);
    assert_eq!(runs.iter().map(Cell::id).collect::<BTreeSet<_>>().len(), runs.len());
    // Where ciphertext goes by the carrier, every carrier is a run of its own.
    let native = |cell: &&Cell| cell.wants_carrier() && cell.state.name == "fresh";
    assert_eq!(runs.iter().filter(native).count(), world.carriers.len());
    // Where nothing does, no carrier is.
    let silent = |cell: &&Cell| cell.mode == Mode::Relayed && cell.has_client && !cell.may_be_readable();
    assert!(runs.iter().filter(silent).all(|cell| cell.carrier.name == "clean"));
}

#[test]
fn the_smoke_has_every_state_and_a_run_of_each_outcome() {
    let world = World::load().unwrap();
    let smoke: Vec<Cell> = cells(&world).into_iter().filter(is_in_smoke).collect();
    let states: BTreeSet<&str> = smoke.iter().map(|cell| cell.state.name.as_str()).collect();
    assert_eq!(states.len(), world.states.len());
    assert!(smoke.len() <= 40, "{}", smoke.len());
}

#[tokio::test]
async fn a_clean_carrier_carries_ciphertext_in_every_length_both_ways() {
    let told = played("native/clean/android_oem+android_oem/fresh").await;
    assert_eq!(words(&told), ["native"; 5]);
    assert!(told.iter().all(|told| !told.carrier_could_read && told.shown == 1));
}

/// Messages that waited for their sender's keys were let in without anybody sending their receipts, until something else was delivered.
#[tokio::test]
async fn a_sender_that_sleeps_is_told_what_reached_a_phone_that_was_reinstalled() {
    let told = played("relayed/clean/ios+android_oem/reinstalled").await;
    assert_eq!(words(&told), ["relayed"; 5]);
}

/// Words that a gateway had compressed were taken for a damaged frame, and refused.
#[tokio::test]
async fn compressed_words_come_into_a_thread() {
    let told = played("native/deflate/android_oem+android_oem/legacy_downgrade").await;
    assert!(told.iter().all(|told| told.fate == Fate::Readable { is_intact: true }), "{:?}", words(&told));
}

#[tokio::test]
async fn without_leave_nothing_readable_leaves() {
    let told = played("native/clean/android_oem+android_oem/legacy_downgrade_unasked").await;
    let ours: Vec<&Told> = told.iter().filter(|told| !told.is_foreign).collect();
    assert!(!ours.is_empty());
    assert!(ours.iter().all(|told| told.fate == Fate::Refused("consent_missing") && !told.carrier_could_read));
}
