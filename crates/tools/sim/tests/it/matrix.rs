//! Cells of the matrix that stand for something that went wrong once, and what the enumeration promises.

use std::collections::BTreeSet;

use rcseal_sim::data::World;
use rcseal_sim::hsm::NEEDED;
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
    let native = |cell: &&Cell| cell.mode == Mode::Native && cell.wants_carrier() && cell.state.name == "fresh";
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

/// Words, and the message of a session that they are, in both orders; and words that the centre carries and does not answer for.
#[tokio::test]
async fn a_message_that_goes_both_ways_is_shown_once_and_no_short_message_is_sent_again() {
    let told = played("sms/clean/android_oem+ios/fresh").await;
    assert!(told.iter().all(|told| told.shown == 1 && told.unnamed_readers().is_empty()), "{told:?}");
    let by_leave: Vec<&Told> = told.iter().filter(|told| told.carrier_could_read).collect();
    assert_eq!(by_leave.len(), 3);
    assert!(by_leave.iter().all(|told| told.fate == Fate::Readable { is_intact: true } && !told.is_silent_downgrade()));
}

#[tokio::test]
async fn without_consent_nothing_goes_by_short_message_but_an_invitation() {
    let told = played("sms/clean/ios+ios/legacy_downgrade_unasked").await;
    let ours: Vec<&Told> = told.iter().filter(|told| !told.is_foreign).collect();
    assert_eq!(ours.len(), 3);
    assert!(ours.iter().all(|told| told.fate == Fate::Refused("consent_missing") && !told.carrier_could_read));
}

/// Where there is no hardware module, that is said by its name, and no cell counts as played.
#[tokio::test]
async fn a_cell_that_needs_a_servers_key_says_so_where_there_is_none() {
    let name = "server_encrypted/clean/android_oem+ios/fresh";
    let cell = cells(&World::load().unwrap()).into_iter().find(|cell| cell.id() == name).unwrap();
    let relay = Relay::start().await.unwrap();
    let error = play(&cell, 0, &relay, 1).await.unwrap_err();
    assert_eq!((error.code(), error.to_string()), ("matrix_setup", format!("there is no {NEEDED}")));
}

#[test]
fn what_has_nothing_to_do_with_a_carrier_is_no_run_per_carrier() {
    let runs = cells(&World::load().unwrap());
    let off: Vec<&Cell> = runs.iter().filter(|cell| cell.mode.is_off_carrier()).collect();
    assert!(off.iter().all(|cell| cell.carrier.name == "clean"));
    // A server keeps nothing for somebody without an account: such cells are the runs by the carrier.
    assert!(off.iter().all(|cell| cell.mode == Mode::Sms || cell.has_client));
    assert_eq!(off.len(), 50);
}
