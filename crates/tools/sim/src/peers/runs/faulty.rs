//! A network that fails between our user agents and Kamailio: late, thin, in slices, ending, silent, with flipped bits, with other headers.
//!
//! Each subscriber has a proxy of their own in front of the carrier's TCP port ([`FaultProxy`]), so that what is struck is the SIP core itself:
//! registrations, requests, answers, the lengths that separate them. Two things are looked at. *Frames* from user agent to user agent, each in
//! one message: what comes out is what went in, and what does not come out has failed at the sender or is found damaged at the receiver.
//! *Clients*, with engines, stores and a relay: each text is shown once and unchanged, whatever the network did.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::transport::{Carriage, TransportProfile};
use rcseal_report::Report;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::line::{Got, Line, Over, awkward_blob, number_of, random};
use super::super::{Kamailio, Setup, User, prepare};
use super::clients::{self, Hop};
use super::{RunError, SILENCE, expect};
use crate::matrix::Relay;
use crate::proxy::{FaultProxy, Faults, HeaderRewrite};

/// Networks at a time: they wait for most of their time.
const AT_ONCE: usize = 4;
/// Frames that one user agent sends another, and how many of them at a time.
const FRAMES: usize = 24;
const FRAMES_AT_ONCE: usize = 6;
/// Bytes in each: with headers, one message of the usual 1,300.
const LEN: usize = 400;
/// Until a frame has arrived or failed, many times what the slowest of these networks takes.
const LIMIT: Duration = Duration::from_secs(30);
/// A registration that gets no answer at first is asked for again after a second, over another connection.
const REGISTER_LIMIT: Duration = Duration::from_secs(12);

/// What is said where some frames failed at their sender, or were found damaged.
const OTHERS_NAMED: &str = ", the others failed by name";

/// A network, and whether messages get through it.
struct Network {
    name: &'static str,
    is_gentle: bool,
    faults: Faults,
}

fn networks() -> Vec<Network> {
    let gentle = |name, faults| Network { name, is_gentle: true, faults };
    let harsh = |name, faults| Network { name, is_gentle: false, faults };
    let milliseconds = Duration::from_millis;
    let headers = |headers: &[HeaderRewrite]| Faults { headers: headers.to_vec(), ..Faults::default() };
    vec![
        gentle("slow", Faults { delay: milliseconds(40), jitter: milliseconds(30), ..Faults::default() }),
        gentle("thin", Faults { bytes_per_second: Some(60_000), slice_max: Some(300), ..Faults::default() }),
        gentle("sliced", Faults { slice_max: Some(3), ..Faults::default() }),
        // What proxies set, and what some take out, without the right to.
        gentle(
            "other_headers",
            headers(&[
                HeaderRewrite::set("Max-Forwards", "20"),
                HeaderRewrite::set("User-Agent", "somebody"),
                HeaderRewrite::remove("Allow"),
                HeaderRewrite::remove("Server"),
            ]),
        ),
        harsh("resets", Faults { reset_within: Some(60_000), ..Faults::default() }),
        harsh("silent_at_first", Faults { blackhole_connections: 1, ..Faults::default() }),
        harsh("corrupting", Faults { corrupt_one_in: Some(8_000), ..Faults::default() }),
        // In front of the wrapper, and inside it, where the length is then another one than was said.
        harsh("other_types", headers(&[HeaderRewrite::set("Content-Type", "text/plain")])),
        // The rest of a message becomes the beginning of the next.
        harsh("shorter", headers(&[HeaderRewrite::set("Content-Length", "100")])),
    ]
}

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let networks = networks();
    let user = |index: usize| User::nth(u8::try_from(index).unwrap_or(u8::MAX));
    let users: Vec<User> = (1..=networks.len() * 4).map(user).collect();
    let carrier = Arc::new(Kamailio::start(&Setup::of(users.clone())).await?);
    let relay = Arc::new(Relay::start().await?);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for (network, users) in networks.into_iter().zip(users.chunks(4)) {
        let (carrier, relay, room, users) = (carrier.clone(), relay.clone(), room.clone(), users.to_vec());
        running.push(tokio::spawn(async move {
            let _place = room.acquire().await;
            let [first, second, third, fourth] = users.as_slice() else { return Ok(None) };
            let (frames, clients) = tokio::join!(
                frames(&network, &carrier, [first, second]),
                clients(&network, &carrier, &relay, [third, fourth]),
            );
            Ok::<_, RunError>(Some((network, frames?, clients?)))
        }));
    }
    for task in running {
        // A task that panicked is counted elsewhere, and its rows are missing here.
        let Ok(Some((network, frames, clients))) = task.await.unwrap_or(Ok(None)) else { continue };
        let name = network.name;
        let is_named = !network.is_gentle && frames.ends_with(OTHERS_NAMED);
        let expected = if is_named { frames.as_str() } else { "delivered" };
        expect(report, &format!("network_{name}_frames"), &frames, expected);
        let expected = if network.is_gentle || clients != "by the relay" { "native" } else { "by the relay" };
        expect(report, &format!("network_{name}_clients"), &clients, expected);
    }
    Ok(())
}

/// Two ways to the carrier with these faults, and whether they did anything.
struct Ways([FaultProxy; 2]);

