//! Keys and rows of the broker's keyspace, told apart by the first byte of the key. Values are protobuf; numbers in keys are big-endian.
//! Phone numbers in keys are padded with zeros to sixteen bytes.
//!
//! | tag | key behind it | value |
//! |---|---|---|
//! | `0` to `9` | | what is forwarded, and business traffic |
//! | `A` | sequence 8 | [`AuditRow`] |
//! | `a` | account 16 | [`AccountRow`] |
//! | `C` | expires 8, claim 16 | nothing |
//! | `c` | claim 16 | [`ClaimRow`] |
//! | `D` | due 8, number 16 | nothing |
//! | `d` | device 17 | [`DeviceRow`] |
//! | `f`, `h` | | the format and the disk's probe, as in the relay's schema |
//! | `k` | device 17, number 16 | claim 16 |
//! | `m` | number 16, sequence 8 | [`MappingRow`]: one before the newest |
//! | `N` | number 16 | [`NumberRow`] |
//! | `n` | account 16, number 16 | nothing |
//! | `s` | name | a secret |
//! | `W` | end 8, kind 1, key 16 | nothing |
//! | `w` | kind 1, key 16 | [`QuotaRow`] |

use bytes::Bytes;
use fjall::UserKey;
use rcseal_wire::id::{AccountId, DeviceAddress};
use rcseal_wire::number::E164;

use crate::broker::ClaimId;
use crate::embedded::rows::joined;
use crate::{StoreError, UnixMillis};

pub(in crate::embedded) use crate::embedded::rows::{decode, encode};

/// Bytes of a number in a key: a plus sign and fifteen digits.
const NUMBER_LEN: usize = 16;

fn padded(number: &E164) -> [u8; NUMBER_LEN] {
    let mut bytes = [0; NUMBER_LEN];
    for (to, from) in bytes.iter_mut().zip(number.as_str().bytes()) {
        *to = from;
    }
    bytes
}

fn unpadded(bytes: &[u8]) -> Result<E164, StoreError> {
    let corrupt = || StoreError::Corrupt { space: "numbers" };
    let text = std::str::from_utf8(bytes).map_err(|_| corrupt())?;
    text.trim_end_matches('\0').parse().map_err(|_| corrupt())
}

/// The last bytes of a key.
fn tail<const N: usize>(key: &[u8], space: &'static str) -> Result<[u8; N], StoreError> {
    key.last_chunk::<N>().copied().ok_or(StoreError::Corrupt { space })
}

/// The time behind the tag.
pub(super) fn time_of(key: &[u8], space: &'static str) -> Result<UnixMillis, StoreError> {
    let bytes = key.get(1..).and_then(|rest| rest.first_chunk::<8>()).ok_or(StoreError::Corrupt { space })?;
    Ok(UnixMillis::new(u64::from_be_bytes(*bytes)))
}

pub(super) fn account_key(account: AccountId) -> UserKey {
    joined!(17, b"a", account.as_bytes())
}

pub(super) fn device_key(device: DeviceAddress) -> UserKey {
    joined!(18, b"d", &device.to_bytes())
}

pub(super) fn devices_prefix(account: AccountId) -> UserKey {
    joined!(17, b"d", account.as_bytes())
}

pub(super) fn parse_device_key(key: &[u8]) -> Result<DeviceAddress, StoreError> {
    DeviceAddress::parse(key.get(1..).unwrap_or_default()).map_err(|_| StoreError::Corrupt { space: "devices" })
}

pub(super) fn claim_key(claim: ClaimId) -> UserKey {
    joined!(17, b"c", claim.as_bytes())
}

pub(super) fn claim_expiry_key(expires_at: UnixMillis, claim: ClaimId) -> UserKey {
    joined!(25, b"C", &expires_at.get().to_be_bytes(), claim.as_bytes())
}

pub(super) const CLAIM_EXPIRY_PREFIX: &[u8] = b"C";

pub(super) fn parse_claim_expiry_key(key: &[u8]) -> Result<ClaimId, StoreError> {
    tail(key, "claims").map(ClaimId::from_bytes)
}

/// The live claim of a device for a number.
pub(super) fn claim_of_key(device: DeviceAddress, number: &E164) -> UserKey {
    joined!(34, b"k", &device.to_bytes(), &padded(number))
}

pub(super) fn number_key(number: &E164) -> UserKey {
    joined!(17, b"N", &padded(number))
}

pub(super) fn number_of_key(account: AccountId, number: &E164) -> UserKey {
    joined!(33, b"n", account.as_bytes(), &padded(number))
}

pub(super) fn numbers_of_prefix(account: AccountId) -> UserKey {
    joined!(17, b"n", account.as_bytes())
}

/// The number at the end of a key.
pub(super) fn parse_number_at_end(key: &[u8]) -> Result<E164, StoreError> {
    unpadded(&tail::<NUMBER_LEN>(key, "numbers")?)
}

pub(super) fn mapping_key(number: &E164, sequence: u64) -> UserKey {
    joined!(25, b"m", &padded(number), &sequence.to_be_bytes())
}

pub(super) fn mappings_prefix(number: &E164) -> UserKey {
    joined!(17, b"m", &padded(number))
}

