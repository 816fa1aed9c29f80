//! Text that somebody else wrote, made safe for a terminal.
//!
//! A terminal obeys escape sequences wherever they come from: a message could clear the screen, rewrite what stands above it, or, on some
//! terminals, answer for the user. So control characters of a peer never reach one. Characters that turn the direction of writing are left
//! out as well, because with them `gpj.exe` reads as `exe.jpg`.

/// Whether a character may do something to a terminal other than show itself.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: controls are dropped, line ends and tabs become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\t' => Some(' '),
            other if is_unsafe(other) => None,
            other => Some(other),
        })
        .collect()
}

/// Several lines: each is safe by itself, and every one after the first begins with `indent`, so that a peer cannot write a line that
/// looks like one of ours.
#[must_use]
pub fn lines(text: &str, indent: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

/// JSON whose strings hold no unsafe character as itself, only as `\u` escapes: the same value, and nothing a terminal would obey.
#[must_use]
pub fn json_line(value: &serde_json::Value) -> String {
    escape_json(&value.to_string())
}

/// The same for JSON that is text already, line ends left out.
#[must_use]
pub fn escape_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Bytes of a file name that every file system takes, with room for a counter.
const FILE_NAME_LEN_MAX: usize = 180;

/// A file name that a peer chose, made harmless: the last part of any path, no controls, nothing hidden, no device of Windows, not too
/// long.
#[must_use]
pub fn file_name(claimed: &str) -> String {
    let last = claimed.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = one_line(last)
        .chars()
        .map(|character| if matches!(character, ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { character })
        .collect();
    name = name.trim().trim_start_matches('.').trim_end_matches(['.', ' ']).trim_start().to_owned();
    while name.len() > FILE_NAME_LEN_MAX {
        // The end stays, because the kind of a file is read there.
        name.remove(0);
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    match name.as_str() {
        "" => "file".to_owned(),
        _ if is_device => format!("_{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_a_peer_do_not_reach_the_terminal() {
        assert_eq!(one_line("\x1b[2Jhello\x07 \u{9b}31mthere\u{202e}!\n"), "[2Jhello 31mthere! ");
        assert_eq!(lines("one\n  mallory: two\r", "    | "), "one\n    |   mallory: two");
    }

    #[test]
    fn json_keeps_the_value_and_escapes_what_a_terminal_would_obey() {
        let value = serde_json::json!({ "text": "a\u{9b}b\u{7f}\u{e0041}\n" });
        let line = json_line(&value);
        assert!(line.is_ascii(), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).ok(), Some(value));
    }

    #[test]
    fn a_peer_cannot_choose_a_path() {
        for (claimed, expected) in [
            ("photo.png", "photo.png"),
            ("../../.bashrc", "bashrc"),
            ("/etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("..", "file"),
            ("", "file"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("nul.txt", "_nul.txt"),
            ("what?.txt", "what_.txt"),
        ] {
            assert_eq!(file_name(claimed), expected, "{claimed:?}");
        }
        assert!(file_name(&"ä".repeat(400)).len() <= FILE_NAME_LEN_MAX);
    }
}
