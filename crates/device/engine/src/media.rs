//! Media: files as encrypted blobs.
//!
//! A blob has a key of its own, drawn fresh and used once, and travels apart from the message that holds the key. The plaintext is cut into
//! segments of [`SEGMENT_LEN`] bytes, each sealed with AES-256-GCM under a nonce of its number and a last-segment mark (the STREAM
//! construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015), so that a blob can be produced, resumed and checked piece by piece and
//! neither cut short nor re-ordered. Before sealing it is padded with zeros to a Padmé length (Nikitin et al., 2019): the server learns
//! the size to within 12 %, less for large ones. `docs/protocol/content.md` is the specification.
//!
//! Nothing here transcodes: renditions are made by the sender before encryption.

use rcseal_crypto::aead::{self, TAG_LEN};
use rcseal_crypto::hash::Sha256;
use rcseal_crypto::secret::Secret;
pub use rcseal_wire::content::MEDIA_LEN_MAX;
use rcseal_wire::id::Digest;

/// Plaintext bytes of a segment.
pub const SEGMENT_LEN: usize = 64 * 1024;
/// Ciphertext bytes of a segment.
pub const SEALED_SEGMENT_LEN: usize = SEGMENT_LEN + TAG_LEN;

const ASSOCIATED_DATA: &[u8] = b"rcseal/blob/v1";

/// Why a blob did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// Larger than [`MEDIA_LEN_MAX`].
    #[error("the file is too large: {size} bytes")]
    TooLarge {
        /// Its bytes.
        size: u64,
    },
    /// A segment is damaged, out of place, or sealed under another key.
    #[error("segment {segment} of the blob is damaged")]
    Damaged {
        /// Which, from 0.
        segment: u32,
    },
    /// The blob has fewer bytes than its reference says, or the padding is not zeros.
    #[error("the blob does not have the length its reference says")]
    Length,
    /// The ciphertext is not the one the reference names.
    #[error("the blob's digest is not the one its reference names")]
    Digest,
}

impl MediaError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "media_too_large",
            Self::Damaged { .. } => "media_damaged",
            Self::Length => "media_length",
            Self::Digest => "media_digest",
        }
    }
}

/// The padded length of a plaintext: Padmé, and at least one byte.
#[must_use]
pub const fn padded_len(size: u64) -> u64 {
    if size < 2 {
        return 1;
    }
    let exponent = size.ilog2();
    let exponent_bits = exponent.ilog2() + 1;
    let Some(low_bits) = exponent.checked_sub(exponent_bits) else { return size };
    let mask = (1u64 << low_bits) - 1;
    // Sizes come from peers; one that no blob has must not overflow.
    size.saturating_add(mask) & !mask
}

/// The ciphertext length of a plaintext: what the server sees.
#[must_use]
pub const fn sealed_len(size: u64) -> u64 {
    let padded = padded_len(size);
    padded.saturating_add(padded.div_ceil(SEGMENT_LEN as u64) * TAG_LEN as u64)
}

