//! What the disk and the engine can do without us.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use rand::RngExt as _;

use crate::traffic::{ENVELOPE_LEN, median_ms};

/// Mailboxes that direct batches are spread over, as in the facts the goals come from.
const MAILBOXES: u64 = 10_000;

pub(crate) struct Probes {
    pub(crate) fsync_p50_ms: f64,
    pub(crate) fsync_per_s: f64,
    /// Messages per second in direct batches of this size, each flushed.
    pub(crate) fjall_1: f64,
    pub(crate) fjall_64: f64,
    pub(crate) fjall_1024: f64,
}

impl Probes {
    pub(crate) fn run(folder: &Path, time: Duration) -> Self {
        let (fsync_p50_ms, fsync_per_s) = fsync(&folder.join("fsync-probe"), time);
        Self {
            fsync_p50_ms,
            fsync_per_s,
            fjall_1: fjall(&folder.join("fjall-1"), 1, time),
            fjall_64: fjall(&folder.join("fjall-64"), 64, time),
            fjall_1024: fjall(&folder.join("fjall-1024"), 1024, time),
        }
    }
}

/// Appends of one envelope, each flushed.
fn fsync(path: &Path, time: Duration) -> (f64, f64) {
    let mut file = File::create(path).unwrap();
    let body = [7u8; ENVELOPE_LEN];
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let one = Instant::now();
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
    }
    let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    (median_ms(&mut times), per_second)
}

/// One thread, batches of envelopes under (mailbox, sequence), one flush per batch.
pub(crate) fn fjall(path: &Path, batch_len: usize, time: Duration) -> f64 {
    let database = Database::builder(path).journal_compression(fjall::CompressionType::None).open().unwrap();
    let plain =
        || KeyspaceCreateOptions::default().data_block_compression_policy(fjall::config::CompressionPolicy::disabled());
    let keyspace = database.keyspace("envelopes", plain).unwrap();
    let mut rng = rand::rng();
    let mut body = [0u8; ENVELOPE_LEN];
    rng.fill(&mut body[..]);
    let mut sequence = 0u64;
    let begun = Instant::now();
    while begun.elapsed() < time {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for _ in 0..batch_len {
            let mut key = [0u8; 24];
            key[..8].copy_from_slice(&rng.random_range(0..MAILBOXES).to_be_bytes());
            key[16..].copy_from_slice(&sequence.to_be_bytes());
            sequence += 1;
            batch.insert(&keyspace, key, &body[..]);
        }
        batch.commit().unwrap();
    }
    let per_second = sequence as f64 / begun.elapsed().as_secs_f64();
    drop((keyspace, database));
    std::fs::remove_dir_all(path).unwrap();
    per_second
}
