//! Reading a QR code out of a picture: what `--scan-png` does where there is no camera.
//!
//! The picture may be a screenshot, a file that `--qr` wrote, or a photo, as PNG or JPEG; turned, smaller, noisy or inverted. It may also
//! have been sent by somebody who means harm, so its size is looked at before it is decoded, decoding has a limit on memory, and looking
//! for codes happens at a bounded size on a thread of its own: a picture that is made to take for ever costs a bounded time and an error.
//! The thread ends with the process. The search library is known to panic on some pictures, at one size and not at another: that size is
//! passed over, and nobody is shown a stack trace.
//!
//! Only texts that begin as the wanted one does are answered. A poster beside the screen with a code of its own is no answer, and two
//! different codes of the wanted kind are a question that the user has to decide.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};

/// Bytes of a picture's file: more than a phone's best photo has.
const FILE_LEN_MAX: u64 = 32 * 1024 * 1024;
/// Pixels of a picture: more than a phone's best photo has.
const PIXELS_MAX: u64 = 64 * 1024 * 1024;
/// Memory for decoding one: that many pixels at four bytes.
const ALLOCATION_MAX: u64 = 4 * PIXELS_MAX;
/// Pixels of the longer side at which codes are looked for, largest first. A code is found best when a module is a few pixels: a photo is
/// made smaller, which also averages its noise away.
const SIDES: [u32; 4] = [1600, 1000, 600, 360];
/// A picture whose longer side is below this is looked at twice as large, too: the search wants more than one or two pixels for a module.
const SMALL_SIDE: u32 = 300;
/// How long the search may take: many times what it takes for the largest photo.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Codes that one picture may have. Whoever fills a picture with more wants to keep us busy.
const CODES_MAX: usize = 64;

/// The thread that searches.
const THREAD: &str = "scan";

/// What kind of code is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A contact's side of a safety number.
    Verification,
    /// An invitation.
    Invitation,
    /// The code of a device that wants to be linked.
    Link,
}

impl Wanted {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Verification => "rcseal://verify/",
            Self::Invitation => "rcseal://invite/",
            Self::Link => "rcseal://link/",
        }
    }
}

/// No code of the wanted kind was read.
#[derive(Debug, thiserror::Error)]
pub enum ScanPictureError {
    /// The file cannot be read.
    #[error("the picture cannot be read")]
    File(#[source] io::Error),
    /// The file is neither PNG nor JPEG.
    #[error("the file is neither a PNG nor a JPEG picture")]
    Format,
    /// The file, or the picture in it, is larger than a photo.
    #[error("the picture is larger than {} MB or {} million pixels", FILE_LEN_MAX / 1_000_000, PIXELS_MAX / 1_000_000)]
    TooLarge,
    /// The picture is damaged.
    #[error("the picture is damaged")]
    Damaged(#[source] ImageError),
    /// There is no QR code in it, or none that can be read.
    #[error("there is no QR code in the picture that can be read")]
    NoCode,
    /// There are QR codes in it, but none of the wanted kind.
    #[error("the QR code in the picture is not the one that is needed here; it should begin with {}", .wanted.prefix())]
    OtherCode {
        /// What was looked for.
        wanted: Wanted,
    },
    /// There are several different codes of the wanted kind in it.
    #[error("there are {count} different codes in the picture; cut one out")]
    Several {
        /// How many.
        count: usize,
    },
    /// The search took too long or failed.
    #[error("the picture is too hard to search; cut the code out of it")]
    TooHard,
}

impl ScanPictureError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Format => "picture_format",
            Self::TooLarge => "picture_too_large",
            Self::Damaged(_) => "picture_damaged",
            Self::NoCode => "picture_no_code",
            Self::OtherCode { .. } => "picture_other_code",
            Self::Several { .. } => "picture_several_codes",
            Self::TooHard => "picture_too_hard",
        }
    }
}

/// The text of the only code of the wanted kind in a picture's file.
///
/// # Errors
/// [`ScanPictureError`].
pub fn file(path: &Path, wanted: Wanted) -> Result<String, ScanPictureError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(ScanPictureError::File)?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(ScanPictureError::TooLarge);
    }
    picture(&bytes, wanted)
}

/// The same for the bytes of a picture.
///
/// # Errors
/// [`ScanPictureError`].
pub fn picture(bytes: &[u8], wanted: Wanted) -> Result<String, ScanPictureError> {
    picture_within(bytes, wanted, TIME_MAX)
}

