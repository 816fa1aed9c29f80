//! A disk that fills up under the store, and is emptied again. Needs the right to mount a small file system in memory: where there is
//! none the test says so and passes, but not under `CI`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rcseal_store::conformance::Fixture;
use rcseal_store::{
    AccountStore, EnqueueOutcome, FjallStore, MailboxSeq, MailboxStore, Store, StoreError, StoreLimits,
};
use rcseal_wire::id::EnvelopeId;

use crate::engine::{ALL, NOW, limits};

struct Mount(tempfile::TempDir);

// The notice must reach whoever reads the test's output.
#[allow(clippy::print_stderr)]
fn notice(text: &str) {
    eprintln!("{text}");
}

impl Mount {
    /// A file system of its own, or `None` where that is not permitted.
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("tmpfs")
            .arg(folder.path())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        assert!(std::env::var_os("CI").is_none(), "mounting a tmpfs is not permitted, and CI must not skip");
        notice("SKIPPED: mounting a tmpfs is not permitted here; the disk-full test did not run");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn id(n: u64) -> EnvelopeId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    EnvelopeId::from_bytes(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_the_store_recovers_when_there_is_room() {
    let Some(mount) = Mount::new("24m") else { return };
    let large =
        StoreLimits { mailbox_envelopes_max: u64::MAX, mailbox_bytes_max: u64::MAX, free_bytes_min: 0, ..limits() };
    let store = FjallStore::open(mount.path().join("store"), large).unwrap();
    let bob = Fixture::registered(&store).await;
    // Something else eats part of the disk; removing it is what an operator does.
    let ballast = mount.path().join("ballast");
    std::fs::write(&ballast, vec![1u8; 12 * 1024 * 1024]).unwrap();

    let body = vec![7u8; 60 * 1024];
    let mut acknowledged = Vec::new();
    let mut in_doubt = None;
    for n in 0.. {
        match store.enqueue(NOW, vec![bob.envelope(id(n), &body)]).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, [EnqueueOutcome::Stored]);
                acknowledged.push(id(n));
            }
            Err(error) => {
                assert!(matches!(error, StoreError::InDoubt(_)), "{error:?}");
                in_doubt = Some(n);
                break;
            }
        }
        assert!(n < 10_000, "the disk never filled up");
    }
    let in_doubt = in_doubt.unwrap();
    let refused = store.enqueue(NOW, vec![bob.envelope(id(in_doubt + 1), &body)]).await;
    assert!(matches!(refused, Err(StoreError::Full | StoreError::InDoubt(_))), "{refused:?}");
    assert!(store.check().await.is_err(), "the server must be able to say that it cannot take anything");

    std::fs::remove_file(&ballast).unwrap();
    let begun = Instant::now();
    while store.check().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the store did not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The sender repeats what it was not told about.
    let repeated = store.enqueue(NOW, vec![bob.envelope(id(in_doubt), &body)]).await.unwrap();
    assert!(matches!(repeated[..], [EnqueueOutcome::Stored | EnqueueOutcome::Duplicate]));
    acknowledged.push(id(in_doubt));
    let present: Vec<_> = store
        .fetch(NOW, bob.mailbox, MailboxSeq::START, ALL)
        .await
        .unwrap()
        .envelopes
        .iter()
        .map(|waiting| waiting.id)
        .collect();
    assert_eq!(present[..acknowledged.len()], acknowledged, "an acknowledged envelope was lost");
    assert!(store.account(bob.account).await.unwrap().is_some());
    store.close().await;
}
