//! A byte stream that gives up on a peer that stops reading or never begins, that holds its connection's place, and that tells the
//! connection's meter what was read.
//!
//! Reading needs no general limit here: request heads and bodies have their own, and an idle WebSocket is meant to be idle. Only the
//! HTTP/2 preface has none in hyper, so [`GuardedStream::expecting`] sets one.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connection::ConnectionInfo;
use super::guard::Place;

/// The stream that HTTP and WebSockets run over.
pub(super) struct GuardedStream<S> {
    stream: S,
    stall_max: Duration,
    /// Armed while a write waits for the peer. Boxed because most connections never arm it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Until the peer has sent its first bytes.
    opening: Option<Opening>,
    info: ConnectionInfo,
    _place: Place,
}

/// Waits for a peer's first bytes.
struct Opening {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
    opened: Opened,
}

/// Whether a peer has sent its first bytes; shared between a stream and whoever drives it.
#[derive(Clone, Default)]
pub(super) struct Opened(Arc<AtomicBool>);

impl Opened {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> GuardedStream<S> {
    pub(super) fn new(stream: S, stall_max: Duration, place: Place, info: ConnectionInfo) -> Self {
        Self { stream, stall_max, stalled: None, opening: None, info, _place: place }
    }

    /// Ends the connection unless the peer sends `first` bytes within `within`.
    pub(super) fn expecting(mut self, first: usize, within: Duration) -> (Self, Opened) {
        let opened = Opened::default();
        self.opening = Some(Opening { missing: first, deadline: Box::pin(sleep(within)), opened: opened.clone() });
        (self, opened)
    }

    /// Notes that `bytes` more have come, or looks whether the time for them is over.
    fn open(&mut self, bytes: Poll<usize>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else { return bytes.map(|_| Ok(())) };
        match bytes {
            Poll::Ready(bytes) => {
                opening.missing = opening.missing.saturating_sub(bytes);
                if opening.missing == 0 {
                    opening.opened.0.store(true, Ordering::Relaxed);
                    self.opening = None;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => opening.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().len() - before;
                if !this.info.meter().read(bytes) {
                    return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
                }
                this.open(Poll::Ready(bytes), context)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.open(Poll::Pending, context),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch(outcome, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.watch(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.watch(outcome, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        this.watch(outcome, context)
    }
}
