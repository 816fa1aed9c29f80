//! `cargo xtask bench signal`: what a session costs, beside vodozemac and the raw primitives ("floor").
//!
//! Every figure is the median of [`BATCHES`] batches in CPU time of this thread, which a busy machine disturbs less
//! than the clock on the wall. The batches of one group take turns, so that all its rows see the same machine. Steps
//! are committed in memory; writing them to a store is not part of the figure.
//!
//! The **floor** of an operation is the sequence of primitives its specification needs, called through `rcseal-crypto`
//! with data of the same lengths and nothing in between. **vodozemac** speaks Olm: X25519 only, an 8-byte message code,
//! 40 skipped keys per chain. Its handshake has neither a KEM nor signatures, so only its messages compare; bytes go in
//! and out on both sides.
#![allow(clippy::unwrap_used)]

mod floor;
mod ours;
mod peer;
mod timing;

use std::process::ExitCode;

use rcseal_report::{Format, Report, Row};
use rcseal_signal::Record;
use timing::{Group, least, median};

/// Length of the measured plaintext.
const TEXT_LEN: usize = 1024;
/// Batches per figure.
const BATCHES: usize = 15;

/// Goals in microseconds. They were set on a machine whose X25519 agreement takes 18 µs: see `docs/performance.md`.
const MESSAGE_GOAL: f64 = 5.5;
const PING_PONG_GOAL: f64 = 150.0;
const INITIATOR_GOAL: f64 = 230.0;
const RESPONDER_GOAL: f64 = 190.0;
const JUMP_GOAL: f64 = 15_000.0;
/// How much more a message may cost that arrives out of order, with 2,000 keys stored.
const OUT_OF_ORDER_GOAL: f64 = 1.3;
const RECORD_GOAL: u64 = 4_096;

