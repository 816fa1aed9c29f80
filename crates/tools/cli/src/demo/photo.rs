//! The demo's photo: a small picture drawn here, so that nobody has to bring one.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// Pixels on each side.
const SIDE: u32 = 320;

/// A PNG of a sunset, with noise from `seed` in it, so that no two demos send the same bytes.
///
/// # Errors
/// Those of the encoder, which writes to memory.
pub(super) fn png(seed: [u8; 8]) -> Result<Vec<u8>, image::ImageError> {
    let mut noise = u64::from_be_bytes(seed) | 1;
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        // xorshift: the noise needs to be different, not unpredictable.
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        let grain = (noise & 0x0f) as u8;
        let (dx, dy) = (i64::from(x) - 160, i64::from(y) - 210);
        let is_sun = dx * dx + dy * dy < 60 * 60 && y < 230;
        let height = u8::try_from(y * 255 / SIDE).unwrap_or(u8::MAX);
        if is_sun {
            Rgb([255, 220, 120u8.saturating_add(grain)])
        } else if y >= 230 {
            Rgb([20u8.saturating_add(grain), 40, 90u8.saturating_add(grain)])
        } else {
            Rgb([height.saturating_add(grain), height / 2, 140u8.saturating_sub(height / 3)])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
