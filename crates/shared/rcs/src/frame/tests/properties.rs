//! Arbitrary bytes give parts or names, never a panic; arbitrary blobs come back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Assembly, AssemblyLimits, FrameId, Kind, Part, find, find_in, split};
use super::{mangle, one, profile, whole};

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000), encoding in "(deflate|gzip|br|)") {
        let found = find_in(Some("text/plain"), Some(&encoding), &bytes);
        prop_assert!(found.parts.is_empty());
        prop_assert!(Part::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_behind_a_beginning_never_panic(bytes in vec(any::<u8>(), 0..600), len in 0_usize..60) {
        let part = one();
        let _ = find(&[&part.as_bytes()[..len], &bytes].concat());
        let _ = find(&[&part.to_text().as_bytes()[..len], &bytes].concat());
    }

    #[test]
    fn arbitrary_characters_of_our_alphabet_never_panic(text in "RCSealedDQoaCgE[A-Za-z0-9+/=\n>&<½ ]{0,400}") {
        let _ = find(text.as_bytes());
    }

    #[test]
    fn every_blob_comes_back(
        blob in vec(any::<u8>(), 1..5000),
        id: [u8; 16],
        is_binary_safe: bool,
        body_len_max in 150_usize..3000,
        seed: u64,
        width in 1_usize..100,
    ) {
        let mut parts = split(Kind::Envelope, FrameId::from_bytes(id), &blob, &profile(is_binary_safe, body_len_max)).unwrap();
        parts.sort_by_key(|part| u64::from(part.number()).wrapping_mul(seed | 1));
        let bodies = parts.iter().map(|part| {
            if is_binary_safe { part.as_bytes().to_vec() } else { mangle::wrapped(&part.to_text(), width, "\r\n> ").into_bytes() }
        });
        let found: Vec<Part> = bodies.flat_map(|body| find(&body).into_owned().parts).collect();
        prop_assert_eq!(whole(found).map(|whole| whole.bytes.into_owned()), Some(blob));
    }

    #[test]
    fn what_is_damaged_is_never_accepted(at in 0_usize..572, byte: u8, cut in 0_usize..40, insert: bool) {
        let part = one();
        let mut bytes = part.as_bytes().to_vec();
        if insert { bytes.insert(at, byte) } else { drop(bytes.drain(at..(at + cut).min(572))) }
        let found = find(&bytes);
        prop_assert!(found.parts.iter().all(|other| *other == part), "what is found is what was sent");
    }

    #[test]
    fn the_limits_of_an_assembly_hold(sequence in vec((0_u8..6, 0_u16..8, 0_u64..500), 1..80)) {
        let limits = AssemblyLimits { frames: 3, bytes: 4000, age_ms: 100, finished: 4 };
        let mut assembly = Assembly::new(limits);
        let mut now = 0;
        for (id, number, step) in sequence {
            now += step;
            let blob = vec![id; 900 * usize::from(id + 1)];
            let parts = split(Kind::Envelope, FrameId::from_bytes([id; 16]), &blob, &profile(true, 800)).unwrap();
            let _ = assembly.add(parts[usize::from(number) % parts.len()].clone(), now);
            prop_assert!(assembly.open_count() <= limits.frames && assembly.held_bytes() <= limits.bytes);
        }
    }
}
