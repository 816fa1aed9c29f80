//! Reads the table of allowed arrows out of ARCHITECTURE.md.
//!
//! The table is the one in the document whose first heading is `crate` and whose second is `may use`; a third one,
//! `in tests also`, names what only tests and benches may use. Cells hold short names, in backticks or bare, between commas
//! or spaces. A dash, or nothing, allows nothing.

use std::collections::{BTreeMap, BTreeSet};

/// What one crate may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Short names the product may use.
    pub(crate) always: BTreeSet<String>,
    /// Short names that tests, benches and examples may use besides.
    pub(crate) in_tests: BTreeSet<String>,
}

/// Why the document holds no usable table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    /// No table starts with the headings `crate` and `may use`.
    #[error("ARCHITECTURE.md has no table with the headings `crate | may use`")]
    Missing,
    /// There are two such tables, and a reader could not know which one counts.
    #[error("ARCHITECTURE.md has a second table of arrows in line {line}")]
    Second {
        /// The line, counted from 1.
        line: usize,
    },
    /// A row lacks its second cell.
    #[error("the table of arrows is broken in line {line}")]
    Row {
        /// The line, counted from 1.
        line: usize,
    },
    /// A crate has two rows.
    #[error("`{name}` has a second row in line {line}")]
    Twice {
        /// The crate's short name.
        name: String,
        /// The line, counted from 1.
        line: usize,
    },
}

/// The table: a short name and what it may use.
pub(crate) type Table = BTreeMap<String, Allowed>;

/// Finds and reads the table.
pub(crate) fn parse(document: &str) -> Result<Table, TableError> {
    let mut table: Option<Table> = None;
    let mut lines = document.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let headings: Vec<String> = cells(line).iter().map(|cell| cell.to_lowercase()).collect();
        if headings.len() < 2 || headings[0] != "crate" || headings[1] != "may use" {
            continue;
        }
        if table.is_some() {
            return Err(TableError::Second { line: index + 1 });
        }
        let tests_column = headings.iter().position(|heading| heading == "in tests also");
        let mut rows = Table::new();
        while let Some((index, line)) = lines.next_if(|(_, line)| line.trim_start().starts_with('|')) {
            let cells = cells(line);
            if cells.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|byte| matches!(byte, b'-' | b':'))) {
                continue;
            }
            let [name, uses, ..] = cells.as_slice() else { return Err(TableError::Row { line: index + 1 }) };
            let [name] = names(name)
                .into_iter()
                .collect::<Vec<_>>()
                .try_into()
                .map_err(|_| TableError::Row { line: index + 1 })?;
            let in_tests =
                tests_column.and_then(|column| cells.get(column)).map(|cell| names(cell)).unwrap_or_default();
            let allowed = Allowed { always: names(uses), in_tests };
            if rows.insert(name.clone(), allowed).is_some() {
                return Err(TableError::Twice { name, line: index + 1 });
            }
        }
        table = Some(rows);
    }
    table.ok_or(TableError::Missing)
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim();
    let Some(inner) = line.strip_prefix('|') else { return Vec::new() };
    inner.strip_suffix('|').unwrap_or(inner).split('|').map(str::trim).collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split([',', ' '])
        .map(|name| name.trim_matches('`'))
        .filter(|name| !name.is_empty() && !matches!(*name, "-" | "–" | "—"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_row_names_what_a_crate_may_use() {
        let table = parse(
            "# Title\n\n| crate | may use | in tests also | what for |\n|---|---|---|---|\n\
             | `crypto` | – | | keys |\n| `signal` | `crypto` | `report` | sessions |\n\ntext\n",
        )
        .unwrap();
        assert_eq!(table["crypto"], Allowed::default());
        assert_eq!(table["signal"], Allowed { always: set(&["crypto"]), in_tests: set(&["report"]) });
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn other_tables_are_passed_over() {
        let table =
            parse("| crate | size |\n|---|---|\n| a | 1 |\n\n| Crate | May use |\n|---|---|\n| a | b, c |\n").unwrap();
        assert_eq!(table["a"].always, set(&["b", "c"]));
    }

    #[test]
    fn a_document_without_the_table_is_refused() {
        assert_eq!(parse("# Title\n| a | b |\n").unwrap_err(), TableError::Missing);
    }

    #[test]
    fn two_tables_are_refused_because_one_of_them_would_be_ignored() {
        let document = "| crate | may use |\n|---|---|\n\n| crate | may use |\n|---|---|\n";
        assert_eq!(parse(document).unwrap_err(), TableError::Second { line: 4 });
    }

    #[test]
    fn a_crate_with_two_rows_and_a_row_without_a_cell_are_refused() {
        let twice = "| crate | may use |\n|---|---|\n| a | b |\n| a | c |\n";
        assert_eq!(parse(twice).unwrap_err(), TableError::Twice { name: "a".to_owned(), line: 4 });
        assert_eq!(parse("| crate | may use |\n|---|---|\n| a |\n").unwrap_err(), TableError::Row { line: 3 });
    }
}
