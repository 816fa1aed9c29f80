//! Questions of one connection that wait for an answer.
//!
//! A table belongs to a connection and dies with it, so that no answer on a new connection can be taken for one to an older question. What
//! waits then learns whether its question had left: one that had not was never sent, one that had is unconfirmed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::groups::Segment;
use crate::sms::GatewayId;

/// The largest sequence number (SMPP 3.4, 3.2).
const SEQUENCE_MAX: u32 = 0x7fff_ffff;

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer.
    Answered {
        /// Its status.
        status: u32,
        /// The id that it gives.
        id: Option<GatewayId>,
    },
    /// The connection broke.
    Broken {
        /// Whether the question may have reached the SMSC.
        had_left: bool,
    },
}

struct Waiting {
    answer: oneshot::Sender<Outcome>,
    had_left: bool,
    segment: Option<Segment>,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<u32, Waiting>,
    last: u32,
    is_over: bool,
}

/// The table.
#[derive(Default)]
pub(super) struct Table(Mutex<Inner>);

impl Table {
    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A sequence number for something that nobody waits for.
    pub(super) fn next_sequence(&self) -> u32 {
        self.with(Inner::next)
    }

    /// A question; `None` once the connection is over.
    pub(super) fn ask(&self, segment: Option<Segment>) -> Option<(u32, oneshot::Receiver<Outcome>)> {
        let (answer, answered) = oneshot::channel();
        let sequence = self.with(|inner| {
            if inner.is_over {
                return None;
            }
            let sequence = inner.next();
            inner.waiting.insert(sequence, Waiting { answer, had_left: false, segment });
            Some(sequence)
        })?;
        Some((sequence, answered))
    }

    /// Notes that a question is about to be written.
    pub(super) fn leaves(&self, sequence: u32) {
        self.with(|inner| {
            if let Some(waiting) = inner.waiting.get_mut(&sequence) {
                waiting.had_left = true;
            }
        });
    }

    /// Brings an answer to whoever waits for it, and says of which segment it is. `false` where nobody has asked, or has given up.
    pub(super) fn answer(&self, sequence: u32, status: u32, id: Option<GatewayId>) -> bool {
        let Some(waiting) = self.with(|inner| inner.waiting.remove(&sequence)) else { return false };
        if let (Some(segment), Some(id), 0) = (waiting.segment, id.as_ref(), status) {
            // Before the next PDU is read: a receipt may be right behind the answer.
            segment.taken_as(id);
        }
        waiting.answer.send(Outcome::Answered { status, id }).is_ok()
    }

    /// Gives up waiting.
    pub(super) fn forget(&self, sequence: u32) {
        self.with(|inner| inner.waiting.remove(&sequence));
    }

    /// Ends the table: everybody learns it.
    pub(super) fn end(&self) {
        let waiting = self.with(|inner| {
            inner.is_over = true;
            std::mem::take(&mut inner.waiting)
        });
        for waiting in waiting.into_values() {
            let _ = waiting.answer.send(Outcome::Broken { had_left: waiting.had_left });
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.with(|inner| inner.waiting.len())
    }
}

impl Inner {
    /// The next number that nothing waits under. The window is far smaller than the numbers there are.
    fn next(&mut self) -> u32 {
        loop {
            self.last = if self.last >= SEQUENCE_MAX { 1 } else { self.last + 1 };
            if !self.waiting.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_find_their_questions_and_nothing_else() {
        let table = Table::default();
        let (first, mut first_answer) = table.ask(None).unwrap();
        let (second, mut second_answer) = table.ask(None).unwrap();
        assert!(table.answer(second, 0, GatewayId::parse("b")));
        assert!(!table.answer(second, 0, GatewayId::parse("c")));
        assert!(!table.answer(99, 0, None));
        assert_eq!(second_answer.try_recv().unwrap(), Outcome::Answered { status: 0, id: GatewayId::parse("b") });
        assert!(first_answer.try_recv().is_err());
        table.forget(first);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_break_says_what_had_left() {
        let table = Table::default();
        let (left, mut of_left) = table.ask(None).unwrap();
        let (_, mut of_kept) = table.ask(None).unwrap();
        table.leaves(left);
        table.end();
        assert_eq!(of_left.try_recv().unwrap(), Outcome::Broken { had_left: true });
        assert_eq!(of_kept.try_recv().unwrap(), Outcome::Broken { had_left: false });
        assert!(table.ask(None).is_none());
    }

    #[test]
    fn numbers_go_round_and_pass_over_those_that_wait() {
        let table = Table::default();
        let (first, _answer) = table.ask(None).unwrap();
        table.with(|inner| inner.last = SEQUENCE_MAX - 1);
        assert_eq!((first, table.next_sequence(), table.next_sequence()), (1, SEQUENCE_MAX, 2));
    }
}
