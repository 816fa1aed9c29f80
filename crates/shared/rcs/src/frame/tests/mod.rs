//! What frames survive, what they name, and that nothing panics.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Assembly, AssemblyLimits, Blob, FrameId, Kind, Part, Progress, find, split};
use crate::transport::TransportProfile;

#[test]
fn a_blob_goes_and_comes_back() {
    let profile = TransportProfile {
        is_binary_safe: true,
        body_len_max: 1300,
        parts_max: 100,
        carries_headers: true,
        has_receipts: true,
    };
    let blob: Vec<u8> = (0..5000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let parts = split(Kind::Envelope, FrameId::from_bytes([7; 16]), &blob, &profile).unwrap();
    assert_eq!(parts.len(), 5);
    for as_text in [false, true] {
        let mut assembly = Assembly::new(AssemblyLimits::default());
        let mut last = None;
        for part in &parts {
            let body = if as_text { part.to_text().into_bytes() } else { part.as_bytes().to_vec() };
            let found = find(&body);
            assert_eq!(found.damage, []);
            for part in found.parts {
                last = Some(assembly.add(part, 0).unwrap());
            }
        }
        assert_eq!(last, Some(Progress::Complete(Blob { kind: Kind::Envelope, id: parts[0].id(), bytes: blob.clone() })));
    }
    assert_eq!(Part::parse(parts[0].as_bytes()), Ok(parts[0].clone()));
}