impl Ways {
    async fn open(network: &Network, carrier: &Kamailio) -> Result<Self, RunError> {
        let start = |seed| FaultProxy::start(carrier.address(), network.faults.clone(), seed);
        let (near, far) = tokio::join!(start(1), start(2));
        Ok(Self([near.map_err(prepare("a proxy"))?, far.map_err(prepare("a proxy"))?]))
    }

    /// What was seen, unless the network let everything pass as it was.
    fn verdict(&self, network: &Network, seen: String) -> String {
        let has_passed = self.0.iter().all(|proxy| proxy.counts().bytes() + proxy.counts().swallowed() > 0);
        let is_to_harm = !network.is_gentle || !network.faults.headers.is_empty();
        let has_harmed = self.0.iter().any(|proxy| proxy.counts().has_harmed());
        if has_passed && has_harmed == is_to_harm { seen } else { format!("the network did nothing: {seen}") }
    }
}

/// Frames from one user agent to another.
async fn frames(network: &Network, carrier: &Kamailio, [alice, bob]: [&User; 2]) -> Result<String, RunError> {
    let ways = Ways::open(network, carrier).await?;
    let from = Arc::new(Line::open_by(carrier, alice, Over::Tcp, ways.0[0].addr()).await?);
    let to = Line::open_by(carrier, bob, Over::Tcp, ways.0[1].addr()).await?;
    tokio::join!(from.is_registered_within(REGISTER_LIMIT), to.is_registered_within(REGISTER_LIMIT));
    let (sent, got) = {
        let (done, mut is_done) = tokio::sync::oneshot::channel::<()>();
        let sending = async {
            let sent = send_all(&from, bob).await;
            drop(done);
            sent
        };
        let taking = async {
            let mut got = Got::default();
            loop {
                got.merge(to.take_blob(SILENCE, LIMIT).await);
                // A whole silence after the last frame was answered or given up.
                if is_done.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Closed) {
                    got.merge(to.take_blob(SILENCE, LIMIT).await);
                    return got;
                }
            }
        };
        tokio::join!(sending, taking)
    };
    Ok(ways.verdict(network, judge(&sent, &got)))
}

/// A frame that was sent, and whether the carrier took it.
struct Sent {
    blob: Vec<u8>,
    outcome: Result<(), &'static str>,
}

async fn send_all(from: &Arc<Line>, bob: &User) -> Vec<Sent> {
    let room = Arc::new(Semaphore::new(FRAMES_AT_ONCE));
    let mut sending = JoinSet::new();
    for index in 0..FRAMES {
        let (from, to, room) = (Arc::clone(from), number_of(bob), Arc::clone(&room));
        sending.spawn(async move {
            let _place = room.acquire().await;
            let blob = awkward_blob(LEN);
            let is_binary = index % 2 == 0;
            let outcome = match whole(&blob, is_binary) {
                Some(carriage) => from.send(&to, carriage).await.map(drop).map_err(|failure| failure.code()),
                None => Err("unfit"),
            };
            Sent { blob, outcome }
        });
    }
    sending.join_all().await
}

/// A blob in one part.
fn whole(blob: &[u8], is_binary_safe: bool) -> Option<Carriage> {
    let profile = TransportProfile {
        is_binary_safe,
        body_len_max: 2 * LEN,
        parts_max: 1,
        carries_headers: true,
        has_receipts: true,
    };
    let parts = split(Kind::Envelope, FrameId::from_bytes(random()), blob, &profile).ok()?;
    Some(parts.first()?.carriage(&profile))
}

/// What became of all of them together.
fn judge(sent: &[Sent], got: &Got) -> String {
    let known: BTreeSet<&[u8]> = sent.iter().map(|sent| sent.blob.as_slice()).collect();
    let arrived: BTreeSet<&[u8]> = got.blobs.iter().map(Vec::as_slice).collect();
    let is_missing = |sent: &&Sent| !arrived.contains(sent.blob.as_slice());
    // A body without a sound frame is what became of one that was taken.
    let taken_and_missing = sent.iter().filter(|sent| sent.outcome.is_ok()).filter(is_missing).count();
    if !arrived.is_subset(&known) {
        "ALTERED AND ACCEPTED".to_owned()
    } else if arrived.len() == sent.len() && sent.iter().all(|sent| sent.outcome.is_ok()) {
        "delivered".to_owned()
    } else if taken_and_missing > got.damaged_messages {
        format!("{taken_and_missing} TAKEN AND LOST, {} damaged", got.damaged_messages)
    } else {
        format!("{} of {}{OTHERS_NAMED}", arrived.len(), sent.len())
    }
}

/// Texts from one client to another.
async fn clients(
    network: &Network,
    carrier: &Kamailio,
    relay: &Relay,
    [alice, bob]: [&User; 2],
) -> Result<String, RunError> {
    let ways = Ways::open(network, carrier).await?;
    let near = clients::phone(relay, Hop::by(carrier, ways.0[0].addr()), alice, true).await?;
    let far = clients::phone(relay, Hop::by(carrier, ways.0[1].addr()), bob, true).await?;
    let seen = clients::meet_and_write(near, far).await?;
    Ok(ways.verdict(network, seen))
}
