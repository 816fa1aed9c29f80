//! What a broker keeps of messages that pass through it: parts of frames until they join, what a relay could not take yet, what was
//! forwarded already, and what apps sent out.
//!
//! Everything here has a bound and an end. Nothing is readable by the broker that it could not read when it came in, and what waits for a
//! relay is sealed to a device already.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_wire::id::{DeviceAddress, EnvelopeId};
use rcseal_wire::number::E164;

use super::{AccountEnrolment, EnrolledDevice, NumberRecord};
use crate::{StoreError, UnixMillis};

/// Parts of one frame at most, as many as a frame is cut into.
pub const PARTS_MAX: u16 = 1024;
/// Frames that one sender has open towards one of our numbers: as many as an app would hold.
pub const FRAMES_PER_SENDER_MAX: usize = 16;
/// Bytes of parts that wait for one of our numbers.
pub const PART_BYTES_PER_NUMBER_MAX: u64 = 8 * 1024 * 1024;
/// Envelopes that wait for one device's relay.
pub const QUEUED_PER_DEVICE_MAX: u64 = 1_000;
/// Envelopes that wait for all relays: some 16 GiB if they were all of the longest, and a few of the usual length.
pub const QUEUED_MAX: u64 = 200_000;
/// Marks of what was forwarded. At some hundred bytes each they are 200 MiB.
pub const MARKS_MAX: u64 = 2_000_000;
/// Bytes of an outbound row's outcome.
pub const OUTCOME_LEN_MAX: usize = 64;

/// Which frame: parts of the same frame from another sender, or for another number, are of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameKey {
    /// Our number.
    pub to: E164,
    /// A digest of who sends, and by what kind of claim.
    pub peer: [u8; 16],
    /// The frame's own id.
    pub frame: [u8; 16],
}

/// A part as it came in.
#[derive(Clone)]
pub struct Part {
    /// Its number, from 1 on.
    pub number: u16,
    /// How many the frame has.
    pub of: u16,
    /// The part, and whatever else the caller needs to hand it on alone.
    pub row: Bytes,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} of {}, {} bytes)", self.number, self.of, self.row.len())
    }
}

/// What became of a part.
#[derive(Debug, Clone)]
pub enum PartOutcome {
    /// Durable; others are missing.
    Waiting,
    /// All are there, in order. They stay until [`Settle::joined`] takes them away.
    Complete(Vec<Part>),
    /// Another part stands under this number, or the frame is said to have another count of parts.
    Mixed,
    /// There is no room for it.
    Full,
}

/// An open frame that is older than asked for.
#[derive(Debug, Clone)]
pub struct OpenFrame {
    /// Which.
    pub key: FrameKey,
    /// When its first part came.
    pub since: UnixMillis,
    /// What is there of it.
    pub parts: Vec<Part>,
}

impl OpenFrame {
    /// Where it stands in a walk.
    #[must_use]
    pub fn place(&self) -> FramePlace {
        FramePlace { since: self.since, key: self.key.clone() }
    }
}

/// Where a walk through open frames stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePlace {
    pub(crate) since: UnixMillis,
    pub(crate) key: FrameKey,
}

/// How much of open frames is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimit {
    /// Frames.
    pub frames: usize,
    /// Bytes of their parts; the first frame comes whatever its length.
    pub bytes: u64,
}

/// An envelope that waits for a relay. Where to, and by whose leave, is looked up when it goes.
#[derive(Clone)]
pub struct Queued {
    /// The device that it is for.
    pub device: DeviceAddress,
    /// Its id at the relay.
    pub id: EnvelopeId,
    /// When it is dropped.
    pub expires_at: UnixMillis,
    /// What the relay gets.
    pub envelope: Bytes,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queued({} bytes)", self.envelope.len())
    }
}

/// Where a walk through the queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuePlace(pub(crate) [u8; 33]);

