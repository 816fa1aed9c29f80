//! **Fakes** of business providers, for tests and demonstrations. Not the real thing, and nowhere near it.
//!
//! Each is a server on loopback that speaks the provider's published protocol: its paths, bodies, errors and signatures, recipients who are
//! offline, times to live, revocations that lose the race, webhooks that come twice and out of order. They are written from the published
//! documentation, by the same hands as the clients; what the documentation does not say, they cannot know. Every answer and every webhook
//! of theirs carries the header [`LABEL`].
//!
//! Their clock is this machine's plus what [`advance`](rbm::FakeRbm::advance) added, so that a time to live of days passes in a test.

mod outbox;
pub mod rbm;
pub mod sinch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use outbox::{Disorder, Posted};

/// The header that marks everything a fake says.
pub const LABEL: &str = "x-rcseal-fake";

/// What stands in it.
pub const LABEL_VALUE: &str = "not a real provider";

/// This machine's clock and what was added to it.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(self.0.load(Ordering::Relaxed))
    }

    fn advance(&self, by_ms: u64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }
}

/// A server on loopback. It ends when it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = router.layer(axum::middleware::map_response(label));
        let task = tokio::spawn(async move {
            // It serves until it is dropped; an error of one connection is that connection's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn label(mut response: Response) -> Response {
    response.headers_mut().insert(HeaderName::from_static(LABEL), HeaderValue::from_static(LABEL_VALUE));
    response
}

/// What the next request gets instead of what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This status, with a wait of so many seconds if there is one.
    Status(u16, Option<u64>),
    /// It is carried out, and the answer is lost: the fake answers 500 in its place.
    AnswerLost,
    /// It is not carried out, and it is not answered for so many milliseconds.
    Silence(u64),
}

/// What gets in the way of a request. `Ok(true)` carries it out and loses the answer.
async fn meet(trouble: Option<Trouble>) -> Result<bool, Response> {
    match trouble {
        None => Ok(false),
        Some(Trouble::AnswerLost) => Ok(true),
        Some(Trouble::Status(status, wait)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut refused = refusal(status, "TROUBLE");
            if let Some(wait) = wait {
                refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            }
            Err(refused)
        }
        Some(Trouble::Silence(millis)) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Err(refusal(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"))
        }
    }
}

/// An error in the form that both providers publish.
fn refusal(status: StatusCode, name: &str) -> Response {
    let error = json!({ "error": { "code": status.as_u16(), "message": "a fake says so", "status": name } });
    (status, Json(error)).into_response()
}
