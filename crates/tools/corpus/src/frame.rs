//! Targets for the frames of `rcseal_rcs`: one part as it is kept, and a body in which parts are looked for.

use rcseal_rcs::frame::{Assembly, AssemblyLimits, FrameId, Kind, Part, Progress, find, find_in, split};
use rcseal_rcs::transport::TransportProfile;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::Verdict;

/// Where a part's payload begins, and how long the check behind it is.
const PAYLOAD_AT: usize = 52;
const CHECK_LEN: usize = 8;

/// A part that stands alone. A fuzzer cannot find a check, so that the same bytes with the right one are tried too.
pub(crate) fn part(bytes: &[u8]) -> Verdict {
    if let Some(checked) = bytes.len().checked_sub(CHECK_LEN).map(|end| &bytes[..end])
        && let Some((header, payload)) = checked.split_at_checked(PAYLOAD_AT)
    {
        let check = xxh3_64(&[header, &xxh3_128(payload).to_be_bytes()].concat());
        holds_of_part(&[checked, &check.to_be_bytes()].concat());
    }
    holds_of_part(bytes)
}

fn holds_of_part(bytes: &[u8]) -> Verdict {
    let parsed = Part::parse(bytes);
    if let Ok(part) = &parsed {
        assert_eq!(part.as_bytes(), bytes, "a part has one encoding");
        assert!(part.number() >= 1 && part.number() <= part.of());
        assert!(!part.payload().is_empty() && part.payload().len() <= part.whole_len());
        assert_eq!(find(bytes).parts, std::slice::from_ref(part), "what is parsed is found");
        assert_eq!(find(part.to_text().as_bytes()).parts, std::slice::from_ref(part), "also as text");
        assembles(part);
    }
    Verdict::of(&parsed)
}

/// What an assembly promises of any sound part.
fn assembles(part: &Part<'_>) {
    let mut assembly = Assembly::new(AssemblyLimits::default());
    match assembly.add(part.clone(), 0) {
        Ok(Progress::Waiting { have, of }) => {
            assert!(have == 1 && of == part.of());
            assert_eq!(assembly.add(part.clone(), 0), Ok(Progress::Duplicate));
        }
        Ok(Progress::Complete(blob)) => {
            assert_eq!(blob.bytes.len(), part.whole_len());
            assert!(assembly.add(part.clone(), 0).is_err(), "a finished frame is finished once");
        }
        Ok(Progress::Duplicate) => unreachable!("an empty assembly has no part twice"),
        Err(_) => assert_eq!(assembly.held_bytes(), 0, "what is refused is not held"),
    }
}

/// A body with anything round its parts, compressed or not.
pub(crate) fn text(bytes: &[u8]) -> Verdict {
    let found = find(bytes);
    let unpacked = find_in(Some("text/plain"), Some("deflate"), bytes);
    assert!(found.is_nothing() || unpacked == found, "a body that holds something is not unpacked");
    for part in found.parts.iter().chain(&unpacked.parts) {
        assert_eq!(Part::parse(part.as_bytes()).as_ref(), Ok(part), "what is found is sound");
    }
    assert!(found.damage.iter().all(|damage| damage.code().starts_with("frame_")));
    if found.parts.is_empty() { Verdict::Refused } else { Verdict::Accepted }
}

fn parts() -> Vec<Part<'static>> {
    let profile = TransportProfile {
        is_binary_safe: true,
        body_len_max: 160,
        parts_max: 10,
        carries_headers: false,
        has_receipts: false,
    };
    let blob: Vec<u8> = (0..=230).collect();
    let split = |kind, id, blob| split(kind, FrameId::from_bytes([id; 16]), blob, &profile);
    let short = split(Kind::BlobReference, 1, &blob[..40]);
    let long = split(Kind::Envelope, 2, &blob);
    [short, long].into_iter().flat_map(|parts| parts.expect("a short blob fits into ten parts")).collect()
}

pub(crate) fn part_seeds() -> Vec<Vec<u8>> {
    parts().into_iter().map(Part::into_bytes).collect()
}

pub(crate) fn text_seeds() -> Vec<Vec<u8>> {
    let all = parts();
    let text = all[0].to_text();
    let (head, tail) = text.split_at(60);
    let binary = [b"--edge\r\n\r\n", all[0].as_bytes(), b"\r\n--edge--"].concat();
    let bodies = [
        text.clone(),
        all.iter().map(|part| part.to_text() + "\r\n").collect(),
        format!("[Offline message]\r\n> {head}\r\n> {tail}\r\n"),
        format!("{head}=\r\n{}", tail.replace('+', "=2B")),
        format!("<p>{head}<br/>{}</p>", tail.replace('/', "&#x2F;")),
    ];
    bodies.into_iter().map(String::into_bytes).chain([binary]).collect()
}
