//! One line of a report: a value, the goal beside it, and what peers reached in the same run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Whether a value should be small, large, or exactly the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// A smaller value is better: a latency, a size.
    Lower,
    /// A larger value is better: a rate.
    Higher,
    /// Only the goal itself is good: a promise, a count of losses, a peer's answer.
    Equal,
}

/// What a row can hold: a number, a yes or no, or a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A word or a short sentence.
    Text(String),
}

impl Value {
    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.pad("yes"),
            Self::Bool(false) => f.pad("no"),
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<f64> for Value {
    /// Keeps six significant digits, which is more than any measurement here is good for. A number that JSON cannot carry
    /// becomes a word, and so can never meet a goal.
    fn from(value: f64) -> Self {
        match Number::from_f64(round_to_six_digits(value)) {
            Some(number) => Self::Number(number),
            None => Self::Text("not a number".to_owned()),
        }
    }
}

macro_rules! value_from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Number(Number::from(value))
            }
        }
    )*};
}
value_from_integer!(u8, u16, u32, u64, usize, i32, i64);

fn round_to_six_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits_before_point = value.abs().log10().floor() + 1.0;
    let decimals = (6.0 - digits_before_point).clamp(0.0, 12.0);
    let scale = 10f64.powf(decimals);
    (value * scale).round() / scale
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    id: String,
    value: Value,
    unit: String,
    goal: Option<Value>,
    better: Better,
    met: Option<bool>,
    peers: BTreeMap<String, Value>,
}

impl Row {
    /// A value that should be small. `id` is a stable snake_case name that scripts select by.
    #[must_use]
    pub fn lower(id: &str, value: impl Into<Value>, unit: &str) -> Self {
        Self::build(id, value.into(), unit, Better::Lower)
    }

    /// A value that should be large.
    #[must_use]
    pub fn higher(id: &str, value: impl Into<Value>, unit: &str) -> Self {
        Self::build(id, value.into(), unit, Better::Higher)
    }

    /// A value that is good only when it equals its goal.
    #[must_use]
    pub fn equal(id: &str, value: impl Into<Value>, unit: &str) -> Self {
        Self::build(id, value.into(), unit, Better::Equal)
    }

    fn build(id: &str, value: Value, unit: &str, better: Better) -> Self {
        Self { id: id.to_owned(), value, unit: unit.to_owned(), goal: None, better, met: None, peers: BTreeMap::new() }
    }

    /// Sets the goal and decides whether the value meets it. The bound itself counts as met.
    #[must_use]
    pub fn goal(mut self, goal: impl Into<Value>) -> Self {
        let goal = goal.into();
        self.met = Some(meets(&self.value, &goal, self.better));
        self.goal = Some(goal);
        self
    }

    /// Adds what a peer reached under the same name in the same run.
    #[must_use]
    pub fn peer(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.peers.insert(name.to_owned(), value.into());
        self
    }

    /// The stable name of the row.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value reached.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The unit of value, goal and peers; empty for a bare word or a yes or no.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The goal, where there is one.
    #[must_use]
    pub fn goal_value(&self) -> Option<&Value> {
        self.goal.as_ref()
    }

    /// Which direction is good.
    #[must_use]
    pub fn better(&self) -> Better {
        self.better
    }

    /// Whether the goal was met; `None` without a goal.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        self.met
    }

    /// What peers reached, by name.
    pub fn peers(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.peers.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Values of different kinds never meet each other's goal, and neither do words under `lower` or `higher`.
fn meets(value: &Value, goal: &Value, better: Better) -> bool {
    match (better, value.as_f64(), goal.as_f64()) {
        (Better::Lower, Some(value), Some(goal)) => value <= goal,
        (Better::Higher, Some(value), Some(goal)) => value >= goal,
        // `0` and `0.0` are the same figure although JSON writes them differently.
        (Better::Equal, Some(value), Some(goal)) => value == goal,
        (Better::Equal, None, None) => value == goal,
        (Better::Lower | Better::Higher, _, _) | (Better::Equal, _, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound() {
        assert_eq!(Row::lower("a", 2.0, "µs").goal(2).met(), Some(true));
        assert_eq!(Row::higher("a", 2, "msg/s").goal(2.0).met(), Some(true));
        assert_eq!(Row::equal("a", 0u64, "messages").goal(0.0).met(), Some(true));
    }

    #[test]
    fn a_missed_goal_is_not_met() {
        assert_eq!(Row::lower("a", 2.1, "µs").goal(2.0).met(), Some(false));
        assert_eq!(Row::higher("a", 1.9, "msg/s").goal(2.0).met(), Some(false));
        assert_eq!(Row::equal("a", "ours", "").goal("theirs").met(), Some(false));
    }

    #[test]
    fn a_row_without_a_goal_has_no_verdict() {
        assert_eq!(Row::lower("a", 2.1, "µs").met(), None);
    }

    #[test]
    fn values_of_different_kinds_never_meet_a_goal() {
        assert_eq!(Row::equal("a", true, "").goal(1).met(), Some(false));
        assert_eq!(Row::lower("a", "small", "").goal("small").met(), Some(false));
    }

    #[test]
    fn a_figure_that_json_cannot_carry_is_a_word_and_meets_nothing() {
        let row = Row::lower("a", f64::NAN, "µs").goal(1.0);
        assert_eq!(row.value(), &Value::Text("not a number".to_owned()));
        assert_eq!(row.met(), Some(false));
        assert_eq!(Value::from(f64::INFINITY), Value::from("not a number"));
    }

    #[test]
    fn figures_keep_six_significant_digits_and_no_integer_digit_is_lost() {
        assert_eq!(Value::from(1.234_567_89).to_string(), "1.23457");
        assert_eq!(Value::from(0.000_123_456_789).to_string(), "0.000123457");
        assert_eq!(Value::from(98_123_456.7).to_string(), "98123457.0");
        assert_eq!(Value::from(0.0).to_string(), "0.0");
    }
}
