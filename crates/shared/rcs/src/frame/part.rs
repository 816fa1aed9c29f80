//! One part of a frame: its bytes, and what they say of themselves.
//!
//! ```text
//! magic 6 · canary 4 · version 1 · kind 1 · frame id 16 · number 2 · of 2 · whole length 4 · whole check 16 · payload · part check 8
//! ```
//!
//! Offset and length of a payload are not written: they follow from number, count and whole length ([`Cut`]), so that no part can
//! claim a place that its frame does not have. The magic begins the text form too, which is the same bytes in base64.

use std::borrow::Cow;
use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::damage::Damage;
use super::text;
use super::{BLOB_LEN_MAX, FRAME_VERSION, PART_OVERHEAD, PARTS_MAX};
use crate::transport::{Carriage, TransportProfile};

/// Begins every part. In base64 it reads `RCSealed`; two of its bytes are no ASCII and no UTF-8, so that it stands in no text by chance.
pub(super) const MAGIC: [u8; 6] = [0x44, 0x24, 0x9e, 0x6a, 0x57, 0x9d];

/// Follows the magic: whoever rewrites line ends changes it, and is named for it.
pub(super) const CANARY: [u8; 4] = [0x0d, 0x0a, 0x1a, 0x0a];

/// What becomes of the canary under rewriting of line ends, in both directions and to old single returns.
const REWRITTEN: &[&[u8]] = &[
    &[0x0a, 0x1a, 0x0a],
    &[0x0d, 0x0a, 0x1a, 0x0d, 0x0a],
    &[0x0d, 0x0d, 0x0a, 0x1a, 0x0d, 0x0a],
    &[0x0d, 0x1a, 0x0d],
    &[0x0d, 0x0d, 0x1a, 0x0d],
    &[0x0a, 0x0a, 0x1a, 0x0a],
];

const VERSION_AT: usize = 10;
const KIND_AT: usize = 11;
const ID_AT: usize = 12;
const NUMBER_AT: usize = 28;
const OF_AT: usize = 30;
const WHOLE_LEN_AT: usize = 32;
const WHOLE_CHECK_AT: usize = 36;
const PAYLOAD_AT: usize = 52;
const CHECK_LEN: usize = 8;

/// So many bytes say how long the part is. A multiple of three, so that as text they are whole characters.
pub(super) const PREFIX_LEN: usize = WHOLE_CHECK_AT;

/// Which frame a part is of: random, chosen by whoever splits, never used twice, not even for the same blob cut anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId([u8; 16]);

impl FrameId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// An id of random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// What a frame carries. Both are ciphertexts: a reference's address and key are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An envelope of `docs/protocol/envelope.md`.
    Envelope,
    /// An envelope whose content says where the real one is kept.
    BlobReference,
}

impl Kind {
    /// Its byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Envelope => 1,
            Self::BlobReference => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Envelope),
            2 => Some(Self::BlobReference),
            _ => None,
        }
    }
}

/// How a blob is cut: all parts but the last have the same length, the least that so many parts allow.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    whole_len: usize,
    of: u16,
    step: usize,
}

impl Cut {
    /// The cut of `whole_len` bytes into `of` parts; `None` if a part would be empty.
    pub(super) fn new(whole_len: usize, of: u16) -> Option<Self> {
        let step = whole_len.div_ceil(usize::from(of).max(1));
        let is_sound = of > 0 && whole_len > 0 && whole_len.div_ceil(step) == usize::from(of);
        is_sound.then_some(Self { whole_len, of, step })
    }

    /// Where the payload of part `number` (from 1) lies.
    pub(super) fn range(&self, number: u16) -> core::ops::Range<usize> {
        let start = usize::from(number - 1) * self.step;
        start..self.whole_len.min(start + self.step)
    }
}

/// The digest of a part's payload. Both checks are over digests, so that a blob is hashed once by whoever splits and once by whoever finds.
pub(super) type Digest = [u8; 16];

pub(super) fn digest(payload: &[u8]) -> Digest {
    xxh3_128(payload).to_be_bytes()
}

/// The check of a whole: over the digests of its parts' payloads, in order.
pub(super) fn whole_check(digests: impl Iterator<Item = Digest>) -> [u8; 16] {
    let digests: Vec<u8> = digests.flatten().collect();
    xxh3_128(&digests).to_be_bytes()
}

/// The check of a part: over everything before its payload, and the payload's digest.
fn part_check(header: &[u8; PAYLOAD_AT], digest: Digest) -> [u8; CHECK_LEN] {
    let mut checked = [0; PAYLOAD_AT + 16];
    checked[..PAYLOAD_AT].copy_from_slice(header);
    checked[PAYLOAD_AT..].copy_from_slice(&digest);
    xxh3_64(&checked).to_be_bytes()
}

