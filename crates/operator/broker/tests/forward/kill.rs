//! The broker's own process, killed at whatever moment: nothing is lost that a carrier was told is taken, and nothing comes twice.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::transport::TransportProfile;
use rcseal_wire::id::EnvelopeId;

use crate::world::{ALICE, BOB, Person, World, envelope, until};

const ENVELOPES: u8 = 40;

struct Process(Child);

impl Process {
    fn start(config: &PathBuf) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcseal-broker"));
        command.arg("serve").arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Without a word of warning.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes everything out of the mailbox, for good.
async fn drain(world: &World, person: &Person, into: &mut HashMap<EnvelopeId, (usize, Vec<u8>)>) {
    loop {
        let mail = person.mail(world).await;
        if mail.is_empty() {
            return;
        }
        let ids: Vec<_> = mail.iter().map(|(id, _)| *id).collect();
        for (id, envelope) in mail {
            into.entry(id).or_insert((0, envelope)).0 += 1;
        }
        person.acknowledge(world, &ids).await;
    }
}

/// Parts of a frame as bodies of messages.
fn bodies(n: u8) -> Vec<Vec<u8>> {
    // Every third goes in parts.
    let body_len_max = if n.is_multiple_of(3) { 300 } else { 8192 };
    let profile = TransportProfile {
        is_binary_safe: true,
        body_len_max,
        parts_max: 64,
        carries_headers: true,
        has_receipts: true,
    };
    let parts = split(Kind::Envelope, FrameId::from_bytes([n; 16]), &envelope(n, 1024), &profile).unwrap();
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

/// A carrier repeats what it was not told is taken.
async fn bring(world: &World, body: &[u8]) {
    until(async || world.bring(BOB, ALICE, "application/vnd.rcseal.frame", body).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_again_and_again_loses_nothing_and_repeats_nothing() {
    let mut world = World::start_with(|config| config.storage.free_bytes_min = 0).await;
    let alice = world.person(ALICE).await;
    world.broker.take().unwrap().shutdown().await;
    let path = world.folder().join("broker.toml");
    std::fs::write(&path, toml::to_string(&world.broker_config).unwrap()).unwrap();
    let mut arrived = HashMap::new();
    {
        let world = &world;
        let sending = async {
            for n in 0..ENVELOPES {
                for body in bodies(n) {
                    bring(world, &body).await;
                }
            }
        };
        let killing = async {
            let mut process = Process::start(&path);
            for round in 0u64.. {
                // Longer than a start takes, and another moment of it every time.
                tokio::time::sleep(Duration::from_millis(400 + round * 37 % 200)).await;
                process.kill();
                process = Process::start(&path);
            }
        };
        tokio::select! {
            () = sending => {}
            () = killing => {}
        }
    }
    drain(&world, &alice, &mut arrived).await;
    // The carrier repeats everything once more, long after it was read.
    let _process = Process::start(&path);
    for n in 0..ENVELOPES {
        for body in bodies(n) {
            bring(&world, &body).await;
        }
    }
    drain(&world, &alice, &mut arrived).await;
    for n in 0..ENVELOPES {
        let found: Vec<_> = arrived.values().filter(|(_, bytes)| *bytes == envelope(n, 1024)).collect();
        assert_eq!(found.len(), 1, "envelope {n}");
        assert_eq!(found[0].0, 1, "envelope {n}");
    }
    assert_eq!(arrived.len(), usize::from(ENVELOPES), "and nothing else");
}