fn nonce(segment: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[7..11].copy_from_slice(&segment.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Seals a file, segment by segment, in order.
pub struct BlobSealer {
    key: Secret<32>,
    size: u64,
    taken: u64,
    segment: u32,
    digest: Sha256,
}

impl BlobSealer {
    /// Begins a blob of `size` plaintext bytes under a fresh key.
    ///
    /// # Errors
    /// [`MediaError::TooLarge`].
    pub fn new(key: Secret<32>, size: u64) -> Result<Self, MediaError> {
        if size > MEDIA_LEN_MAX {
            return Err(MediaError::TooLarge { size });
        }
        Ok(Self { key, size, taken: 0, segment: 0, digest: Sha256::new() })
    }

    /// Plaintext bytes that the next segment takes; `None` when the blob is complete. Fewer than [`SEGMENT_LEN`] near the end, and 0
    /// where only padding is left.
    #[must_use]
    pub fn next_len(&self) -> Option<usize> {
        let done = u64::from(self.segment) * SEGMENT_LEN as u64;
        if done >= padded_len(self.size) {
            return None;
        }
        let left = (self.size - self.taken).min(SEGMENT_LEN as u64);
        Some(usize::try_from(left).expect("at most a segment"))
    }

    /// Seals the next segment of exactly [`Self::next_len`] bytes.
    ///
    /// # Errors
    /// [`MediaError::Length`] when the segment has another length.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, MediaError> {
        if Some(plaintext.len()) != self.next_len() {
            return Err(MediaError::Length);
        }
        let padded = padded_len(self.size);
        let done = u64::from(self.segment) * SEGMENT_LEN as u64;
        let len = usize::try_from((padded - done).min(SEGMENT_LEN as u64)).expect("at most a segment");
        let last = done + len as u64 == padded;
        let mut segment = Vec::with_capacity(len + TAG_LEN);
        segment.extend_from_slice(plaintext);
        segment.resize(len, 0);
        aead::seal_in_place(&self.key, &nonce(self.segment, last), ASSOCIATED_DATA, &mut segment);
        self.digest.update(&segment);
        self.taken += plaintext.len() as u64;
        self.segment += 1;
        Ok(segment)
    }

    /// The digest of the whole ciphertext, and the key for the reference.
    ///
    /// # Errors
    /// [`MediaError::Length`] when segments are missing.
    pub fn finish(self) -> Result<(Digest, Secret<32>), MediaError> {
        if self.next_len().is_some() {
            return Err(MediaError::Length);
        }
        Ok((Digest::from_bytes(self.digest.finish()), self.key))
    }
}

/// Opens a blob, segment by segment, in order.
pub struct BlobOpener {
    key: Secret<32>,
    size: u64,
    given: u64,
    segment: u32,
    digest: Sha256,
    expected: Digest,
}

impl BlobOpener {
    /// Begins to open the blob of a reference.
    ///
    /// # Errors
    /// [`MediaError::TooLarge`].
    pub fn new(key: Secret<32>, size: u64, digest: Digest) -> Result<Self, MediaError> {
        if size > MEDIA_LEN_MAX {
            return Err(MediaError::TooLarge { size });
        }
        Ok(Self { key, size, given: 0, segment: 0, digest: Sha256::new(), expected: digest })
    }

    /// Ciphertext bytes that the next segment takes; `None` when the blob is complete.
    #[must_use]
    pub fn next_len(&self) -> Option<usize> {
        let left = padded_len(self.size).checked_sub(u64::from(self.segment) * SEGMENT_LEN as u64)?;
        if left == 0 {
            return None;
        }
        Some(usize::try_from(left.min(SEGMENT_LEN as u64)).expect("at most a segment") + TAG_LEN)
    }

    /// Opens the next segment and answers its plaintext without padding.
    ///
    /// # Errors
    /// [`MediaError::Damaged`], or [`MediaError::Length`] for a segment of another length.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, MediaError> {
        if Some(sealed.len()) != self.next_len() {
            return Err(MediaError::Length);
        }
        let done = u64::from(self.segment) * SEGMENT_LEN as u64;
        let last = done + (sealed.len() - TAG_LEN) as u64 == padded_len(self.size);
        let mut plaintext = aead::open(&self.key, &nonce(self.segment, last), ASSOCIATED_DATA, sealed)
            .map_err(|_| MediaError::Damaged { segment: self.segment })?;
        self.digest.update(sealed);
        let wanted = usize::try_from((self.size - self.given).min(SEGMENT_LEN as u64)).expect("at most a segment");
        if plaintext.iter().skip(wanted).any(|byte| *byte != 0) {
            return Err(MediaError::Length);
        }
        plaintext.truncate(wanted);
        self.given += wanted as u64;
        self.segment += 1;
        Ok(plaintext)
    }

    /// Checks that the whole blob was there and is the one that was named.
    ///
    /// # Errors
    /// [`MediaError::Length`] or [`MediaError::Digest`].
    pub fn finish(self) -> Result<(), MediaError> {
        if self.next_len().is_some() {
            return Err(MediaError::Length);
        }
        if Digest::from_bytes(self.digest.finish()) != self.expected {
            return Err(MediaError::Digest);
        }
        Ok(())
    }
}

/// Seals something short as a whole. Answers the ciphertext and its digest.
pub(crate) fn seal_whole(key: Secret<32>, plaintext: &[u8]) -> Result<(Vec<u8>, Digest), MediaError> {
    let mut sealer = BlobSealer::new(key, plaintext.len() as u64)?;
    let (mut sealed, mut rest) = (Vec::with_capacity(plaintext.len() + 2 * TAG_LEN), plaintext);
    while let Some(len) = sealer.next_len() {
        let (next, after) = rest.split_at_checked(len).ok_or(MediaError::Length)?;
        sealed.extend(sealer.seal(next)?);
        rest = after;
    }
    let (digest, _) = sealer.finish()?;
    Ok((sealed, digest))
}

