//! One request to a gateway, on a connection of its own: what went wrong is then known to be about this message.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcseal_rcs::transport::SendFailure;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::Config;

/// A gateway's answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) retry_after: Option<u32>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Posts a form. Before the request is written nothing has left; once it may have been, no answer means that nobody knows.
pub(super) async fn post(config: &Config, form: String) -> Result<Answer, SendFailure> {
    let limits = &config.limits;
    let connecting = async {
        let stream = open(config).await?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| SendFailure::Unreachable)
    };
    let (mut sender, connection) =
        timeout(limits.connect, connecting).await.map_err(|_| SendFailure::Unreachable)??;
    let request = Request::builder()
        .method(Method::POST)
        .uri(config.send.target())
        .header(header::HOST, config.send.authority())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(form)))
        .map_err(|_| SendFailure::Unfit)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(|_| SendFailure::NoAnswer)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| value.trim().parse().ok());
        let body = Limited::new(response.into_body(), limits.answer_len_max).collect().await;
        // A status without a body that can be read is a status all the same.
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
    };
    let serving = async {
        let _ = connection.await;
        // The answer has been handed over by then, if there was one.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = timeout(limits.answer, asking) => answer.map_err(|_| SendFailure::NoAnswer)?,
        () = serving => Err(SendFailure::NoAnswer),
    }
}

async fn open(config: &Config) -> Result<Box<dyn Stream>, SendFailure> {
    let url = &config.send;
    let tcp = TcpStream::connect((url.host(), url.port())).await.map_err(|_| SendFailure::Unreachable)?;
    tcp.set_nodelay(true).map_err(|_| SendFailure::Unreachable)?;
    if !url.is_tls() {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(url.host().to_owned()).map_err(|_| SendFailure::Unreachable)?;
    let connector = TlsConnector::from(config.trust.client_config());
    let tls = connector.connect(name, tcp).await.map_err(|_| SendFailure::Unreachable)?;
    Ok(Box::new(tls))
}
