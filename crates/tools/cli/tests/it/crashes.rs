//! Processes that are killed with SIGKILL while messages flow. What a command has answered `sent` for is never lost, and nothing arrives
//! twice.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::support::{Device, Running, World, until};

/// Kills in one run.
const KILLS: usize = 12;
/// Lines between two kills, at most.
const LINES_BETWEEN: usize = 25;

enum Victim {
    Relay,
    Sender,
    Receiver,
}

struct Stream {
    world: World,
    alice: Device,
    bob: Device,
    sending: Option<Running>,
    receiving: Option<Running>,
    typed: usize,
    /// How many lines of the current process were answered.
    answered: usize,
    /// Typed into the current process.
    open: Vec<String>,
    acknowledged: BTreeSet<String>,
}

impl Stream {
    fn new() -> Self {
        let world = World::new();
        let (alice, bob) = world.acquainted("alice", "bob");
        let mut stream = Self {
            world,
            alice,
            bob,
            sending: None,
            receiving: None,
            typed: 0,
            answered: 0,
            open: Vec::new(),
            acknowledged: BTreeSet::new(),
        };
        stream.start_sender();
        stream.start_receiver();
        stream
    }

    fn start_sender(&mut self) {
        (self.answered, self.open) = (0, Vec::new());
        self.sending = Some(self.alice.start(&["chat", "bob"]));
    }

    fn start_receiver(&mut self) {
        self.receiving = Some(self.bob.start(&["listen"]));
    }

    /// Each text is typed once in all. A line whose answer was never seen may or may not have been sent.
    fn type_line(&mut self) {
        self.typed += 1;
        let text = format!("line {:05}", self.typed);
        self.sending.as_mut().unwrap().type_line(&text);
        self.open.push(text);
    }

    /// Notes an answer: they come in the order of the lines.
    fn note(&mut self, line: &serde_json::Value) {
        assert_ne!(line["event"], "not_sent");
        if line["event"] == "sent" {
            self.acknowledged.insert(self.open[self.answered].clone());
            self.answered += 1;
        }
    }

    /// Waits until this many lines of the current process were answered.
    fn wait_for(&mut self, answered: usize) {
        while self.answered < answered {
            let line = self.sending.as_mut().unwrap().next().expect("the sender lives");
            self.note(&line);
        }
    }

    fn kill(&mut self, victim: &Victim) {
        match victim {
            Victim::Relay => {
                self.world.kill_relay();
                self.world.start_relay();
            }
            Victim::Sender => {
                // What it had answered by then counts, whether or not it was read in time.
                while let Some(line) = self.sending.as_mut().unwrap().ready() {
                    self.note(&line);
                }
                self.sending.take().unwrap().kill();
                self.start_sender();
            }
            Victim::Receiver => {
                self.receiving.take().unwrap().kill();
                self.start_receiver();
            }
        }
    }
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stream = Stream::new();
    for kill in 0..KILLS {
        let lines = rng.random_range(1..LINES_BETWEEN);
        for _ in 0..lines {
            stream.type_line();
        }
        // Somewhere between the first and the last of them, while they are being sent.
        let moment = stream.answered + rng.random_range(0..lines);
        stream.wait_for(moment.min(stream.open.len()));
        let victim = match (kill + usize::try_from(seed).unwrap()) % 3 {
            0 => Victim::Relay,
            1 => Victim::Sender,
            _ => Victim::Receiver,
        };
        stream.kill(&victim);
    }
    let open = stream.open.len();
    stream.wait_for(open);
    assert_eq!(stream.sending.take().unwrap().end(), Some(0), "seed {seed}");
    stream.receiving.take().unwrap().kill();
    let (alice, bob) = (stream.alice.clone(), stream.bob.clone());
    until("everything to be handed over", || {
        let (sent, received) = (alice.drain(), bob.drain());
        let done = |answer: &super::support::Answer| {
            let summary = answer.events("empty")[0];
            summary["complete"] == true && summary["received"] == 0 && summary["submitted"] == 0
        };
        for answer in [&sent, &received] {
            assert_eq!(answer.events("undecryptable").len(), 0, "seed {seed}: {}", answer.stdout);
        }
        done(&sent) && done(&received)
    });
    let texts: Vec<String> = bob.texts().into_iter().filter(|text| text.starts_with("line")).collect();
    let unique: BTreeSet<String> = texts.iter().cloned().collect();
    assert_eq!(unique.len(), texts.len(), "seed {seed}: something arrived twice");
    let lost: Vec<_> = stream.acknowledged.difference(&unique).collect();
    assert!(lost.is_empty(), "seed {seed}: {lost:?} of {} were lost", stream.acknowledged.len());
    let mut in_order = texts.clone();
    in_order.sort();
    assert_eq!(texts, in_order, "seed {seed}: out of order");
    // The sender knows: every message is at least at the relay, and those that Bob has are delivered.
    for message in alice.exported().iter().filter(|message| message["outgoing"] == true) {
        assert_eq!(message["state"], "delivered", "seed {seed}: {message}");
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_arrives_twice_seed_0() {
    run(0);
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_arrives_twice_seed_1() {
    run(1);
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_arrives_twice_seed_2() {
    run(2);
}

/// One more, and for a longer search as many as one likes: `RCSEAL_SEEDS=3..40 cargo test -p rcseal-cli many_seeds`.
#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_arrives_twice_many_seeds() {
    let seeds = std::env::var("RCSEAL_SEEDS").unwrap_or_else(|_| "3..4".to_owned());
    let (first, last) = seeds.split_once("..").unwrap();
    for seed in first.parse::<u64>().unwrap()..last.parse().unwrap() {
        run(seed);
    }
}