/// Several things about one message that become true together.
#[derive(Debug, Clone, Default)]
pub struct Settle {
    /// Waits for a relay from now on.
    pub queue: Option<Queued>,
    /// Were forwarded, or wait: a second copy is dropped until then.
    pub marks: Vec<(EnvelopeId, UnixMillis)>,
    /// Its parts can go.
    pub joined: Option<FrameKey>,
}

/// What became of a [`Settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleOutcome {
    /// All of it.
    Done,
    /// None of it: too much waits for this device, or in all.
    QueueFull,
}

/// What an app sent out, by the id that it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboundState {
    /// Not seen before; it is noted down as begun.
    New,
    /// Begun, and its outcome was never noted: it may have left.
    Begun,
    /// Done, with this outcome.
    Done(Bytes),
    /// The id was used for something else.
    Conflict,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardUsage {
    /// Envelopes that wait for relays.
    pub queued: u64,
    /// Marks of what was forwarded.
    pub marks: u64,
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardExpired {
    /// Envelopes that no relay took in time.
    pub dropped: u64,
    /// Marks that were forgotten, of forwarded and of sent messages.
    pub forgotten: u64,
    /// Whether the budget ran out before the work did.
    pub more: bool,
}

/// A number, and what is stored of the device that it is bound to.
#[derive(Debug)]
pub struct BoundNumber {
    /// The number.
    pub number: NumberRecord,
    /// The device and its account, as long as both are enrolled.
    pub enrolled: Option<(AccountEnrolment, EnrolledDevice)>,
}

/// Messages in passing. Every method that changes something is one transaction, durable when it returns `Ok`, and may be repeated unchanged
/// after an error.
#[async_trait]
pub trait ForwardStore: Send + Sync {
    /// A number with its device, read at one moment; `None` where it was never bound. What is asked for every message.
    async fn bound_number(&self, number: E164) -> Result<Option<BoundNumber>, StoreError>;

    /// Keeps a part. Repeating one is no error: it answers as the first time, or [`PartOutcome::Complete`] once more where its frame is whole.
    async fn take_part(&self, key: FrameKey, part: Part, now: UnixMillis) -> Result<PartOutcome, StoreError>;

    /// Frames whose first part came at or before `before`, oldest first, behind `after`.
    async fn open_frames(
        &self,
        before: UnixMillis,
        after: Option<FramePlace>,
        limit: FrameLimit,
    ) -> Result<Vec<OpenFrame>, StoreError>;

    /// Whether a message was forwarded, or waits. A mark past its end may still be found until it is swept.
    async fn is_marked(&self, id: EnvelopeId) -> Result<bool, StoreError>;

    /// Makes it all true, or none of it.
    async fn settle(&self, settle: Settle) -> Result<SettleOutcome, StoreError>;

    /// Marks many at once. A mark more than [`MARKS_MAX`] pushes the one out that would end next, at the next sweep.
    async fn mark(&self, marks: Vec<(EnvelopeId, UnixMillis)>) -> Result<(), StoreError>;

    /// What waits, by device and then by id, behind `after`.
    async fn queued(&self, after: Option<QueuePlace>, budget: usize) -> Result<Vec<(QueuePlace, Queued)>, StoreError>;

    /// Takes from the queue what a relay took, or never will.
    async fn unqueue(&self, places: Vec<QueuePlace>) -> Result<(), StoreError>;

    /// Begins to send something out. `digest` is over all that is sent.
    async fn begin_outbound(
        &self,
        device: DeviceAddress,
        id: [u8; 16],
        digest: [u8; 16],
        expires_at: UnixMillis,
    ) -> Result<OutboundState, StoreError>;

    /// Notes the outcome down, of at most [`OUTCOME_LEN_MAX`] bytes.
    async fn end_outbound(&self, device: DeviceAddress, id: [u8; 16], outcome: Bytes) -> Result<(), StoreError>;

    /// Drops what expired at or before `now`, at most `budget` entries.
    async fn expire_forwards(&self, now: UnixMillis, budget: usize) -> Result<ForwardExpired, StoreError>;

    /// How much waits.
    async fn forward_usage(&self) -> Result<ForwardUsage, StoreError>;
}
