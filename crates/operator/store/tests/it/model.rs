//! Random sequences of operations on two mailboxes, with crashes in between, against the simplest model that could be right.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use rcseal_store::conformance::{BYTES_MAX, ENVELOPES_MAX, Fixture};
use rcseal_store::mailbox::MailboxUsage;
use rcseal_store::{Enqueue, EnqueueOutcome, FetchLimit, MailboxSeq, MailboxStore, UnixMillis};
use rcseal_wire::id::EnvelopeId;

use crate::engine::{ALL, NOW, open};

#[derive(Debug, Clone)]
enum Action {
    /// Into mailbox, id, content, seconds to live.
    Enqueue(Vec<(usize, u8, u8, u64)>),
    Acknowledge(usize, Vec<u8>),
    Fetch(usize, usize),
    Expire(usize),
    Advance(u64),
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    let envelope = (0..2usize, 0..24u8, 0..2u8, 1..30u64);
    prop_oneof![
        5 => prop::collection::vec(envelope, 1..8).prop_map(Action::Enqueue),
        3 => (0..2usize, prop::collection::vec(0..24u8, 1..6)).prop_map(|(mailbox, ids)| Action::Acknowledge(mailbox, ids)),
        2 => (0..2usize, 1..5usize).prop_map(|(mailbox, limit)| Action::Fetch(mailbox, limit)),
        1 => (1..4usize).prop_map(Action::Expire),
        1 => (1..8u64).prop_map(Action::Advance),
        1 => Just(Action::Crash),
    ]
}

#[derive(Debug, Default)]
struct Model {
    /// In order.
    waiting: Vec<(u8, u8, UnixMillis)>,
    /// Content and expiry by id, while remembered.
    known: HashMap<u8, (u8, UnixMillis)>,
}

fn body(content: u8) -> Vec<u8> {
    vec![content; 100 + usize::from(content)]
}

impl Model {
    fn enqueue(
        &mut self,
        now: UnixMillis,
        floor: UnixMillis,
        id: u8,
        content: u8,
        expires_at: UnixMillis,
    ) -> EnqueueOutcome {
        if let Some((known, _)) = self.known.get(&id) {
            return if *known == content { EnqueueOutcome::Duplicate } else { EnqueueOutcome::IdConflict };
        }
        if expires_at <= now || expires_at < floor {
            return EnqueueOutcome::Expired;
        }
        let bytes: usize = self.waiting.iter().map(|(_, content, _)| body(*content).len()).sum();
        if self.waiting.len() as u64 >= ENVELOPES_MAX || (bytes + body(content).len()) as u64 > BYTES_MAX {
            return EnqueueOutcome::QuotaExceeded;
        }
        self.waiting.push((id, content, expires_at));
        self.known.insert(id, (content, expires_at));
        EnqueueOutcome::Stored
    }

    fn sweep(&mut self, now: UnixMillis) {
        self.waiting.retain(|(_, _, expires_at)| *expires_at > now);
        self.known.retain(|_, (_, expires_at)| *expires_at > now);
    }
}

fn id(n: u8) -> EnvelopeId {
    EnvelopeId::from_bytes([n; 16])
}

async fn check(actions: Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let fixtures = [Fixture::registered(&store).await, Fixture::registered(&store).await];
    let mut models = [Model::default(), Model::default()];
    let mut acknowledged: HashSet<(usize, u8)> = HashSet::new();
    let mut now = NOW;
    for action in actions {
        match action {
            Action::Enqueue(envelopes) => {
                let mut batch: Vec<Enqueue> = Vec::new();
                let mut expected = Vec::new();
                for (mailbox, n, content, seconds) in envelopes {
                    let mut enqueue = fixtures[mailbox].envelope(id(n), &body(content));
                    enqueue.expires_at = now.plus_seconds(seconds);
                    expected.push(models[mailbox].enqueue(now, UnixMillis::default(), n, content, enqueue.expires_at));
                    batch.push(enqueue);
                }
                assert_eq!(store.enqueue(now, batch).await.unwrap(), expected);
            }
            Action::Acknowledge(mailbox, ids) => {
                let model = &mut models[mailbox];
                let before = model.waiting.len();
                model.waiting.retain(|(n, _, _)| !ids.contains(n));
                let outcome =
                    store.acknowledge(fixtures[mailbox].mailbox, ids.iter().map(|n| id(*n)).collect()).await.unwrap();
                assert_eq!(outcome.removed as usize, before - model.waiting.len());
                acknowledged.extend(ids.iter().filter(|n| model.known.contains_key(n)).map(|n| (mailbox, *n)));
            }
            Action::Fetch(mailbox, limit) => {
                let limit = FetchLimit { envelopes: limit, bytes: usize::MAX };
                let fetched = store.fetch(now, fixtures[mailbox].mailbox, MailboxSeq::START, limit).await.unwrap();
                let live: Vec<_> =
                    models[mailbox].waiting.iter().filter(|(_, _, expires_at)| *expires_at > now).collect();
                assert!(fetched.envelopes.len() == limit.envelopes.min(live.len()));
                for (got, (n, content, _)) in fetched.envelopes.iter().zip(live) {
                    assert_eq!((got.id, got.envelope.to_vec()), (id(*n), body(*content)));
                }
            }
            Action::Expire(budget) => {
                while store.expire(now, budget).await.unwrap().more {}
                for model in &mut models {
                    model.sweep(now);
                }
                // A forgotten id may be used again.
                acknowledged.retain(|(mailbox, n)| models[*mailbox].known.contains_key(n));
            }
            Action::Advance(seconds) => now = now.plus_seconds(seconds),
            Action::Crash => store.crash_and_reopen().await,
        }
        for (mailbox, model) in models.iter().enumerate() {
            let expected = MailboxUsage {
                envelopes: model.waiting.len() as u64,
                bytes: model.waiting.iter().map(|(_, content, _)| body(*content).len() as u64).sum(),
            };
            assert_eq!(store.mailbox_usage(fixtures[mailbox].mailbox).await.unwrap(), Some(expected));
        }
    }
    for (mailbox, model) in models.iter().enumerate() {
        let fetched = store.fetch(now, fixtures[mailbox].mailbox, MailboxSeq::START, ALL).await.unwrap();
        let expected: Vec<_> =
            model.waiting.iter().filter(|(_, _, expires_at)| *expires_at > now).map(|(n, _, _)| id(*n)).collect();
        assert_eq!(fetched.envelopes.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), expected);
        assert!(
            model.waiting.iter().all(|(n, _, _)| !acknowledged.contains(&(mailbox, *n))),
            "delivered after its acknowledgement"
        );
    }
}

proptest! {
    // Every crash opens the database anew, so cases are few and long.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn fjall_behaves_as_the_model(actions in prop::collection::vec(action(), 1..60)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(check(actions));
    }
}
