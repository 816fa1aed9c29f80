//! Puts parts together.
//!
//! An assembly belongs to whoever may send to it: one per peer, so that no stranger's parts push another's out. It holds parts of
//! unfinished frames within [`AssemblyLimits`] and remembers the frames that were finished. It is pure: the time is an argument, and a
//! caller that keeps parts across restarts keeps [`Part::as_bytes`] and adds them again.
//!
//! A frame is *open* from its first part, *finished* with its last, or *lost*: too old, pushed out, or wrong as a whole. Parts may come in any
//! order and several times. A part that disagrees with an open frame is refused and changes nothing: which of the two is
//! genuine cannot be known here, and the blob's own authentication decides once a frame is whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::damage::Damage;
use super::part::{FrameId, Kind, Part, whole_check};

/// What an assembly holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblyLimits {
    /// Open frames.
    pub frames: usize,
    /// Bytes of their parts.
    pub bytes: usize,
    /// How long a frame stays open after its first part, in milliseconds.
    pub age_ms: u64,
    /// Finished frames that are remembered.
    pub finished: usize,
}

impl Default for AssemblyLimits {
    /// Sixteen messages under way at once; two of the longest blobs; a week, as long as carriers keep messages for phones that are off;
    /// a thousand finished frames, at sixteen bytes each.
    fn default() -> Self {
        Self { frames: 16, bytes: 2 * super::BLOB_LEN_MAX, age_ms: 7 * 24 * 60 * 60 * 1000, finished: 1024 }
    }
}

/// A whole blob: where it came in one part, in the body that it was found in.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob<'a> {
    /// What it is.
    pub kind: Kind,
    /// The frame it came in.
    pub id: FrameId,
    /// Its bytes: a ciphertext.
    pub bytes: Cow<'a, [u8]>,
}

impl Blob<'_> {
    /// The same in memory of its own.
    #[must_use]
    pub fn into_owned(self) -> Blob<'static> {
        Blob { kind: self.kind, id: self.id, bytes: Cow::Owned(self.bytes.into_owned()) }
    }
}

impl core::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Blob({:?}, {:?}, {} bytes)", self.id, self.kind, self.bytes.len())
    }
}

/// What a part led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The frame is open.
    Waiting {
        /// Parts that are there.
        have: u16,
        /// Parts it has.
        of: u16,
    },
    /// The frame is finished.
    Complete(Blob<'a>),
    /// The very part is there already.
    Duplicate,
}

/// Why a frame was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// Its last part did not come in time.
    Aged,
    /// Others needed the room.
    Evicted,
    /// The whole did not match its check.
    Corrupt,
}

impl LostReason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Aged => "frame_aged",
            Self::Evicted => "frame_evicted",
            Self::Corrupt => "frame_whole_corrupt",
        }
    }
}

/// A frame that was given up. Parts that were kept of it can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Which.
    pub id: FrameId,
    /// Parts that were there.
    pub have: u16,
    /// Parts it has.
    pub of: u16,
    /// Why.
    pub reason: LostReason,
}

/// An open frame: its parts by number, never none.
struct Open {
    since_ms: u64,
    parts: BTreeMap<u16, Part<'static>>,
    bytes: usize,
    of: u16,
}

impl Open {
    fn lost(&self, id: FrameId, reason: LostReason) -> Lost {
        let have = u16::try_from(self.parts.len()).expect("parts are told apart by a u16 from 1 on");
        Lost { id, have, of: self.of, reason }
    }
}

fn first_of(open: &Open) -> &Part<'static> {
    open.parts.values().next().expect("a frame is opened with a part, and parts leave with their frame")
}

/// Parts on their way to being blobs.
pub struct Assembly {
    limits: AssemblyLimits,
    open: BTreeMap<FrameId, Open>,
    bytes: usize,
    finished: BTreeSet<FrameId>,
    finished_order: VecDeque<FrameId>,
    lost: Vec<Lost>,
}

impl Assembly {
    /// An empty assembly.
    #[must_use]
    pub fn new(limits: AssemblyLimits) -> Self {
        Self {
            limits,
            open: BTreeMap::new(),
            bytes: 0,
            finished: BTreeSet::new(),
            finished_order: VecDeque::new(),
            lost: Vec::new(),
        }
    }

