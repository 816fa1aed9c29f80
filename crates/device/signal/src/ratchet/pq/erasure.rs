//! The erasure code: a payload of k chunks becomes 65,536 chunks, of which any k restore it.
//!
//! Systematic Reed-Solomon over GF(2^16). A chunk is sixteen big-endian elements; element j of chunk i is the value at x = i of the
//! polynomial of degree below k that runs through element j of the payload's chunks at x = 0 .. k-1. So chunks 0 .. k-1 are the payload,
//! and all others are parity. Every payload is a whole number of chunks, and k is part of the type: chunks of a header cannot end up in a
//! ciphertext's decoder.
//!
//! The code protects against loss only. Whether what comes out is genuine is for a MAC to say.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::gf::{self, LANES};

/// Bytes of a chunk.
pub(crate) const CHUNK_LEN: usize = 2 * LANES;

/// A payload of `K` chunks.
pub(crate) type Payload<const K: usize> = [[u8; CHUNK_LEN]; K];

/// One chunk as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) index: u16,
    pub(crate) bytes: [u8; CHUNK_LEN],
}

/// Which chunk an encoder sends next. Counts through all indices once and then stops: the code has no further points, and a peer that
/// did not get k of 65,536 chunks is not helped by the same ones again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Position(u32);

impl Position {
    /// All chunks have been sent.
    const END: u32 = 1 << 16;

    /// The index to send, and one further.
    pub(crate) fn next(&mut self) -> Option<u16> {
        let index = u16::try_from(self.0).ok()?;
        self.0 += 1;
        Some(index)
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }

    /// A stored position; `None` beyond the end.
    pub(crate) fn restore(position: u32) -> Option<Self> {
        (position <= Self::END).then_some(Self(position))
    }
}

/// Bytes seen as a payload.
pub(crate) fn payload<const K: usize, const N: usize>(bytes: &[u8; N]) -> &Payload<K> {
    const { assert!(N == K * CHUNK_LEN, "a payload is a whole number of chunks") };
    let (chunks, _) = bytes.as_chunks();
    chunks.try_into().expect("the lengths were compared at compile time")
}

/// A payload seen as bytes.
pub(crate) fn bytes<const K: usize, const N: usize>(payload: &Payload<K>) -> &[u8; N] {
    const { assert!(N == K * CHUNK_LEN, "a payload is a whole number of chunks") };
    payload.as_flattened().try_into().expect("the lengths were compared at compile time")
}

/// Two byte strings, one behind the other, as a payload.
pub(crate) fn joined<const K: usize, const N: usize, const M: usize>(first: &[u8; N], second: &[u8; M]) -> Payload<K> {
    const { assert!(N + M == K * CHUNK_LEN, "a payload is a whole number of chunks") };
    let mut payload = [[0; CHUNK_LEN]; K];
    let (head, tail) = payload.as_flattened_mut().split_at_mut(N);
    head.copy_from_slice(first);
    tail.copy_from_slice(second);
    payload
}

/// The payload's chunk at `index`.
pub(crate) fn encode<const K: usize>(payload: &Payload<K>, index: u16) -> Chunk {
    let bytes = match payload.get(usize::from(index)) {
        Some(bytes) => *bytes,
        None => {
            let points = const { &systematic_points::<K>() };
            let weights = const { &weights(&systematic_points::<K>()) };
            interpolate(&coefficients(points, weights, index), &payload.map(|chunk| elements(&chunk)))
        }
    };
    Chunk { index, bytes }
}

/// Collects the chunks of a payload; holds fewer than `K`, with distinct indices. Copies share what they have collected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder<const K: usize> {
    chunks: Arc<Vec<Chunk>>,
}

/// What a chunk makes of a decoder.
pub(crate) enum Added<const K: usize> {
    Incomplete(Decoder<K>),
    Complete(Box<Payload<K>>),
}

impl<const K: usize> Decoder<K> {
    pub(crate) fn new() -> Self {
        Self { chunks: Arc::new(Vec::new()) }
    }

