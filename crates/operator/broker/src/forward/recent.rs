//! Ids that went by a moment ago.
//!
//! It saves the work for copies that follow at once. What it forgets, and what a restart makes it forget, the relay still knows.

use std::collections::{HashSet, VecDeque};

use rcseal_wire::id::EnvelopeId;

/// Ids that are remembered, at some hundred bytes each.
const RECENT_MAX: usize = 64 * 1024;

/// The last ids.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<EnvelopeId>,
    order: VecDeque<EnvelopeId>,
}

impl Recent {
    pub(super) fn holds(&self, id: &EnvelopeId) -> bool {
        self.known.contains(id)
    }

    pub(super) fn put(&mut self, id: EnvelopeId) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let id = |n: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            EnvelopeId::from_bytes(bytes)
        };
        let mut recent = Recent::default();
        (0..=RECENT_MAX).for_each(|n| recent.put(id(n)));
        assert!(!recent.holds(&id(0)));
        assert!(recent.holds(&id(1)) && recent.holds(&id(RECENT_MAX)));
        assert_eq!(recent.order.len(), recent.known.len());
    }
}