    /// Takes a part that arrived at `now_ms`. Frames that are too old are given up first, and the oldest where this part needs room:
    /// [`Self::take_lost`] names them.
    ///
    /// # Errors
    /// [`Damage::Replay`] for a frame that is finished, [`Damage::MixedParts`] for a part that disagrees with the open frame,
    /// [`Damage::WholeCorrupt`] if the last part makes a whole that is wrong (the frame is then lost), [`Damage::TooLarge`] if the
    /// limits have no room for this part at all.
    pub fn add<'a>(&mut self, part: Part<'a>, now_ms: u64) -> Result<Progress<'a>, Damage> {
        let id = part.id();
        if self.finished.contains(&id) {
            return Err(Damage::Replay { frame: id });
        }
        self.give_up_aged(now_ms);
        if part.of() == 1 && !self.open.contains_key(&id) {
            let is_whole = whole_check([part.digest()].into_iter()) == part.whole_check();
            return self.finish(is_whole, 1, Blob { kind: part.kind(), id, bytes: part.into_payload() });
        }
        if let Some(open) = self.open.get(&id) {
            if !first_of(open).is_of_same_frame(&part) {
                return Err(Damage::MixedParts { frame: id });
            }
            match open.parts.get(&part.number()) {
                Some(known) if *known == part => return Ok(Progress::Duplicate),
                Some(_) => return Err(Damage::MixedParts { frame: id }),
                None => {}
            }
        }
        let len = part.as_bytes().len();
        self.make_room(id, len)?;
        let (of, number, kind) = (part.of(), part.number(), part.kind());
        let open =
            self.open.entry(id).or_insert_with(|| Open { since_ms: now_ms, parts: BTreeMap::new(), bytes: 0, of });
        open.bytes += len;
        self.bytes += len;
        open.parts.insert(number, part.into_owned());
        let have = u16::try_from(open.parts.len()).expect("parts are told apart by a u16 from 1 on");
        if have < of {
            return Ok(Progress::Waiting { have, of });
        }
        let open = self.open.remove(&id).expect("it was just there");
        self.bytes -= open.bytes;
        let first = first_of(&open);
        let is_whole = whole_check(open.parts.values().map(Part::digest)) == first.whole_check();
        let mut bytes = Vec::with_capacity(first.whole_len());
        open.parts.values().for_each(|part| bytes.extend_from_slice(part.payload()));
        self.finish(is_whole, of, Blob { kind, id, bytes: Cow::Owned(bytes) })
    }

    /// Decides over a blob whose parts are all there.
    fn finish<'a>(&mut self, is_whole: bool, of: u16, blob: Blob<'a>) -> Result<Progress<'a>, Damage> {
        let id = blob.id;
        if !is_whole {
            self.lost.push(Lost { id, have: of, of, reason: LostReason::Corrupt });
            return Err(Damage::WholeCorrupt { frame: id });
        }
        self.mark_finished(id);
        Ok(Progress::Complete(blob))
    }

    /// Remembers that a frame is finished, as a caller does after a restart. The oldest is forgotten first.
    pub fn mark_finished(&mut self, id: FrameId) {
        if !self.finished.insert(id) {
            return;
        }
        self.finished_order.push_back(id);
        if self.finished_order.len() > self.limits.finished
            && let Some(oldest) = self.finished_order.pop_front()
        {
            self.finished.remove(&oldest);
        }
    }

    /// Gives up frames whose first part is too old.
    pub fn expire(&mut self, now_ms: u64) {
        self.give_up_aged(now_ms);
    }

    /// Frames that were given up since this was asked last.
    #[must_use]
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Open frames.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Bytes of parts that are held.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn give_up_aged(&mut self, now_ms: u64) {
        let age_ms = self.limits.age_ms;
        let is_aged = |open: &Open| now_ms.saturating_sub(open.since_ms) > age_ms;
        let aged: Vec<FrameId> = self.open.iter().filter(|(_, open)| is_aged(open)).map(|(id, _)| *id).collect();
        aged.into_iter().for_each(|id| self.give_up(id, LostReason::Aged));
    }

    /// Room for `len` bytes of frame `id`: the frames whose first part is the oldest go, never `id` itself.
    fn make_room(&mut self, id: FrameId, len: usize) -> Result<(), Damage> {
        let own = self.open.get(&id).map_or(0, |open| open.bytes);
        if own + len > self.limits.bytes || self.limits.frames == 0 {
            return Err(Damage::TooLarge { len: own + len, max: self.limits.bytes });
        }
        let is_new = !self.open.contains_key(&id);
        while self.bytes + len > self.limits.bytes || (is_new && self.open.len() >= self.limits.frames) {
            let others = self.open.iter().filter(|(other, _)| **other != id);
            let Some((oldest, _)) = others.min_by_key(|(_, open)| open.since_ms) else { break };
            let oldest = *oldest;
            self.give_up(oldest, LostReason::Evicted);
        }
        Ok(())
    }

    fn give_up(&mut self, id: FrameId, reason: LostReason) {
        if let Some(open) = self.open.remove(&id) {
            self.bytes -= open.bytes;
            self.lost.push(open.lost(id, reason));
        }
    }
}

impl core::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Assembly({} open, {} bytes, {} finished)", self.open.len(), self.bytes, self.finished.len())
    }
}
