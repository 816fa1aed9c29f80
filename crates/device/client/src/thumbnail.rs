//! Small pictures that a sender makes, because the server cannot and the receiver should not have to fetch the large one.
//!
//! Only JPEG and PNG are decoded, with limits on sides and memory: a picture somebody was sent and forwards is not to be trusted. One that
//! is beyond them, or damaged, is sent without a small one; nothing here keeps a file from being sent.

use std::fs::File;
use std::io::{self, BufReader, Cursor};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Pixels of the longer side of a small picture: sharp enough in a list of messages.
const SIDE: u32 = 320;
/// JPEG quality of a small picture.
const QUALITY: u8 = 70;
/// Pixels of either side of a picture that is decoded: twice what phone cameras make.
const SIDE_MAX: u32 = 24_000;
/// Memory for decoding one: 48 megapixels at three bytes, and some.
const ALLOCATION_MAX: u64 = 160 * 1024 * 1024;

/// A picture that was looked at.
pub(crate) struct Picture {
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Pixels, as it is shown.
    pub(crate) width: u32,
    /// Pixels, as it is shown.
    pub(crate) height: u32,
    /// A small JPEG of it.
    pub(crate) thumbnail: Vec<u8>,
}

/// Makes a small picture of a file; `None` when it is no picture, or none that we decode.
///
/// # Errors
/// Those of reading the file.
pub(crate) fn of(file: &Path) -> io::Result<Option<Picture>> {
    let reader = ImageReader::new(BufReader::new(File::open(file)?)).with_guessed_format()?;
    let content_type = match reader.format() {
        Some(ImageFormat::Jpeg) => "image/jpeg",
        Some(ImageFormat::Png) => "image/png",
        _ => return Ok(None),
    };
    let Some(picture) = decode(reader) else {
        tracing::info!(event = "thumbnail_skipped", content_type);
        return Ok(None);
    };
    let small = picture.thumbnail(SIDE, SIDE).into_rgb8();
    let mut thumbnail = Vec::new();
    let encoder = JpegEncoder::new_with_quality(Cursor::new(&mut thumbnail), QUALITY);
    Ok(small.write_with_encoder(encoder).is_ok().then(|| Picture {
        content_type,
        width: picture.width(),
        height: picture.height(),
        thumbnail,
    }))
}

fn decode(mut reader: ImageReader<BufReader<File>>) -> Option<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(ALLOCATION_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    // Some decoders take only a hint from the limits, so the size they are about to need is looked at first.
    if decoder.total_bytes() > ALLOCATION_MAX {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x % 256) as u8, (y % 256) as u8, 7])
        }));
        image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Picture> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        std::fs::write(&file, bytes).unwrap();
        of(&file).unwrap()
    }

    #[test]
    fn pictures_get_a_small_jpeg_of_the_same_shape() {
        for (format, content_type) in [(ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::Png, "image/png")] {
            let made = of_bytes(&picture(1000, 500, format)).unwrap();
            assert_eq!((made.content_type, made.width, made.height), (content_type, 1000, 500));
            let small = image::load_from_memory_with_format(&made.thumbnail, ImageFormat::Jpeg).unwrap();
            assert_eq!((small.width(), small.height()), (320, 160));
        }
    }

    #[test]
    fn what_is_no_picture_or_a_damaged_one_has_none() {
        assert!(of_bytes(b"just words").is_none());
        assert!(of_bytes(b"").is_none());
        let mut cut = picture(100, 100, ImageFormat::Png);
        cut.truncate(60);
        assert!(of_bytes(&cut).is_none());
    }

    #[test]
    fn a_small_file_that_claims_to_be_huge_is_not_decoded() {
        let mut bomb = picture(1, 1, ImageFormat::Png);
        // The header's width and height, and its checksum.
        bomb[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&20_000_u32.to_be_bytes());
        let checksum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert!(of_bytes(&bomb).is_none());
    }

    /// CRC-32 as PNG has it, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }
}
