//! What tests share.

pub(crate) mod content_server;

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::TransportProfile;

/// A number nobody has.
pub(crate) fn number(last: u8) -> PhoneNumber {
    format!("+1201555012{last}").parse().unwrap()
}

/// A carrier that changes nothing.
pub(crate) fn profile(body_len_max: usize) -> TransportProfile {
    TransportProfile { is_binary_safe: true, body_len_max, parts_max: 16, carries_headers: true, has_receipts: true }
}

/// Bytes without a pattern that a fault could hide in.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}