fn picture_within(bytes: &[u8], wanted: Wanted, time: Duration) -> Result<String, ScanPictureError> {
    let grey = decode(bytes)?;
    let (answer, answered) = channel();
    let search = move || {
        // Nobody waits any more when the time is up.
        let _ = answer.send(search(&grey, wanted.prefix(), Instant::now() + time));
    };
    std::thread::Builder::new().name(THREAD.to_owned()).spawn(search).map_err(ScanPictureError::File)?;
    let found = match answered.recv_timeout(time) {
        Ok(found) => found,
        // Only a thread that died without an answer drops its end of the channel.
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(ScanPictureError::TooHard),
    };
    let mut texts = found.wanted.into_iter();
    match (texts.next(), texts.len(), found.others) {
        (Some(text), 0, _) => Ok(text),
        (Some(_), more, _) => Err(ScanPictureError::Several { count: more + 1 }),
        (None, _, true) => Err(ScanPictureError::OtherCode { wanted }),
        (None, _, false) => Err(ScanPictureError::NoCode),
    }
}

/// Decodes to grey, upright, on white where it is transparent.
fn decode(bytes: &[u8]) -> Result<GrayImage, ScanPictureError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ScanPictureError::File)?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(ScanPictureError::Format);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(ALLOCATION_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    // Some decoders take only a hint from the limits, so the size that they are about to need is looked at first.
    if u64::from(width) * u64::from(height) > PIXELS_MAX || decoder.total_bytes() > ALLOCATION_MAX {
        return Err(ScanPictureError::TooLarge);
    }
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    Ok(on_white(&picture))
}

fn refused(error: ImageError) -> ScanPictureError {
    match error {
        ImageError::Limits(_) => ScanPictureError::TooLarge,
        ImageError::Unsupported(_) => ScanPictureError::Format,
        other => ScanPictureError::Damaged(other),
    }
}

/// Grey, with what is transparent shown as paper would.
fn on_white(picture: &DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.to_luma8();
    }
    let grey = picture.to_luma_alpha8();
    GrayImage::from_fn(grey.width(), grey.height(), |x, y| {
        let [luma, alpha] = grey.get_pixel(x, y).0;
        let over = |value: u8| u16::from(value) * u16::from(alpha) / 255;
        image::Luma([u8::try_from(over(luma) + (255 - u16::from(alpha))).unwrap_or(u8::MAX)])
    })
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// Texts of the wanted kind.
    wanted: BTreeSet<String>,
    /// Whether there are readable codes of another kind.
    others: bool,
}

impl Found {
    fn add(&mut self, texts: Vec<String>, prefix: &str) {
        for text in texts {
            if text.starts_with(prefix) {
                self.wanted.insert(text);
            } else {
                self.others = true;
            }
        }
    }
}

/// Looks at several sizes, as it is and inverted, and stops at the first view that shows a wanted code.
fn search(grey: &GrayImage, prefix: &str, ends_at: Instant) -> Found {
    let mut found = Found::default();
    for mut view in views(grey) {
        for _ in ["as it is", "inverted"] {
            found.add(guarded(|| read_codes(&view)).unwrap_or_default(), prefix);
            if !found.wanted.is_empty() || Instant::now() >= ends_at {
                return found;
            }
            imageops::invert(&mut view);
        }
    }
    found
}

/// The picture at the sizes worth looking at. None is larger than the first of [`SIDES`].
fn views(grey: &GrayImage) -> impl Iterator<Item = GrayImage> {
    let longer = grey.width().max(grey.height());
    let doubled = (0 < longer && longer < SMALL_SIDE).then_some(longer * 2);
    let smaller = SIDES.into_iter().filter(move |side| *side < longer);
    let as_it_is = (0 < longer && longer <= SIDES[0]).then_some(longer);
    as_it_is.into_iter().chain(doubled).chain(smaller).map(move |side| at_size(grey, longer, side))
}

fn at_size(grey: &GrayImage, longer: u32, side: u32) -> GrayImage {
    if side == longer {
        return grey.clone();
    }
    let scaled = |length: u32| {
        let scaled = u64::from(length) * u64::from(side) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    imageops::resize(grey, scaled(grey.width()), scaled(grey.height()), FilterType::Triangle)
}

/// The texts of the codes in a view.
fn read_codes(view: &GrayImage) -> Vec<String> {
    let (width, height) = (view.width() as usize, view.height() as usize);
    // The picture stands on white: a code that reaches the edge has the margin that it was cut off from.
    let margin = (width.max(height) / 32).max(8);
    let pixel = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(margin), y.checked_sub(margin)) else { return u8::MAX };
        view.as_raw().get(y * width + x).copied().filter(|_| x < width).unwrap_or(u8::MAX)
    };
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width + 2 * margin, height + 2 * margin, pixel);
    // What cannot be decoded looks like a code and is none, or is one that this size does not show well.
    prepared.detect_grids().iter().take(CODES_MAX).filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
}

/// Runs a part of the search; `None` when it panicked, without a word of that on standard error.
fn guarded<T>(part: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if std::thread::current().name() != Some(THREAD) {
                others(panicked);
            }
        }));
    });
    // Nothing that the part could have left half done is looked at again.
    panic::catch_unwind(AssertUnwindSafe(part)).ok()
}

#[cfg(test)]
mod tests;
