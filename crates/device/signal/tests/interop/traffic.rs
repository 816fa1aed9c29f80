//! Thousands of messages over a channel that loses, reorders and repeats, with restarts on both sides.

use std::time::Instant;

use rand_chacha::rand_core::Rng;
use rcseal_report::Row;

use crate::wire::Sent;
use crate::world::{Names, Side, World};
use crate::{Failure, Run, ensure};

/// A channel and a way to talk.
struct Class {
    name: &'static str,
    /// Per cent of messages that never arrive.
    loss: u32,
    /// Per cent that arrive twice.
    duplicate: u32,
    /// A message arrives up to so many rounds later. Deployed clients keep five receiving chains, so three turns.
    delay: u64,
    /// Messages in a row before the other side's turn: at most so many from us, and from them.
    burst: [u32; 2],
    /// Rounds that an epoch of the post-quantum ratchet may take at most.
    rounds_per_epoch: u64,
}

const CLASSES: &[Class] = &[
    Class { name: "ping_pong", loss: 0, duplicate: 0, delay: 0, burst: [1, 1], rounds_per_epoch: 55 },
    Class { name: "loss_10", loss: 10, duplicate: 5, delay: 2, burst: [3, 3], rounds_per_epoch: 75 },
    Class { name: "loss_30", loss: 30, duplicate: 10, delay: 3, burst: [2, 2], rounds_per_epoch: 110 },
    Class { name: "loss_50", loss: 50, duplicate: 20, delay: 3, burst: [2, 2], rounds_per_epoch: 160 },
    Class { name: "bursts_of_theirs", loss: 10, duplicate: 5, delay: 1, burst: [1, 40], rounds_per_epoch: 90 },
    Class { name: "bursts_of_ours", loss: 10, duplicate: 5, delay: 1, burst: [40, 1], rounds_per_epoch: 90 },
];

/// One restart of each side in so many messages sent or delivered.
const RESTART_EVERY: u32 = 250;

/// What one run saw.
#[derive(Default)]
struct Counts {
    sent: usize,
    delivered: usize,
    duplicates: usize,
    rounds: u64,
    restarts: usize,
    epoch: u64,
    bytes: usize,
    plaintext: usize,
}

/// A message on its way.
struct Flight {
    due: u64,
    order: u32,
    from: Side,
    sent: Sent,
    text: Vec<u8>,
    /// Which message it is; of two copies the second must be refused.
    number: usize,
}

pub(crate) fn run(run: &mut Run, messages: usize) {
    for class in CLASSES {
        for initiator in Side::BOTH {
            let id = format!("{}_as_{}", class.name, initiator.our_role());
            let since = Instant::now();
            let mut counts = Counts::default();
            let outcome = talk(run, class, initiator, messages, &mut counts);
            run.promise(&id, outcome);
            let report = &mut run.report;
            report.measure(Row::higher(&format!("{id}_delivered"), counts.delivered, "messages"));
            report.measure(Row::equal(&format!("{id}_duplicates_refused"), counts.duplicates, "messages"));
            report.measure(Row::equal(&format!("{id}_restarts"), counts.restarts, "restarts"));
            // The epoch on the wire begins at 1 and is not complete; what is complete lies below it.
            let epochs = counts.epoch.saturating_sub(1);
            report.promise_row(
                Row::higher(&format!("{id}_epochs"), epochs, "epochs").goal(counts.rounds / class.rounds_per_epoch),
            );
            if epochs > 0 {
                let pace = counts.rounds as f64 / epochs as f64;
                report.measure(Row::lower(&format!("{id}_rounds_per_epoch"), pace, "rounds"));
            }
            let overhead = (counts.bytes - counts.plaintext) as f64 / counts.sent.max(1) as f64;
            report.measure(Row::lower(&format!("{id}_overhead"), overhead, "bytes"));
            let took = since.elapsed().as_secs_f64() * 1e6 / counts.sent.max(1) as f64;
            report.measure(Row::lower(&format!("{id}_per_message"), took, "µs"));
        }
    }
}

