//! A session that is up: one task reads, one writes, and senders wait for what comes back.
//!
//! Sending is bounded by bytes that were sent and not answered, reading by what one session may leave unfinished. Whoever is too slow
//! loses the session, and every message that waits learns it: none waits for ever, and none counts as taken by silence.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;
use rcseal_rcs::msrp::{
    Added, Assembler, AssemblyLimits, Flag, Frame, Method, Outgoing, Parser, Path, Received, Start, Status,
    TransactionId,
};
use rcseal_rcs::text::MediaType;
use rcseal_rcs::transport::CarrierMessageId;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::error::SessionError;
use super::stream::{Connection, READ_LEN, Wire};
use super::{Inlet, MsrpLimits};

/// Frames between a sender and the writing task: a few, since the bytes are counted elsewhere.
const WRITE_QUEUE: usize = 8;

/// Responses and reports that wait to be written. Reading never waits for writing, or two ends that both send could wait for each other;
/// a peer that asks this much and reads nothing loses the session.
const REPLY_QUEUE: usize = 1024;

/// Messages of one session that were handed over and not answered. Each is memory and a task, whatever the inlet does and whether or not the
/// peer reads its answers.
const HANDED_OVER_MAX: usize = 256;

/// What is known of a message that is under way.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    answered: usize,
    refused: Option<u16>,
    reported: Option<u16>,
    has_ended: bool,
}

struct Flight {
    len: u64,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct State {
    has_ended: bool,
    flights: HashMap<CarrierMessageId, Flight>,
    /// Chunks that were not answered. The permit gives their bytes back when the answer comes.
    chunks: HashMap<TransactionId, (CarrierMessageId, OwnedSemaphorePermit)>,
}

struct Shared {
    to: Path,
    from: Path,
    limits: MsrpLimits,
    window: Arc<Semaphore>,
    state: Mutex<State>,
    over: watch::Sender<bool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session: every sender that waits learns it.
    fn end(&self) {
        let mut state = self.state();
        state.has_ended = true;
        state.chunks.clear();
        for flight in state.flights.values() {
            flight.progress.send_modify(|progress| progress.has_ended = true);
        }
        drop(state);
        self.over.send_replace(true);
    }

    fn on_response(&self, transaction: &TransactionId, code: u16) {
        let mut state = self.state();
        // An answer to nothing that we asked says nothing.
        let Some((message_id, _permit)) = state.chunks.remove(transaction) else { return };
        if let Some(flight) = state.flights.get(&message_id) {
            flight.progress.send_modify(|progress| {
                progress.answered += 1;
                if code != 200 {
                    progress.refused.get_or_insert(code);
                }
            });
        }
    }

    fn on_report(&self, report: &Frame) {
        let (Some(message_id), Some(status)) = (report.message_id(), report.status()) else { return };
        let state = self.state();
        // A report of a message that is not under way, or of another length, belongs to none of ours.
        let Some(flight) = state.flights.get(&message_id) else { return };
        let is_of_whole =
            report.byte_range().is_some_and(|range| range.first() == 1 && range.last() == Some(flight.len));
        if status == Status::OK && !is_of_whole {
            return;
        }
        flight.progress.send_modify(|progress| {
            progress.reported.get_or_insert(status.0);
        });
    }
}

/// A session. Clones are the same session; it ends when the last one is dropped, or by [`Session::end`].
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Frame>,
    _guard: Arc<EndOnDrop>,
}

struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Session {
    /// Begins a session on a connection that is bound to it. `early` are frames that were read of it already.
    pub(super) fn start(
        connection: Connection,
        early: VecDeque<Frame>,
        to: Path,
        from: Path,
        limits: MsrpLimits,
        inlet: Arc<dyn Inlet>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (over, _) = watch::channel(false);
        let shared = Arc::new(Shared {
            to,
            from,
            limits,
            window: Arc::new(Semaphore::new(limits.in_flight_max as usize)),
            state: Mutex::default(),
            over,
        });
        let (writer, frames) = mpsc::channel(WRITE_QUEUE);
        let (read_half, write_half) = tokio::io::split(connection.wire);
        let (replies, waiting_replies) = mpsc::channel(REPLY_QUEUE);
        tokio::spawn(write(Arc::clone(&shared), write_half, frames, waiting_replies));
        let reader = Reader {
            shared: Arc::clone(&shared),
            replies,
            handed_over: Arc::new(Semaphore::new(HANDED_OVER_MAX)),
            inlet,
            assembler: Assembler::new(AssemblyLimits {
                message_len_max: limits.message_len_max,
                messages_max: limits.partial_messages_max,
                ..AssemblyLimits::default()
            }),
        };
        tokio::spawn(async move {
            reader.run(read_half, connection.parser, early).await;
            drop(place);
        });
        let guard = Arc::new(EndOnDrop(Arc::clone(&shared)));
        Self { shared, writer, _guard: guard }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.state().has_ended
    }

    /// Whether a message is on its way out.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        !self.shared.state().flights.is_empty()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut over = self.shared.over.subscribe();
        // The sender lives as long as this session does.
        let _ = over.wait_for(|is_over| *is_over).await;
    }

    /// Ends it. Messages that are under way fail.
    pub fn end(&self) {
        self.shared.end();
    }

    /// Sends a message and waits until the far end has it, as far as this protocol says so: every chunk answered with 200 and, behind a
    /// relay, a success report of the whole.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn send(
        &self,
        message_id: CarrierMessageId,
        content_type: MediaType,
        body: &[u8],
    ) -> Result<(), SessionError> {
        let mut progress = self.begin(&message_id, body.len() as u64)?;
        let sent = self.send_chunks(&message_id, content_type, body, &mut progress).await;
        let result = match sent {
            Ok(chunks) => self.wait(chunks, &mut progress).await,
            Err(error) => Err(error),
        };
        let mut state = self.shared.state();
        state.flights.remove(&message_id);
        state.chunks.retain(|_, (id, _)| *id != message_id);
        drop(state);
        if matches!(result, Err(SessionError::NoAnswer | SessionError::Slow)) {
            // RFC 4975, section 7.1.1: without an answer the connection is of no more use.
            self.shared.end();
        }
        result
    }

    fn begin(&self, message_id: &CarrierMessageId, len: u64) -> Result<watch::Receiver<Progress>, SessionError> {
        let mut state = self.shared.state();
        if state.has_ended {
            return Err(SessionError::Ended);
        }
        if state.flights.contains_key(message_id) {
            return Err(SessionError::InUse);
        }
        let (sender, receiver) = watch::channel(Progress::default());
        state.flights.insert(message_id.clone(), Flight { len, progress: sender });
        Ok(receiver)
    }

    async fn send_chunks(
        &self,
        message_id: &CarrierMessageId,
        content_type: MediaType,
        body: &[u8],
        progress: &mut watch::Receiver<Progress>,
    ) -> Result<usize, SessionError> {
        let shared = &self.shared;
        let outgoing = Outgoing {
            to: shared.to.clone(),
            from: shared.from.clone(),
            message_id: message_id.clone(),
            content_type: content_type.clone(),
            body,
            wants_success_report: true,
        };
        let mut chunks = 0;
        for frame in outgoing.chunks(shared.limits.chunk_len, seed) {
            let len = frame.body().map_or(0, <[u8]>::len).max(1).min(shared.limits.in_flight_max as usize);
            let permits = u32::try_from(len).unwrap_or(shared.limits.in_flight_max);
            let window = Arc::clone(&shared.window);
            let waiting = timeout(shared.limits.response, window.acquire_many_owned(permits));
            let permit = tokio::select! {
                permit = waiting => permit.map_err(|_| SessionError::Slow)?.map_err(|_| SessionError::Ended)?,
                _ = progress.wait_for(|progress| progress.has_ended) => return Err(SessionError::Cut),
            };
            let now = *progress.borrow_and_update();
            if now.has_ended {
                return Err(SessionError::Cut);
            }
            let refused = now.refused.or(now.reported.filter(|code| *code != 200));
            if let Some(status) = refused {
                self.abort(message_id, content_type);
                return Err(SessionError::Refused { status });
            }
            shared.state().chunks.insert(frame.transaction().clone(), (message_id.clone(), permit));
            match timeout(shared.limits.stall, self.writer.send(frame)).await {
                Ok(Ok(())) => chunks += 1,
                Ok(Err(_)) => return Err(SessionError::Cut),
                Err(_) => return Err(SessionError::Slow),
            }
        }
        Ok(chunks)
    }

    /// Tells the far end that the rest will not come, so that it can forget what it has.
    fn abort(&self, message_id: &CarrierMessageId, content_type: MediaType) {
        let header = rcseal_rcs::msrp::FrameHeader::new("Message-ID", message_id.as_str());
        let Ok(header) = header else { return };
        let (to, from) = (self.shared.to.clone(), self.shared.from.clone());
        let frame = Frame::send(seed(), to, from, vec![header], content_type, Vec::new(), Flag::Aborted);
        // Where the queue is full, the peer's own time limit does the same.
        let _ = self.writer.try_send(frame);
    }

    async fn wait(&self, chunks: usize, progress: &mut watch::Receiver<Progress>) -> Result<(), SessionError> {
        let needs_report = self.shared.to.uris().len() > 1;
        loop {
            let now = *progress.borrow_and_update();
            if let Some(status) = now.refused.or(now.reported.filter(|code| *code != 200)) {
                return Err(SessionError::Refused { status });
            }
            if now.reported == Some(200) || (now.answered >= chunks && !needs_report) {
                return Ok(());
            }
            if now.has_ended {
                return Err(SessionError::NoAnswer);
            }
            // Every sign of life begins the time anew: the far end is at work.
            let changed = timeout(self.shared.limits.response, progress.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return Err(SessionError::NoAnswer);
            }
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("has_ended", &self.has_ended()).finish_non_exhaustive()
    }
}

