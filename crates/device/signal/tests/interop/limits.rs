//! Limits that take thousands of messages to reach.

use crate::wire::Sent;
use crate::world::{Side, World};
use crate::{Failure, Run, ensure};

/// The longest jump that both sides accept, in the post-quantum chain: it counts from the last message that was read, the
/// counter of the other chain from the first that was not, so of the two equal limits this one is reached first.
const JUMP_MAX: usize = 25_000;
/// Skipped keys that both sides keep.
const SKIPPED: usize = 2_000;

pub(crate) fn run(run: &mut Run) {
    for from in Side::BOTH {
        let reader = from.reader();
        let outcome = jump(run, from);
        run.promise(&format!("jump_of_25000_accepted_and_25001_refused_by_{reader}"), outcome);
        let outcome = skipped(run, from);
        run.promise(&format!("two_thousand_skipped_messages_read_late_by_{reader}"), outcome);
    }
}

fn send(world: &mut World, from: Side, count: usize) -> Result<Vec<Sent>, Failure> {
    (0..count).map(|number| world.send(from, &number.to_be_bytes())).collect()
}

fn read(world: &mut World, from: Side, sent: &Sent) -> Result<bool, Failure> {
    Ok(world.receive(from, sent)?.is_ok())
}

fn jump(run: &Run, from: Side) -> Result<(), Failure> {
    let mut world = World::established(&run.folder, run.seed + 40)?;
    let sent = send(&mut world, from, JUMP_MAX + 1)?;
    ensure(!read(&mut world, from, &sent[JUMP_MAX])?, "a jump of 25,001 was accepted")?;
    ensure(read(&mut world, from, &sent[JUMP_MAX - 1])?, "a jump of 25,000 was refused")
}

fn skipped(run: &Run, from: Side) -> Result<(), Failure> {
    let mut world = World::established(&run.folder, run.seed + 40)?;
    let sent = send(&mut world, from, SKIPPED + 1)?;
    ensure(read(&mut world, from, &sent[SKIPPED])?, "the jump was refused")?;
    for number in (0..SKIPPED).step_by(97).chain([SKIPPED - 1]) {
        ensure(read(&mut world, from, &sent[number])?, format!("message {number} was not read late"))?;
        ensure(!read(&mut world, from, &sent[number])?, format!("message {number} was read twice"))?;
    }
    Ok(())
}