fn main() -> ExitCode {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    // `cargo bench` says so; a test run that starts every target wants no figures, least of all of a debug build.
    if !given("--bench") {
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new("bench signal");
    messages(&mut report);
    handshakes(&mut report);
    skipped_keys(&mut report);
    sizes(&mut report);
    ExitCode::from(report.finish(Format::from_json_flag(given("--json"))))
}

/// A row of a median, and beside it the least disturbed batch.
fn time(id: &str, times: &[f64]) -> Row {
    Row::lower(id, median(times), "µs").peer("least", least(times))
}

fn messages(report: &mut Report) {
    let (mut encrypt, mut decrypt) = (ours::one_way(), ours::one_way());
    let (mut peer_encrypt, mut peer_decrypt) = (peer::one_way(), peer::one_way());
    let mut ping_pong = ours::ping_pong();
    let mut peer_ping_pong = peer::ping_pong();
    let mut group = Group::default();
    group.add("encrypt", Box::new(move || encrypt.encrypt(200)));
    group.add("encrypt_floor", Box::new(|| floor::encrypt(200)));
    group.add("encrypt_peer", Box::new(move || peer_encrypt.encrypt(200)));
    group.add("decrypt", Box::new(move || decrypt.decrypt(200)));
    group.add("decrypt_floor", Box::new(|| floor::decrypt(200)));
    group.add("decrypt_peer", Box::new(move || peer_decrypt.decrypt(200)));
    group.add("ping_pong", Box::new(move || ping_pong.rounds(42)));
    group.add("ping_pong_floor", Box::new(|| floor::ping_pong(42)));
    group.add("ping_pong_peer", Box::new(move || peer_ping_pong.rounds(42)));
    let times = group.run(BATCHES);
    for (id, goal) in [("encrypt", MESSAGE_GOAL), ("decrypt", MESSAGE_GOAL), ("ping_pong", PING_PONG_GOAL)] {
        let floor = median(&times[&format!("{id}_floor")]);
        let row = time(&format!("{id}_1kib"), &times[id]).goal(goal);
        report.measure(row.peer("floor", floor).peer("vodozemac", median(&times[&format!("{id}_peer")])));
    }
}

fn handshakes(report: &mut Report) {
    let mut group = Group::default();
    let (world, floors) = (ours::Handshake::new(), floor::Handshake::new());
    let mut peer = peer::Handshake::new();
    group.add(
        "initiate",
        Box::new({
            let world = world.clone();
            move || world.initiate(20, false)
        }),
    );
    group.add(
        "initiate_floor",
        Box::new({
            let floors = floors.clone();
            move || floors.initiate(20)
        }),
    );
    group.add(
        "initiate_encrypt",
        Box::new({
            let world = world.clone();
            move || world.initiate(20, true)
        }),
    );
    group.add(
        "initiate_encrypt_floor",
        Box::new({
            let floors = floors.clone();
            move || floors.initiate(20) + floor::encrypt(20) + floor::first_chunk(20)
        }),
    );
    group.add("respond", Box::new(move || world.respond(20)));
    group.add("respond_floor", Box::new(move || floors.respond(20) + floor::decrypt(20)));
    group.add("peer", Box::new(move || peer.outbound_encrypt(20)));
    let mut peer = peer::Handshake::new();
    group.add("peer_inbound", Box::new(move || peer.inbound(20)));
    let times = group.run(BATCHES);
    let row = |id: &str, name: &str| {
        let floor = median(&times[&format!("{name}_floor")]);
        time(id, &times[name]).peer("floor", floor)
    };
    report.measure(row("initiator_set_up", "initiate").goal(INITIATOR_GOAL));
    let outbound = median(&times["peer"]);
    report.measure(row("initiator_and_first_encrypt_1kib", "initiate_encrypt").peer("vodozemac_without_kem", outbound));
    let inbound = median(&times["peer_inbound"]);
    let row = row("responder_and_first_decrypt_1kib", "respond").goal(RESPONDER_GOAL);
    report.measure(row.peer("vodozemac_without_kem", inbound));
}

fn skipped_keys(report: &mut Report) {
    let mut group = Group::default();
    group.add("in_order", Box::new(|| ours::with_stored(2_000).in_order(100)));
    group.add("out_of_order", Box::new(|| ours::with_stored(2_000).out_of_order(100)));
    group.add("peer", Box::new(|| peer::with_stored(40).out_of_order(20)));
    let times = group.run(BATCHES);
    let in_order = median(&times["in_order"]);
    report.measure(time("decrypt_in_order_2000_stored", &times["in_order"]));
    let row = time("decrypt_out_of_order_2000_stored", &times["out_of_order"]);
    report.measure(row.goal(OUT_OF_ORDER_GOAL * in_order).peer("vodozemac_40_stored", median(&times["peer"])));

    let mut jump = ours::Jump::new(rcseal_signal::FORWARD_JUMP_MAX);
    let mut group = Group::default();
    let forged = jump.clone();
    group.add("valid", Box::new(move || jump.valid()));
    group.add("forged", Box::new(move || forged.forged()));
    group.add("floor", Box::new(|| floor::chain_steps(rcseal_signal::FORWARD_JUMP_MAX)));
    let times = group.run(5);
    let (floor, valid) = (median(&times["floor"]), median(&times["valid"]));
    report.measure(time("decrypt_after_jump_of_25000", &times["valid"]).goal(JUMP_GOAL).peer("floor", floor));
    // What a stranger can make us do is at most what a peer can.
    let forged = time("refuse_forged_jump_of_25000", &times["forged"]);
    report.measure(forged.goal(valid).peer("floor", floor));
}

fn sizes(report: &mut Report) {
    let (first, message) = ours::overheads();
    let (peer_first, peer_message) = peer::overheads();
    report.measure(Row::lower("session_record", Record::LEN, "bytes").goal(RECORD_GOAL));
    report.measure(Row::lower("session_record_before_first_reply", Record::PENDING_LEN, "bytes").goal(RECORD_GOAL));
    report.measure(Row::lower("overhead_per_message_1kib", message, "bytes").peer("vodozemac", peer_message));
    report.measure(Row::lower("overhead_first_message_1kib", first, "bytes").peer("vodozemac_without_kem", peer_first));
}
