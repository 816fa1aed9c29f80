//! Requests to a provider: short bodies both ways, limits on everything, a few connections kept.
//!
//! The one thing that matters above all is what a failure means. [`CallError::Unreachable`] says that the request never left; anything
//! after its first byte was handed over is [`CallError::Unanswered`]. A kept connection that the provider has closed meanwhile is noticed
//! before the request is handed over, or the library gives the request back unsent; only then a new connection is tried by itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;
use crate::tls::TrustAnchors;

/// The longest answer that is read: capabilities and accepted messages are below a kilobyte, cards come back in full.
const ANSWER_LEN_MAX: usize = 512 << 10;

/// Connections that are kept for later requests. More requests at once open more, which are closed again.
const IDLE_MAX: usize = 16;

/// How long a kept connection may take to be ready for the next request.
const IDLE_PATIENCE: Duration = Duration::from_millis(50);

/// The longest wait that a provider can ask for within one call; a longer one ends the call with what it asked.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// How long one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Connecting, with the handshake of TLS.
    pub connect: Duration,
    /// The request and its whole answer.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(20) }
    }
}

/// How often what is temporary is tried again, and after which waits.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How often again.
    pub again: usize,
    /// The first wait; each later one is twice as long, with jitter.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { again: 3, first: Duration::from_millis(300), longest: Duration::from_secs(8) }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The request never left.
    Unreachable,
    /// It may have arrived.
    Unanswered,
}

/// A request, so that it can be made again.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            content_type: "application/json",
            authorization: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body.into();
        self
    }
}

/// A client of one endpoint.
pub(crate) struct HttpClient {
    endpoint: Endpoint,
    trust: TrustAnchors,
    patience: Patience,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl HttpClient {
    pub(crate) fn new(endpoint: Endpoint, trust: TrustAnchors, patience: Patience) -> Self {
        Self { endpoint, trust, patience, idle: Mutex::new(Vec::new()) }
    }

    /// Makes a request once.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply, CallError> {
        let request = self.request(call)?;
        let request = match self.take_idle().await {
            None => request,
            Some(mut kept) => match self.exchange(&mut kept, request).await {
                Exchange::Done(reply) => {
                    self.keep(kept);
                    return Ok(reply);
                }
                Exchange::Lost => return Err(CallError::Unanswered),
                Exchange::Unsent(request) => *request,
            },
        };
        let connecting = timeout(self.patience.connect, self.connect());
        let mut sender = connecting.await.map_err(|_| CallError::Unreachable)??;
        match self.exchange(&mut sender, request).await {
            Exchange::Done(reply) => {
                self.keep(sender);
                Ok(reply)
            }
            Exchange::Lost => Err(CallError::Unanswered),
            Exchange::Unsent(_) => Err(CallError::Unreachable),
        }
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, CallError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(self.endpoint.target(&call.path))
            .header(header::HOST, self.endpoint.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONTENT_LENGTH, call.body.len());
        if !call.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, call.content_type);
        }
        if let Some(authorization) = &call.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        // A path of ours that is no path of HTTP never leaves.
        request.body(Full::new(call.body.clone())).map_err(|_| CallError::Unreachable)
    }

    async fn exchange(&self, sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Exchange {
        let answering = async {
            let response = match sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => {
                    return error.take_message().map_or(Exchange::Lost, |request| Exchange::Unsent(Box::new(request)));
                }
            };
            let status = response.status().as_u16();
            let retry_after = response.headers().get(header::RETRY_AFTER);
            let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            match Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await {
                Ok(body) => Exchange::Done(Reply { status, retry_after, body: body.to_bytes() }),
                Err(_) => Exchange::Lost,
            }
        };
        timeout(self.patience.whole, answering).await.unwrap_or(Exchange::Lost)
    }

    async fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            // The newest is the least likely to have been closed; those below it that are closed are dropped when they come up.
            let mut sender = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            // Its task may be a moment behind the end of the last answer.
            if timeout(IDLE_PATIENCE, sender.ready()).await.is_ok_and(|ready| ready.is_ok()) {
                return Some(sender);
            }
        }
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() && idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let target = (self.endpoint.host(), self.endpoint.port());
        let tcp = TcpStream::connect(target).await.map_err(|_| CallError::Unreachable)?;
        // Requests are written whole; waiting for more to send with them only adds delay.
        tcp.set_nodelay(true).map_err(|_| CallError::Unreachable)?;
        let stream: Box<dyn Stream> = if self.endpoint.is_tls() {
            let name = ServerName::try_from(self.endpoint.host().to_owned()).map_err(|_| CallError::Unreachable)?;
            let connector = TlsConnector::from(self.trust.client_config());
            Box::new(connector.connect(name, tcp).await.map_err(|error| {
                tracing::warn!(host = self.endpoint.host(), %error, "business_provider_tls");
                CallError::Unreachable
            })?)
        } else {
            Box::new(tcp)
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| CallError::Unreachable)?;
        tokio::spawn(async move {
            // What went wrong on the connection reaches whoever waits for the answer. It ends when its sender is dropped.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

enum Exchange {
    Done(Reply),
    Lost,
    Unsent(Box<Request<Full<Bytes>>>),
}

/// What one attempt came to, for whoever tries again.
pub(crate) trait Attempt {
    /// Whether another attempt can help, and does no harm.
    fn may_be_tried_again(&self) -> bool;
    /// Seconds that the provider asked us to wait.
    fn retry_after(&self) -> Option<u64>;
}

/// Tries until it works, or until nothing is left to try.
pub(crate) async fn with_retries<T, E, F>(policy: RetryPolicy, attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Attempt,
    F: Future<Output = Result<T, E>>,
{
    let waits = ExponentialBuilder::default()
        .with_min_delay(policy.first)
        .with_max_delay(policy.longest)
        .with_max_times(policy.again)
        .with_jitter();
    attempt
        .retry(waits)
        .sleep(tokio::time::sleep)
        .when(E::may_be_tried_again)
        .adjust(|error, planned| {
            let planned = planned?;
            let asked = error.retry_after().map_or(Duration::ZERO, Duration::from_secs);
            // Whoever asks for more than we wait here gets it from whoever called us.
            (asked <= RETRY_AFTER_MAX).then(|| planned.max(asked))
        })
        .await
}
