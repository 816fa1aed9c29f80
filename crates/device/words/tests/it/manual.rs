//! `docs/manual/words.md` shows the whole catalogue, and is written from it.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use rcseal_words::{Key, Language, words};

const BEGIN: &str = "<!-- the catalogue, written from `crates/device/words/catalogue` -->\n";

fn table() -> String {
    let mut out = String::from(BEGIN);
    let mut group = "";
    for key in Key::ALL {
        if key.group() != group {
            group = key.group();
            write!(out, "\n### {group}\n\n| key | severity | English | Deutsch |\n|---|---|---|---|\n").unwrap();
        }
        let [english, german] = Language::ALL.map(|language| words(*key, language));
        writeln!(
            out,
            "| `{}` | {} | **{}** {} | **{}** {} |",
            key.as_str(),
            key.severity().as_str(),
            english.title,
            english.body,
            german.title,
            german.body
        )
        .unwrap();
    }
    out
}

/// With `RCSEAL_BLESS=1` the page is written anew.
#[test]
fn the_page_of_the_manual_shows_the_catalogue_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/manual/words.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, shown) = page.split_at(page.find(BEGIN).unwrap());
    if env::var_os("RCSEAL_BLESS").is_some() {
        fs::write(&path, format!("{head}{}", table())).unwrap();
    } else {
        assert_eq!(shown, table(), "the catalogue has changed: run this test with RCSEAL_BLESS=1");
    }
}
