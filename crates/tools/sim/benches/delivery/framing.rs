//! Bytes of a blob per second through a frame and back.

use std::hint::black_box;

use rand::Rng;
use rcseal_rcs::frame::{Assembly, AssemblyLimits, Blob, FrameId, Kind, Progress, find, split};
use rcseal_rcs::transport::TransportProfile;
use rcseal_report::{Report, Row};

use crate::timing::per_call;

/// Writing and reading together, with every digest.
const BINARY_GOAL: f64 = 1.0;
const TEXT_GOAL: f64 = 0.3;

/// The length of a blob that fills many parts, of what a message with some text is padded to, and how often each is repeated in a batch.
const LARGE: (usize, usize) = (512 * 1024, 20);
const SMALL: (usize, usize) = (1024, 2_000);

fn profile(is_binary_safe: bool, body_len_max: usize) -> TransportProfile {
    TransportProfile { is_binary_safe, body_len_max, parts_max: 1024, carries_headers: true, has_receipts: true }
}

fn random_blob(len: usize) -> Vec<u8> {
    let mut blob = vec![0; len];
    rand::rng().fill_bytes(&mut blob);
    blob
}

fn random_id() -> FrameId {
    let mut id = [0; FrameId::LEN];
    rand::rng().fill_bytes(&mut id);
    FrameId::from_bytes(id)
}

/// The bodies that go out for a blob.
fn write(blob: &[u8], profile: &TransportProfile) -> Vec<Vec<u8>> {
    let parts = split(Kind::Envelope, random_id(), blob, profile).unwrap();
    parts
        .into_iter()
        .map(|part| if profile.is_binary_safe { part.into_bytes() } else { part.to_text().into_bytes() })
        .collect()
}

/// The blob out of the bodies that came in, as an engine takes it: to be opened, where it may lie in a body.
fn read(bodies: &[Vec<u8>]) -> Blob<'_> {
    let mut assembly = Assembly::new(AssemblyLimits::default());
    for part in bodies.iter().flat_map(|body| find(body).parts) {
        if let Progress::Complete(blob) = assembly.add(part, 0).unwrap() {
            return blob;
        }
    }
    unreachable!("every part was there")
}

pub(crate) fn measure(report: &mut Report) {
    // One body of half a mebibyte as by MSRP, many of the size of a SIP message, and one small message in a body of its own.
    for (name, is_binary_safe, body_len_max, (len, count)) in [
        ("binary", true, 1024 * 1024, LARGE),
        ("text", false, 1024 * 1024, LARGE),
        ("binary_pager_parts", true, 1_000, LARGE),
        ("text_pager_parts", false, 1_000, LARGE),
        ("binary_1kib", true, 4_096, SMALL),
        ("text_1kib", false, 4_096, SMALL),
    ] {
        let profile = profile(is_binary_safe, body_len_max);
        let blob = random_blob(len);
        let bodies = write(&blob, &profile);
        assert_eq!(read(&bodies).bytes, blob);
        let per_second = |micros: f64| len as f64 / micros / 1_000.0;
        let (out, back) =
            (per_call(count, || write(&blob, &profile)), per_call(count, || black_box(&read(&bodies).bytes).len()));
        // The whole way: what was written is read, with every allocation between.
        let whole = per_call(count, || black_box(&read(&write(&blob, &profile)).bytes).len());
        let row = Row::higher(&format!("frame_{name}_gb_per_s"), per_second(whole), "GB/s")
            .peer("write alone", per_second(out))
            .peer("read alone", per_second(back));
        report.measure(match name {
            "binary" => row.goal(BINARY_GOAL),
            "text" => row.goal(TEXT_GOAL),
            _ => row,
        });
    }
}
