//! The text form: found after everything that networks and people do to text.

use base64::Engine;

use super::super::{Damage, Found, Kind, find, split};
use super::{ID, blob, mangle, one, parts_of, profile};

fn survives(body: &[u8]) {
    let found = find(body);
    assert_eq!(found, Found { parts: vec![one()], damage: vec![] }, "{}", String::from_utf8_lossy(body));
}

fn text() -> String {
    one().to_text()
}

#[test]
fn is_plain_ascii_that_begins_readably() {
    assert!(text().starts_with("RCSealedDQoaCgEB"));
    assert!(text().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'));
}

#[test]
fn survives_a_prefix_and_a_suffix_even_without_a_space() {
    survives(text().as_bytes());
    survives(format!("[Offline message - Sun Nov 22]{}Sent from my phone", text()).as_bytes());
    survives(format!("\u{feff}Bob wrote:\r\n{}\r\n\r\nGet the app…", text()).as_bytes());
}

#[test]
fn survives_wrapping_at_every_width_with_every_line_end() {
    for width in [1, 2, 3, 7, 13, 40, 64, 76, 78, 160, 500] {
        for line_end in ["\r\n", "\n", "\r", "\r\n ", "\n\t", " "] {
            survives(mangle::wrapped(&text(), width, line_end).as_bytes());
        }
    }
}

#[test]
fn survives_quoting() {
    for prefix in ["> ", ">", "> > ", ">>> ", "| ", " > "] {
        survives(mangle::quoted(&mangle::wrapped(&text(), 60, "\n"), prefix).as_bytes());
        survives(mangle::quoted(&format!("Hello!\n{}\nBye.", mangle::wrapped(&text(), 60, "\n")), prefix).as_bytes());
    }
    survives(mangle::quoted(&mangle::wrapped(&text(), 60, "\n"), "&gt; ").as_bytes());
}

#[test]
fn survives_rewritten_line_ends() {
    let body = format!("Hello\r\n{}\r\nBye\n", mangle::wrapped(&text(), 76, "\r\n"));
    survives(&mangle::to_lf(body.as_bytes()));
    survives(&mangle::to_crlf(body.as_bytes()));
}

#[test]
fn survives_quoted_printable() {
    survives(&mangle::quoted_printable(text().as_bytes()));
    let eager = text().replace('+', "=2B").replace('/', "=2f").replace('R', "=52");
    survives(mangle::wrapped(&eager, 3000, "").as_bytes());
    survives(mangle::wrapped(&text(), 75, "= \t\r\n").as_bytes());
}

#[test]
fn survives_multipart() {
    survives(&mangle::multipart("text/plain; charset=us-ascii", "7bit", text().as_bytes()));
    let quoted = mangle::quoted_printable(text().as_bytes());
    survives(&mangle::multipart("text/plain", "quoted-printable", &quoted));
}

#[test]
fn survives_unicode() {
    // Normalisation changes no ASCII, so what is tried is what it leaves of what others put in: wide forms, invisible characters.
    let wide: String = text().chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    survives(wide.as_bytes());
    for invisible in ["\u{200b}", "\u{ad}", "\u{2060}", "\u{feff}", "\u{a0}", "\u{2028}", "\u{200e}"] {
        survives(mangle::wrapped(&text(), 20, invisible).as_bytes());
    }
    survives(&mangle::utf_16(&text()));
}

#[test]
fn survives_typography_and_markup() {
    // A blob whose text has something for every substitution; two bytes bring it to a boundary of four characters.
    let signs = base64::engine::general_purpose::STANDARD.decode("1/2+1/4+3/4/c/o/").unwrap();
    let blob = [vec![0; 2], signs.repeat(20)].concat();
    let part = split(Kind::Envelope, ID, &blob, &profile(true, 1000)).unwrap().remove(0);
    let plain = part.to_text();
    let fractions = plain.replace("1/2", "½").replace("1/4", "¼").replace("3/4", "¾").replace("c/o", "℅");
    assert!(fractions.contains("½+¼+¾/℅/"));
    // NFKC writes a fraction with a slash of its own.
    let normalised = fractions.replace('½', "1\u{2044}2").replace('¼', "1\u{2044}4").replace('¾', "3\u{2044}4");
    let dashes = plain.replace("--", "–").replace("...", "…").replace('"', "”");
    let json = mangle::wrapped(&plain.replace('/', "\\/"), 76, "\\r\\n");
    let markup = plain.replace('+', "\\+");
    let escaped = plain.replace('+', "\\u002B").replace('/', "\\u002f");
    let html =
        format!("<p>{}</p>", mangle::wrapped(&plain, 76, "<br />\n").replace('+', "&#43;").replace("/", "&#x2F;"));
    let html = html.replace("<br &#x2F;>", "<br/>").replace("<&#x2F;p>", "</p>");
    for body in [fractions, normalised, dashes, json, markup, escaped, html] {
        assert_eq!(find(body.as_bytes()), Found { parts: vec![part.clone()], damage: vec![] });
    }
}

#[test]
fn several_parts_in_one_body_are_found() {
    let parts = parts_of(&blob(3000), 1300);
    let lines: Vec<String> = parts.iter().map(|part| mangle::wrapped(&part.to_text(), 70, "\r\n")).collect();
    assert_eq!(find(lines.join("\r\n\r\n").as_bytes()).parts, parts);
    assert_eq!(find(parts.iter().map(|part| part.to_text()).collect::<String>().as_bytes()).parts, parts);
}

#[test]
fn a_body_cut_in_two_is_found_when_both_are_put_together() {
    for cut in [5, 13, 100, 700] {
        let text = text();
        let (head, tail) = text.split_at(cut);
        assert!(find(head.as_bytes()).parts.is_empty());
        assert!(find(tail.as_bytes()).parts.is_empty());
        survives(format!("{head}\r\n{tail}").as_bytes());
    }
}

#[test]
fn truncation_is_named_at_every_length() {
    let text = text();
    for len in 13..text.len() {
        let found = find(&text.as_bytes()[..len]);
        let expected = if len < 48 { 48 } else { text.len() };
        assert_eq!(found, Found { parts: vec![], damage: vec![Damage::Truncated { expected, found: len }] });
    }
}

#[test]
fn an_ellipsis_is_named_as_truncation_and_the_next_part_is_still_found() {
    let body = format!("{}… more in the app\r\n{}", &text()[..300], text());
    let damage = vec![Damage::Truncated { expected: text().len(), found: 300 }];
    assert_eq!(find(body.as_bytes()), Found { parts: vec![one()], damage });
    let body = format!("{}{}", &text()[..300], text());
    let damage = vec![Damage::Truncated { expected: text().len(), found: 300 }];
    assert_eq!(find(body.as_bytes()), Found { parts: vec![one()], damage });
}

#[test]
fn a_changed_character_is_named() {
    let text = text();
    for at in 13..text.len() - 1 {
        let mut body = text.clone().into_bytes();
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        let found = find(&body);
        assert_eq!((found.parts.len(), found.damage.len()), (0, 1), "at {at}: {found:?}");
    }
}

/// Every way to change one letter of the beginning.
fn with_one_letter_of_the_beginning_changed() -> Vec<String> {
    let text = text();
    let mut changed = Vec::new();
    for at in 0..13 {
        let (before, after) = text.split_at(at);
        changed.push(format!("{before}{}", &after[1..]));
        for letter in ["x", "0", ".", "?", "\u{e9}"] {
            changed.push(format!("{before}{letter}{}", &after[1..]));
            changed.push(format!("{before}{letter}{after}"));
        }
    }
    changed
}

#[test]
fn a_changed_letter_of_the_beginning_is_named() {
    for changed in with_one_letter_of_the_beginning_changed() {
        for body in [changed.clone(), format!("Bob wrote:\r\n{changed}"), mangle::wrapped(&changed, 64, "\r\n> ")] {
            let found = find(body.as_bytes());
            // What was put in front of it leaves it as it was.
            let is_whole = found.parts == [one()];
            assert!(is_whole || (found.parts.is_empty() && found.damage == [Damage::Corrupt]), "{body}: {found:?}");
        }
    }
}

#[test]
fn a_beginning_of_which_half_is_left_is_named() {
    for cut in 1..=3 {
        assert_eq!(find(&text().as_bytes()[cut..]).damage, [Damage::Corrupt], "{cut}");
    }
    assert!(find(&text().as_bytes()[13..]).is_nothing(), "letters like any others");
}

#[test]
fn words_that_begin_like_a_frame_are_words() {
    let words = "protects messages from everybody who is not to read them also from those who carry them ";
    for beginning in ["RCSealed ", "RCSeal ", "RCSealed by oak ", "RCSealedDQ ", "edDQoaC "] {
        assert!(find(format!("{beginning}{}", words.repeat(3)).as_bytes()).is_nothing(), "{beginning}");
        assert!(find(format!("{beginning}{}", words.to_uppercase().repeat(3)).as_bytes()).is_nothing(), "{beginning}");
    }
}

#[test]
fn changed_case_is_named_when_the_beginning_survives() {
    let body = format!("{}{}", &text()[..16], text()[16..].to_lowercase());
    assert_eq!(find(body.as_bytes()).parts, []);
    assert_eq!(find(body.as_bytes()).damage.len(), 1);
}
