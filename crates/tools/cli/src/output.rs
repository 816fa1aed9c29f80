//! Standard output: either lines for people or one JSON object per line, never both.
//!
//! Whatever a peer wrote passes [`crate::safe_text`] before it gets here as text; JSON is made safe here. A reader that has gone away
//! (`rcseal listen | head`) is not an error: the lines are dropped, and the command's own work goes on.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::safe_text;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// For people, or for programs.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    #[must_use]
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// One result, in the form that was asked for. Only the chosen form is made.
    pub fn result(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
        if self.json { self.json(&json()) } else { self.text(&text()) }
    }

    /// One JSON object on a line of its own.
    pub fn json(self, value: &Value) {
        write_line(&safe_text::json_line(value));
    }

    /// A line, or several, for people.
    pub fn text(self, text: &str) {
        write_line(text);
    }

    /// A remark beside the result, on standard error.
    pub fn note(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Whether results go to a terminal, which shows colours.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Whether a person watches standard error, so that a progress bar makes sense.
    #[must_use]
    pub fn shows_progress(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }
}

fn write_line(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
