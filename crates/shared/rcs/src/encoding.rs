//! Taking compression and transfer encodings off a body, within a bound.
//!
//! Peers answer with bodies that were deflated without being asked to (seen with receipts), and what inflates may inflate to
//! anything. Every function here is told how much may come out, and stops there.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Standard base64 whose padding may be missing, as some stacks leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why an encoding could not be taken off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// An encoding that is not read here.
    #[error("an encoding that is not known")]
    Unknown,
    /// More would come out than may.
    #[error("more than {max} bytes after decoding")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The bytes are not in that encoding, or end too early.
    #[error("the bytes are not in the encoding that they are said to be in")]
    Malformed,
}

impl EncodingError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "encoding_unknown",
            Self::TooLarge { .. } => "encoding_too_large",
            Self::Malformed => "encoding_malformed",
        }
    }
}

/// Takes a `Content-Encoding` off: `deflate` (in either of the two forms that go by that name), `gzip`, `identity` or none.
///
/// # Errors
/// [`EncodingError`]. At most `max` bytes are ever held.
pub fn decode<'a>(content_encoding: Option<&str>, body: &'a [u8], max: usize) -> Result<Cow<'a, [u8]>, EncodingError> {
    let name = content_encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" if body.len() > max => Err(EncodingError::TooLarge { max }),
        "" | "identity" => Ok(Cow::Borrowed(body)),
        // RFC 9110 means the zlib form; stacks exist that send the bare stream.
        "deflate" => match inflate(ZlibDecoder::new(body), max) {
            Inflated::Broken(_) => inflate(DeflateDecoder::new(body), max),
            other => other,
        }
        .whole(max),
        "gzip" | "x-gzip" => inflate(GzDecoder::new(body), max).whole(max),
        _ => Err(EncodingError::Unknown),
    }
}

/// What came out of a compressed stream.
pub(crate) enum Inflated {
    /// All of it.
    Whole(Vec<u8>),
    /// What came out before the stream broke off or contradicted itself.
    Broken(Vec<u8>),
    /// More than may come out; the rest was left in.
    TooLarge,
}

impl Inflated {
    fn whole<'a>(self, max: usize) -> Result<Cow<'a, [u8]>, EncodingError> {
        match self {
            Self::Whole(bytes) => Ok(Cow::Owned(bytes)),
            Self::Broken(_) => Err(EncodingError::Malformed),
            Self::TooLarge => Err(EncodingError::TooLarge { max }),
        }
    }
}

/// Reads a stream to its end, or up to `max` bytes.
pub(crate) fn inflate(decoder: impl Read, max: usize) -> Inflated {
    let mut bytes = Vec::new();
    // One byte more than may come out tells "full" from "too large".
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let outcome = decoder.take(bound).read_to_end(&mut bytes);
    match outcome {
        _ if bytes.len() > max => Inflated::TooLarge,
        Ok(_) => Inflated::Whole(bytes),
        Err(_) => Inflated::Broken(bytes),
    }
}

/// Takes a `Content-Transfer-Encoding` off: `base64`, `quoted-printable`, or one that changes nothing. Nothing grows by it.
///
/// # Errors
/// [`EncodingError::Unknown`], [`EncodingError::Malformed`].
pub fn decode_transfer<'a>(transfer_encoding: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, EncodingError> {
    let name = transfer_encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "binary" | "8bit" | "7bit" => Ok(Cow::Borrowed(body)),
        "base64" => {
            let dense: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(dense).map(Cow::Owned).map_err(|_| EncodingError::Malformed)
        }
        "quoted-printable" => Ok(Cow::Owned(unquote(body))),
        _ => Err(EncodingError::Unknown),
    }
}

/// What an equals sign of quoted-printable (RFC 2045 section 6.7) stands for, and the length of its writing.
pub(crate) enum Quoted {
    /// A line end that was put there.
    SoftBreak(usize),
    /// This byte, written as two digits.
    Byte(u8),
    /// Nothing: it is no escape.
    Nonsense,
}

/// What the equals sign at the beginning of `rest` stands for. Blanks before a line end were put there on the way.
pub(crate) fn quoted(rest: &[u8]) -> Quoted {
    let blanks = rest[1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &rest[1 + blanks..] {
        [b'\r', b'\n', ..] => return Quoted::SoftBreak(blanks + 3),
        [b'\n' | b'\r', ..] => return Quoted::SoftBreak(blanks + 2),
        _ => {}
    }
    let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let byte = digit(1).zip(digit(2)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
    byte.map_or(Quoted::Nonsense, Quoted::Byte)
}

/// Takes quoted-printable off. What is no escape stays as it is, as the RFC advises.
pub(crate) fn unquote(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(&byte) = rest.first() {
        let meaning = if byte == b'=' { quoted(rest) } else { Quoted::Nonsense };
        let (byte, len) = match meaning {
            Quoted::SoftBreak(len) => (None, len),
            Quoted::Byte(byte) => (Some(byte), 3),
            Quoted::Nonsense => (Some(byte), 1),
        };
        bytes.extend(byte);
        rest = &rest[len..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn both_forms_of_deflate_and_gzip_are_read() {
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(b"receipt").unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"receipt").unwrap();
        assert_eq!(decode(Some("Deflate"), &zlib(b"receipt"), 100).unwrap().as_ref(), b"receipt");
        assert_eq!(decode(Some("deflate"), &bare.finish().unwrap(), 100).unwrap().as_ref(), b"receipt");
        assert_eq!(decode(Some("gzip"), &gzip.finish().unwrap(), 100).unwrap().as_ref(), b"receipt");
    }

    #[test]
    fn what_inflates_to_more_than_the_bound_is_refused() {
        let bomb = zlib(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(decode(Some("deflate"), &bomb, 1000), Err(EncodingError::TooLarge { max: 1000 }));
        assert_eq!(decode(None, &[0; 11], 10), Err(EncodingError::TooLarge { max: 10 }));
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused() {
        let whole = zlib(b"a receipt of some length, which is cut");
        assert_eq!(decode(Some("deflate"), &whole[..whole.len() / 2], 1000), Err(EncodingError::Malformed));
        assert_eq!(decode(Some("br"), b"x", 1000), Err(EncodingError::Unknown));
    }

    #[test]
    fn transfer_encodings_come_off() {
        assert_eq!(decode_transfer(Some("BASE64"), b"AAH/\r\nfw").unwrap().as_ref(), [0, 1, 255, 127]);
        assert_eq!(decode_transfer(Some("base64"), b"%"), Err(EncodingError::Malformed));
        assert_eq!(
            decode_transfer(Some("quoted-printable"), b"a=3D=\r\nb=C3=A4=zz").unwrap().as_ref(),
            "a=b\u{e4}=zz".as_bytes()
        );
        assert_eq!(decode_transfer(None, b"=3D").unwrap().as_ref(), b"=3D");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for name in ["deflate", "gzip", "identity"] {
                if let Ok(out) = decode(Some(name), &bytes, 4096) {
                    prop_assert!(out.len() <= 4096);
                }
            }
            let _ = decode_transfer(Some("base64"), &bytes);
            let _ = decode_transfer(Some("quoted-printable"), &bytes);
        }
    }
}