/// How long the part is that begins with `prefix`, in bytes. The fields are not verified: a part is, once it is there.
///
/// # Errors
/// A [`Damage`] that shows in the prefix; [`Damage::Truncated`] if it is shorter than [`PREFIX_LEN`].
pub(super) fn claimed_len(prefix: &[u8]) -> Result<usize, Damage> {
    let behind_magic = prefix.get(MAGIC.len()..).unwrap_or_default();
    if behind_magic.len() >= CANARY.len() && !behind_magic.starts_with(&CANARY) {
        let is_rewritten = REWRITTEN.iter().any(|form| behind_magic.starts_with(form));
        return Err(if is_rewritten { Damage::LineEndings } else { Damage::Corrupt });
    }
    match prefix.get(VERSION_AT) {
        Some(&FRAME_VERSION) => {}
        Some(&version) => return Err(Damage::UnknownVersion { version }),
        None => return Err(Damage::Truncated { expected: PART_OVERHEAD + 1, found: prefix.len() }),
    }
    let Some(prefix) = prefix.first_chunk::<PREFIX_LEN>() else {
        return Err(Damage::Truncated { expected: PART_OVERHEAD + 1, found: prefix.len() });
    };
    let (number, of, whole_len) = (u16_at(prefix, NUMBER_AT), u16_at(prefix, OF_AT), len_at(prefix));
    if whole_len > BLOB_LEN_MAX {
        return Err(Damage::TooLarge { len: whole_len, max: BLOB_LEN_MAX });
    }
    if number == 0 || number > of || of > PARTS_MAX {
        return Err(Damage::Malformed);
    }
    let cut = Cut::new(whole_len, of).ok_or(Damage::Malformed)?;
    Ok(PART_OVERHEAD + cut.range(number).len())
}

fn u16_at(bytes: &[u8; PREFIX_LEN], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn len_at(bytes: &[u8; PREFIX_LEN]) -> usize {
    let at = WHOLE_LEN_AT;
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// What all parts of a frame are written from.
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) id: FrameId,
    pub(super) cut: Cut,
    pub(super) blob: &'a [u8],
    pub(super) whole_check: [u8; 16],
}

/// A sound part: its header agrees with itself, and its check holds. One that was found as bytes is a piece of the body that it was found in:
/// a blob of one part is opened where it arrived.
#[derive(Clone, PartialEq, Eq)]
pub struct Part<'a> {
    bytes: Cow<'a, [u8]>,
    fields: Fields,
}

/// What is looked up often of a sound part: what its header says, and its payload's digest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fields {
    kind: Kind,
    number: u16,
    of: u16,
    whole_len: usize,
    digest: Digest,
}

impl Fields {
    fn verify(bytes: &[u8]) -> Result<Self, Damage> {
        let truncated = Damage::Truncated { expected: PART_OVERHEAD + 1, found: bytes.len() };
        let (checked, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(truncated)?;
        let (header, payload) = checked.split_first_chunk::<PAYLOAD_AT>().ok_or(truncated)?;
        let prefix = header.first_chunk::<PREFIX_LEN>().ok_or(truncated)?;
        let digest = digest(payload);
        if part_check(header, digest) != *check {
            return Err(Damage::Corrupt);
        }
        let code = prefix[KIND_AT];
        let kind = Kind::from_code(code).ok_or(Damage::UnknownKind { kind: code })?;
        let (number, of, whole_len) = (u16_at(prefix, NUMBER_AT), u16_at(prefix, OF_AT), len_at(prefix));
        Ok(Self { kind, number, of, whole_len, digest })
    }
}

impl<'a> Part<'a> {
    /// Part `number` of `blob`, whose payload has this digest.
    pub(super) fn write(frame: &Frame<'_>, number: u16, digest: Digest) -> Self {
        let Frame { kind, id, cut, blob, whole_check } = *frame;
        let payload = &blob[cut.range(number)];
        let len = u32::try_from(cut.whole_len).expect("a cut is of a blob, and blobs have at most a MiB");
        let mut header = [0; PAYLOAD_AT];
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        header[MAGIC.len()..VERSION_AT].copy_from_slice(&CANARY);
        header[VERSION_AT] = FRAME_VERSION;
        header[KIND_AT] = kind.code();
        header[ID_AT..NUMBER_AT].copy_from_slice(&id.0);
        header[NUMBER_AT..OF_AT].copy_from_slice(&number.to_be_bytes());
        header[OF_AT..WHOLE_LEN_AT].copy_from_slice(&cut.of.to_be_bytes());
        header[WHOLE_LEN_AT..WHOLE_CHECK_AT].copy_from_slice(&len.to_be_bytes());
        header[WHOLE_CHECK_AT..].copy_from_slice(&whole_check);
        let mut bytes = Vec::with_capacity(PART_OVERHEAD + payload.len());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&part_check(&header, digest));
        Self { bytes: Cow::Owned(bytes), fields: Fields { kind, number, of: cut.of, whole_len: cut.whole_len, digest } }
    }

