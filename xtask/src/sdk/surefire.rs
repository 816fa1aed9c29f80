//! Counts tests from the XML reports that Maven's Surefire leaves.
//!
//! Reports are asked instead of what Maven prints, because they name what was skipped and stay the same when Maven is told to be quiet.

use std::fs;
use std::path::Path;

use super::SdkError;
use crate::test::Counts;

/// Adds up every `TEST-*.xml` of a folder. A folder that is not there has no tests in it.
pub(super) fn count(folder: &Path) -> Result<Counts, SdkError> {
    let mut counts = Counts::default();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(counts) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("TEST-") && name.ends_with(".xml") {
            let path = entry.path();
            let text = fs::read_to_string(&path).map_err(SdkError::file(&path))?;
            counts.add(&read(&text));
        }
    }
    Ok(counts)
}

/// Reads one report.
fn read(report: &str) -> Counts {
    // The first `<testsuite ...>` has the sums; `<testcase ...>` elements that hold `<skipped` are named.
    let Some((_, rest)) = report.split_once("<testsuite ") else { return Counts::default() };
    let head = rest.split('>').next().unwrap_or_default();
    let number = |name: &str| attribute(head, name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
    let failed = number("errors") + number("failures");
    let skipped = number("skipped");
    let mut counts =
        Counts { passed: number("tests").saturating_sub(failed + skipped), failed, skipped, ..Counts::default() };
    for case in rest.split("<testcase ").skip(1) {
        if case.contains("<skipped") {
            let head = case.split('>').next().unwrap_or_default();
            let name = attribute(head, "name").unwrap_or_default();
            counts.skipped_names.push(format!("{}.{name}", attribute(head, "classname").unwrap_or_default()));
        }
    }
    counts
}

/// The value of an attribute in the head of an element.
fn attribute<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    // The blank before the name keeps `name` from being found in `classname`.
    let padded = format!(" {name}=\"");
    let start = head.find(&padded).map(|at| at + padded.len()).or_else(|| {
        let first = format!("{name}=\"");
        head.starts_with(&first).then_some(first.len())
    })?;
    head.get(start..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_from_the_suite_and_names_from_the_cases() {
        let report = r#"<?xml version="1.0"?>
<testsuite xmlns:xsi="x" name="org.rcseal.T" time="1.0" tests="5" errors="1" skipped="1" failures="1">
  <testcase name="a" classname="org.rcseal.T" time="0.1"/>
  <testcase name="b" classname="org.rcseal.T" time="0.1"><skipped message="no"/></testcase>
</testsuite>"#;
        let counts = read(report);
        assert_eq!((counts.passed, counts.failed, counts.skipped), (2, 2, 1));
        assert_eq!(counts.skipped_names, ["org.rcseal.T.b"]);
    }

    #[test]
    fn what_is_no_report_counts_nothing() {
        assert_eq!(read("<html>"), Counts::default());
    }
}
