//! What both kinds of WebSocket share: reading one frame, and ending with a code that says why.

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt as _;
use rcseal_wire::problem::ProblemCode;
use tokio_tungstenite::tungstenite::Error as WsError;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer is gone, or said goodbye: there is nobody to tell.
    Gone,
    /// The server stops.
    Stopping,
    /// A newer connection of the device serves the mailbox.
    TakenOver,
    /// The device left its account's key set.
    Revoked,
    /// The peer did not answer, or stopped in the middle of a frame.
    Stalled,
    /// A frame could not be parsed.
    Malformed,
    /// A frame exceeds the limit.
    TooLarge,
    /// The store cannot answer.
    Unavailable,
}

impl Ending {
    /// The problem that the peer is told; `None` when there is nobody to tell.
    pub(super) const fn problem(self) -> Option<ProblemCode> {
        match self {
            Self::Gone => None,
            Self::Stopping => Some(ProblemCode::ShuttingDown),
            Self::TakenOver => Some(ProblemCode::TakenOver),
            Self::Revoked => Some(ProblemCode::DeviceUnknown),
            Self::Stalled => Some(ProblemCode::Stalled),
            Self::Malformed => Some(ProblemCode::Malformed),
            Self::TooLarge => Some(ProblemCode::TooLarge),
            Self::Unavailable => Some(ProblemCode::Unavailable),
        }
    }

    /// RFC 6455 codes where there is one, else 4000 and the problem's HTTP status.
    const fn close_code(self, problem: ProblemCode) -> u16 {
        match self {
            Self::Stopping => 1001,
            Self::TooLarge => 1009,
            Self::Gone | Self::TakenOver | Self::Revoked | Self::Stalled | Self::Malformed | Self::Unavailable => {
                4000 + problem.status()
            }
        }
    }
}

/// What the peer sent.
pub(super) enum Incoming {
    /// A frame of ours.
    Frame(Bytes),
    /// A sign of life and no more.
    Alive,
}

/// Waits for the next message. Cancelling it loses nothing.
pub(super) async fn receive(socket: &mut WebSocket) -> Result<Incoming, Ending> {
    match socket.recv().await {
        Some(Ok(Message::Binary(frame))) => Ok(Incoming::Frame(frame)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Incoming::Alive),
        Some(Ok(Message::Text(_))) => Err(Ending::Malformed),
        Some(Ok(Message::Close(_))) | None => Err(Ending::Gone),
        Some(Err(error)) => Err(classify(error)),
    }
}

fn classify(error: axum::Error) -> Ending {
    match error.into_inner().downcast::<WsError>() {
        Ok(error) => match *error {
            WsError::Capacity(_) => Ending::TooLarge,
            WsError::Protocol(_) | WsError::Utf8(_) => Ending::Malformed,
            // There is no room for what the peer sends (`net::stall`).
            WsError::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => Ending::Unavailable,
            _ => Ending::Gone,
        },
        Err(_) => Ending::Gone,
    }
}

/// Sends one frame. The peer's refusal to read is cut off below us, by the connection's own time limit.
pub(super) async fn send(socket: &mut WebSocket, frame: Bytes) -> Result<(), Ending> {
    socket.send(Message::Binary(frame)).await.map_err(|_| Ending::Gone)
}

/// Queues one frame; [`flush`] sends what is queued.
pub(super) async fn feed(socket: &mut WebSocket, frame: Bytes) -> Result<(), Ending> {
    socket.feed(Message::Binary(frame)).await.map_err(|_| Ending::Gone)
}

/// Sends what is queued.
pub(super) async fn flush(socket: &mut WebSocket) -> Result<(), Ending> {
    socket.flush().await.map_err(|_| Ending::Gone)
}

/// Asks the peer for a sign of life.
pub(super) async fn ping(socket: &mut WebSocket) -> Result<(), Ending> {
    socket.send(Message::Ping(Bytes::new())).await.map_err(|_| Ending::Gone)
}

/// Says why, and goes.
pub(super) async fn close(mut socket: WebSocket, ending: Ending) {
    if let Some(problem) = ending.problem() {
        let frame = CloseFrame { code: ending.close_code(problem), reason: problem.as_str().into() };
        // The peer may be gone already; then there is nobody to tell.
        let _ = socket.send(Message::Close(Some(frame))).await;
    }
}
