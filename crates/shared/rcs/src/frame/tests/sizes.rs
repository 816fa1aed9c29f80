//! What fits where: the figures of the specification.

use super::super::{
    BLOB_LEN_MAX, FrameError, FrameId, Kind, PART_OVERHEAD, PARTS_MAX, parts_needed, payload_len_max, split, text_len,
};
use super::{ID, blob, profile};
use crate::transport::{Carriage, TransportProfile};

#[test]
fn the_overhead_is_sixty_bytes_or_eighty_characters() {
    assert_eq!((PART_OVERHEAD, text_len(PART_OVERHEAD)), (60, 80));
}

#[test]
fn envelopes_as_text_have_the_lengths_that_the_specification_lists() {
    let lengths = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 98_304];
    let texts = lengths.map(|len| text_len(len + PART_OVERHEAD));
    assert_eq!(texts, [763, 1446, 2811, 5542, 11_003, 21_926, 43_771, 87_462, 131_152]);
}

#[test]
fn parts_fit_their_transport_and_need_the_listed_number() {
    let cases = [(true, 1300), (false, 1300), (true, 900), (false, 900), (false, 3072), (true, 2048), (true, 8000)];
    let needed = cases.map(|(is_binary_safe, body)| {
        let profile = profile(is_binary_safe, body);
        [512, 4096, 98_304].map(|len| {
            let parts = split(Kind::Envelope, ID, &blob(len), &profile).unwrap();
            for part in &parts {
                let Carriage::Framed { is_text, bytes } = part.carriage(&profile) else { panic!("parts are framed") };
                assert!(is_text != is_binary_safe && bytes.len() <= body);
            }
            assert_eq!(parts_needed(len, &profile), Ok(parts.len() as u16));
            parts.len()
        })
    });
    let listed = [[1, 4, 80], [1, 5, 108], [1, 5, 118], [1, 7, 160], [1, 2, 44], [1, 3, 50], [1, 1, 13]];
    assert_eq!(needed, listed);
}

#[test]
fn every_body_length_is_used_up_to_its_last_byte() {
    for body in 84..400 {
        let payload = payload_len_max(&profile(false, body));
        assert!(text_len(payload + PART_OVERHEAD) <= body && text_len(payload + PART_OVERHEAD + 1) > body);
    }
}

#[test]
fn more_parts_than_allowed_are_refused_so_that_the_caller_sends_a_reference() {
    let few = TransportProfile { parts_max: 4, ..profile(true, 1300) };
    assert_eq!(parts_needed(4096, &few), Ok(4));
    let error = split(Kind::Envelope, ID, &blob(8192), &few).unwrap_err();
    assert_eq!((error, error.code()), (FrameError::TooManyParts { needed: 7, max: 4 }, "frame_needs_too_many_parts"));
    let unlimited = TransportProfile { parts_max: u16::MAX, ..profile(true, 100) };
    let error = FrameError::TooManyParts { needed: 2458, max: PARTS_MAX };
    assert_eq!(parts_needed(98_304, &unlimited), Err(error));
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let profile = profile(true, 1300);
    assert_eq!(split(Kind::Envelope, ID, &[], &profile), Err(FrameError::Empty));
    let len = BLOB_LEN_MAX + 1;
    assert_eq!(parts_needed(len, &profile), Err(FrameError::TooLarge { len, max: BLOB_LEN_MAX }));
    for (is_binary_safe, body_len_max) in [(true, 60), (false, 81), (true, 0), (false, 1)] {
        let error = FrameError::BodyTooShort { body_len_max };
        assert_eq!(parts_needed(1, &super::profile(is_binary_safe, body_len_max)), Err(error));
    }
}

#[test]
fn every_small_cut_is_one_that_is_read() {
    for len in 1..200 {
        for body in 61..=100 {
            for part in split(Kind::Envelope, FrameId::from_bytes([1; 16]), &blob(len), &profile(true, body)).unwrap() {
                assert_eq!(super::Part::parse(part.as_bytes()).as_ref(), Ok(&part));
            }
        }
    }
}
