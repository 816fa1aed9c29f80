//! Counts tests from what the test harness prints.

use std::fmt;

/// How many tests ran, and how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were left out because they are marked so.
    pub(crate) skipped: u64,
    /// The names of those.
    pub(crate) skipped_names: Vec<String>,
}

impl Counts {
    /// Takes in one line of output; lines that say nothing about tests are passed over.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| ignored_name(rest)) {
            self.skipped_names.push(name.to_owned());
            return;
        }
        let Some((_, numbers)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for number in numbers.split(';') {
            let mut words = number.split_whitespace();
            let (Some(count), Some(kind)) = (words.next().and_then(|word| word.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match kind {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Adds the counts of another part.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.skipped_names.extend(other.skipped_names.iter().cloned());
    }
}

/// The name in `name ... ignored` and in `name ... ignored, the reason`.
fn ignored_name(rest: &str) -> Option<&str> {
    let (name, verdict) = rest.rsplit_once(" ... ")?;
    (verdict == "ignored" || verdict.starts_with("ignored, ")).then_some(name)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} SKIPPED", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(output: &str) -> Counts {
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.read_line(line));
        counts
    }

    #[test]
    fn results_of_several_binaries_are_summed() {
        let counts = counted(
            "running 3 tests\ntest a ... ok\ntest b ... FAILED\ntest c ... ignored, needs a phone\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s\n\
             test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s\n",
        );
        assert_eq!((counts.passed, counts.failed, counts.skipped), (21, 1, 1));
        assert_eq!(counts.skipped_names, ["c"]);
    }

    #[test]
    fn ordinary_output_is_passed_over() {
        let output = "test\ntest result: \ntest result: ok. many passed\npassed 3\ntest ignored ... ok\n";
        assert_eq!(counted(output), Counts::default());
    }
}
