//! What a carrier saw.
//!
//! Every message is kept as it was handed in and as it was passed on, for whoever wants to know what could be read there, or wants to
//! show it.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flate2::read::ZlibDecoder;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Taken};

use super::mangle::Passing;

/// Whose doing a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A phone handed it in.
    Phone,
    /// The carrier made it up.
    Carrier,
}

/// One message, as it passed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number at this carrier, from 1.
    pub number: u64,
    /// When, since the carrier began.
    pub at: Duration,
    /// Whose doing it is.
    pub origin: Origin,
    /// From whom, as the carrier knows it.
    pub from: PhoneNumber,
    /// To whom.
    pub to: PhoneNumber,
    /// As it was handed in.
    pub handed_in: Passing,
    /// As it was passed on, as often as it was.
    pub passed_on: Vec<Passing>,
    /// What the sender was told.
    pub told: Result<Taken, SendFailure>,
}

/// What a carrier can find in bytes that it saw: themselves, and what is compressed or in base64 in them.
#[must_use]
pub fn readings(passing: &Passing) -> Vec<Vec<u8>> {
    let mut readings = vec![passing.body.clone(), passing.inner_body()];
    let compressed: Vec<Vec<u8>> = readings.iter().filter_map(|bytes| inflated(bytes)).collect();
    readings.extend(compressed);
    let decoded: Vec<Vec<u8>> = readings.iter().filter_map(|bytes| from_base64(bytes)).collect();
    readings.extend(decoded);
    readings
}

/// Whether somebody who saw a message could read these words in it.
#[must_use]
pub fn shows(passing: &Passing, words: &[u8]) -> bool {
    let finder = memchr::memmem::Finder::new(words);
    readings(passing).iter().any(|bytes| finder.find(bytes).is_some())
}

/// The most that is inflated: a carrier of this program makes nothing longer.
const INFLATED_LEN_MAX: u64 = 4 << 20;

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ZlibDecoder::new(bytes).take(INFLATED_LEN_MAX).read_to_end(&mut out).ok()?;
    Some(out)
}

fn from_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let dense: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(&dense).or_else(|_| STANDARD_NO_PAD.decode(&dense)).ok()
}
