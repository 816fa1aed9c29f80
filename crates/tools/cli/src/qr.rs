//! QR codes to show: as text for a terminal, and as a PNG file for a screen, a printer or another program.
//!
//! As text, two modules make one character. On a terminal the colours are set outright, dark on light; anywhere else there are none,
//! because a file or a pipe would keep them as escape sequences. The text of an invitation or a link is a secret, and so is its picture:
//! files are for their owner alone, and none is written over unless that was asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Write as _};
use std::path::Path;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::types::QrError;
use qrcode::{EcLevel, QrCode};

/// Light modules round the code as text, so that a camera finds it. Less than the standard asks for: terminals are narrow, and beyond the
/// code they are one colour.
const MARGIN: usize = 2;
/// Light modules round the code in a file: what the standard asks for.
const FILE_MARGIN: usize = 4;
/// Pixels of a module in a file. A code of ours is then 400 to 700 pixels wide: large enough to scan from a screen at arm's length, and to
/// be found again in a photo that was made smaller.
const MODULE_PIXELS: usize = 10;
/// What sets black on white, because on a dark terminal an inverted code is one that many cameras do not read.
const DARK_ON_LIGHT: &str = "\x1b[30;107m";
const RESET: &str = "\x1b[0m";

/// A code could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum QrFileError {
    /// The text is too long for a QR code.
    #[error("the text is too long for a QR code")]
    TooLong(#[source] QrError),
    /// The picture could not be encoded.
    #[error("the picture cannot be encoded")]
    Encode(#[source] image::ImageError),
    /// The file could not be written, or is there already.
    #[error("the file cannot be written")]
    File(#[source] io::Error),
}

/// A code's modules, with a light margin.
struct Modules {
    width: usize,
    margin: usize,
    dark: Vec<bool>,
}

impl Modules {
    fn new(text: &str, level: EcLevel, margin: usize) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, level)?;
        let dark = code.to_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect();
        Ok(Self { width: code.width(), margin, dark })
    }

    /// Modules of a side, margins included.
    const fn full(&self) -> usize {
        self.width + 2 * self.margin
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(self.margin), y.checked_sub(self.margin)) else { return false };
        x < self.width && y < self.width && self.dark.get(y * self.width + x).copied().unwrap_or_default()
    }
}

/// The code as lines of half blocks, with colours where a terminal shows them; `None` when the text is too long for one.
#[must_use]
pub fn render(text: &str, colours: bool) -> Option<String> {
    let modules = Modules::new(text, EcLevel::L, MARGIN).ok()?;
    let full = modules.full();
    let mut out = String::new();
    for y in (0..full).step_by(2) {
        out.push_str(if colours { DARK_ON_LIGHT } else { "" });
        for x in 0..full {
            out.push(match (modules.is_dark(x, y), modules.is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str(if colours { RESET } else { "" });
        out.push('\n');
    }
    Some(out)
}

/// The code as a PNG.
///
/// # Errors
/// [`QrFileError::TooLong`].
pub fn png(text: &str) -> Result<Vec<u8>, QrFileError> {
    // A photo of a screen has reflections: a level that mends twice as much as the one for terminals, for one size more.
    let modules = Modules::new(text, EcLevel::M, FILE_MARGIN).map_err(QrFileError::TooLong)?;
    // At most 185 modules: no code has more than 177.
    let side = u32::try_from(modules.full() * MODULE_PIXELS).unwrap_or(u32::MAX);
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let module = |pixel: u32| pixel as usize / MODULE_PIXELS;
        Luma([if modules.is_dark(module(x), module(y)) { 0 } else { u8::MAX }])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(QrFileError::Encode)?;
    Ok(bytes.into_inner())
}

/// Writes the code as a PNG for its owner alone. A file that is there is written over only with `replace`, and then as a whole: nobody
/// ever reads half of it, and a symbolic link is replaced, not followed.
///
/// # Errors
/// [`QrFileError`].
pub fn write_png(text: &str, path: &Path, replace: bool) -> Result<(), QrFileError> {
    let bytes = png(text)?;
    if !replace {
        return fill(create_new(path), &bytes).map_err(QrFileError::File);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    // A temporary file of this crate is for its owner alone, too.
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(QrFileError::File)?;
    beside.write_all(&bytes).and_then(|()| beside.as_file().sync_all()).map_err(QrFileError::File)?;
    beside.persist(path).map(|_| ()).map_err(|error| QrFileError::File(error.error))
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn fill(file: io::Result<File>, bytes: &[u8]) -> io::Result<()> {
    let mut file = file?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn on_a_terminal_every_line_is_as_wide_as_the_code_and_resets_the_colours() {
        let text = render("rcseal://verify/AAAA", true).unwrap();
        let widths: Vec<usize> = text
            .lines()
            .map(|line| line.trim_start_matches(DARK_ON_LIGHT).trim_end_matches(RESET).chars().count())
            .collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        assert!(text.lines().all(|line| line.ends_with(RESET)));
    }

    #[test]
    fn elsewhere_it_has_no_escape_sequences() {
        let text = render("rcseal://verify/AAAA", false).unwrap();
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(text.contains('█'));
    }

    #[test]
    fn a_text_that_no_code_can_hold_has_none() {
        assert_eq!(render(&"x".repeat(8000), true), None);
        assert!(matches!(png(&"x".repeat(8000)), Err(QrFileError::TooLong(_))));
    }

    #[test]
    fn a_file_is_written_over_only_when_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code.png");
        write_png("rcseal://verify/AAAA", &path, false).unwrap();
        let first = std::fs::read(&path).unwrap();
        match write_png("rcseal://verify/BBBB", &path, false) {
            Err(QrFileError::File(error)) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists),
            other => assert!(other.is_err(), "a file that was there was written over"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), first);
        write_png("rcseal://verify/BBBB", &path, true).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
