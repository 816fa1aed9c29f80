//! Request bodies: read within limits of size, time and memory, then parsed.
//!
//! Handlers that need a whole body take [`ApiJson`] or [`ApiBytes`]. The size limit is the route's; a body must be complete within
//! [`BODY_TIME_MAX`], whatever its pauses; and all bodies that are being read together hold at most [`BODIES_BYTES_MAX`], those from one
//! address at most [`PEER_BYTES_MAX`], counted by what has arrived, so that memory is bought with bandwidth and not with promises.
//! Submissions over WebSockets count here too, from their first byte until they are answered ([`Meter`]). Blobs are streamed and have
//! limits of their own.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::BytesMut;
use http_body_util::{BodyExt as _, LengthLimitError};
use rcseal_wire::problem::ProblemCode;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;
use tower_http::timeout::TimeoutError;

use crate::net::{ConnectionInfo, subscriber};
use crate::refusal::Refusal;

/// Bytes of unfinished bodies in memory.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Those of one IPv4 address or IPv6 /64: a few hundred phones behind one address that all send photos at once, and no more than an
/// eighth, so that one address does not keep the others out.
const PEER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Time for a whole body: a mebibyte over a line of 140 kbit/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// Seconds after which somebody who found no room may try again.
const ROOM_RETRY_SECONDS: u64 = 5;

/// The memory for bodies that are being read.
#[derive(Clone)]
pub struct BodyBudget(Arc<Pool>);

struct Pool {
    held: AtomicUsize,
    per_peer: Mutex<Shares>,
}

/// What each address holds. Addresses that hold nothing any more are forgotten now and then.
struct Shares {
    by_peer: HashMap<IpAddr, Arc<AtomicUsize>>,
    tidy_at: usize,
}

/// Addresses remembered before the first tidying.
const PEERS_UNTIDIED: usize = 4096;

impl Shares {
    fn of(&mut self, peer: IpAddr) -> Arc<AtomicUsize> {
        if self.by_peer.len() >= self.tidy_at {
            self.by_peer.retain(|_, share| Arc::strong_count(share) > 1);
            self.tidy_at = (2 * self.by_peer.len()).max(PEERS_UNTIDIED);
        }
        Arc::clone(self.by_peer.entry(peer).or_default())
    }
}

impl BodyBudget {
    /// All of it, free.
    #[must_use]
    pub fn new() -> Self {
        let shares = Shares { by_peer: HashMap::new(), tidy_at: PEERS_UNTIDIED };
        Self(Arc::new(Pool { held: AtomicUsize::new(0), per_peer: Mutex::new(shares) }))
    }

    /// No room yet, for a peer at this address.
    #[must_use]
    pub fn room(&self, peer: IpAddr) -> Room {
        let share = self.0.per_peer.lock().unwrap_or_else(PoisonError::into_inner).of(subscriber(peer));
        Room { pool: Arc::clone(&self.0), share, held: 0 }
    }
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds to a count that may reach `max`; `false`, and nothing added, where it would be more.
fn take(count: &AtomicUsize, bytes: usize, max: usize) -> bool {
    let sum = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= max);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

/// A peer's share of the memory, given back when dropped.
pub struct Room {
    pool: Arc<Pool>,
    share: Arc<AtomicUsize>,
    held: usize,
}

impl Room {
    /// Takes so much more; `false`, and nothing taken, where there is no more.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        if !take(&self.share, bytes, PEER_BYTES_MAX) {
            return false;
        }
        if !take(&self.pool.held, bytes, BODIES_BYTES_MAX) {
            self.share.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.held += bytes;
        true
    }

    /// No room yet, for the same peer.
    fn another(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), share: Arc::clone(&self.share), held: 0 }
    }

    /// Whether this peer's address holds so much that it should not begin anything new.
    fn is_scarce(&self) -> bool {
        self.share.load(Ordering::Relaxed) > PEER_BYTES_MAX / 2
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.share.fetch_sub(self.held, Ordering::Relaxed);
        self.pool.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// Counts what a WebSocket has read of messages that are not complete: they are in its library's buffers, out of our sight, and nobody is
/// logged in. Idle until it is [started](Self::start).
#[derive(Default)]
pub struct Meter(Mutex<Option<Metered>>);

struct Metered {
    room: Room,
    /// What one message may hold; more than that was answered long ago.
    max: usize,
}

impl Meter {
    /// Counts from now on.
    pub fn start(&self, room: Room, max: usize) {
        *self.lock() = Some(Metered { room, max });
    }

    /// Notes that `bytes` have been read; `false` where there is no room for them.
    #[must_use]
    pub fn read(&self, bytes: usize) -> bool {
        let mut metered = self.lock();
        let Some(Metered { room, max }) = metered.as_mut() else { return true };
        room.grow(bytes.min(max.saturating_sub(room.held)))
    }

    /// The room of the message that is complete now.
    #[must_use]
    pub fn complete(&self) -> Option<Room> {
        let mut metered = self.lock();
        let Metered { room, .. } = metered.as_mut()?;
        let next = room.another();
        Some(std::mem::replace(room, next))
    }

    /// Whether the peer's address holds so much that no further message should be begun.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.lock().as_ref().is_some_and(|metered| metered.room.is_scarce())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Metered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A JSON body of a known shape.
pub struct ApiJson<T>(/** The body. */ pub T);

impl<S, T> FromRequest<S> for ApiJson<T>
where
    S: Send + Sync,
    BodyBudget: FromRef<S>,
    T: DeserializeOwned,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            return Err(Refusal::with_detail(ProblemCode::UnsupportedMediaType, "send application/json"));
        }
        let (body, _room) = read(request, &BodyBudget::from_ref(state)).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| match error.classify() {
            Category::Data => {
                Refusal::with_detail(ProblemCode::Malformed, "a field is missing, unknown or has the wrong form")
            }
            Category::Syntax | Category::Eof | Category::Io => {
                Refusal::with_detail(ProblemCode::Malformed, "the body is not JSON")
            }
        })
    }
}

