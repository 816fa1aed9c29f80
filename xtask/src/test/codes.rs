//! Checks the manual's list of stable codes against the source, in both directions.
//!
//! `docs/manual/errors.md` has a table for each source file that it names with "From": its first column is what the functions called `code`
//! in that file can answer, all of it and nothing else. The codes that the SDK's page picks out for apps must be among them.

use std::collections::BTreeSet;

use super::PartError;
use crate::workspace::Workspace;

/// The page with every code.
const LIST: &str = "docs/manual/errors.md";
/// The page that picks some, and how its table begins.
const PICKED: (&str, &str) = ("docs/manual/sdk.md", "| kind | whose matter | codes");
/// How a source file is named before its table.
const FROM: &str = "From `";
/// Where the SDK makes codes of its own.
const SDK: &str = "crates/device/sdk/src";

type Codes = BTreeSet<String>;

/// What does not agree.
pub(super) fn complaints(workspace: &Workspace) -> Result<Vec<String>, PartError> {
    let list = workspace.read(LIST)?;
    let mut complaints = Vec::new();
    let mut known = Codes::new();
    for (source, listed) in tables(&list) {
        let answered = answered(&workspace.read(&source)?);
        complaints
            .extend(listed.difference(&answered).map(|code| format!("{LIST} lists `{code}`, which {source} has not")));
        complaints.extend(answered.difference(&listed).map(|code| format!("{LIST} leaves out `{code}` of {source}")));
        known.extend(answered);
    }
    let (page, heading) = PICKED;
    let picked = picked(&workspace.read(page)?, heading);
    if known.is_empty() || picked.is_empty() {
        complaints.push(format!("{LIST} or {page} lists no code at all"));
    }
    for code in picked.difference(&known) {
        if !super::documents::defines(&workspace.root.join(SDK), &format!("\"{code}\""))? {
            complaints.push(format!("{page} picks `{code}`, which is neither in {LIST} nor the SDK's own"));
        }
    }
    Ok(complaints)
}

/// Each source file that the page names, with the first column of the table that follows.
fn tables(page: &str) -> Vec<(String, Codes)> {
    let mut tables: Vec<(String, Codes)> = Vec::new();
    for line in page.lines() {
        if let Some((source, _)) = line.strip_prefix(FROM).and_then(|rest| rest.split_once('`')) {
            tables.push((source.to_owned(), Codes::new()));
        } else if let Some((code, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`'))
            && let Some((_, codes)) = tables.last_mut()
        {
            codes.insert(code.to_owned());
        }
    }
    tables
}

/// Every code that a function called `code` in the source has as a literal. The source is formatted: a function ends at its own indentation.
fn answered(source: &str) -> Codes {
    let mut codes = Codes::new();
    let mut end = None;
    for line in source.lines() {
        if end.is_none() && line.contains("fn code(") && line.contains("-> &'static str") {
            end = Some(format!("{}}}", &line[..line.len() - line.trim_start().len()]));
        } else if end.as_deref() == Some(line) {
            end = None;
        } else if end.is_some() {
            codes.extend(line.split('"').skip(1).step_by(2).filter(|code| is_code(code)).map(str::to_owned));
        }
    }
    codes
}

/// What is in backticks in the last column of the table that begins so.
fn picked(page: &str, heading: &str) -> Codes {
    page.lines()
        .skip_while(|line| !line.starts_with(heading))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|code| is_code(code))
        .map(str::to_owned)
        .collect()
}

fn is_code(text: &str) -> bool {
    let is_of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(codes: &[&str]) -> Codes {
        codes.iter().map(|code| (*code).to_owned()).collect()
    }

    #[test]
    fn tables_belong_to_the_source_before_them() {
        let page =
            "| `no` | x |\nFrom `a.rs`:\n\n| code | |\n|---|---|\n| `one` | `two` |\n\nFrom `b.rs`:\n\n| `three` | |\n";
        assert_eq!(tables(page), [("a.rs".to_owned(), codes(&["one"])), ("b.rs".to_owned(), codes(&["three"]))]);
    }

    #[test]
    fn codes_are_the_literals_of_functions_with_that_name() {
        let source = "    pub fn code(&self) -> &'static str {\n        match self {\n            A => \"a.b\",\n        }\n    }\n    fn name() -> &'static str {\n        \"no\"\n    }\n";
        assert_eq!(answered(source), codes(&["a.b"]));
    }

    #[test]
    fn picked_codes_are_in_the_last_column_of_their_table() {
        let page = "| `not` | this |\n\n| kind | codes |\n|---|---|\n| `A` | `one.two` (r), `three`; see `docs/x.md` |\n\n| `B` | `four` |";
        assert_eq!(picked(page, "| kind | codes"), codes(&["one.two", "three"]));
    }
}
