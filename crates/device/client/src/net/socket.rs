//! What the two WebSockets of the message plane share: whole frames in, whole frames out, and signs of life.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::error::{Fault, NetError, Stage};
use super::http::Socket;
use super::limits::Timeouts;

/// A WebSocket that carries one protobuf message per frame.
pub(super) struct Frames {
    socket: Socket,
    timeouts: Timeouts,
    /// A ping is out and nothing has come since.
    pinged: bool,
}

impl Frames {
    pub(super) const fn new(socket: Socket, timeouts: Timeouts) -> Self {
        Self { socket, timeouts, pinged: false }
    }

    /// The next frame; `None` when the server closed in order. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            let Ok(received) = timeout(self.timeouts.silence, self.socket.next()).await else {
                if self.pinged {
                    return Err(NetError::Timeout(Stage::Silence));
                }
                self.write(Message::Ping(Bytes::new())).await?;
                self.pinged = true;
                continue;
            };
            self.pinged = false;
            match received {
                None => return Ok(None),
                Some(Ok(Message::Binary(frame))) => return Ok(Some(frame)),
                Some(Ok(Message::Close(_))) => return Ok(None),
                // The library answers pings itself, at the next read.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => return Err(NetError::Protocol(Fault::Unexpected)),
                Some(Err(error)) => return Err(socket_error(error)),
            }
        }
    }

    pub(super) async fn send(&mut self, message: &impl prost::Message) -> Result<(), NetError> {
        self.write(Message::Binary(message.encode_to_vec().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), NetError> {
        timeout(self.timeouts.stall, self.socket.send(message))
            .await
            .map_err(|_| NetError::Timeout(Stage::Write))?
            .map_err(socket_error)
    }

    /// Says goodbye; whether the server heard it does not matter.
    pub(super) async fn close(mut self) {
        let _ = timeout(self.timeouts.stall, self.socket.close(None)).await;
    }
}

fn socket_error(error: WsError) -> NetError {
    match error {
        WsError::Capacity(_) => NetError::TooLarge { limit: rcseal_wire::frame::FRAME_LEN_MAX },
        WsError::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            NetError::Closed(None)
        }
        WsError::Protocol(_) | WsError::Utf8(_) | WsError::AttackAttempt => NetError::Protocol(Fault::Framing),
        other => NetError::closed(other),
    }
}
