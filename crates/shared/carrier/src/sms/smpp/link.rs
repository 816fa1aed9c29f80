//! One connection to an SMSC: connect, bind, read, write, and ask whether the other side is there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rcseal_rcs::transport::SendFailure;
use rusmpp_core::CommandId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::client::Core;
use super::config::{BindMode, Config};
use super::inbound::{self, Next};
use super::pdu::{self, Frame, Framer};
use super::status;
use super::table::Table;

/// Bytes that are gathered before they are written.
const WRITE_LEN_MAX: usize = 64 << 10;

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Something to be written.
struct Outgoing {
    bytes: Bytes,
    /// The question that it asks, if one waits for its answer.
    question: Option<u32>,
}

/// A bound connection, for whoever writes to it.
pub(super) struct Link {
    pub(super) table: Table,
    queue: mpsc::Sender<Outgoing>,
    is_flooded: Notify,
    has_received: AtomicBool,
}

impl Link {
    /// Writes an answer. An SMSC that does not read what it asked for loses the connection.
    pub(super) fn write(&self, bytes: Bytes) {
        if self.queue.try_send(Outgoing { bytes, question: None }).is_err() {
            self.is_flooded.notify_one();
        }
    }

    /// Writes a question. `false` where it will not be written.
    pub(super) fn ask(&self, bytes: Bytes, sequence: u32) -> bool {
        self.queue.try_send(Outgoing { bytes, question: Some(sequence) }).is_ok()
    }

    /// Ends the connection as an SMSC would be asked to.
    pub(super) fn unbind(&self) {
        self.write(pdu::unbind(self.table.next_sequence()));
    }
}

/// Why a connection could not be had.
#[derive(Debug)]
pub(super) enum LinkError {
    /// Nobody there, or nobody who speaks SMPP.
    Unreachable(io::Error),
    /// The SMSC does not bind us.
    Refused {
        /// Its status.
        status: u32,
        /// What that means.
        failure: SendFailure,
    },
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

/// Connects and binds, then serves until the connection breaks. `bound` is told of the link as soon as there is one.
pub(super) async fn run(core: &Arc<Core>, bound: impl FnOnce(&Arc<Link>)) -> Result<io::Result<()>, LinkError> {
    let config = &core.config;
    let (stream, framer) =
        timeout(config.timers.connect, open(config)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (queue, queued) = mpsc::channel(config.limits.write_queue_max.max(config.window + 1));
    let link = Arc::new(Link {
        table: Table::default(),
        queue,
        is_flooded: Notify::new(),
        has_received: AtomicBool::new(true),
    });
    // The bind was number one.
    link.table.next_sequence();
    bound(&link);
    let (reader, writer) = tokio::io::split(stream);
    let end = tokio::select! {
        end = read(core, reader, framer, &link) => end,
        end = write(config, writer, queued, &link) => end,
        () = link.is_flooded.notified() => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    link.table.end();
    Ok(end)
}

async fn open(config: &Config) -> Result<(Box<dyn Stream>, Framer), LinkError> {
    let tcp = TcpStream::connect((config.host.as_str(), config.port)).await?;
    tcp.set_nodelay(true)?;
    let mut stream: Box<dyn Stream> = match &config.trust {
        None => Box::new(tcp),
        Some(trust) => {
            let name = ServerName::try_from(config.host.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            Box::new(TlsConnector::from(trust.client_config()).connect(name, tcp).await?)
        }
    };
    let framer = bind(config, &mut stream).await?;
    Ok((stream, framer))
}

async fn bind(config: &Config, stream: &mut Box<dyn Stream>) -> Result<Framer, LinkError> {
    // Checked when the client was started.
    let request =
        pdu::bind(config.mode, &config.credentials, 1).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut framer = Framer::new(config.limits.pdu_len_max);
    loop {
        let Some(frame) = next(&mut framer)? else {
            if stream.read_buf(framer.buffer()).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            continue;
        };
        let is_answer = match config.mode {
            BindMode::Transceiver => frame.id == CommandId::BindTransceiverResp,
            BindMode::Transmitter => frame.id == CommandId::BindTransmitterResp,
            BindMode::Receiver => frame.id == CommandId::BindReceiverResp,
        };
        if !is_answer && frame.id != CommandId::GenericNack {
            continue;
        }
        if is_answer && frame.status == 0 {
            return Ok(framer);
        }
        return Err(LinkError::Refused { status: frame.status, failure: status::of_bind(frame.status) });
    }
}

fn next(framer: &mut Framer) -> io::Result<Option<Frame>> {
    framer.next_frame().map_err(|error| {
        tracing::debug!(code = error.code(), "stream is no PDUs");
        io::Error::new(io::ErrorKind::InvalidData, error)
    })
}

async fn read(
    core: &Arc<Core>,
    mut reader: impl AsyncRead + Unpin,
    mut framer: Framer,
    link: &Arc<Link>,
) -> io::Result<()> {
    let mut deadline = None;
    loop {
        while let Some(frame) = next(&mut framer)? {
            link.has_received.store(true, Ordering::Relaxed);
            deadline = None;
            if inbound::take(core, link, &frame) == Next::Part {
                return Ok(());
            }
        }
        if framer.is_midway() {
            deadline.get_or_insert_with(|| Instant::now() + core.config.timers.stall);
        }
        let received = match deadline {
            Some(deadline) => timeout_at(deadline, reader.read_buf(framer.buffer())).await?,
            None => reader.read_buf(framer.buffer()).await,
        }?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn write(
    config: &Config,
    mut writer: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<Outgoing>,
    link: &Link,
) -> io::Result<()> {
    let period = config.timers.enquire.max(Duration::from_millis(10));
    let mut signs = interval_at(Instant::now() + period, period);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_asked = false;
    let mut gathered = BytesMut::with_capacity(WRITE_LEN_MAX);
    loop {
        tokio::select! {
            first = queued.recv() => {
                let Some(first) = first else { return Ok(()) };
                gather(&mut gathered, first, link);
                while gathered.len() < WRITE_LEN_MAX {
                    let Ok(next) = queued.try_recv() else { break };
                    gather(&mut gathered, next, link);
                }
            }
            _ = signs.tick() => {
                let has_received = link.has_received.swap(false, Ordering::Relaxed);
                if has_received {
                    has_asked = false;
                    continue;
                }
                if has_asked {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                has_asked = true;
                gathered.extend_from_slice(&pdu::enquire_link(link.table.next_sequence()));
            }
        }
        timeout(config.timers.stall, async {
            writer.write_all(&gathered).await?;
            writer.flush().await
        })
        .await??;
        gathered.clear();
    }
}

fn gather(gathered: &mut BytesMut, outgoing: Outgoing, link: &Link) {
    if let Some(sequence) = outgoing.question {
        link.table.leaves(sequence);
    }
    gathered.extend_from_slice(&outgoing.bytes);
}
