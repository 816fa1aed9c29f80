//! Turns `catalogue/<language>/*.toml` into one `match` for each language.
//!
//! A state without words in one of the languages does not compile, nor do words for a state that does not exist.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

const LANGUAGES: [&str; 2] = ["en", "de"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalogue");
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let mut out = String::new();
    for language in LANGUAGES {
        writeln!(out, "const fn {language}(key: Key) -> Text {{\n    match key {{")?;
        let mut files: Vec<_> = fs::read_dir(Path::new(&root).join("catalogue").join(language))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for file in files {
            let table: toml::Table = fs::read_to_string(&file)?.parse()?;
            for (group, entries) in &table {
                let entries = entries.as_table().ok_or("a group is a table of entries")?;
                for (name, entry) in entries {
                    let text = |field: &str| entry.get(field).and_then(toml::Value::as_str);
                    let missing = |field: &str| format!("{language}: {group}.{name} has no {field}");
                    let title = text("title").ok_or_else(|| missing("title"))?;
                    let body = text("body").ok_or_else(|| missing("body"))?;
                    // Where nothing else is said, a screen reader reads what is shown.
                    let spoken = text("accessibility").map_or_else(|| format!("{title}. {body}"), str::to_owned);
                    let variant = camel(&format!("{group}_{name}"));
                    writeln!(
                        out,
                        "        Key::{variant} => Text {{ title: {title:?}, body: {body:?}, accessibility: {spoken:?} }},"
                    )?;
                }
            }
        }
        out.push_str("    }\n}\n");
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.rs"), out)?;
    Ok(())
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}