    /// Takes a chunk. The first with an index wins.
    pub(crate) fn add(self, chunk: Chunk) -> Added<K> {
        if self.chunks.iter().any(|known| known.index == chunk.index) {
            return Added::Incomplete(self);
        }
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        chunks.extend_from_slice(&self.chunks);
        chunks.push(chunk);
        match <&[Chunk; K]>::try_from(chunks.as_slice()) {
            Ok(whole) => Added::Complete(Box::new(decode(whole))),
            Err(_) => Added::Incomplete(Self { chunks: Arc::new(chunks) }),
        }
    }

    /// What has been collected, in the order of arrival.
    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Stored chunks; `None` if they are too many or two have one index.
    pub(crate) fn restore(chunks: Vec<Chunk>) -> Option<Self> {
        let distinct = chunks
            .iter()
            .enumerate()
            .all(|(at, chunk)| !chunks[..at].iter().any(|earlier| earlier.index == chunk.index));
        (distinct && chunks.len() < K).then(|| Self { chunks: Arc::new(chunks) })
    }
}

/// The payload from any `K` chunks with distinct indices.
fn decode<const K: usize>(chunks: &[Chunk; K]) -> Payload<K> {
    let mut payload = [[0; CHUNK_LEN]; K];
    let mut missing = [true; K];
    for chunk in chunks {
        if let Some(place) = payload.get_mut(usize::from(chunk.index)) {
            *place = chunk.bytes;
            missing[usize::from(chunk.index)] = false;
        }
    }
    if missing.contains(&true) {
        let points = chunks.map(|chunk| chunk.index);
        let weights = weights(&points);
        let values = chunks.map(|chunk| elements(&chunk.bytes));
        for (at, place) in (0u16..).zip(&mut payload) {
            if missing[usize::from(at)] {
                *place = interpolate(&coefficients(&points, &weights, at), &values);
            }
        }
    }
    payload
}

fn elements(chunk: &[u8; CHUNK_LEN]) -> [u16; LANES] {
    core::array::from_fn(|lane| u16::from_be_bytes([chunk[2 * lane], chunk[2 * lane + 1]]))
}

fn interpolate<const K: usize>(coefficients: &[u16; K], values: &[[u16; LANES]; K]) -> [u8; CHUNK_LEN] {
    let sum = gf::combine(coefficients.iter().copied().zip(values));
    let mut bytes = [0; CHUNK_LEN];
    for (pair, element) in bytes.chunks_exact_mut(2).zip(sum) {
        pair.copy_from_slice(&element.to_be_bytes());
    }
    bytes
}

/// 0 .. K-1, where a payload's own chunks stand.
const fn systematic_points<const K: usize>() -> [u16; K] {
    let mut points = [0; K];
    let mut at = 0;
    while at < K {
        points[at] = at as u16;
        at += 1;
    }
    points
}

/// Lagrange's denominators, inverted: 1 / product of (p_j - p_m) over m other than j. The points are distinct, so none is zero.
const fn weights<const K: usize>(points: &[u16; K]) -> [u16; K] {
    let mut weights = [0; K];
    let mut j = 0;
    while j < K {
        let mut product = 1;
        let mut m = 0;
        while m < K {
            if m != j {
                product = gf::mul(product, points[j] ^ points[m]);
            }
            m += 1;
        }
        weights[j] = gf::inv(product);
        j += 1;
    }
    weights
}

