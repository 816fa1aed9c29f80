//! How many transfers may run at once, in all and for each peer: each holds a piece in memory.

use std::net::IpAddr;

use rcseal_front::slots::Slots;
use rcseal_wire::id::AccountId;

/// Uploads that run at once: at one mebibyte each, a quarter of a gibibyte.
const UPLOADS_MAX: usize = 256;
/// Uploads of one account that run at once.
const UPLOADS_PER_ACCOUNT_MAX: u32 = 8;
/// Downloads that run at once: at 128 KiB each, a quarter of a gibibyte.
const DOWNLOADS_MAX: usize = 2048;
/// Downloads of one address that run at once. Phones share carrier NAT addresses, so it is generous.
const DOWNLOADS_PER_ADDRESS_MAX: u32 = 128;

/// Places for uploads.
pub(crate) fn upload_slots() -> Slots<AccountId> {
    Slots::new(UPLOADS_MAX, UPLOADS_PER_ACCOUNT_MAX)
}

/// Places for downloads.
pub(crate) fn download_slots() -> Slots<IpAddr> {
    Slots::new(DOWNLOADS_MAX, DOWNLOADS_PER_ADDRESS_MAX)
}
