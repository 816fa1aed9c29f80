//! The form for people: one aligned line per row, the goal beside the figure, and a plain closing line.

use crate::report::Report;
use crate::row::{Better, Row, Value};

const HEADINGS: [&str; 5] = ["", "value", "goal", "met", "beside it"];

/// Renders the whole report; every line ends with a line end.
pub(crate) fn render(report: &Report) -> String {
    let mut lines: Vec<[String; 5]> = vec![HEADINGS.map(str::to_owned)];
    lines.extend(report.rows().iter().map(cells));
    let mut widths = [0usize; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = format!("{}\n{}\n\n", report.name(), report.machine());
    for line in &lines {
        let mut rendered = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            if column > 0 {
                rendered.push_str("  ");
            }
            // Figures and goals line up at their right edge, words at their left one.
            if column == 1 || column == 2 {
                rendered.push_str(&format!("{cell:>width$}"));
            } else {
                rendered.push_str(&format!("{cell:<width$}"));
            }
        }
        text.push_str(rendered.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("\n{} passed, {} failed\n", report.passed(), report.failed()));
    text
}

fn cells(row: &Row) -> [String; 5] {
    let goal = row.goal_value().map_or_else(String::new, |goal| {
        let relation = match row.better() {
            Better::Lower => "≤ ",
            Better::Higher => "≥ ",
            Better::Equal => "",
        };
        format!("{relation}{}", figure(goal))
    });
    let met = match row.met() {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    let peers: Vec<String> = row.peers().map(|(name, value)| format!("{name} {}", figure(value))).collect();
    let value = match (row.value(), row.unit()) {
        (value, "") => figure(value),
        (value, unit) => format!("{} {unit}", figure(value)),
    };
    [row.id().to_owned(), value, goal, met.to_owned(), peers.join(", ")]
}

/// Numbers lose a trailing `.0`, and large ones are grouped by thousands.
fn figure(value: &Value) -> String {
    let text = value.to_string();
    let Value::Number(_) = value else { return text };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, "0")) => (whole, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text.as_str(), None),
    };
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || fraction.is_some_and(|fraction| fraction.contains('e')) {
        return text;
    }
    let mut grouped = String::with_capacity(text.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{grouped}.{fraction}"),
        None => format!("{sign}{grouped}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_the_goal_beside_the_figure_and_closes_with_the_counts() {
        let mut report = Report::new("bench example");
        report.measure(Row::lower("encrypt", 4.25, "µs").goal(6.0).peer("vodozemac", 5.1));
        report.measure(Row::higher("rate", 98_000u64, "msg/s").goal(100_000));
        report.promise("forgery_refused", true);
        let table = render(&report);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "bench example");
        assert_eq!(lines[3], "                        value       goal  met  beside it");
        assert_eq!(lines[4], "encrypt               4.25 µs        ≤ 6  yes  vodozemac 5.1");
        assert_eq!(lines[5], "rate             98,000 msg/s  ≥ 100,000  NO");
        assert_eq!(lines[6], "forgery_refused           yes        yes  yes");
        assert_eq!(lines.last(), Some(&"1 passed, 0 failed"));
    }

    #[test]
    fn figures_are_grouped_and_keep_their_sign() {
        assert_eq!(figure(&Value::from(1_234_567u64)), "1,234,567");
        assert_eq!(figure(&Value::from(-1234.5)), "-1,234.5");
        assert_eq!(figure(&Value::from(12.0)), "12");
        assert_eq!(figure(&Value::from(1e-9)), "1e-9");
    }
}
