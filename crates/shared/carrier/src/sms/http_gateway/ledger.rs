//! Which call-backs have been answered.
//!
//! A gateway calls again when it did not get our answer, and anybody who has seen a call can repeat it. Either is answered as the first one was,
//! and brings nothing. Bounded: the oldest are forgotten, and whoever stores what they brought knows it by its id.

use std::collections::{HashMap, VecDeque};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has not been here.
    New,
    /// It is here, and not answered yet.
    InHand,
    /// It has been answered.
    Answered,
    /// There are too many in hand.
    Full,
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    is_answered: HashMap<[u8; 32], bool>,
    answered: VecDeque<[u8; 32]>,
    max: usize,
}

impl Ledger {
    pub(super) fn new(max: usize) -> Self {
        Self { is_answered: HashMap::new(), answered: VecDeque::new(), max: max.max(1) }
    }

    /// A call has come.
    pub(super) fn begin(&mut self, name: [u8; 32]) -> Place {
        match self.is_answered.get(&name) {
            Some(true) => Place::Answered,
            Some(false) => Place::InHand,
            None if self.is_answered.len() - self.answered.len() >= self.max => Place::Full,
            None => {
                self.is_answered.insert(name, false);
                Place::New
            }
        }
    }

    /// A call has been answered, or is to come again.
    pub(super) fn end(&mut self, name: [u8; 32], is_done: bool) {
        if !is_done {
            self.is_answered.remove(&name);
            return;
        }
        if self.is_answered.insert(name, true) != Some(true) {
            self.answered.push_back(name);
        }
        while self.answered.len() > self.max {
            if let Some(oldest) = self.answered.pop_front() {
                self.is_answered.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_new_once_unless_it_is_to_come_again() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.begin([1; 32]), Place::New);
        assert_eq!(ledger.begin([1; 32]), Place::InHand);
        ledger.end([1; 32], false);
        assert_eq!(ledger.begin([1; 32]), Place::New);
        ledger.end([1; 32], true);
        assert_eq!(ledger.begin([1; 32]), Place::Answered);
    }

    #[test]
    fn it_does_not_grow() {
        let mut ledger = Ledger::new(2);
        assert_eq!([1, 2, 3].map(|name| ledger.begin([name; 32])), [Place::New, Place::New, Place::Full]);
        for name in 1..=9 {
            ledger.begin([name; 32]);
            ledger.end([name; 32], true);
        }
        assert_eq!((ledger.begin([7; 32]), ledger.begin([9; 32])), (Place::New, Place::Answered));
        assert!(ledger.is_answered.len() <= 4);
    }
}
