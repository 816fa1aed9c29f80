//! Answers that fill more than a packet or two: how many may be on their way at once, and for how long.
//!
//! An answer is in memory until its peer has read it, and over HTTP/2 a peer may open no window for it and answer pings for ever. So a
//! large answer takes one of its address's places, is handed over in small copies, and is given up when its peer takes none of them for
//! [`READING_MAX`]. A stream, whose length nobody knows, counts its places itself and is only watched here.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use rcseal_wire::problem::ProblemCode;
use tokio::time::sleep;

use crate::net::{ConnectionInfo, subscriber};
use crate::refusal::Refusal;
use crate::slots::{Slot, Slots};

/// Answers up to this length are not counted: a connection holds 64 of them at most.
const SMALL_BYTES: u64 = 16 * 1024;
/// Bytes handed over in one go. What was handed over is out of our sight.
const PIECE_BYTES: usize = 16 * 1024;
/// Large answers on their way at once: at up to a mebibyte and a half each, three quarters of a gibibyte.
const ANSWERS_MAX: usize = 512;
/// Those of one address. Phones share carrier NAT addresses; an answer is on its way for a second or two.
const ANSWERS_PER_ADDRESS_MAX: u32 = 64;
/// How long a peer may take for one piece: a minute for 16 KiB is slower than any line that still counts as one.
const READING_MAX: Duration = Duration::from_secs(60);

/// Places for large answers.
#[derive(Clone)]
pub struct Answers {
    slots: Arc<Slots<std::net::IpAddr>>,
    reading_max: Duration,
}

impl Answers {
    /// All of them, free.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: Arc::new(Slots::new(ANSWERS_MAX, ANSWERS_PER_ADDRESS_MAX)), reading_max: READING_MAX }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

/// The middleware.
pub async fn bound(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectionInfo>().map(|info| subscriber(info.peer().ip()));
    let response = next.run(request).await;
    let size = response.body().size_hint();
    if size.upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return response;
    }
    let slot = match (size.exact(), peer) {
        (Some(_), Some(peer)) => match answers.slots.take(peer) {
            Some(slot) => Some(slot),
            None => return Refusal::retry_after(ProblemCode::RateLimited, 1).into_response(),
        },
        _ => None,
    };
    response.map(|body| Body::new(Watched::new(body, slot, answers.reading_max)))
}

/// What is left of an answer; gone when its peer took too long.
struct Rest {
    body: Body,
    /// Read from the body and not handed over.
    piece: Bytes,
    has_moved: bool,
    _slot: Option<Slot<std::net::IpAddr>>,
}

/// An answer that is given up when nobody reads it.
struct Watched {
    rest: Arc<Mutex<Option<Rest>>>,
    size: SizeHint,
}

impl Watched {
    fn new(body: Body, slot: Option<Slot<std::net::IpAddr>>, reading_max: Duration) -> Self {
        let size = body.size_hint();
        let rest = Arc::new(Mutex::new(Some(Rest { body, piece: Bytes::new(), has_moved: true, _slot: slot })));
        // Not part of the body, which is polled only when its peer has room: this is for the peer that never has.
        let watched = Arc::downgrade(&rest);
        tokio::spawn(async move {
            loop {
                sleep(reading_max).await;
                let Some(rest) = watched.upgrade() else { return };
                let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                if !rest.as_mut().is_some_and(|rest| std::mem::take(&mut rest.has_moved)) {
                    *rest = None;
                    return;
                }
            }
        });
        Self { rest, size }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut guard = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rest) = guard.as_mut() else {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))));
        };
        rest.has_moved = true;
        if rest.piece.is_empty() {
            match Pin::new(&mut rest.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => rest.piece = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let len = rest.piece.len().min(PIECE_BYTES);
        // A copy: a slice would keep all of the answer in memory for as long as any of it waits below us.
        let piece = Bytes::copy_from_slice(&rest.piece.split_to(len));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let guard = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().is_some_and(|rest| rest.piece.is_empty() && rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use http_body_util::BodyExt as _;

    use super::*;

    fn slot(answers: &Answers) -> Option<Slot<std::net::IpAddr>> {
        answers.slots.take([192, 0, 2, 1].into())
    }

    #[tokio::test]
    async fn an_answer_arrives_as_it_was_in_pieces() {
        let bytes: Vec<u8> = (0..3 * PIECE_BYTES + 7).map(|n| n as u8).collect();
        let mut body = Watched::new(Body::from(bytes.clone()), None, READING_MAX);
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE_BYTES);
            read.extend_from_slice(&data);
        }
        assert_eq!(read, bytes);
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up_with_its_place() {
        let answers = Answers::new();
        let places: Vec<_> = (1..ANSWERS_PER_ADDRESS_MAX).map(|_| slot(&answers).unwrap()).collect();
        let bytes = vec![1; 10 * PIECE_BYTES];
        let mut body = Watched::new(Body::from(bytes), slot(&answers), Duration::from_millis(20));
        body.frame().await.unwrap().unwrap();
        assert!(slot(&answers).is_none(), "its place is the last one");
        let given_back = async {
            while slot(&answers).is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), given_back).await.unwrap();
        assert!(body.frame().await.unwrap().is_err());
        drop(places);
    }
}
