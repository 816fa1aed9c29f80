//! The form in which kept inputs are in the repository: one file for each target, one input in each line, in hexadecimal digits,
//! shortest first. A thousand tiny files would drown a review; lines can be counted and compared.

/// The text is not a corpus.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the corpus is not hexadecimal")]
pub(crate) struct CorpusError {
    line: usize,
}

/// Writes inputs as text. The same inputs give the same text, in whatever order they come.
pub(crate) fn pack(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.sort_by(|left, right| left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
    inputs.dedup();
    let mut text = String::new();
    for input in inputs {
        for byte in input {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
    }
    text
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack(text: &str) -> Result<Vec<Vec<u8>>, CorpusError> {
    text.lines().enumerate().map(|(index, line)| unpack_line(line).ok_or(CorpusError { line: index + 1 })).collect()
}

fn unpack_line(line: &str) -> Option<Vec<u8>> {
    if !line.len().is_multiple_of(2) || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inputs_come_back_sorted_and_once() {
        let text = pack(vec![vec![2, 255], vec![], vec![9], vec![2, 255]]);
        assert_eq!(text, "\n09\n02ff\n");
        assert_eq!(unpack(&text).unwrap(), [vec![], vec![9], vec![2, 255]]);
    }

    #[test]
    fn a_line_that_is_not_hexadecimal_is_named() {
        assert_eq!(unpack("00\n0\n").unwrap_err(), CorpusError { line: 2 });
        assert_eq!(unpack("+1\n").unwrap_err(), CorpusError { line: 1 });
    }
}