/// What each point's value counts at `x`: its weight times the product of (x - p_m) over all other points, by products from both ends.
fn coefficients<const K: usize>(points: &[u16; K], weights: &[u16; K], x: u16) -> [u16; K] {
    let mut coefficients = *weights;
    let mut before = 1;
    for (coefficient, point) in coefficients.iter_mut().zip(points) {
        *coefficient = gf::mul(*coefficient, before);
        before = gf::mul(before, x ^ point);
    }
    let mut after = 1;
    for (coefficient, point) in coefficients.iter_mut().zip(points).rev() {
        *coefficient = gf::mul(*coefficient, after);
        after = gf::mul(after, x ^ point);
    }
    coefficients
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn payload<const K: usize>(seed: u64) -> Payload<K> {
        use rand_chacha::rand_core::{Rng, SeedableRng};
        let mut payload = [[0; CHUNK_LEN]; K];
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
        payload.iter_mut().for_each(|chunk| rng.fill_bytes(chunk));
        payload
    }

    fn decoded<const K: usize>(chunks: impl IntoIterator<Item = Chunk>) -> Option<Payload<K>> {
        let mut decoder = Decoder::new();
        for chunk in chunks {
            match decoder.add(chunk) {
                Added::Incomplete(next) => decoder = next,
                Added::Complete(payload) => return Some(*payload),
            }
        }
        None
    }

    #[test]
    fn the_first_chunks_are_the_payload() {
        let payload = payload::<5>(1);
        for (index, chunk) in (0..).zip(&payload) {
            assert_eq!(encode(&payload, index), Chunk { index, bytes: *chunk });
        }
    }

    #[test]
    fn parity_is_the_value_of_the_polynomial() {
        // Through (0, a) and (1, b) runs a + (a + b) x.
        let mut payload = [[0; CHUNK_LEN]; 2];
        (payload[0][..2]).copy_from_slice(&0x1234u16.to_be_bytes());
        (payload[1][..2]).copy_from_slice(&0xABCDu16.to_be_bytes());
        for x in [2, 3, 500, u16::MAX] {
            let expected = 0x1234 ^ gf::mul(0x1234 ^ 0xABCD, x);
            assert_eq!(encode(&payload, x).bytes[..2], expected.to_be_bytes());
            assert_eq!(encode(&payload, x).bytes[2..], [0; CHUNK_LEN - 2]);
        }
    }

    #[test]
    fn the_first_copy_of_an_index_wins_and_counts_once() {
        let payload = payload::<3>(2);
        let mut wrong = encode(&payload, 1);
        wrong.bytes[0] ^= 1;
        let (zero, one, nine) = (encode(&payload, 0), encode(&payload, 1), encode(&payload, 9));
        assert_eq!(decoded::<3>([zero, one, wrong, zero]), None);
        assert_eq!(decoded::<3>([zero, one, wrong, nine]), Some(payload));
        assert_ne!(decoded::<3>([zero, wrong, one, nine]), Some(payload));
    }

    #[test]
    fn an_encoder_counts_to_65_535_and_stops() {
        let mut position = Position::restore(65_535).unwrap();
        assert_eq!(position.next(), Some(u16::MAX));
        assert_eq!(position.next(), None);
        assert_eq!(position.next(), None);
        assert_eq!(Position::restore(position.get()), Some(position));
        assert_eq!(Position::restore(65_537), None);
    }

    #[test]
    fn stored_chunks_are_fewer_than_whole_and_distinct() {
        let payload = payload::<3>(3);
        let (zero, one) = (encode(&payload, 0), encode(&payload, 1));
        assert_eq!(Decoder::<3>::restore(alloc::vec![zero, one]).unwrap().chunks(), [zero, one]);
        assert!(Decoder::<3>::restore(alloc::vec![zero, one, zero]).is_none());
        assert!(Decoder::<3>::restore(alloc::vec![one, one]).is_none());
        assert!(Decoder::<2>::restore(alloc::vec![zero, one]).is_none());
    }

    fn any_indices(count: usize) -> impl Strategy<Value = Vec<u16>> {
        let index = prop_oneof![0..80u16, any::<u16>()];
        proptest::collection::hash_set(index, count).prop_map(|indices| indices.into_iter().collect()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn any_three_chunks_restore_a_header(seed: u64, indices in any_indices(3)) {
            let payload = payload::<3>(seed);
            prop_assert_eq!(decoded(indices.iter().map(|index| encode(&payload, *index))), Some(payload));
        }

        #[test]
        fn any_five_chunks_restore_a_second_ciphertext(seed: u64, indices in any_indices(5)) {
            let payload = payload::<5>(seed);
            prop_assert_eq!(decoded(indices.iter().map(|index| encode(&payload, *index))), Some(payload));
        }

        #[test]
        fn any_thirty_six_chunks_restore_a_vector(seed: u64, indices in any_indices(36)) {
            let payload = payload::<36>(seed);
            prop_assert_eq!(decoded(indices.iter().map(|index| encode(&payload, *index))), Some(payload));
            prop_assert_eq!(decoded::<36>(indices[1..].iter().map(|index| encode(&payload, *index))), None);
        }
    }
}
