//! Telling the story while it happens, and keeping the report.

use std::time::{Duration, Instant};

use rcseal_report::{Report, Row};
use serde_json::json;

use crate::output::Output;

/// The teller.
pub(crate) struct Telling {
    output: Output,
    report: Report,
    step: Option<(&'static str, Instant)>,
    number: u32,
}

impl Telling {
    /// Begins the demo of processes.
    pub(crate) fn new(output: Output) -> Self {
        Self::with(
            output,
            "demo",
            "Two phones' engines talk through a relay that cannot read them.\n\
             Each phone is an encrypted profile; every step runs this program's own commands on it, as processes that speak to the\n\
             relay over sockets only. Where the SDK's programs in Kotlin and Swift are built, those talk first.\n",
        )
    }

    /// Begins a demo of this name, with words for people.
    pub(crate) fn with(output: Output, name: &str, intro: &str) -> Self {
        if !output.is_json() {
            output.text(intro);
        }
        Self { output, report: Report::new(name), step: None, number: 0 }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, id: &'static str, title: &str) {
        self.number += 1;
        self.step = Some((id, Instant::now()));
        if !self.output.is_json() {
            self.output.text(&format!("{:>2}  {title}", self.number));
        }
    }

    /// The step held.
    pub(crate) fn held(&mut self, detail: &str) {
        self.end(true, detail);
    }

    /// The step did not hold.
    pub(crate) fn broke(&mut self, detail: &str) {
        self.end(false, detail);
    }

    fn end(&mut self, held: bool, detail: &str) {
        let Some((id, started)) = self.step.take() else { return };
        self.report.promise(id, held);
        self.output.result(
            || {
                json!({
                    "event": "step",
                    "id": id,
                    "held": held,
                    "detail": detail,
                    "milliseconds": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                })
            },
            || format!("    {} {detail}\n", if held { "✓" } else { "✗" }),
        );
    }

    /// The name of the step that is under way.
    pub(crate) fn current(&self) -> Option<&'static str> {
        self.step.map(|(id, _)| id)
    }

    /// Adds a figure to the report.
    pub(crate) fn measure(&mut self, id: &str, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.report.measure(Row::lower(id, millis, "ms"));
    }

    /// Adds a row to the report that is a promise by itself.
    pub(crate) fn promise(&mut self, row: Row) {
        self.report.promise_row(row);
    }

    /// Adds a count to the report.
    pub(crate) fn count(&mut self, id: &str, count: u64, unit: &str) {
        self.report.measure(Row::higher(id, count, unit));
    }

    /// Says what became of a message, to programs.
    pub(crate) fn message(&self, what: &str, way: &str, reason: Option<&str>, carried: &str) {
        if self.output.is_json() {
            let event = json!({ "event": "said", "what": what, "way": way, "reason": reason, "carried": carried });
            self.output.json(&event);
        }
    }

    /// Says something beside the report, to people.
    pub(crate) fn say(&self, text: &str) {
        if !self.output.is_json() {
            self.output.text(text);
        }
    }

    /// The report so far.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }
}