pub(super) fn due_key(due_at: u64, number: &E164) -> UserKey {
    joined!(25, b"D", &due_at.to_be_bytes(), &padded(number))
}

pub(super) const DUE_PREFIX: &[u8] = b"D";

pub(super) fn quota_key(kind: u8, key: &[u8; 16]) -> UserKey {
    joined!(18, b"w", &[kind], key)
}

pub(super) fn quota_end_key(end: u64, kind: u8, key: &[u8; 16]) -> UserKey {
    joined!(26, b"W", &end.to_be_bytes(), &[kind], key)
}

pub(super) const QUOTA_END_PREFIX: &[u8] = b"W";

/// The counter that a row of ends is about.
pub(super) fn parse_quota_end_key(key: &[u8]) -> Result<(u8, [u8; 16]), StoreError> {
    let [kind, rest @ ..] = tail::<17>(key, "quotas")?;
    Ok((kind, rest))
}

pub(super) fn audit_key(sequence: u64) -> UserKey {
    joined!(9, b"A", &sequence.to_be_bytes())
}

pub(super) const AUDIT_PREFIX: &[u8] = b"A";

/// An enrolled account.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AccountRow {
    #[prost(string, tag = "1")]
    pub(super) relay: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) delivery_token: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub(super) counter: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) key_set: Bytes,
    #[prost(uint64, tag = "6")]
    pub(super) refreshed_at: u64,
}

/// An enrolled device.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeviceRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) mailbox: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) added_at: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) auth_key: Vec<u8>,
}

/// A claim.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClaimRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) device: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) number: String,
    /// The code's keyed hash; empty until one is about to be sent.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) code: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(super) tries_left: u32,
    #[prost(uint32, tag = "5")]
    pub(super) sent: u32,
    #[prost(uint64, tag = "6")]
    pub(super) resend_at: u64,
    #[prost(uint64, tag = "7")]
    pub(super) expires_at: u64,
    #[prost(bool, tag = "8")]
    pub(super) is_verified: bool,
    /// The hash of the mapping that it was used for.
    #[prost(bytes = "vec", tag = "9")]
    pub(super) used_for: Vec<u8>,
    /// The id that the last request for a code brought: a request that is repeated because its answer was lost sends no second code.
    #[prost(bytes = "vec", tag = "10")]
    pub(super) request: Vec<u8>,
}

/// A mapping.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MappingRow {
    #[prost(uint64, tag = "1")]
    pub(super) sequence: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) bytes: Bytes,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) account: Vec<u8>,
    #[prost(uint32, tag = "5")]
    pub(super) device: u32,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) key_set: Bytes,
    #[prost(uint64, tag = "7")]
    pub(super) expires_at: u64,
}

/// Somebody who waits.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) device: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) statement: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) key_set: Bytes,
    #[prost(uint64, tag = "4")]
    pub(super) since: u64,
    /// 0 before the first notice was taken.
    #[prost(uint64, tag = "5")]
    pub(super) announced_at: u64,
    #[prost(uint64, tag = "6")]
    pub(super) next_at: u64,
    #[prost(uint64, tag = "7")]
    pub(super) effective_at: u64,
}

/// A number.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NumberRow {
    #[prost(message, optional, tag = "1")]
    pub(super) head: Option<MappingRow>,
    #[prost(bool, tag = "2")]
    pub(super) hidden: bool,
    /// The signed release; empty where there is none.
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) released: Bytes,
    /// 0 where it was not.
    #[prost(uint64, tag = "4")]
    pub(super) ported_at: u64,
    #[prost(message, optional, tag = "5")]
    pub(super) waiting: Option<WaitingRow>,
    /// 0 once the account was told to renew.
    #[prost(uint64, tag = "6")]
    pub(super) remind_at: u64,
}

/// A counter.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct QuotaRow {
    #[prost(uint64, tag = "1")]
    pub(super) ends_at: u64,
    #[prost(uint32, tag = "2")]
    pub(super) used: u32,
}

/// What the operator did.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AuditRow {
    #[prost(uint64, tag = "1")]
    pub(super) at: u64,
    #[prost(string, tag = "2")]
    pub(super) action: String,
    #[prost(string, tag = "3")]
    pub(super) number: String,
    #[prost(string, tag = "4")]
    pub(super) reason: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) hash: Vec<u8>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_key_is_read_or_corrupt(key: Vec<u8>) {
            let _ = time_of(&key, "x");
            let _ = parse_device_key(&key);
            let _ = parse_claim_expiry_key(&key);
            let _ = parse_number_at_end(&key);
            let _ = parse_quota_end_key(&key);
        }

        #[test]
        fn a_number_is_read_out_of_its_keys(digits in "[1-9][0-9]{6,14}") {
            let number: E164 = format!("+{digits}").parse().unwrap();
            let number = &number;
            prop_assert_eq!(&parse_number_at_end(&number_key(number)).unwrap(), number);
            prop_assert_eq!(&parse_number_at_end(&due_key(7, number)).unwrap(), number);
            let account = AccountId::from_bytes([9; 16]);
            prop_assert_eq!(&parse_number_at_end(&number_of_key(account, number)).unwrap(), number);
        }
    }
}
