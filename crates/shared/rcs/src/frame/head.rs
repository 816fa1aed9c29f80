//! Damaged beginnings: a part whose first bytes or letters were changed is not found by them, and should not pass for a body of others.
//!
//! A beginning is taken for a damaged one where half of it stands untouched. Of text that is not enough, since half of it reads as a word
//! that people may write: most of the other half has to be there too, and behind it letters that are no words.

use memchr::memmem;

use super::PART_OVERHEAD;
use super::part::{CANARY, MAGIC};
use super::text::{TEXT_MAGIC, is_of_alphabet};

/// What a part of text is at least followed by, and how many of those are neither small letters nor words' few capitals: in base64 of random
/// bytes there are ten digits and signs and 26 capitals among as many.
const RUN_LEN: usize = 64;
const RUN_DIGITS_MIN: usize = 3;
const RUN_CAPITALS_MIN: usize = 8;

/// Whether a part in binary begins here somewhere, but for some of its first bytes.
pub(super) fn is_damaged_binary(body: &[u8]) -> bool {
    let head = [MAGIC.as_slice(), &CANARY].concat();
    let (front, back) = head.split_at(head.len() / 2);
    // A part follows, at least of the shortest length less what may be missing of the beginning.
    let holds = |at: usize| body.len() - at > PART_OVERHEAD - head.len();
    [front, back].into_iter().any(|half| memmem::find_iter(body, half).any(holds))
}

/// Whether a part as text begins here somewhere, but for some of its first letters: `cleaned` is without what was put between letters.
pub(super) fn is_damaged_text(cleaned: &[u8]) -> bool {
    let (front, back) = TEXT_MAGIC.split_at(TEXT_MAGIC.len() / 2);
    let by_front = memmem::find_iter(cleaned, front).any(|at| {
        let from = at + front.len();
        is_nearly(cleaned, from, back) && is_no_words(cleaned, from + back.len() + 1)
    });
    let by_back = || {
        memmem::find_iter(cleaned, back).any(|at| {
            // Letters that are missing before the first are as good as wrong ones.
            let padded = [&[0; 8], &cleaned[at.saturating_sub(8)..at]].concat();
            is_nearly(&padded, padded.len() - front.len(), front) && is_no_words(cleaned, at + back.len())
        })
    };
    by_front || by_back()
}

/// Whether nearly half of the letters stand here, or one place before or behind, as they do where one was taken out or put in.
fn is_nearly(text: &[u8], at: usize, expected: &[u8]) -> bool {
    let agreeing = |from: usize| {
        let there = text.get(from..).unwrap_or_default();
        there.iter().zip(expected).filter(|(found, expected)| found == expected).count()
    };
    [at, at + 1, at.saturating_sub(1)].into_iter().any(|from| agreeing(from) >= expected.len() / 2)
}

fn is_no_words(text: &[u8], at: usize) -> bool {
    let Some(run) = text.get(at..).and_then(|rest| rest.get(..RUN_LEN)) else { return false };
    let count = |is: fn(&u8) -> bool| run.iter().filter(|byte| is(byte)).count();
    run.iter().all(|byte| is_of_alphabet(*byte))
        && count(|byte| !byte.is_ascii_alphabetic()) >= RUN_DIGITS_MIN
        && count(u8::is_ascii_uppercase) >= RUN_CAPITALS_MIN
}
