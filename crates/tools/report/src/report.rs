//! The report itself: rows, the two counts, and its two printed forms.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::machine::describe_machine;
use crate::row::{Row, Value};
use crate::table;

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on one line, for scripts.
    Json,
    /// A table, for people.
    Table,
}

impl Format {
    /// The format a `--json` flag asks for.
    #[must_use]
    pub fn from_json_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// Why a report could not be read back from a program's output.
#[derive(Debug)]
pub enum ReportError {
    /// The output holds no line at all.
    Empty,
    /// The last line is not a report.
    Malformed(serde_json::Error),
}

impl ReportError {
    /// A stable name for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "report_empty",
            Self::Malformed(_) => "report_malformed",
        }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the program printed no report",
            Self::Malformed(_) => "the last line of the output is not a report",
        })
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Empty => None,
            Self::Malformed(source) => Some(source),
        }
    }
}

/// A named list of values, and how many promises held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    name: String,
    machine: String,
    rows: Vec<Row>,
    passed: u64,
    failed: u64,
}

impl Report {
    /// Starts a report of this machine. `name` is the command that prints it, such as `bench relay`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), machine: describe_machine(), rows: Vec::new(), passed: 0, failed: 0 }
    }

    /// Adds a measurement. A goal that it misses is shown and counts nowhere.
    pub fn measure(&mut self, row: Row) -> &mut Self {
        self.rows.push(row);
        self
    }

    /// Adds a promise that held or did not, and counts it. Returns whether it held.
    pub fn promise(&mut self, id: &str, held: bool) -> bool {
        self.promise_row(Row::equal(id, held, "").goal(true))
    }

    /// Adds a promise that has a value of its own, such as `messages_lost` with the goal 0, and counts it. A row without a
    /// goal promises nothing that could be checked and counts as broken. Returns whether it held.
    pub fn promise_row(&mut self, row: Row) -> bool {
        let held = row.met() == Some(true);
        if held {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.rows.push(row);
        held
    }

    /// The command that made the report.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine it was made on.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The rows in the order they were added.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of that name.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id() == id)
    }

    /// The value of the row of that name.
    #[must_use]
    pub fn value(&self, id: &str) -> Option<&Value> {
        self.row(id).map(Row::value)
    }

    /// How many promises held.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// How many promises were broken.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// What the command that made the report exits with: 0 if every promise held, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.failed > 0)
    }

    /// The report as one JSON object on one line, without a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("a report holds only finite numbers, words and string keys, which JSON can carry")
    }

    /// Reads the report back from the last line of a program's standard output.
    ///
    /// # Errors
    /// [`ReportError`] when there is no line, or when the last one is not a report.
    pub fn from_output(output: &str) -> Result<Self, ReportError> {
        let line = output.lines().rev().find(|line| !line.trim().is_empty()).ok_or(ReportError::Empty)?;
        serde_json::from_str(line).map_err(ReportError::Malformed)
    }

    /// Writes the report. In [`Format::Json`] the object is the last line written.
    ///
    /// # Errors
    /// Whatever the writer returns.
    pub fn write_to(&self, out: &mut impl Write, format: Format) -> io::Result<()> {
        match format {
            Format::Json => writeln!(out, "{}", self.to_json())?,
            Format::Table => out.write_all(table::render(self).as_bytes())?,
        }
        out.flush()
    }

    /// Prints the report to standard output and returns the exit code. A reader that has gone away does not change the
    /// verdict, so a failure to write is not an error here.
    pub fn finish(&self, format: Format) -> u8 {
        let _ = self.write_to(&mut io::stdout().lock(), format);
        self.exit_code()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn example() -> Report {
        let mut report = Report::new("bench example");
        report.machine = "Example CPU, 2 cores".to_owned();
        report.measure(Row::lower("encrypt", 4.2, "µs").goal(6.0).peer("vodozemac", 5.1));
        report.measure(Row::higher("rate", 1000u64, "msg/s"));
        report.promise("forgery_refused", true);
        report
    }

    #[test]
    fn json_has_exactly_the_documented_shape() {
        assert_eq!(
            example().to_json(),
            concat!(
                r#"{"name":"bench example","machine":"Example CPU, 2 cores","rows":["#,
                r#"{"id":"encrypt","value":4.2,"unit":"µs","goal":6.0,"better":"lower","met":true,"peers":{"vodozemac":5.1}},"#,
                r#"{"id":"rate","value":1000,"unit":"msg/s","goal":null,"better":"higher","met":null,"peers":{}},"#,
                r#"{"id":"forgery_refused","value":true,"unit":"","goal":true,"better":"equal","met":true,"peers":{}}"#,
                r#"],"passed":1,"failed":0}"#
            )
        );
    }

    #[test]
    fn a_report_is_read_back_from_the_last_line_of_an_output() {
        let report = example();
        let output = format!("compiling\nrunning\n{}\n\n", report.to_json());
        assert_eq!(Report::from_output(&output).unwrap(), report);
    }

    #[test]
    fn an_output_without_a_report_is_a_named_error() {
        assert_eq!(Report::from_output("\n \n").unwrap_err().code(), "report_empty");
        assert_eq!(Report::from_output("thread main panicked").unwrap_err().code(), "report_malformed");
    }

    #[test]
    fn a_missed_goal_does_not_fail_the_command_but_a_broken_promise_does() {
        let mut report = example();
        report.measure(Row::lower("decrypt", 9.0, "µs").goal(6.0));
        assert_eq!((report.failed(), report.exit_code()), (0, 0));
        assert!(!report.promise("nothing_lost", false));
        assert_eq!((report.passed(), report.failed(), report.exit_code()), (1, 1, 1));
    }

    #[test]
    fn a_promise_without_a_goal_is_broken() {
        let mut report = Report::new("drill");
        assert!(!report.promise_row(Row::equal("messages_lost", 0, "messages")));
        assert!(report.promise_row(Row::equal("messages_lost", 0, "messages").goal(0)));
        assert_eq!((report.passed(), report.failed()), (1, 1));
    }

    #[test]
    fn json_is_the_only_line_written() {
        let mut out = Vec::new();
        example().write_to(&mut out, Format::Json).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with("}\n"));
    }
}
