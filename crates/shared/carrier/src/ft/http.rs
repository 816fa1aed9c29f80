//! One request to a content server, on a connection of its own.
//!
//! HTTP/1.1: a transfer is one long request, and a connection that is used for nothing else can be given up by dropping it. Whatever the
//! server does, the call ends: connecting, silence and the whole transfer have limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcseal_rcs::ft::{ContentUrl, UrlError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::FtClient;
use super::error::{Forbidden, FtError, Stage};
use crate::reach;

/// Redirects that are followed: a content server in front of a storage service needs one.
const REDIRECTS_MAX: u32 = 3;

/// The longest descriptor or other answer that is read whole.
const ANSWER_LEN_MAX: usize = 64 << 10;

/// Bytes handed to the connection at once: progress is seen in steps of this.
const PIECE_LEN: usize = 32 << 10;

/// A request, so that it can be made again.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Call {
    pub(super) const fn new(method: Method) -> Self {
        Self { method, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, FtError> {
        let value = HeaderValue::from_str(value).map_err(|_| FtError::Protocol)?;
        self.headers.push((name, value));
        Ok(self)
    }

    pub(super) fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

/// A body that is handed over in pieces, which says how far it was taken.
struct Pieces {
    left: Bytes,
    taken: Arc<AtomicU64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.left.len().min(PIECE_LEN);
        let piece = self.left.split_to(len);
        self.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// Drives a connection, and ends it when the answer is dropped: a server that never finishes keeps no task of ours.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose body was not read yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    _driver: Driver,
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    pub(super) async fn next_piece(&mut self, client: &FtClient, deadline: Instant) -> Result<Option<Bytes>, FtError> {
        loop {
            let stall_ends = Instant::now() + client.config.limits.stall;
            let until = stall_ends.min(deadline);
            let stage = if until == deadline { Stage::Whole } else { Stage::Stall };
            match timeout_at(until, self.body.frame()).await.map_err(|_| FtError::Timeout(stage))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(hyper_error(&error)),
                // Trailers carry nothing of ours.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, which is short.
    pub(super) async fn read_all(&mut self, client: &FtClient, deadline: Instant) -> Result<Vec<u8>, FtError> {
        let mut read = Vec::new();
        while let Some(piece) = self.next_piece(client, deadline).await? {
            if read.len() + piece.len() > ANSWER_LEN_MAX {
                return Err(FtError::Protocol);
            }
            read.extend_from_slice(&piece);
        }
        Ok(read)
    }

    /// One header as text.
    pub(super) fn text(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What a status that is no success means.
    pub(super) fn refusal(&self) -> FtError {
        match self.status.as_u16() {
            401 | 403 | 407 => FtError::Unauthorized,
            404 | 410 => FtError::NotFound,
            413 => FtError::TooLarge,
            429 | 503 => {
                FtError::Busy { retry_after: self.text(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok()) }
            }
            status => FtError::Refused { status },
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl FtClient {
    /// When a transfer of so many bytes must be over.
    pub(super) fn deadline(&self, len: u64) -> Instant {
        let limits = &self.config.limits;
        let seconds = len / limits.bytes_per_second_min.max(1);
        Instant::now() + limits.whole + std::time::Duration::from_secs(seconds)
    }

    /// Makes a request and reads the head of the answer. Redirects are not followed.
    pub(super) async fn call(&self, url: &ContentUrl, call: &Call, deadline: Instant) -> Result<Answer, FtError> {
        self.config.check_scheme(url)?;
        let connecting = async {
            let stream = self.connect(url).await?;
            http1::Builder::new()
                .max_buf_size(64 << 10)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| hyper_error(&error))
        };
        let (mut sender, connection) =
            timeout(self.config.limits.connect, connecting).await.map_err(|_| FtError::Timeout(Stage::Connect))??;
        let driver = Driver(tokio::spawn(async move {
            // What went wrong on the connection reaches whoever waits for the answer or its body.
            let _ = connection.await;
        }));
        let taken = Arc::new(AtomicU64::new(0));
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url.target())
            .header(header::HOST, url.authority())
            .header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Pieces { left: call.body.clone(), taken: Arc::clone(&taken) })
            .map_err(|_| FtError::Protocol)?;
        let mut sending = std::pin::pin!(sender.send_request(request));
        let response = loop {
            let taken_before = taken.load(Ordering::Relaxed);
            let stall_ends = Instant::now() + self.config.limits.stall;
            match timeout_at(stall_ends.min(deadline), &mut sending).await {
                Ok(response) => break response.map_err(|error| hyper_error(&error))?,
                Err(_) if Instant::now() >= deadline => return Err(FtError::Timeout(Stage::Whole)),
                Err(_) if taken.load(Ordering::Relaxed) == taken_before => return Err(FtError::Timeout(Stage::Stall)),
                Err(_) => {}
            }
        };
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body, _driver: driver })
    }

    /// Makes a GET and follows redirects.
    pub(super) async fn get(
        &self,
        url: &ContentUrl,
        headers: &[(HeaderName, String)],
        deadline: Instant,
    ) -> Result<Answer, FtError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut call = Call::new(Method::GET);
            for (name, value) in headers {
                call = call.header(name.clone(), value)?;
            }
            let answer = self.call(&url, &call, deadline).await?;
            match answer.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => {
                    let location = answer.text(header::LOCATION).ok_or(UrlError::Malformed)?;
                    let next = url.join(location)?;
                    if url.is_tls() && !next.is_tls() {
                        return Err(Forbidden::Downgrade.into());
                    }
                    url = next;
                }
                _ => return Ok(answer),
            }
        }
        Err(Forbidden::TooManyRedirects.into())
    }

    async fn connect(&self, url: &ContentUrl) -> Result<Box<dyn Stream>, FtError> {
        let judge = |address| self.config.check_address(url, address).map_err(FtError::from);
        let tcp = reach::connect(url.host(), url.port(), judge, FtError::Unreachable).await?;
        // Requests are written whole; waiting for more to send with them only adds delay.
        tcp.set_nodelay(true).map_err(FtError::Unreachable)?;
        if !url.is_tls() {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from(url.host().to_owned()).map_err(|_| UrlError::Malformed)?;
        let connector = TlsConnector::from(self.config.trust.client_config());
        let tls = connector.connect(name, tcp).await.map_err(|error| {
            if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                FtError::Tls(error)
            } else {
                FtError::Unreachable(error)
            }
        })?;
        Ok(Box::new(tls))
    }
}

fn hyper_error(error: &hyper::Error) -> FtError {
    if error.is_parse() || error.is_parse_too_large() { FtError::Protocol } else { FtError::Cut { transferred: 0 } }
}
