//! The loads.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use prost::Message as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::mailbox_request::Request;
use rcseal_wire::frame::{Acknowledge, MailboxRequest, Submission, SubmitBatch, SubmitResults, SubmitStatus};

use crate::client::{Login, Plane};
use crate::note;
use crate::server::{Owner, Relay};

/// An ordinary text message in its padding bucket.
pub(crate) const ENVELOPE_LEN: usize = 1024;
/// Connections that are opened at the same time.
const OPENING: usize = 32;

pub(crate) struct Load<'a> {
    relay: &'a Relay,
    envelope: Bytes,
}

pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
}

pub(crate) struct Drained {
    pub(crate) per_second: f64,
    pub(crate) complete: bool,
}

pub(crate) fn median_ms(times: &mut [Duration]) -> f64 {
    if times.is_empty() {
        return f64::NAN;
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn submission(owner: &Owner, rng: &mut ChaCha8Rng, envelope: &Bytes) -> Submission {
    let id: [u8; 16] = rng.random();
    Submission {
        mailbox: Bytes::copy_from_slice(owner.mailbox.as_bytes()),
        delivery_token: Bytes::copy_from_slice(owner.token.expose()),
        id: Bytes::copy_from_slice(&id),
        ttl_seconds: 3600,
        envelope: envelope.clone(),
    }
}

fn stored(results: Bytes) -> usize {
    let results = SubmitResults::decode(results).unwrap();
    assert!(
        results.results().all(|status| status == SubmitStatus::Stored),
        "{:?}",
        results.results().collect::<Vec<_>>()
    );
    results.results.len()
}

impl<'a> Load<'a> {
    pub(crate) fn new(relay: &'a Relay) -> Self {
        let mut envelope = vec![0; ENVELOPE_LEN];
        rand::rng().fill(&mut envelope[..]);
        Self { relay, envelope: envelope.into() }
    }

    /// `connections` that each keep `batches` of `batch_len` envelopes in flight, to all mailboxes at random.
    pub(crate) async fn submit(&self, connections: usize, batches: usize, batch_len: usize, time: Duration) -> Rate {
        let opened: Vec<Plane> = stream::iter(0..connections)
            .map(|_| Plane::submitter(self.relay))
            .buffer_unordered(OPENING)
            .collect()
            .await;
        let begun = Instant::now();
        let senders = opened.into_iter().map(|plane| self.sender(plane, batches, batch_len, begun + time));
        let results = futures_util::future::join_all(senders).await;
        let seconds = begun.elapsed().as_secs_f64();
        let count: usize = results.iter().map(|(count, _)| count).sum();
        let mut times: Vec<Duration> = results.into_iter().flat_map(|(_, times)| times).collect();
        Rate { per_second: count as f64 / seconds, p50_ms: median_ms(&mut times) }
    }

    async fn sender(
        &self,
        mut plane: Plane,
        batches: usize,
        batch_len: usize,
        until: Instant,
    ) -> (usize, Vec<Duration>) {
        let mut rng = ChaCha8Rng::from_seed(rand::random());
        let owners = &self.relay.owners;
        let mut next = |batch: u64| {
            let submissions = (0..batch_len)
                .map(|_| submission(&owners[rng.random_range(0..owners.len())], &mut rng, &self.envelope))
                .collect();
            SubmitBatch { batch, submissions }.encode_to_vec()
        };
        let mut sent = VecDeque::new();
        for batch in 0..batches {
            sent.push_back(Instant::now());
            plane.feed(next(batch as u64)).await;
        }
        plane.flush().await;
        let mut count = 0;
        let mut times = Vec::new();
        while !sent.is_empty() {
            // As many new ones leave together as answers have come together.
            let mut answer = Some(plane.next().await);
            while let Some(results) = answer {
                count += stored(results);
                let at = sent.pop_front().expect("as many answers as questions");
                times.push(at.elapsed());
                if Instant::now() < until {
                    sent.push_back(Instant::now());
                    plane.feed(next(0)).await;
                }
                answer = plane.try_next();
            }
            plane.flush().await;
        }
        (count, times)
    }

    async fn devices(&self, count: usize) -> Vec<(&'a Owner, String)> {
        let mut login = Login::connect(self.relay).await;
        let mut devices = Vec::new();
        for owner in self.relay.owners.iter().take(count) {
            devices.push((owner, login.log_in(self.relay, owner).await));
        }
        devices
    }

    /// Empties `count` mailboxes, fills each with `backlog` envelopes, and measures until everything is delivered and acknowledged.
    pub(crate) async fn drain(&self, count: usize, backlog: usize) -> Drained {
        let devices = self.devices(count.min(self.relay.owners.len())).await;
        let old = futures_util::future::join_all(devices.iter().map(|(_, token)| drain_one(self.relay, token))).await;
        drop(old);
        let mut plane = Plane::submitter(self.relay).await;
        let mut rng = ChaCha8Rng::from_seed(rand::random());
        let mut expected = Vec::new();
        for (owner, _) in &devices {
            let mut ids = Vec::new();
            let mut left = backlog;
            while left > 0 {
                let submissions: Vec<_> =
                    (0..left.min(100)).map(|_| submission(owner, &mut rng, &self.envelope)).collect();
                left -= submissions.len();
                ids.extend(submissions.iter().map(|submission| submission.id.clone()));
                plane.send(SubmitBatch { batch: 0, submissions }.encode_to_vec()).await;
                stored(plane.next().await);
            }
            expected.push(ids);
        }
        let begun = Instant::now();
        let delivered =
            futures_util::future::join_all(devices.iter().map(|(_, token)| drain_one(self.relay, token))).await;
        let seconds = begun.elapsed().as_secs_f64();
        let again = futures_util::future::join_all(devices.iter().map(|(_, token)| drain_one(self.relay, token))).await;
        let complete = delivered == expected
            && again.iter().all(Vec::is_empty)
            && delivered.iter().flatten().collect::<HashSet<_>>().len() == devices.len() * backlog;
        Drained { per_second: (devices.len() * backlog) as f64 / seconds, complete }
    }

    /// Median time from submission to a connected device, one at a time.
    pub(crate) async fn live(&self, time: Duration) -> f64 {
        let devices = self.devices(1).await;
        let (owner, token) = &devices[0];
        let mut device = Plane::device(self.relay, token).await;
        while !matches!(device.event().await, Event::QueueEmpty(_)) {}
        let mut plane = Plane::submitter(self.relay).await;
        let mut rng = ChaCha8Rng::from_seed(rand::random());
        let mut times = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < time {
            let submissions = vec![submission(owner, &mut rng, &self.envelope)];
            let id = submissions[0].id.clone();
            let at = Instant::now();
            plane.send(SubmitBatch { batch: 0, submissions }.encode_to_vec()).await;
            loop {
                if let Event::Deliveries(deliveries) = device.event().await {
                    assert_eq!(deliveries.envelopes[0].id, id);
                    break;
                }
            }
            times.push(at.elapsed());
            stored(plane.next().await);
            device.send(acknowledgement(vec![id])).await;
        }
        median_ms(&mut times)
    }
}

fn acknowledgement(consumed: Vec<Bytes>) -> Vec<u8> {
    MailboxRequest { request: Some(Request::Acknowledge(Acknowledge { request: 0, consumed, undecryptable: vec![] })) }
        .encode_to_vec()
}

/// Receives and acknowledges a backlog; the ids in order.
async fn drain_one(relay: &Relay, token: &str) -> Vec<Bytes> {
    let mut device = Plane::device(relay, token).await;
    let mut ids = Vec::new();
    let mut open = 0;
    let mut is_drained = false;
    while !is_drained || open > 0 {
        match device.event().await {
            Event::Deliveries(deliveries) => {
                let some: Vec<Bytes> = deliveries.envelopes.into_iter().map(|delivery| delivery.id).collect();
                ids.extend(some.iter().cloned());
                device.send(acknowledgement(some)).await;
                open += 1;
            }
            Event::Acknowledged(_) => open -= 1,
            Event::QueueEmpty(_) => is_drained = true,
            Event::PrekeysLow(_) => {}
            Event::Reset(_) | Event::RetainedWaiting(_) => {}
            Event::Failure(failure) => panic!("{failure:?}"),
        }
    }
    ids
}

/// Opens that many logged-in connections and returns what one of them costs the server, and how many there were.
pub(crate) async fn idle(relay: &Relay, connections: usize) -> (f64, usize) {
    let owners = &relay.owners[..connections.min(relay.owners.len())];
    note("logging in");
    let tokens: Vec<(usize, String)> = stream::iter(owners.chunks(owners.len().div_ceil(4)).enumerate())
        .map(|(part, owners)| async move {
            let mut login = Login::connect(relay).await;
            let mut tokens = Vec::new();
            for owner in owners {
                tokens.push((part, login.log_in(relay, owner).await));
            }
            tokens
        })
        .buffer_unordered(4)
        .flat_map(stream::iter)
        .collect()
        .await;
    // A few connections first: what every server holds once is not a cost of each.
    let mut open: Vec<Plane> = Vec::with_capacity(tokens.len());
    let (first, rest) = tokens.split_at(tokens.len().min(50));
    open.extend(connect_all(relay, first).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = relay.resident();
    note("opening idle connections");
    open.extend(connect_all(relay, rest).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = relay.resident();
    note(&format!("resident: {:.1} MiB, then {:.1} MiB", before / 1048576.0, after / 1048576.0));
    ((after - before) / rest.len() as f64, open.len())
}

async fn connect_all(relay: &Relay, tokens: &[(usize, String)]) -> Vec<Plane> {
    stream::iter(tokens)
        .map(|(_, token)| async move {
            let mut device = Plane::device(relay, token).await;
            while !matches!(device.event().await, Event::QueueEmpty(_)) {}
            device
        })
        .buffer_unordered(OPENING)
        .collect()
        .await
}
