//! CPU time of this thread, and batches that take turns.

use std::collections::BTreeMap;
use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

fn thread_micros() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// Microseconds of CPU per call over `count` calls.
pub(crate) fn per_call<T>(count: usize, mut call: impl FnMut(usize) -> T) -> f64 {
    let start = thread_micros();
    for number in 0..count {
        black_box(call(number));
    }
    (thread_micros() - start) / count as f64
}

/// One batch: prepares what it needs, and returns microseconds per operation.
pub(crate) type Batch = Box<dyn FnMut() -> f64>;

/// Batches of several rows, run in turn.
#[derive(Default)]
pub(crate) struct Group(Vec<(&'static str, Batch)>);

impl Group {
    pub(crate) fn add(&mut self, id: &'static str, batch: Batch) {
        self.0.push((id, batch));
    }

    pub(crate) fn run(mut self, batches: usize) -> BTreeMap<String, Vec<f64>> {
        let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        // The first turn warms caches and tables and is not counted.
        for turn in 0..=batches {
            for (id, batch) in &mut self.0 {
                let time = batch();
                if turn > 0 {
                    times.entry((*id).to_owned()).or_default().push(time);
                }
            }
        }
        times
    }
}

pub(crate) fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

pub(crate) fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}