fn talk(run: &Run, class: &Class, initiator: Side, messages: usize, counts: &mut Counts) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 100 + u64::from(class.loss), Names::Uuids)?;
    world.begin(initiator, true)?;
    let mut seen = vec![false; messages];
    let mut flights: Vec<Flight> = Vec::new();
    // The responder has no session before it has read something.
    let mut can_send = [initiator == Side::Ours, initiator == Side::Theirs];
    while counts.sent < messages {
        for (side, from) in Side::BOTH.into_iter().enumerate() {
            let burst = 1 + world.rng.next_u32() % class.burst[side];
            for _ in 0..burst {
                if !can_send[side] || counts.sent == messages {
                    break;
                }
                flights.extend(send(&mut world, class, from, counts)?);
            }
            // Each side answers what has arrived by then, so that every burst is a turn.
            deliver(&mut world, &mut flights, counts.rounds, &mut seen, &mut can_send, counts)?;
        }
        counts.rounds += 1;
        ensure(counts.rounds < 50 * messages as u64 + 100, "nothing gets through")?;
    }
    deliver(&mut world, &mut flights, u64::MAX, &mut seen, &mut can_send, counts)
}

/// Ends one side or the other now and then, and starts it again from what it had stored.
fn restart_sometimes(world: &mut World, counts: &mut Counts) -> Result<(), Failure> {
    if world.rng.next_u32().is_multiple_of(RESTART_EVERY) {
        world.ours.restart()?;
        counts.restarts += 1;
    }
    if world.rng.next_u32().is_multiple_of(RESTART_EVERY) {
        world.restart_theirs()?;
        counts.restarts += 1;
    }
    Ok(())
}

/// Encrypts one message and puts none, one or two copies of it on their way.
fn send(world: &mut World, class: &Class, from: Side, counts: &mut Counts) -> Result<Vec<Flight>, Failure> {
    restart_sometimes(world, counts)?;
    let mut text = vec![0; (world.rng.next_u32() % 200) as usize];
    world.rng.fill_bytes(&mut text);
    let sent = world.send(from, &text)?;
    let number = counts.sent;
    counts.sent += 1;
    counts.epoch = counts.epoch.max(sent.epoch()?);
    if !sent.prekey {
        counts.bytes += sent.bytes.len();
        counts.plaintext += text.len();
    }
    let rng = &mut world.rng;
    let mut flight = || Flight {
        due: counts.rounds + u64::from(rng.next_u32()) % (class.delay + 1),
        order: rng.next_u32(),
        from,
        sent: sent.clone(),
        text: text.clone(),
        number,
    };
    let (first, second) = (flight(), flight());
    let lost = world.rng.next_u32() % 100 < class.loss;
    let twice = world.rng.next_u32() % 100 < class.duplicate;
    Ok(match (lost, twice) {
        (true, _) => Vec::new(),
        (false, false) => vec![first],
        (false, true) => vec![first, second],
    })
}

/// Delivers everything that is due, in random order.
fn deliver(
    world: &mut World,
    flights: &mut Vec<Flight>,
    now: u64,
    seen: &mut [bool],
    can_send: &mut [bool; 2],
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut due: Vec<Flight> = flights.extract_if(.., |flight| flight.due <= now).collect();
    due.sort_by_key(|flight| (flight.due, flight.order));
    for flight in due {
        restart_sometimes(world, counts)?;
        let again = std::mem::replace(&mut seen[flight.number], true);
        let name = format!("message {} in round {}", flight.number, counts.rounds);
        match (again, world.receive(flight.from, &flight.sent)?) {
            (false, Ok(text)) => {
                ensure(text == flight.text, format!("{name}: another text was read"))?;
                counts.delivered += 1;
                // Who has read something can answer.
                can_send[usize::from(flight.from == Side::Ours)] = true;
            }
            (true, Err(refusal)) if refusal.is_duplicate() => counts.duplicates += 1,
            (true, Ok(_)) => return Err(format!("{name}: its second copy was read").into()),
            (_, Err(refusal)) => return Err(format!("{name}: {refusal}").into()),
        }
    }
    Ok(())
}
