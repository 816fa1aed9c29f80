//! What one guess at a backup's secret costs, and paying it.
//!
//! The cost of a passphrase is calibrated on the device that makes the backup: as much as [`TARGET`] allows, never below the floor and never
//! over the ceiling of [`Cost`]. A generated secret cannot be guessed at any cost, so it gets the floor.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use rcseal_crypto::secret::Secret;
use rcseal_wire::backup::{Cost, SALT_LEN};
use zeroize::Zeroizing;

/// How long stretching may take on the device that makes the backup. Another device may need some times as long.
const TARGET: Duration = Duration::from_millis(750);
/// Memory where there is time for it: what a phone can spare while an app is in front.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over it at least; with less time the memory stays at the floor.
const PASSES_MIN: u32 = 3;

/// Stretches a secret.
pub(super) fn stretch(cost: Cost, secret: &[u8], salt: &[u8; SALT_LEN]) -> Secret<32> {
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), Some(32))
        .expect("a cost is within limits that are narrower than Argon2's");
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret, salt, key.as_mut())
        .expect("salt and output have lengths that Argon2 takes, and a secret is shorter than 4 GiB");
    Secret::from_bytes(*key)
}

/// Tries the floor once, and answers the cost that this device can bear.
pub(super) fn calibrate() -> Cost {
    let begun = Instant::now();
    stretch(Cost::FLOOR, b"calibration", &[0; SALT_LEN]);
    affordable(begun.elapsed())
}

/// The cost for a device that needs this long for the floor.
fn affordable(floor_took: Duration) -> Cost {
    let kib_passes = u128::from(Cost::FLOOR.memory_kib()) * u128::from(Cost::FLOOR.passes());
    let per_target = kib_passes * TARGET.as_micros() / floor_took.as_micros().max(1);
    let passes =
        |memory_kib: u32| u32::try_from(per_target / u128::from(memory_kib)).unwrap_or(u32::MAX).min(Cost::PASSES_MAX);
    let cost = if passes(MEMORY_KIB) >= PASSES_MIN {
        Cost::new(MEMORY_KIB, passes(MEMORY_KIB), 1)
    } else {
        Cost::new(Cost::FLOOR.memory_kib(), passes(Cost::FLOOR.memory_kib()).max(Cost::FLOOR.passes()), 1)
    };
    cost.unwrap_or(Cost::FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_lies_between_floor_and_ceiling_whatever_the_device() {
        let slow = affordable(Duration::from_secs(20));
        assert_eq!(slow, Cost::FLOOR);
        let fast = affordable(Duration::from_micros(1));
        assert_eq!((fast.memory_kib(), fast.passes()), (MEMORY_KIB, Cost::PASSES_MAX));
        let usual = affordable(Duration::from_millis(50));
        assert_eq!((usual.memory_kib(), usual.passes()), (MEMORY_KIB, 8));
        let old = affordable(Duration::from_millis(200));
        assert_eq!((old.memory_kib(), old.passes()), (Cost::FLOOR.memory_kib(), 7));
        for millis in [0, 3, 33, 333, 3333] {
            let cost = affordable(Duration::from_millis(millis));
            assert!(Cost::new(cost.memory_kib(), cost.passes(), cost.lanes()).is_ok());
        }
    }
}