/// Opens what [`seal_whole`] made.
pub(crate) fn open_whole(key: Secret<32>, size: u64, digest: Digest, sealed: &[u8]) -> Result<Vec<u8>, MediaError> {
    if sealed.len() as u64 != sealed_len(size) {
        return Err(MediaError::Length);
    }
    let mut opener = BlobOpener::new(key, size, digest)?;
    let (mut plaintext, mut rest) = (Vec::with_capacity(sealed.len()), sealed);
    while let Some(len) = opener.next_len() {
        let (next, after) = rest.split_at_checked(len).ok_or(MediaError::Length)?;
        plaintext.extend(opener.open(next)?);
        rest = after;
    }
    opener.finish()?;
    Ok(plaintext)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seal_all(plaintext: &[u8]) -> (Vec<Vec<u8>>, Digest, Secret<32>) {
        let mut sealer = BlobSealer::new(Secret::from_bytes([7; 32]), plaintext.len() as u64).unwrap();
        let (mut segments, mut at) = (Vec::new(), 0);
        while let Some(len) = sealer.next_len() {
            segments.push(sealer.seal(&plaintext[at..at + len]).unwrap());
            at += len;
        }
        let (digest, key) = sealer.finish().unwrap();
        (segments, digest, key)
    }

    #[test]
    fn blobs_round_trip_at_the_edges() {
        for size in [0, 1, 2, 100, SEGMENT_LEN - 1, SEGMENT_LEN, SEGMENT_LEN + 1, 3 * SEGMENT_LEN + 5, 1_000_003] {
            let plaintext: Vec<u8> = (0..size).map(|index| (index % 251) as u8 + 1).collect();
            let (segments, digest, key) = seal_all(&plaintext);
            assert_eq!(segments.iter().map(Vec::len).sum::<usize>() as u64, sealed_len(size as u64));
            let mut opener = BlobOpener::new(key, size as u64, digest).unwrap();
            let mut opened = Vec::new();
            for segment in &segments {
                assert_eq!(opener.next_len(), Some(segment.len()));
                opened.extend(opener.open(segment).unwrap());
            }
            opener.finish().unwrap();
            assert_eq!(opened, plaintext);
        }
    }

    #[test]
    fn a_blob_cannot_be_cut_reordered_or_swapped() {
        let plaintext = vec![1; 3 * SEGMENT_LEN];
        let (segments, digest, key) = seal_all(&plaintext);
        let mut opener = BlobOpener::new(key.duplicate(), plaintext.len() as u64, digest).unwrap();
        assert_eq!(opener.open(&segments[1]).unwrap_err(), MediaError::Damaged { segment: 0 });
        opener.open(&segments[0]).unwrap();
        assert_eq!(opener.finish().unwrap_err(), MediaError::Length);
        // Claiming a shorter file does not make a whole one of its first segments: the last-segment mark differs.
        let mut opener = BlobOpener::new(key.duplicate(), SEGMENT_LEN as u64, digest).unwrap();
        assert_eq!(opener.open(&segments[0]).unwrap_err(), MediaError::Damaged { segment: 0 });
        let mut opener = BlobOpener::new(key, plaintext.len() as u64, Digest::from_bytes([0; 32])).unwrap();
        for segment in &segments {
            opener.open(segment).unwrap();
        }
        assert_eq!(opener.finish().unwrap_err(), MediaError::Digest);
    }

    #[test]
    fn a_size_that_no_blob_has_does_not_overflow() {
        for size in [MEDIA_LEN_MAX + 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            assert!(sealed_len(size) >= padded_len(size));
            let error = BlobOpener::new(Secret::from_bytes([7; 32]), size, Digest::from_bytes([0; 32])).err();
            assert_eq!(error, Some(MediaError::TooLarge { size }));
        }
    }

    proptest::proptest! {
        #[test]
        fn padme_adds_at_most_an_eighth(size in 2u64..MEDIA_LEN_MAX) {
            let padded = padded_len(size);
            proptest::prop_assert!(padded >= size && padded - size <= size / 8);
        }
    }
}
