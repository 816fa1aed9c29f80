//! Receipts of segments, until one can say what became of the message.
//!
//! An SMSC gives each segment an id and sends a receipt for each. A message is delivered when all its segments are; it has failed as soon as
//! one of them has, because no phone shows the rest. Messages of one segment need none of this. A group outlives its report, so that receipts
//! that come behind it say nothing new; the oldest groups are given up for newer ones. It does not outlive the process: a receipt of a segment
//! whose group is gone is reported under the segment's own id, and [`Groups::restore`] takes a group back from whoever has kept the ids.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::config::ReceiptIds;
use super::receipt::{answered_form, same_form};
use crate::sms::{GatewayId, ReportState};

#[derive(Debug)]
struct Group {
    ids: Vec<Option<GatewayId>>,
    delivered: Vec<bool>,
    failed: Option<ReportState>,
    is_reported: bool,
}

type Shared = Arc<Mutex<Group>>;

/// What a receipt of a segment says of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is how it ended, under the id that the caller knows.
    Ended(GatewayId, ReportState),
    /// Nothing yet, or nothing new.
    Nothing,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<GatewayId, (Shared, usize)>,
    order: VecDeque<GatewayId>,
}

/// All groups of a client.
pub(super) struct Groups {
    inner: Arc<Mutex<Inner>>,
    ids: ReceiptIds,
    max: usize,
}

/// One segment that is being submitted, and where its id belongs.
pub(super) struct Segment {
    groups: Arc<Mutex<Inner>>,
    group: Shared,
    place: usize,
    ids: ReceiptIds,
    max: usize,
}

/// A message that is being submitted in segments.
pub(super) struct Open(Shared);

impl Groups {
    pub(super) fn new(ids: ReceiptIds, max: usize) -> Self {
        Self { inner: Arc::default(), ids, max: max.max(1) }
    }

    /// A message of so many segments.
    pub(super) fn open(segments: usize) -> Open {
        let group =
            Group { ids: vec![None; segments], delivered: vec![false; segments], failed: None, is_reported: false };
        Open(Arc::new(Mutex::new(group)))
    }

    /// The segment at a place of a message.
    pub(super) fn segment(&self, open: &Open, place: usize) -> Segment {
        let group = Arc::clone(&open.0);
        Segment { groups: Arc::clone(&self.inner), group, place, ids: self.ids, max: self.max }
    }

    /// Takes a group back, from before a restart.
    pub(super) fn restore(&self, ids: &[GatewayId]) {
        let open = Self::open(ids.len());
        for (place, id) in ids.iter().enumerate() {
            self.segment(&open, place).taken_as(id);
        }
    }

    /// What the receipt of a segment says of its message. An id that nobody knows here stands for itself.
    pub(super) fn receipt(&self, id: &GatewayId, state: ReportState) -> Verdict {
        let id = same_form(id, self.ids);
        let known = lock(&self.inner).by_id.get(&id).cloned();
        let Some((group, place)) = known else { return Verdict::Ended(id, state) };
        let mut group = lock(&group);
        if group.is_reported {
            return Verdict::Nothing;
        }
        match state {
            ReportState::Delivered => {
                if let Some(delivered) = group.delivered.get_mut(place) {
                    *delivered = true;
                }
            }
            failed => group.failed = group.failed.or(Some(failed)),
        }
        let state = match group.failed {
            Some(failed) => failed,
            None if group.delivered.iter().all(|delivered| *delivered) => ReportState::Delivered,
            None => return Verdict::Nothing,
        };
        group.ids.first().cloned().flatten().map_or(Verdict::Nothing, |first| Verdict::Ended(first, state))
    }

    /// Notes that somebody has the report of a message.
    pub(super) fn reported(inner: &GroupsHandle, id: &GatewayId) {
        let known = lock(&inner.0).by_id.get(id).cloned();
        if let Some((group, _)) = known {
            lock(&group).is_reported = true;
        }
    }

    /// For whoever answers later.
    pub(super) fn handle(&self) -> GroupsHandle {
        GroupsHandle(Arc::clone(&self.inner))
    }

    /// The id of an answer, as receipts will name it.
    pub(super) fn answered(&self, id: GatewayId) -> GatewayId {
        answered_form(id, self.ids)
    }
}

/// The groups, held by a report that nobody has taken yet.
pub(super) struct GroupsHandle(Arc<Mutex<Inner>>);

impl Segment {
    /// The SMSC has taken it under this id.
    pub(super) fn taken_as(&self, id: &GatewayId) {
        let id = answered_form(id.clone(), self.ids);
        if let Some(place) = lock(&self.group).ids.get_mut(self.place) {
            *place = Some(id.clone());
        }
        let mut inner = lock(&self.groups);
        if inner.by_id.insert(id.clone(), (Arc::clone(&self.group), self.place)).is_none() {
            inner.order.push_back(id);
        }
        while inner.order.len() > self.max {
            if let Some(oldest) = inner.order.pop_front() {
                inner.by_id.remove(&oldest);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(text: &str) -> GatewayId {
        GatewayId::parse(text).unwrap()
    }

    fn of_three(groups: &Groups) {
        groups.restore(&[id("a"), id("b"), id("c")]);
    }

    #[test]
    fn a_message_is_delivered_when_all_its_segments_are() {
        let groups = Groups::new(ReceiptIds::Same, 100);
        of_three(&groups);
        assert_eq!(groups.receipt(&id("c"), ReportState::Delivered), Verdict::Nothing);
        assert_eq!(groups.receipt(&id("c"), ReportState::Delivered), Verdict::Nothing);
        assert_eq!(groups.receipt(&id("a"), ReportState::Delivered), Verdict::Nothing);
        let ended = Verdict::Ended(id("a"), ReportState::Delivered);
        assert_eq!(groups.receipt(&id("b"), ReportState::Delivered), ended);
        // Nobody took the report: the SMSC comes again, and so does the report.
        assert_eq!(groups.receipt(&id("b"), ReportState::Delivered), ended);
        Groups::reported(&groups.handle(), &id("a"));
        assert_eq!(groups.receipt(&id("b"), ReportState::Delivered), Verdict::Nothing);
    }

    #[test]
    fn a_message_has_failed_once_a_segment_has() {
        let groups = Groups::new(ReceiptIds::Same, 100);
        of_three(&groups);
        let ended = Verdict::Ended(id("a"), ReportState::Expired);
        assert_eq!(groups.receipt(&id("b"), ReportState::Expired), ended);
        Groups::reported(&groups.handle(), &id("a"));
        assert_eq!(groups.receipt(&id("a"), ReportState::Delivered), Verdict::Nothing);
    }

    #[test]
    fn an_unknown_id_stands_for_itself_and_old_groups_give_way() {
        let groups = Groups::new(ReceiptIds::Same, 3);
        of_three(&groups);
        let ended = |text: &str| Verdict::Ended(id(text), ReportState::Delivered);
        assert_eq!(groups.receipt(&id("x"), ReportState::Delivered), ended("x"));
        groups.restore(&[id("d"), id("e")]);
        assert_eq!(groups.receipt(&id("a"), ReportState::Delivered), ended("a"));
    }

    #[test]
    fn ids_are_compared_in_one_form() {
        let groups = Groups::new(ReceiptIds::DecimalInReceipts, 100);
        groups.restore(&[id("0A"), id("0B")]);
        assert_eq!(groups.receipt(&id("10"), ReportState::Delivered), Verdict::Nothing);
        assert_eq!(groups.receipt(&id("11"), ReportState::Delivered), Verdict::Ended(id("a"), ReportState::Delivered));
    }
}
