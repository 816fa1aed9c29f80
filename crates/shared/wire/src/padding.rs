//! How long an envelope may be: the bucket table, and the padding that fills a bucket.
//!
//! A relay or a carrier sees the length of an envelope. It sees one of nine lengths: receipts, typing notices and short texts share
//! the smallest. Padding is inside the encryption, in the form of ISO/IEC 7816-4: one byte 0x80, then zeros.
//! The table stands in `docs/protocol/envelope.md`.

/// Lengths that a whole envelope may have, in bytes, ascending.
pub const BUCKETS: [usize; 9] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, ENVELOPE_LEN_MAX];

/// The largest envelope a relay takes: 96 KiB. Anything larger travels as a blob.
pub const ENVELOPE_LEN_MAX: usize = 96 * 1024;

/// What was to be sent does not fit the largest bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes do not fit the largest envelope")]
pub struct TooLong {
    /// The length that an envelope would need, in bytes.
    pub len: usize,
}

impl TooLong {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "envelope_too_long"
    }
}

/// The padding inside an envelope is not of the one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the padding is malformed")]
pub struct PaddingError;

/// Pads `plaintext` so that, with `overhead` bytes round it, the envelope fills the smallest bucket that holds it.
///
/// # Errors
/// [`TooLong`] when even the largest bucket is too small.
pub fn pad(plaintext: &mut Vec<u8>, overhead: usize) -> Result<(), TooLong> {
    let needed = plaintext.len() + 1 + overhead;
    let bucket = BUCKETS.into_iter().find(|bucket| *bucket >= needed).ok_or(TooLong { len: needed })?;
    plaintext.push(0x80);
    plaintext.resize(bucket - overhead, 0);
    Ok(())
}

/// Takes the padding off.
///
/// # Errors
/// When no 0x80 ends the text, or something but zeros follows it.
pub fn unpad(mut padded: Vec<u8>) -> Result<Vec<u8>, PaddingError> {
    let end = padded.iter().rposition(|byte| *byte != 0).ok_or(PaddingError)?;
    if padded[end] != 0x80 {
        return Err(PaddingError);
    }
    padded.truncate(end);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_largest_bucket_is_the_relays_limit() {
        assert_eq!(BUCKETS.last(), Some(&ENVELOPE_LEN_MAX));
        assert!(BUCKETS.is_sorted());
        let mut just = vec![1; ENVELOPE_LEN_MAX - 46];
        assert_eq!(pad(&mut just, 45), Ok(()));
        let mut over = vec![1; ENVELOPE_LEN_MAX - 45];
        assert_eq!(pad(&mut over, 45), Err(TooLong { len: ENVELOPE_LEN_MAX + 1 }));
    }

    proptest::proptest! {
        #[test]
        fn padding_round_trips(plaintext in proptest::collection::vec(proptest::num::u8::ANY, 0..5000), overhead in 0usize..3000) {
            let mut padded = plaintext.clone();
            pad(&mut padded, overhead).unwrap();
            proptest::prop_assert!(BUCKETS.contains(&(padded.len() + overhead)));
            proptest::prop_assert_eq!(unpad(padded).unwrap(), plaintext);
        }

        #[test]
        fn unpad_never_panics(bytes: Vec<u8>) {
            let _ = unpad(bytes);
        }
    }
}
