//! Submitting to relays: one kept connection to each, batches that are as large as what waits.
//!
//! ```text
//! submit ──► queue of a link ──► WebSocket /v1/submit ──► relay
//!            (bounded)            several batches on their way
//! ```
//!
//! A link is *idle* (nothing was submitted for a while), *open*, or *away* (the last attempt failed; until the next one is due everything is
//! answered [`Away`] at once, so that the caller can put it on disk instead of waiting). Attempts are further and further apart. Nothing is
//! sent twice by this module: whoever is answered [`Away`] does not know whether the relay has it, and submits it again under the same id.
//!
//! The broker is nobody in particular to a relay: each submission carries the delivery token that the account gave.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::BackoffBuilder as _;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rcseal_wire::frame::{
    BATCH_LEN_MAX, FRAME_LEN_MAX, SUBMIT_PATH, Submission, Submit, SubmitBatch, SubmitResults, SubmitStatus,
};
use rcseal_wire::origin::Origin;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

/// Submissions that wait for one relay's link; more are answered at once.
const WAITING_MAX: usize = 4096;
/// Batches on their way to one relay: enough to hide a flush of its disk behind the next batch.
const BATCHES_MAX: usize = 8;
/// Bytes of envelopes in one batch, well below what a frame may have.
const BATCH_BYTES_MAX: usize = FRAME_LEN_MAX / 2;
/// How long a connection may take, with its handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a relay may take to answer a batch, and to take a frame.
const ANSWER: Duration = Duration::from_secs(15);
/// After so long without a word we ask whether somebody is there, and after twice that there is nobody.
const SILENCE: Duration = Duration::from_secs(20);
/// The first pause after a failed attempt, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How relays are trusted: a TLS configuration for those that are configured, nothing for others.
pub(crate) type TlsOf = Arc<dyn Fn(&Origin) -> Option<Arc<ClientConfig>> + Send + Sync>;

/// What a relay said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// Durable there.
    Stored,
    /// Durable there already.
    Duplicate,
    /// Other content stands there under this id.
    IdConflict,
    /// The mailbox is gone, or the token does not open it.
    Refused,
    /// The mailbox is full.
    Full,
    /// Too large or malformed: no later attempt will do better.
    Unfit,
}

/// Why a relay said nothing, or nothing final. It may have the submission all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Away {
    /// It is not among those that are configured.
    #[error("the relay is not one of ours")]
    Unknown,
    /// There is no connection.
    #[error("the relay cannot be reached")]
    Unreachable,
    /// The connection ended, or the answer took too long.
    #[error("the relay did not answer")]
    NoAnswer,
    /// It asks to be left alone for a while.
    #[error("the relay is busy")]
    Busy,
    /// Too much waits for it here.
    #[error("too much waits for the relay")]
    Full,
}

impl Away {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "relay_unknown",
            Self::Unreachable => "relay_unreachable",
            Self::NoAnswer => "relay_no_answer",
            Self::Busy => "relay_busy",
            Self::Full => "relay_queue_full",
        }
    }
}

type Answer = Result<Submitted, Away>;

struct Job {
    submission: Submission,
    reply: oneshot::Sender<Answer>,
}

/// Links to relays. Dropped, it answers nothing more.
pub(crate) struct Relays {
    tls: TlsOf,
    links: Mutex<HashMap<Origin, mpsc::Sender<Job>>>,
}

impl Relays {
    pub(crate) fn new(tls: TlsOf) -> Self {
        Self { tls, links: Mutex::default() }
    }

    /// Submits, and answers what the relay says. Must be called on a runtime.
    pub(crate) async fn submit(&self, relay: &Origin, submit: &Submit) -> Answer {
        let link = self.link(relay)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { submission: submit.to_submission(), reply };
        link.try_send(job).map_err(|_| Away::Full)?;
        answer.await.unwrap_or(Err(Away::NoAnswer))
    }

    fn link(&self, relay: &Origin) -> Result<mpsc::Sender<Job>, Away> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(relay).filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        // Only configured relays get a link, so there are never many.
        let mut tls = ClientConfig::clone(&*(self.tls)(relay).ok_or(Away::Unknown)?);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(relay.host().to_owned()).map_err(|_| Away::Unknown)?;
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        let link = Link { origin: relay.clone(), name, tls: TlsConnector::from(Arc::new(tls)), jobs };
        tokio::spawn(link.run());
        links.insert(relay.clone(), sender.clone());
        Ok(sender)
    }
}

