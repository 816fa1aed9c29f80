//! What is given in the place of an argument: secrets that do not belong on a command line, and codes in pictures.
//!
//! Every user of a machine can read every command line on it. So invitations, link texts, invite codes and scanned codes may be `-`, which
//! means: the first line of standard input. Recovery codes and reset tickets are never arguments and are read with [`line`]. Whatever
//! somebody shows as a QR code may be read from a picture of it.

use std::io::{self, BufRead};
use std::path::Path;

use zeroize::Zeroizing;

use crate::args::CodeFile;
use crate::error::CliError;
use crate::qr;
use crate::scan::{self, Wanted};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";
/// A line longer than this is something else.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// An argument, or the line that it stands for.
///
/// # Errors
/// [`CliError::File`] where standard input cannot be read or is no text.
pub fn secret(argument: String) -> Result<String, CliError> {
    if argument != STANDARD_INPUT {
        return Ok(argument);
    }
    standard_input()
}

/// A secret that is never an argument: the first line of standard input.
///
/// # Errors
/// [`CliError::File`] where standard input cannot be read or is no text.
pub fn line() -> Result<Zeroizing<String>, CliError> {
    standard_input().map(Zeroizing::new)
}

fn standard_input() -> Result<String, CliError> {
    first_line(io::stdin().lock()).map_err(|source| CliError::File { path: "standard input".into(), source })
}

/// The text of a code: given as an argument, or read out of a picture. `None` when neither was given.
///
/// # Errors
/// [`CliError::Picture`], and those of [`secret`].
pub fn text_or_picture(
    text: Option<String>,
    picture: Option<&Path>,
    wanted: Wanted,
) -> Result<Option<String>, CliError> {
    match picture {
        Some(path) => {
            scan::file(path, wanted).map(Some).map_err(|source| CliError::Picture { path: path.to_owned(), source })
        }
        None => text.map(secret).transpose(),
    }
}

/// Writes the code that was asked for into the file that was asked for, if one was.
///
/// # Errors
/// [`CliError::QrFile`].
pub fn write_code(text: &str, file: &CodeFile) -> Result<(), CliError> {
    let Some(path) = &file.qr else { return Ok(()) };
    qr::write_png(text, path, file.force).map_err(|source| CliError::QrFile { path: path.clone(), source })
}

fn first_line(input: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.take(LINE_LEN_MAX).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_dash_stands_for_the_first_line_and_nothing_else_does() {
        assert_eq!(first_line(&b" rcseal://invite/x\r\nmore"[..]).unwrap(), "rcseal://invite/x");
        assert_eq!(first_line(&b""[..]).unwrap(), "");
        assert!(first_line(&[0xff, b'\n'][..]).is_err());
        assert_eq!(secret("--".to_owned()).unwrap(), "--");
    }
}
