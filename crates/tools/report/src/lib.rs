//! One shape for every report the project prints.
//!
//! Benchmarks, interoperability runs, drills and `rcseal demo` all end the same way: a list of named values, some with a
//! goal beside them, and two counts that say whether every promise held. People read it as a table; scripts read it as one
//! JSON object on one line, which is always the last line of standard output:
//!
//! ```json
//! {"name":"bench signal","machine":"…","rows":[{"id":"encrypt_1kib","value":4.2,"unit":"µs","goal":6.0,"better":"lower","met":true,"peers":{"vodozemac":5.1}}],"passed":1,"failed":0}
//! ```
//!
//! Two kinds of row exist, and the difference is the point of this crate. A **measurement** has a value and perhaps a goal;
//! a goal that is missed is shown as such and fails nothing, because a speed depends on the machine. A **promise** is
//! something that must hold everywhere (no message lost, no forgery accepted); a broken one counts in `failed`, and the
//! command that printed the report exits with 1.
//!
//! The crate reads `/proc` once to name the machine and writes where it is told to. It depends on nothing of ours, so that
//! benches, `xtask` and the user's tool can all use it (see `docs/decisions/0001-report-crate.md`).
//!
//! ```
//! use rcseal_report::{Report, Row};
//!
//! let mut report = Report::new("bench signal");
//! report.measure(Row::lower("encrypt_1kib", 4.2, "µs").goal(6.0).peer("vodozemac", 5.1));
//! report.promise("tampered_message_refused", true);
//! assert_eq!(report.exit_code(), 0);
//! assert_eq!(Report::from_output(&report.to_json()).unwrap(), report);
//! ```

mod machine;
mod report;
mod row;
mod table;

pub use machine::describe_machine;
pub use report::{Format, Report, ReportError};
pub use row::{Better, Row, Value};
