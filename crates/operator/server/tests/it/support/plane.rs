//! A WebSocket client of the message plane that shows everything it is sent.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::mailbox_request::Request;
use rcseal_wire::frame::{
    Acknowledge, Deliveries, MailboxEvent, MailboxRequest, ResetNotice, Submission, SubmitBatch, SubmitResults,
    SubmitStatus,
};
use rcseal_wire::id::{EnvelopeId, MailboxId};
use rcseal_wire::token::DeliveryToken;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;

use super::Tls;

/// Longer than anything takes on a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Plane {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

/// How the server ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

/// An envelope for a mailbox.
pub fn submission(mailbox: MailboxId, token: &DeliveryToken, id: EnvelopeId, envelope: &[u8]) -> Submission {
    Submission {
        mailbox: Bytes::copy_from_slice(mailbox.as_bytes()),
        delivery_token: Bytes::copy_from_slice(token.expose()),
        id: Bytes::copy_from_slice(id.as_bytes()),
        ttl_seconds: 3600,
        envelope: Bytes::copy_from_slice(envelope),
    }
}

impl Plane {
    /// Opens a WebSocket, or returns the HTTP status of the refusal.
    pub async fn open(tls: &Tls, address: SocketAddr, path: &str, token: Option<&str>) -> Result<Self, u16> {
        let stream = tls.connect(address).await;
        let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, frame: Vec<u8>) {
        self.raw(Message::Binary(frame.into())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The raw stream, to send what no WebSocket library would.
    pub fn stream(&mut self) -> &mut TlsStream<TcpStream> {
        self.socket.get_mut()
    }

    pub async fn try_send_batch(&mut self, batch: u64, submissions: Vec<Submission>) -> bool {
        let frame = SubmitBatch { batch, submissions }.encode_to_vec();
        self.socket.send(Message::Binary(frame.into())).await.is_ok()
    }

    /// The next frame; `Err` when the connection ended.
    pub async fn next(&mut self) -> Result<Bytes, Option<Closed>> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the server is silent") {
                Some(Ok(Message::Binary(frame))) => return Ok(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return Err(Some(Closed { code: code.into(), reason: reason.to_string() }));
                }
                Some(Ok(other)) => panic!("unexpected {other:?}"),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub async fn closed(&mut self) -> Closed {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(Some(closed)) => return closed,
                Err(None) => panic!("the connection broke without a close frame"),
            }
        }
    }

    pub async fn submit(&mut self, submissions: Vec<Submission>) -> Vec<SubmitStatus> {
        self.send(SubmitBatch { batch: 7, submissions }.encode_to_vec()).await;
        let results = self.results().await.unwrap();
        assert_eq!(results.batch, 7);
        results.results().collect()
    }

    pub async fn results(&mut self) -> Result<SubmitResults, Option<Closed>> {
        self.next().await.map(|frame| SubmitResults::decode(frame).unwrap())
    }

    pub async fn try_event(&mut self) -> Result<Event, Option<Closed>> {
        self.next().await.map(|frame| MailboxEvent::decode(frame).unwrap().event.unwrap())
    }

    pub async fn event(&mut self) -> Event {
        self.try_event().await.unwrap()
    }

    /// The next notice about a reset, whatever else comes in between.
    pub async fn reset_notice(&mut self) -> ResetNotice {
        loop {
            if let Event::Reset(notice) = self.event().await {
                return notice;
            }
        }
    }

    /// The next notice of messages that the server can read, whatever else comes in between.
    pub async fn retained_notice(&mut self) -> u64 {
        loop {
            if let Event::RetainedWaiting(notice) = self.event().await {
                return notice.newest;
            }
        }
    }

    /// Delivered ids until `count` have come, whatever else comes in between.
    pub async fn delivered(&mut self, count: usize) -> Vec<EnvelopeId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Event::Deliveries(deliveries) = self.event().await {
                ids.extend(self::ids(&deliveries));
            }
        }
        ids
    }

    /// Everything up to `QueueEmpty`.
    pub async fn backlog(&mut self) -> Vec<EnvelopeId> {
        let mut ids = Vec::new();
        loop {
            match self.event().await {
                Event::Deliveries(deliveries) => ids.extend(self::ids(&deliveries)),
                Event::QueueEmpty(_) => return ids,
                Event::PrekeysLow(_) | Event::Reset(_) | Event::RetainedWaiting(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub async fn send_acknowledgement(&mut self, request: u64, ids: &[EnvelopeId]) {
        let consumed = ids.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
        let frame = Acknowledge { request, consumed, undecryptable: vec![] };
        self.send(MailboxRequest { request: Some(Request::Acknowledge(frame)) }.encode_to_vec()).await;
    }

    /// Acknowledges and waits for the answer; how many were removed.
    pub async fn acknowledge(&mut self, ids: &[EnvelopeId]) -> u32 {
        self.send_acknowledgement(9, ids).await;
        loop {
            match self.event().await {
                Event::Acknowledged(answer) => {
                    assert_eq!(answer.request, 9);
                    return answer.removed;
                }
                Event::Deliveries(_)
                | Event::QueueEmpty(_)
                | Event::PrekeysLow(_)
                | Event::Reset(_)
                | Event::RetainedWaiting(_) => {}
                other @ Event::Failure(_) => panic!("unexpected {other:?}"),
            }
        }
    }
}

pub fn ids(deliveries: &Deliveries) -> Vec<EnvelopeId> {
    deliveries.envelopes.iter().map(|delivery| EnvelopeId::parse(&delivery.id).unwrap()).collect()
}
