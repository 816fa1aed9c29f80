//! QR codes as text: two modules per character, dark on light whatever the terminal's colours are.

use qrcode::{EcLevel, QrCode};

/// Light modules round the code, so that a camera finds it.
const MARGIN: usize = 2;

/// The code as lines of half blocks; `None` when the text is too long for one.
#[must_use]
pub fn render(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let modules = code.to_colors();
    let is_dark = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(MARGIN), y.checked_sub(MARGIN)) else { return false };
        x < width && y < width && modules[y * width + x] == qrcode::Color::Dark
    };
    let full = width + 2 * MARGIN;
    let mut out = String::new();
    for y in (0..full).step_by(2) {
        // Black on white is set outright, because on a dark terminal an inverted code is one that many cameras do not read.
        out.push_str("\x1b[30;107m");
        for x in 0..full {
            out.push(match (is_dark(x, y), is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_line_is_as_wide_as_the_code_and_resets_the_colours() {
        let text = render("rcseal://verify/AAAA").unwrap();
        let widths: Vec<usize> = text
            .lines()
            .map(|line| line.trim_start_matches("\x1b[30;107m").trim_end_matches("\x1b[0m").chars().count())
            .collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        assert!(text.lines().all(|line| line.ends_with("\x1b[0m")));
    }

    #[test]
    fn a_text_that_no_code_can_hold_has_none() {
        assert_eq!(render(&"x".repeat(8000)), None);
    }
}