impl std::fmt::Debug for Relays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relays")
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

struct Link {
    origin: Origin,
    name: ServerName<'static>,
    tls: TlsConnector,
    jobs: mpsc::Receiver<Job>,
}

/// Why a session with a relay ended.
enum End {
    /// Nobody submits any more.
    Done,
    /// The connection broke. Whether it ever carried an answer decides about the pause.
    Broken { has_worked: bool },
}

impl Link {
    /// Serves jobs until nobody can submit any more.
    async fn run(mut self) {
        let pauses = backon::ExponentialBuilder::default()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_jitter()
            .without_max_times();
        let mut pause = pauses.build();
        loop {
            // Connecting begins with the first job: a relay that nobody writes to has no connection.
            let Some(first) = self.jobs.recv().await else { return };
            match self.connect().await {
                Ok(socket) => match self.serve(socket, first).await {
                    End::Done => return,
                    End::Broken { has_worked: true } => pause = pauses.build(),
                    End::Broken { has_worked: false } => self.stay_away(pause.next().unwrap_or(PAUSE_MAX)).await,
                },
                Err(error) => {
                    tracing::warn!(relay = self.origin.as_str(), cause = %error, "forward.relay_unreachable");
                    let _ = first.reply.send(Err(Away::Unreachable));
                    self.stay_away(pause.next().unwrap_or(PAUSE_MAX)).await;
                }
            }
        }
    }

    /// Refuses whatever comes until the pause is over.
    async fn stay_away(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                job = self.jobs.recv() => match job {
                    Some(job) => fail([job.reply], Away::Unreachable),
                    None => return,
                },
            }
        }
    }

    async fn connect(&self) -> Result<Socket, std::io::Error> {
        let connecting = async {
            let tcp = TcpStream::connect((self.origin.host(), self.origin.port())).await?;
            tcp.set_nodelay(true)?;
            let stream = self.tls.connect(self.name.clone(), tcp).await?;
            let config = WebSocketConfig::default()
                .write_buffer_size(0)
                .max_message_size(Some(FRAME_LEN_MAX))
                .max_frame_size(Some(FRAME_LEN_MAX));
            let address = format!("wss://{}{SUBMIT_PATH}", self.origin.authority());
            let opened = tokio_tungstenite::client_async_with_config(address, stream, Some(config)).await;
            opened.map(|(socket, _)| socket).map_err(std::io::Error::other)
        };
        timeout(CONNECT, connecting).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
    }

    /// Sends batches and takes answers until the connection breaks.
    async fn serve(&mut self, mut socket: Socket, first: Job) -> End {
        let mut waiting = vec![first];
        let mut sent: VecDeque<Sent> = VecDeque::new();
        let mut number = 0;
        let mut has_worked = false;
        let mut heard = Instant::now();
        let mut is_asked = false;
        loop {
            if !waiting.is_empty() && sent.len() < BATCHES_MAX {
                let batch = next_batch(&mut waiting, &mut self.jobs);
                number += 1;
                if !send(&mut socket, number, batch, &mut sent).await {
                    return broken(sent, waiting, has_worked);
                }
                continue;
            }
            let deadline = sent.front().map_or(heard + SILENCE, |oldest| oldest.deadline.min(heard + SILENCE));
            tokio::select! {
                job = self.jobs.recv(), if waiting.is_empty() && sent.len() < BATCHES_MAX => match job {
                    Some(job) => waiting.push(job),
                    None if sent.is_empty() => {
                        let _ = timeout(CONNECT, socket.close(None)).await;
                        return End::Done;
                    }
                    // What is on its way is waited for; the deadline below ends that.
                    None => {
                        let Some(frame) = next_frame(&mut socket, ANSWER).await else {
                            return broken(sent, waiting, has_worked);
                        };
                        settle(&frame, &mut sent);
                    }
                },
                frame = socket.next() => {
                    heard = Instant::now();
                    is_asked = false;
                    match frame {
                        Some(Ok(Message::Binary(frame))) if settle(&frame, &mut sent) => has_worked = true,
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                        Some(Ok(Message::Binary(_) | Message::Text(_) | Message::Close(_)) | Err(_)) | None => {
                            return broken(sent, waiting, has_worked);
                        }
                    }
                }
                () = sleep_until(deadline) => {
                    let is_late = sent.front().is_some_and(|oldest| oldest.deadline <= Instant::now());
                    let is_silent = is_asked && heard + SILENCE <= Instant::now();
                    if is_late || is_silent {
                        return broken(sent, waiting, has_worked);
                    }
                    is_asked = true;
                    heard = Instant::now();
                    if !write(&mut socket, Message::Ping(Bytes::new())).await {
                        return broken(sent, waiting, has_worked);
                    }
                }
            }
        }
    }
}

