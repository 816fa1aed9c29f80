//! The address of a device: an account's 16 random bytes and the device's number in it.
//!
//! Both addresses are associated data of every native message, so a ciphertext cannot be moved to another account or
//! device.

use core::fmt;

/// Which device of which account. Numbers run from 1 to 127.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    account: [u8; 16],
    device: u8,
}

impl Address {
    /// Length of [`Address::to_bytes`].
    pub const LEN: usize = 17;

    /// The address of `device` in `account`; the caller has parsed both.
    pub const fn new(account: [u8; 16], device: u8) -> Self {
        Self { account, device }
    }

    /// The account's id.
    pub const fn account(&self) -> &[u8; 16] {
        &self.account
    }

    /// The device's number.
    pub const fn device(&self) -> u8 {
        self.device
    }

    /// Account (16 bytes), then device (1 byte).
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..16].copy_from_slice(&self.account);
        out[16] = self.device;
        out
    }

    /// The reverse of [`Address::to_bytes`].
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut account = [0; 16];
        account.copy_from_slice(&bytes[..16]);
        Self { account, device: bytes[16] }
    }

    /// Field 6 of a `signal-v4` message holds two of these: kind of service id (0 for an account), account, device.
    #[cfg(feature = "signal-v4")]
    pub(crate) fn to_service_bytes(self) -> [u8; 18] {
        let mut out = [0; 18];
        out[1..].copy_from_slice(&self.to_bytes());
        out
    }
}

/// An account id may not appear in logs, so only the device number is printed.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("device", &self.device).finish_non_exhaustive()
    }
}
