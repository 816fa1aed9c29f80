//! Checks what documents claim and a program can see: that the tests which the threat model and the manual's list of failures name
//! exist, that the manual's lists of stable codes and the source agree, and that links lead somewhere.
//!
//! A page that says "cannot, and this test shows it" is worth as much as the test; a test that was renamed or removed
//! must not leave the claim standing. A test is named as `` `crate: name_of_the_test` ``.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Context, Outcome, PartError, codes};
use crate::process::say;
use crate::workspace::Workspace;

/// Pages that name tests.
const CLAIMING: [&str; 2] = ["docs/threat-model.md", "docs/manual/failures.md"];

/// Runs the part.
pub(crate) fn run(context: &Context) -> Result<Outcome, PartError> {
    let root = &context.workspace.root;
    let mut complaints = Vec::new();
    for page in CLAIMING {
        complaints.extend(missing_tests(&context.workspace, page)?);
    }
    complaints.extend(codes::complaints(&context.workspace)?);
    for document in documents(root)? {
        let text = context.workspace.read(&document)?;
        complaints.extend(dead_links(root, &document, &text));
    }
    complaints.iter().for_each(|complaint| say(complaint));
    Ok(match complaints.len() {
        0 => Outcome::Passed,
        count => Outcome::Failed(format!("{count} claims that do not hold")),
    })
}

fn missing_tests(workspace: &Workspace, page: &str) -> Result<Vec<String>, PartError> {
    let claims = claims(&workspace.read(page)?);
    let mut complaints = Vec::new();
    if claims.is_empty() {
        complaints.push(format!("{page} names no test at all"));
    }
    for (short, test) in claims {
        let package = if short == "xtask" { short.clone() } else { format!("rcseal-{short}") };
        let folder = workspace.members.iter().find(|member| member.package == package).map(|member| &member.folder);
        let found = match folder {
            Some(folder) => defines(&workspace.root.join(folder), &format!("fn {test}("))?,
            None => false,
        };
        if !found {
            complaints.push(format!("{page} names `{short}: {test}`, which does not exist"));
        }
    }
    Ok(complaints)
}

/// Every `` `crate: name` `` in the text.
fn claims(text: &str) -> BTreeSet<(String, String)> {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(": "))
        .filter(|(short, test)| name(short) && name(test))
        .map(|(short, test)| (short.to_owned(), test.to_owned()))
        .collect()
}

/// Whether a source file in the folder holds the text.
pub(super) fn defines(folder: &Path, text: &str) -> Result<bool, PartError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| PartError::File { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path).is_ok_and(|source| source.contains(text))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The Markdown files of the workspace's own folder and of `docs/`, relative to it.
fn documents(root: &Path) -> Result<Vec<String>, PartError> {
    let mut found = Vec::new();
    let mut folders = vec![String::new(), "docs".to_owned()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let failed = |source| PartError::File { path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if name.ends_with(".md") {
                found.push(relative);
            } else if !folder.is_empty() && entry.path().is_dir() {
                folders.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Relative links of a document that lead to no file.
fn dead_links(root: &Path, document: &str, text: &str) -> Vec<String> {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':') && !target.contains(' '))
        .filter(|target| !root.join(folder).join(target).exists())
        .map(|target| format!("{document} links to {target}, which does not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn claims_are_a_crate_and_a_test_in_backticks() {
        let text = "Shown by `signal: a_test` and `wire: another`; not `fn main`, `a: b c` or plain signal: words.";
        let expected = [("signal", "a_test"), ("wire", "another")];
        assert_eq!(claims(text), expected.map(|(short, test)| (short.to_owned(), test.to_owned())).into());
    }

    #[test]
    fn a_test_is_found_by_its_definition_in_any_source_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tests/it")).unwrap();
        fs::write(folder.path().join("tests/it/main.rs"), "#[test]\nfn it_holds() {}\n").unwrap();
        fs::write(folder.path().join("notes.md"), "fn it_does_not(").unwrap();
        assert!(defines(folder.path(), "fn it_holds(").unwrap());
        assert!(!defines(folder.path(), "fn it_does_not(").unwrap());
    }

    #[test]
    fn a_link_to_nothing_is_named_and_others_pass() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/there.md"), "").unwrap();
        let text = "[a](there.md) [b](there.md#part) [c](https://example.org) [d](#here) [e](../docs) [f](gone.md)";
        let complaints = dead_links(root.path(), "docs/page.md", text);
        assert_eq!(complaints, ["docs/page.md links to gone.md, which does not exist"]);
    }
}
