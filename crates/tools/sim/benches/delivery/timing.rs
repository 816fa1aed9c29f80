//! CPU time of this thread, and the middle of many batches.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// Batches per figure.
const BATCHES: usize = 15;

fn thread_micros() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// Microseconds of CPU for one call: the median of batches of `count` calls, after one that is not counted.
pub(crate) fn per_call<T>(count: usize, mut call: impl FnMut() -> T) -> f64 {
    let mut batch = || {
        let start = thread_micros();
        for _ in 0..count {
            black_box(call());
        }
        (thread_micros() - start) / count as f64
    };
    batch();
    median(&(0..BATCHES).map(|_| batch()).collect::<Vec<_>>())
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