/// A body of bytes.
pub struct ApiBytes(/** The body. */ pub Bytes);

impl<S> FromRequest<S> for ApiBytes
where
    S: Send + Sync,
    BodyBudget: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Ok(Self(read(request, &BodyBudget::from_ref(state)).await?.0))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a whole body, and the room it takes, which is given back when the body is parsed.
async fn read(request: Request, budget: &BodyBudget) -> Result<(Bytes, Room), Refusal> {
    // Every public connection has an address; whoever came another way shares one.
    let peer =
        request.extensions().get::<ConnectionInfo>().map_or(Ipv6Addr::UNSPECIFIED.into(), |info| info.peer().ip());
    let mut room = budget.room(peer);
    // The route's limit (`DefaultBodyLimit`) ends a longer body with an error.
    let mut body = request.into_limited_body();
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| refuse_broken(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if !room.grow(data.len()) {
                return Err(Refusal::retry_after(ProblemCode::Unavailable, ROOM_RETRY_SECONDS));
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes.freeze(), room))
    };
    timeout(BODY_TIME_MAX, reading).await.unwrap_or_else(|_| Err(ProblemCode::Stalled.into()))
}

/// Refuses a body that could not be read: too long, stalled, or cut off.
#[must_use]
pub fn refuse_broken(error: &(dyn Error + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ProblemCode::TooLarge.into();
        }
        if error.is::<TimeoutError>() {
            return ProblemCode::Stalled.into();
        }
        cause = error.source();
    }
    Refusal::with_detail(ProblemCode::Malformed, "the body ended early")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn memory_for_bodies_is_given_back() {
        let budget = BodyBudget::new();
        let room = |n: u8| budget.room([192, 0, 2, n].into());
        let mut rooms: Vec<Room> = (0..8).map(room).collect();
        assert!(rooms.iter_mut().all(|room| room.grow(PEER_BYTES_MAX)));
        assert!(!room(9).grow(1), "all of it is taken");
        drop(rooms);
        assert!(room(9).grow(PEER_BYTES_MAX));
    }

    #[test]
    fn addresses_that_hold_nothing_are_forgotten() {
        let budget = BodyBudget::new();
        let mut kept = budget.room([10, 0, 0, 1].into());
        assert!(kept.grow(1));
        for n in 0..=2 * PEERS_UNTIDIED as u32 {
            drop(budget.room(std::net::Ipv4Addr::from(n).into()));
        }
        assert!(budget.0.per_peer.lock().unwrap().by_peer.len() <= PEERS_UNTIDIED);
        assert!(!budget.room([10, 0, 0, 1].into()).grow(PEER_BYTES_MAX), "who holds something is remembered");
    }

    #[test]
    fn one_address_cannot_take_all_memory_for_bodies() {
        let budget = BodyBudget::new();
        let (mut one, mut another) = (budget.room([192, 0, 2, 1].into()), budget.room([192, 0, 2, 1].into()));
        assert!(one.grow(PEER_BYTES_MAX - 1) && another.grow(1));
        assert!(!one.grow(1) && !another.grow(1));
        assert!(budget.room([192, 0, 2, 2].into()).grow(1));
    }

    #[test]
    fn a_meter_counts_one_message_at_most_and_hands_its_room_on() {
        let meter = Meter::default();
        assert!(meter.read(usize::MAX), "it has not started");
        let budget = BodyBudget::new();
        meter.start(budget.room([192, 0, 2, 1].into()), 100);
        assert!(meter.read(60) && meter.read(60));
        let message = meter.complete().unwrap();
        assert_eq!(message.held, 100);
        assert!(meter.read(30));
        drop(message);
        assert_eq!(budget.0.held.load(Ordering::Relaxed), 30);
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(with("application/json"));
        assert!(with("Application/JSON; charset=utf-8"));
        assert!(!with("text/plain"));
        assert!(!with("application/jsonp"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