    /// The part that `bytes` are, no more and no less: for parts that were kept.
    ///
    /// # Errors
    /// The [`Damage`]; bytes behind the part are [`Damage::Corrupt`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        if bytes.len() >= MAGIC.len() && !bytes.starts_with(&MAGIC) {
            return Err(Damage::Unrecognisable);
        }
        let len = claimed_len(bytes)?;
        if bytes.len() < len {
            return Err(Damage::Truncated { expected: len, found: bytes.len() });
        }
        if bytes.len() > len { Err(Damage::Corrupt) } else { Self::verify(bytes) }
    }

    /// The part at the beginning of `bytes`, which begin with the magic.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        let len = claimed_len(bytes)?;
        let part = bytes.get(..len).ok_or(Damage::Truncated { expected: len, found: bytes.len() })?;
        Self::verify(part)
    }

    /// Makes a part of bytes whose length is the one they claim.
    pub(super) fn verify(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, Damage> {
        let bytes = bytes.into();
        let fields = Fields::verify(&bytes)?;
        Ok(Self { bytes, fields })
    }

    /// The same part in memory of its own, to be kept for longer than the body.
    #[must_use]
    pub fn into_owned(self) -> Part<'static> {
        Part { bytes: Cow::Owned(self.bytes.into_owned()), fields: self.fields }
    }

    /// Its binary form: what is kept, and what a transport that is safe for binary carries.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its binary form, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// Its text form: the same bytes in base64, one line, without padding.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::write(&self.bytes)
    }

    /// What is handed to a transport: bytes where they arrive as they are, text elsewhere.
    #[must_use]
    pub fn carriage(&self, profile: &TransportProfile) -> Carriage {
        if profile.is_binary_safe {
            Carriage::Framed { is_text: false, bytes: self.bytes.to_vec() }
        } else {
            Carriage::Framed { is_text: true, bytes: self.to_text().into_bytes() }
        }
    }

    /// The frame it is of.
    #[must_use]
    pub fn id(&self) -> FrameId {
        let id = self.bytes[ID_AT..].first_chunk::<{ FrameId::LEN }>();
        FrameId(*id.expect("a part is longer than its header"))
    }

    /// What the frame carries.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.fields.kind
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.fields.number
    }

    /// How many parts the frame has.
    #[must_use]
    pub const fn of(&self) -> u16 {
        self.fields.of
    }

    /// How long the whole blob is.
    #[must_use]
    pub const fn whole_len(&self) -> usize {
        self.fields.whole_len
    }

    /// Its piece of the blob.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[PAYLOAD_AT..self.bytes.len() - CHECK_LEN]
    }

    /// What all parts of a frame have in common: everything in front of the payload but the number.
    pub(super) fn is_of_same_frame(&self, other: &Part<'_>) -> bool {
        let (ours, theirs) = (&self.bytes, &other.bytes);
        ours[..NUMBER_AT] == theirs[..NUMBER_AT] && ours[OF_AT..PAYLOAD_AT] == theirs[OF_AT..PAYLOAD_AT]
    }

    /// What the check of the whole should be.
    pub(super) fn whole_check(&self) -> [u8; 16] {
        let check = self.bytes[WHOLE_CHECK_AT..].first_chunk();
        *check.expect("a part is longer than its header")
    }

    /// The digest of its payload.
    pub(super) const fn digest(&self) -> Digest {
        self.fields.digest
    }

    /// Its piece of the blob, in the memory that held the part.
    pub(super) fn into_payload(self) -> Cow<'a, [u8]> {
        let payload = PAYLOAD_AT..self.bytes.len() - CHECK_LEN;
        match self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[payload]),
            Cow::Owned(mut bytes) => {
                bytes.truncate(payload.end);
                bytes.drain(..payload.start);
                Cow::Owned(bytes)
            }
        }
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { kind, number, of, whole_len, .. } = self.fields;
        write!(f, "Part({:?}, {kind:?}, {number} of {of}, whole of {whole_len})", self.id())
    }
}
