//! One direction of one connection.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::{Faults, HeaderRewrite};
use super::{Counts, add};

/// Read at once.
const PIECE_LEN: usize = 16 << 10;

/// The longest line that is kept back to see whether it is a header: what is longer is no header.
const LINE_LEN_MAX: usize = 8 << 10;

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The reader had no more, or the writer wanted no more.
    Closed,
    /// It is to be reset.
    Reset,
}

impl Ended {
    pub(super) const fn is_reset(self) -> bool {
        matches!(self, Self::Reset)
    }
}

/// What a direction does, and where it stands.
pub(super) struct Direction<'a> {
    faults: &'a Faults,
    rng: StdRng,
    is_blackhole: bool,
    passed: u64,
    reset_after: Option<u64>,
    lines: Lines<'a>,
}

impl<'a> Direction<'a> {
    pub(super) fn new(faults: &'a Faults, seed: u64, is_blackhole: bool) -> Self {
        let lines = Lines { rewrites: &faults.headers, held: Vec::new(), rewritten: 0 };
        let mut rng = StdRng::seed_from_u64(seed);
        let within = faults.reset_within.map(|most| rng.random_range(0..=most));
        let reset_after = faults.reset_after.into_iter().chain(within).min();
        Self { faults, rng, is_blackhole, passed: 0, reset_after, lines }
    }

    fn wait(&mut self) -> Duration {
        let jitter = u64::try_from(self.faults.jitter.as_micros()).unwrap_or(u64::MAX);
        let extra = if jitter == 0 { 0 } else { self.rng.random_range(0..=jitter) };
        self.faults.delay + Duration::from_micros(extra)
    }

    /// Flips bits; answers in how many bytes.
    fn corrupt(&mut self, bytes: &mut [u8]) -> usize {
        let Some(one_in) = self.faults.corrupt_one_in.filter(|one_in| *one_in > 0) else { return 0 };
        let mut flipped = 0;
        for byte in bytes {
            if self.rng.random_range(0..one_in) == 0 {
                *byte ^= 1 << self.rng.random_range(0..8);
                flipped += 1;
            }
        }
        flipped
    }
}

/// Passes bytes on until one side ends, or the faults say so.
pub(super) async fn pass(
    mut direction: Direction<'_>,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    counts: &Counts,
) -> Ended {
    let mut buffer = vec![0; PIECE_LEN];
    let mut free_at = Instant::now();
    loop {
        let Ok(len) = from.read(&mut buffer).await else { return Ended::Closed };
        if len == 0 {
            let rest = direction.lines.take_rest();
            let _ = to.write_all(&rest).await;
            // The other side hears of the end, and may go on talking.
            let _ = to.shutdown().await;
            return Ended::Closed;
        }
        if direction.is_blackhole {
            add(&counts.swallowed, len);
            continue;
        }
        let mut bytes = direction.lines.rewrite(&buffer[..len]);
        add(&counts.rewritten, std::mem::take(&mut direction.lines.rewritten));
        add(&counts.corrupted, direction.corrupt(&mut bytes));
        let wait = direction.wait();
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let slice = direction.faults.slice_max.unwrap_or(PIECE_LEN).max(1);
        for piece in bytes.chunks(slice) {
            if let Some(rate) = direction.faults.bytes_per_second {
                sleep_until(free_at).await;
                let takes = Duration::from_secs(1).mul_f64(piece.len() as f64 / f64::from(rate.max(1)));
                free_at = free_at.max(Instant::now()) + takes;
            }
            let left = direction.reset_after.map(|after| after.saturating_sub(direction.passed));
            let len = left.map_or(piece.len(), |left| piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            if to.write_all(&piece[..len]).await.is_err() {
                return Ended::Closed;
            }
            add(&counts.bytes, len);
            direction.passed += u64::try_from(len).unwrap_or(u64::MAX);
            if len < piece.len() {
                return Ended::Reset;
            }
            if direction.faults.slice_max.is_some() {
                // Lets the piece leave before the next is written behind it.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Lines of text on their way.
struct Lines<'a> {
    rewrites: &'a [HeaderRewrite],
    held: Vec<u8>,
    rewritten: usize,
}

impl Lines<'_> {
    /// Rewrites whole lines, and keeps back what may become one.
    fn rewrite(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.rewrites.is_empty() {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.held.drain(..=end).collect();
            match self.rewrites.iter().find(|rewrite| is_header(&line, &rewrite.name)) {
                None => out.extend(line),
                Some(rewrite) => {
                    self.rewritten += 1;
                    if let Some(value) = &rewrite.value {
                        out.extend_from_slice(format!("{}: {value}\r\n", rewrite.name).as_bytes());
                    }
                }
            }
        }
        let may_be_header = self.held.len() <= LINE_LEN_MAX
            && self.rewrites.iter().any(|rewrite| may_become(&self.held, &rewrite.name));
        if !may_be_header {
            out.append(&mut self.held);
        }
        out
    }

    fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn is_header(line: &[u8], name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && line.get(name.len()) == Some(&b':')
}

/// Whether the beginning of a line can still be that of this header.
fn may_become(start: &[u8], name: &str) -> bool {
    let known = start.len().min(name.len());
    start[..known].eq_ignore_ascii_case(&name.as_bytes()[..known])
        && start.get(name.len()).is_none_or(|byte| *byte == b':')
}
