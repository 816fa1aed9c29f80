//! Killed between any two writes, and between any two steps.

use rcseal_rcs::transport::{Sender, Taken};

use super::{ADA, Pair, pager, wrapped};
use crate::message::MessageState;
use crate::tests::crash::crash_at_every_write;
use crate::tests::world::{messages, text, texts};

const LONG: &str = "a message that takes several parts, since it is said more than once; ";

#[test]
fn every_step_of_the_native_route_fails_whole_at_every_write() {
    let mut pair = Pair::new(&pager());
    let (now, conversation) = (pair.world.now, pair.conversation);
    let words = LONG.repeat(40);
    let writes = crash_at_every_write(&mut pair.ada, now, |engine| engine.send(conversation, text(&words), None));
    assert!(writes > 5, "{writes} writes");
    let mut handed = Vec::new();
    crash_at_every_write(&mut pair.ada, now, |engine| {
        let due = engine.poll_outbox(16)?;
        handed = due.into_iter().map(|outgoing| (outgoing.number, outgoing.via)).collect();
        Ok::<_, crate::account::AccountError>(())
    });
    let Some((number, crate::outbox::Via::Carrier(handover))) = handed.pop() else { panic!("not the carrier's") };
    let frames = handover.release();
    assert!(frames.len() > 2);
    crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_carrier_outcome(number, Ok(Taken::Answered)));
    let from = Sender::Asserted(super::number(ADA));
    for frame in &frames {
        let body = wrapped(frame);
        crash_at_every_write(&mut pair.bob, now, |engine| {
            engine.handle_carrier_message(&from, "message/cpim", None, &body)
        });
    }
    crash_at_every_write(&mut pair.bob, now, |engine| engine.poll_carrier_notices(10));
    pair.world.serve(&mut pair.bob);
    for (id, bytes) in pair.world.intercept(&pair.ada) {
        crash_at_every_write(&mut pair.ada, now, |engine| engine.handle_envelope(id, &bytes));
    }
    assert_eq!(texts(&mut pair.bob, conversation).last(), Some(&words));
    assert_eq!(messages(&mut pair.ada, conversation).last().unwrap().state, MessageState::Delivered);
}

#[test]
fn the_way_back_to_the_relay_fails_whole_at_every_write() {
    let mut pair = Pair::new(&pager());
    pair.ada_writes("lost");
    pair.patience_ends();
    let now = pair.world.now;
    assert!(crash_at_every_write(&mut pair.ada, now, |engine| engine.poll_outbox(16)) > 3);
    assert_eq!(pair.journal().len(), 1, "journalled once");
    pair.settle();
    assert_eq!(texts(&mut pair.bob, pair.conversation).last().unwrap(), "lost");
}

/// Where a phone is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    BeforePoll,
    BeforeRelease,
    AfterSome,
    BeforeOutcome,
    BeforeReceipt,
    Never,
}

#[test]
fn killed_between_any_two_steps_nothing_is_lost_and_nothing_is_shown_twice() {
    for kill in
        [Kill::BeforePoll, Kill::BeforeRelease, Kill::AfterSome, Kill::BeforeOutcome, Kill::BeforeReceipt, Kill::Never]
    {
        let mut pair = Pair::new(&pager());
        let words = LONG.repeat(40);
        pair.world.send(&mut pair.ada, pair.conversation, text(&words));
        if kill != Kill::BeforePoll {
            let handed = pair.hand_over().remove(0);
            let brought = match kill {
                Kill::BeforeRelease => 0,
                Kill::AfterSome => 2,
                _ => handed.messages.len(),
            };
            for message in handed.messages.iter().take(brought) {
                pair.bring(message);
            }
            if matches!(kill, Kill::BeforeReceipt | Kill::Never) {
                pair.taken(&handed, Taken::Answered);
            }
            if kill == Kill::Never {
                pair.settle();
            }
        }
        // What was in memory is gone: what a carrier had not got it gets no more.
        pair.world.carried.clear();
        pair.patience_ends();
        pair.world.serve(&mut pair.ada);
        let again: Vec<_> = pair.world.carried.drain(..).collect();
        for (_, _, messages) in &again {
            for message in messages {
                pair.bring(message);
            }
        }
        pair.settle();
        let shown = texts(&mut pair.bob, pair.conversation);
        assert_eq!(shown.iter().filter(|shown| **shown == words).count(), 1, "{kill:?}");
        let last = messages(&mut pair.ada, pair.conversation).pop().unwrap();
        assert_eq!(last.state, MessageState::Delivered, "{kill:?}");
    }
}