pub(super) fn seed() -> [u8; 8] {
    let mut seed = [0; 8];
    rand::rng().fill_bytes(&mut seed);
    seed
}

async fn write(
    shared: Arc<Shared>,
    mut half: WriteHalf<Box<dyn Wire>>,
    mut frames: mpsc::Receiver<Frame>,
    mut replies: mpsc::Receiver<Frame>,
) {
    let mut over = shared.over.subscribe();
    loop {
        let frame = tokio::select! {
            biased;
            Some(reply) = replies.recv() => Some(reply),
            frame = frames.recv() => frame,
            _ = over.wait_for(|is_over| *is_over) => None,
        };
        let Some(frame) = frame else { break };
        let writing = async {
            half.write_all(&frame.to_bytes()).await?;
            half.flush().await
        };
        if !matches!(timeout(shared.limits.stall, writing).await, Ok(Ok(()))) {
            break;
        }
    }
    shared.end();
    // Says goodbye where TLS can; a peer that does not read does not hold us up.
    let _ = timeout(std::time::Duration::from_secs(1), half.shutdown()).await;
}

/// Reads one session's frames.
struct Reader {
    shared: Arc<Shared>,
    replies: mpsc::Sender<Frame>,
    handed_over: Arc<Semaphore>,
    inlet: Arc<dyn Inlet>,
    assembler: Assembler,
}

impl Reader {
    async fn run(mut self, mut half: ReadHalf<Box<dyn Wire>>, mut parser: Parser, mut early: VecDeque<Frame>) {
        let mut over = self.shared.over.subscribe();
        let mut buffer = vec![0; READ_LEN];
        'session: loop {
            loop {
                match early.pop_front().map_or_else(|| parser.next_frame(), |frame| Ok(Some(frame))) {
                    Ok(Some(frame)) => self.on_frame(frame),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(code = error.code(), "msrp stream ended by a frame that cannot be read");
                        break 'session;
                    }
                }
            }
            let is_idle = parser.is_between_frames() && self.assembler.pending().next().is_none();
            let patience = if is_idle { self.shared.limits.idle } else { self.shared.limits.stall };
            let reading = timeout(patience, half.read(&mut buffer));
            let read = tokio::select! {
                read = reading => read.ok().and_then(Result::ok),
                _ = over.wait_for(|is_over| *is_over) => None,
            };
            match read {
                Some(read) if read > 0 => parser.push(&buffer[..read]),
                _ => break,
            }
        }
        self.shared.end();
    }

    fn on_frame(&mut self, frame: Frame) {
        match frame.start() {
            Start::Response(code) => self.shared.on_response(frame.transaction(), *code),
            Start::Request(Method::Report) => self.shared.on_report(&frame),
            Start::Request(Method::Send) => self.on_send(frame),
            Start::Request(Method::Auth | Method::Other(_)) => self.answer(&frame, 501),
        }
    }

    fn on_send(&mut self, frame: Frame) {
        if frame.to().last().session() != self.shared.from.last().session() {
            return self.answer(&frame, 481);
        }
        if frame.body().is_none() {
            return self.answer(&frame, 200);
        }
        match self.assembler.add(&frame) {
            Ok(Added::Waiting | Added::Aborted(_)) => self.answer(&frame, 200),
            Ok(Added::Complete(message)) => self.hand_over(frame, message),
            Err(error) => self.answer(&frame, error.status()),
        }
    }

    /// Hands a whole message over and answers its last chunk when the inlet has. Frames that follow are read meanwhile.
    fn hand_over(&self, frame: Frame, message: Received) {
        let Ok(turn) = Arc::clone(&self.handed_over).try_acquire_owned() else { return self.answer(&frame, 503) };
        let (inlet, replies) = (Arc::clone(&self.inlet), self.replies.clone());
        tokio::spawn(async move {
            let (range, wants_report) = (message.range(), message.wants_success_report);
            let status = inlet.take(message).await.status();
            let report = if wants_report || status != 200 { frame.report(seed(), range, Status(status)) } else { None };
            for frame in [frame.response(status), report].into_iter().flatten() {
                // The session has ended: whoever sent this will not take silence for an answer.
                if replies.send(frame).await.is_err() {
                    break;
                }
            }
            drop(turn);
        });
    }

    fn answer(&self, frame: &Frame, code: u16) {
        let Some(response) = frame.response(code) else { return };
        if self.replies.try_send(response).is_err() {
            self.shared.end();
        }
    }
}
