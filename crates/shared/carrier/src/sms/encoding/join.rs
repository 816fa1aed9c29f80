//! Segments of long messages that came in, until they are whole.
//!
//! Held in memory: a gateway sends the next segment only when the last one was answered, so segments are answered one by one, and those of a
//! message that is not whole are gone with the process. Everything is bounded: a sender that never completes its messages pushes out its
//! own, and others' only together with many more senders.

use std::collections::{HashMap, VecDeque};

use super::udh::Concatenation;

/// Messages that are not whole.
pub const OPEN_MAX: usize = 1024;
/// Of one sender: what it has sent has been acknowledged, so that nobody else's may be lost to who sends beginnings only.
pub const OPEN_PER_SENDER_MAX: usize = 64;
/// Octets of one segment: those of a short message, or of the field of SMPP that carries it.
pub const PART_LEN_MAX: usize = 255;
/// How long the rest of a message is waited for, in milliseconds.
pub const PATIENCE_MS: u64 = 15 * 60 * 1000;

/// What segments of one message have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Who sends, as the network wrote it.
    pub from: String,
    /// To whom, as the network wrote it.
    pub to: String,
    /// The alphabet's code.
    pub coding: u8,
}

#[derive(Debug)]
struct Open {
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
    since_ms: u64,
}

/// Which message segments belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    key: Key,
    reference: u16,
    width: super::Reference,
    total: u8,
}

/// A message that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its octets.
    pub octets: Vec<u8>,
    /// What it is [forgotten](Joiner::forget) by once somebody has it.
    pub name: Name,
}

/// Messages that are not whole.
#[derive(Debug, Default)]
pub struct Joiner {
    open: HashMap<Name, Open>,
    order: VecDeque<Name>,
    dropped: u64,
}

impl Joiner {
    /// Takes a segment; the message once it is whole, and again for each of its segments that comes once more, until it is forgotten. A
    /// segment that is there already changes nothing.
    pub fn take(&mut self, key: Key, which: Concatenation, octets: &[u8], now_ms: u64) -> Option<Whole> {
        self.expire(now_ms);
        let octets = &octets[..octets.len().min(PART_LEN_MAX)];
        let name = Name { key, reference: which.reference, width: which.width, total: which.total };
        if which.total == 1 {
            return Some(Whole { octets: octets.to_vec(), name });
        }
        if !self.open.contains_key(&name) {
            self.make_room(&name.key.from);
            self.order.push_back(name.clone());
            let total = usize::from(which.total);
            self.open.insert(name.clone(), Open { parts: vec![None; total], missing: total, since_ms: now_ms });
        }
        let open = self.open.get_mut(&name)?;
        let place = open.parts.get_mut(usize::from(which.part).checked_sub(1)?)?;
        if place.is_none() {
            *place = Some(octets.to_vec());
            open.missing -= 1;
        }
        if open.missing > 0 {
            return None;
        }
        let octets = open.parts.iter().flatten().flatten().copied().collect();
        Some(Whole { octets, name })
    }

    /// Forgets a message that somebody has.
    pub fn forget(&mut self, name: &Name) {
        if self.open.remove(name).is_some() {
            self.order.retain(|other| other != name);
        }
    }

    /// Messages that were given up.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives a message up where a sender, or all of them, have too many.
    fn make_room(&mut self, from: &str) {
        let own = |name: &&Name| name.key.from == from;
        if self.order.iter().filter(own).count() >= OPEN_PER_SENDER_MAX {
            let oldest = self.order.iter().find(own).cloned();
            if let Some(oldest) = oldest {
                self.forget(&oldest);
                self.dropped += 1;
            }
        } else if self.open.len() >= OPEN_MAX {
            self.drop_oldest();
        }
    }

    fn expire(&mut self, now_ms: u64) {
        while let Some(oldest) = self.order.front() {
            let is_over = self.open.get(oldest).is_none_or(|open| now_ms.saturating_sub(open.since_ms) > PATIENCE_MS);
            if !is_over {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front()
            && self.open.remove(&oldest).is_some()
        {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Reference;
    use super::*;

    fn key() -> Key {
        Key { from: "491".to_owned(), to: "492".to_owned(), coding: 0 }
    }

    fn octets(whole: Option<Whole>) -> Vec<u8> {
        whole.unwrap().octets
    }

    fn which(reference: u16, total: u8, part: u8) -> Concatenation {
        Concatenation { reference, width: Reference::Eight, total, part }
    }

    #[test]
    fn segments_in_any_order_and_twice_are_one_message() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(key(), which(1, 3, 3), b"c", 0), None);
        assert_eq!(joiner.take(key(), which(1, 3, 1), b"a", 0), None);
        assert_eq!(joiner.take(key(), which(1, 3, 1), b"x", 0), None);
        // Of another message with the same reference.
        assert_eq!(joiner.take(key(), which(1, 2, 2), b"z", 0), None);
        let whole = joiner.take(key(), which(1, 3, 2), b"b", 0).unwrap();
        assert_eq!(whole.octets, b"abc");
        // The gateway was told to come again, and brings the last segment once more.
        assert_eq!(joiner.take(key(), which(1, 3, 2), b"b", 0), Some(whole.clone()));
        joiner.forget(&whole.name);
        assert_eq!(joiner.take(key(), which(1, 3, 2), b"b", 0), None);
        assert_eq!(octets(joiner.take(key(), which(9, 1, 1), b"alone", 0)), b"alone");
    }

    #[test]
    fn what_never_becomes_whole_is_given_up() {
        let mut joiner = Joiner::default();
        let of = |sender: u16| Key { from: sender.to_string(), ..key() };
        for sender in 0..2000 {
            assert_eq!(joiner.take(of(sender), which(1, 2, 1), b"a", 0), None);
        }
        assert_eq!((joiner.open.len(), joiner.order.len()), (OPEN_MAX, OPEN_MAX));
        assert_eq!(octets(joiner.take(of(1999), which(1, 2, 2), b"b", PATIENCE_MS)), b"ab");
        assert_eq!(joiner.take(of(1998), which(1, 2, 2), b"b", PATIENCE_MS + 1), None);
        assert_eq!(joiner.dropped(), 2000);
    }

    #[test]
    fn who_sends_beginnings_only_pushes_out_nobody_elses() {
        let mut joiner = Joiner::default();
        let other = || Key { from: "493".to_owned(), ..key() };
        assert_eq!(joiner.take(other(), which(1, 2, 1), b"a", 0), None);
        for reference in 0..1000 {
            assert_eq!(joiner.take(key(), which(reference, 2, 1), b"x", 0), None);
        }
        assert_eq!((joiner.open.len(), joiner.order.len()), (OPEN_PER_SENDER_MAX + 1, OPEN_PER_SENDER_MAX + 1));
        assert_eq!(octets(joiner.take(other(), which(1, 2, 2), b"b", 0)), b"ab");
        assert_eq!(octets(joiner.take(key(), which(999, 2, 2), b"y", 0)), b"xy");
    }
}
