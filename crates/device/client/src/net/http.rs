//! One HTTP/1.1 connection over one TLS connection: requests one after another, or an upgrade to a WebSocket.
//!
//! HTTP/1.1 because a login belongs to one connection and a WebSocket takes one over. Everything has a limit in time and size; an answer
//! that is not a success is parsed as a problem document and becomes [`NetError::Problem`].

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rcseal_wire::login::TLS_EXPORTER_LEN;
use rcseal_wire::problem::{PROBLEM_CONTENT_TYPE, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::error::{Fault, NetError, Refused, Stage};
use super::limits::{ANSWER_LEN_MAX, PROBLEM_LEN_MAX, READ_BUFFER_LEN, Timeouts};
use super::tls::{Endpoint, Plane, Tls};
use rcseal_wire::frame::FRAME_LEN_MAX;

/// A WebSocket over a connection of ours.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// One request, so that it can be sent again.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    /// Longer than usual for a request that the server lets wait.
    extra_wait: std::time::Duration,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            extra_wait: std::time::Duration::ZERO,
        }
    }

    pub(super) fn json(self, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_vec(body).expect("the types of the API have string keys and serialize without failing");
        self.bytes("application/json", body.into())
    }

    pub(super) fn bytes(mut self, content_type: &'static str, body: Bytes) -> Self {
        self.headers.push((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        self.body = body;
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header whose value must not be printed.
    pub(super) fn secret_header(self, name: HeaderName, value: &str) -> Self {
        let mut value = HeaderValue::from_str(value).expect("tokens are base64url, a scheme and a space");
        value.set_sensitive(true);
        self.header(name, value)
    }

    pub(super) fn wait(mut self, extra: std::time::Duration) -> Self {
        self.extra_wait = extra;
        self
    }
}

/// A success that has been read as a whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, NetError> {
        serde_json::from_slice(&self.body).map_err(|_| NetError::Protocol(Fault::Body))
    }

    pub(super) fn protobuf<T: prost::Message + Default>(&self) -> Result<T, NetError> {
        T::decode(self.body.clone()).map_err(|_| NetError::Protocol(Fault::Body))
    }
}

/// A connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    exporter: [u8; TLS_EXPORTER_LEN],
    host: HeaderValue,
    timeouts: Timeouts,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(endpoint: &Endpoint, plane: Plane) -> Result<Self, NetError> {
        let Tls { stream, exporter } = endpoint.connect(plane).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(NetError::closed)?;
        // Ends by itself when the sender is dropped or the peer hangs up; its errors reach the requests.
        tokio::spawn(connection.with_upgrades());
        let host = HeaderValue::from_str(endpoint.origin().authority())
            .expect("an origin has no character that a header has not");
        Ok(Self { sender, exporter, host, timeouts: *endpoint.timeouts() })
    }

    /// What a login on this connection signs.
    pub(super) const fn exporter(&self) -> &[u8; TLS_EXPORTER_LEN] {
        &self.exporter
    }

    /// Whether another request may be tried on it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn call(&mut self, call: &Call) -> Result<Answer, NetError> {
        let response = self.send(call).await?;
        let (parts, body) = response.into_parts();
        let body = read_all(body, ANSWER_LEN_MAX, &self.timeouts).await?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Sends a request and hands on the answer's body unread, if it is a success.
    pub(super) async fn send(&mut self, call: &Call) -> Result<Response<Incoming>, NetError> {
        let mut request =
            Request::builder().method(call.method.clone()).uri(&call.path).header(header::HOST, self.host.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(call.body.clone())).map_err(|_| NetError::Protocol(Fault::Header))?;
        let sending = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let response = timeout(self.timeouts.answer + call.extra_wait, sending)
            .await
            .map_err(|_| NetError::Timeout(Stage::Answer))?
            .map_err(hyper_error)?;
        if response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        Err(refusal(response, &self.timeouts).await)
    }

    /// Turns the connection into a WebSocket.
    pub(super) async fn upgrade(mut self, call: Call) -> Result<Socket, NetError> {
        let key = generate_key();
        let call = call
            .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            .header(
                header::SEC_WEBSOCKET_KEY,
                HeaderValue::from_str(&key).map_err(|_| NetError::Protocol(Fault::Header))?,
            );
        let response = self.send(&call).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(NetError::Protocol(Fault::Status(response.status().as_u16())));
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.map(HeaderValue::as_bytes) != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(NetError::Protocol(Fault::Header));
        }
        let upgraded = timeout(self.timeouts.answer, hyper::upgrade::on(response))
            .await
            .map_err(|_| NetError::Timeout(Stage::Answer))?
            .map_err(hyper_error)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_LEN)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_LEN_MAX))
            .max_frame_size(Some(FRAME_LEN_MAX));
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await)
    }
}

/// Reads a body to its end, up to a limit of bytes and of time.
pub(super) async fn read_all(mut body: Incoming, limit: usize, timeouts: &Timeouts) -> Result<Bytes, NetError> {
    let reading = async {
        let mut read = Vec::new();
        while let Some(piece) = next_piece(&mut body, timeouts).await? {
            if read.len() + piece.len() > limit {
                return Err(NetError::TooLarge { limit });
            }
            read.extend_from_slice(&piece);
        }
        Ok(read.into())
    };
    timeout(timeouts.whole, reading).await.map_err(|_| NetError::Timeout(Stage::Body))?
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_piece(body: &mut Incoming, timeouts: &Timeouts) -> Result<Option<Bytes>, NetError> {
    loop {
        let frame = timeout(timeouts.stall, body.frame()).await.map_err(|_| NetError::Timeout(Stage::Body))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(hyper_error(error)),
            // Trailers carry nothing of ours.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn refusal(response: Response<Incoming>, timeouts: &Timeouts) -> NetError {
    let status = response.status().as_u16();
    let content_type =
        response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_problem = content_type.split(';').next().is_some_and(|kind| kind.trim() == PROBLEM_CONTENT_TYPE);
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = match read_all(response.into_body(), PROBLEM_LEN_MAX, timeouts).await {
        Ok(body) => body,
        // A refusal that is too long to be a problem document says as much as one that is none.
        Err(NetError::TooLarge { .. }) => return NetError::Protocol(Fault::Refusal(status)),
        Err(error) => return error,
    };
    let problem = if is_problem { serde_json::from_slice::<Problem>(&body).ok() } else { None };
    let Some(mut problem) = problem else { return NetError::Protocol(Fault::Refusal(status)) };
    problem.retry_after_seconds = problem.retry_after_seconds.or(retry_after);
    NetError::Problem(Refused::from_problem(status, &problem))
}

fn hyper_error(error: hyper::Error) -> NetError {
    if error.is_parse() || error.is_parse_too_large() {
        NetError::Protocol(Fault::Framing)
    } else {
        NetError::closed(error)
    }
}
