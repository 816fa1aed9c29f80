//! Secrets that are given as arguments: invitations, link texts, invite codes, scanned codes.
//!
//! Every user of a machine can read every command line on it. So each of them may be `-`, which means: the first line of standard input.

use std::io::{self, BufRead};

use crate::error::CliError;

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
    first_line(io::stdin().lock()).map_err(|source| CliError::File { path: "standard input".into(), source })
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