/// A batch whose results are waited for.
struct Sent {
    number: u64,
    deadline: Instant,
    replies: Vec<oneshot::Sender<Answer>>,
}

/// As much of what waits as fits into one batch.
fn next_batch(waiting: &mut Vec<Job>, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    while waiting.len() < BATCH_LEN_MAX {
        match jobs.try_recv() {
            Ok(job) => waiting.push(job),
            Err(_) => break,
        }
    }
    let mut bytes = 0;
    let fits = |job: &Job| {
        bytes += job.submission.envelope.len();
        bytes <= BATCH_BYTES_MAX
    };
    // The longest envelope fits many times, so that the first always goes.
    let len = waiting.iter().take(BATCH_LEN_MAX).map(fits).take_while(|fits| *fits).count().max(1);
    let rest = waiting.split_off(len.min(waiting.len()));
    std::mem::replace(waiting, rest)
}

async fn write(socket: &mut Socket, message: Message) -> bool {
    matches!(timeout(ANSWER, socket.send(message)).await, Ok(Ok(())))
}

async fn send(socket: &mut Socket, number: u64, batch: Vec<Job>, sent: &mut VecDeque<Sent>) -> bool {
    let (submissions, replies) = batch.into_iter().map(|job| (job.submission, job.reply)).unzip();
    let frame = SubmitBatch { batch: number, submissions };
    sent.push_back(Sent { number, deadline: Instant::now() + ANSWER, replies });
    write(socket, Message::Binary(frame.encode_to_vec().into())).await
}

async fn next_frame(socket: &mut Socket, limit: Duration) -> Option<Bytes> {
    loop {
        match timeout(limit, socket.next()).await {
            Ok(Some(Ok(Message::Binary(frame)))) => return Some(frame),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
            _ => return None,
        }
    }
}

/// Hands out the results of a batch. `false` for a frame that answers none of ours.
fn settle(frame: &Bytes, sent: &mut VecDeque<Sent>) -> bool {
    let Ok(results) = SubmitResults::decode(frame.clone()) else { return false };
    let Some(at) = sent.iter().position(|batch| batch.number == results.batch) else { return false };
    let Some(batch) = sent.remove(at) else { return false };
    if batch.replies.len() != results.results.len() {
        fail(batch.replies, Away::NoAnswer);
        return false;
    }
    for (reply, status) in batch.replies.into_iter().zip(results.results) {
        let _ = reply.send(answer(status));
    }
    true
}

/// A status that we do not know promises nothing.
fn answer(status: i32) -> Answer {
    match SubmitStatus::try_from(status) {
        Ok(SubmitStatus::Stored) => Ok(Submitted::Stored),
        Ok(SubmitStatus::Duplicate) => Ok(Submitted::Duplicate),
        Ok(SubmitStatus::IdConflict) => Ok(Submitted::IdConflict),
        Ok(SubmitStatus::Refused) => Ok(Submitted::Refused),
        Ok(SubmitStatus::QuotaExceeded) => Ok(Submitted::Full),
        Ok(SubmitStatus::TooLarge | SubmitStatus::Malformed) => Ok(Submitted::Unfit),
        Ok(SubmitStatus::Unavailable | SubmitStatus::RateLimited | SubmitStatus::Unspecified) | Err(_) => {
            Err(Away::Busy)
        }
    }
}

fn fail(replies: impl IntoIterator<Item = oneshot::Sender<Answer>>, away: Away) {
    for reply in replies {
        // Nobody may wait any more.
        let _ = reply.send(Err(away));
    }
}

fn broken(sent: VecDeque<Sent>, waiting: Vec<Job>, has_worked: bool) -> End {
    fail(sent.into_iter().flat_map(|batch| batch.replies), Away::NoAnswer);
    fail(waiting.into_iter().map(|job| job.reply), Away::Unreachable);
    End::Broken { has_worked }
}
