//! Sockets: one way to the next hop, kept open, and ways that the core of a trunk opens to us.
//!
//! A supervisor opens the way, publishes it, reads it until it ends, and opens it again, waiting longer each time it fails at once, though not
//! while somebody wants to send: who waits for a way is told of a try that failed. Whatever waits for an answer over a way that ended is told
//! so. On a connection one task writes: what is queued goes out in one write, and a peer that takes nothing for as long as
//! [`super::Timers::stall`] loses the connection, as does one that begins a message and does not end it.
//! Keep-alives are two line ends (RFC 5626, section 3.5.1). A peer that has answered one and then misses one is gone; of a peer that never
//! answers any, nothing is concluded.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rcseal_rcs::transport::SendFailure;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::agent::Core;
use super::config::{Config, Wire};
use super::message::Message;
use super::stream::{Decoder, Item};
use super::trouble::WayTrouble;

/// The largest datagram.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// The largest request that is sent as a datagram: what IPv4 can carry, less its headers. Paths of the real world stop at some 1,300; that
/// bound is the caller's, who knows another way for larger ones.
pub(super) const DATAGRAM_SEND_MAX: usize = 65_000;

/// Messages that wait to be written on a connection.
const WRITE_QUEUE_MAX: usize = 1024;

/// Answers that found no room in that queue and wait beside it. A peer that asks for more and takes none loses the connection.
const ANSWERS_BESIDE_MAX: usize = 256;

/// How much is gathered for one write.
const WRITE_LEN_MAX: usize = 64 << 10;

/// The first and the longest wait before a way is opened again.
const REOPEN_WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Ways are told apart by a number, so that what waited over one that ended is not mistaken for what waits over the next.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

enum Kind {
    Udp(Arc<UdpSocket>),
    Stream(mpsc::Sender<Bytes>),
}

/// An open way.
pub(super) struct Connection {
    pub(super) id: u64,
    /// Our address on it, as the peer can reach it.
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) is_reliable: bool,
    kind: Kind,
    answers_beside: Arc<Semaphore>,
    is_given_up: Notify,
    has_pinged: AtomicBool,
    has_ponged: AtomicBool,
}

impl Connection {
    fn new(kind: Kind, local: SocketAddr, peer: SocketAddr) -> Arc<Self> {
        let is_reliable = matches!(kind, Kind::Stream(_));
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            id,
            local,
            peer,
            is_reliable,
            kind,
            answers_beside: Arc::new(Semaphore::new(ANSWERS_BESIDE_MAX)),
            is_given_up: Notify::new(),
            has_pinged: AtomicBool::new(false),
            has_ponged: AtomicBool::new(false),
        })
    }

    /// Sends to the peer.
    pub(super) async fn send(&self, bytes: &Bytes) -> Result<(), SendFailure> {
        match &self.kind {
            Kind::Udp(_) if bytes.len() > DATAGRAM_SEND_MAX => Err(SendFailure::Unfit),
            Kind::Udp(socket) => {
                socket.send_to(bytes, self.peer).await.map(|_| ()).map_err(|_| SendFailure::Unreachable)
            }
            Kind::Stream(queue) => queue.send(bytes.clone()).await.map_err(|_| SendFailure::Unreachable),
        }
    }

    /// Ends a connection that leads nowhere, so that another is opened. A socket for datagrams is as good as any other.
    pub(super) fn give_up(&self) {
        self.is_given_up.notify_one();
    }

    /// Sends an answer to where its request came from, without waiting. What finds no room is sent by a task of its own, as far as there may be
    /// more of those.
    pub(super) fn answer(self: &Arc<Self>, source: SocketAddr, bytes: Bytes) {
        let is_sent = match &self.kind {
            Kind::Udp(socket) => socket.try_send_to(&bytes, source).is_ok(),
            Kind::Stream(queue) => queue.try_send(bytes.clone()).is_ok(),
        };
        if is_sent {
            return;
        }
        let Ok(place) = Arc::clone(&self.answers_beside).try_acquire_owned() else {
            // A datagram is asked for again. On a connection nothing is, so that it ends.
            self.give_up();
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let connection = Arc::clone(self);
        runtime.spawn(async move {
            // Where this fails too, the request is retransmitted or the connection is gone.
            match &connection.kind {
                Kind::Udp(socket) => drop(socket.send_to(&bytes, source).await),
                Kind::Stream(queue) => drop(queue.send(bytes).await),
            }
            drop(place);
        });
    }
}

/// Where a message came from.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) connection: Arc<Connection>,
    pub(super) source: SocketAddr,
}

/// Opens the way to the next hop and keeps it open.
pub(super) async fn supervise(core: Arc<Core>, socket: Option<Arc<UdpSocket>>) {
    let mut wait = REOPEN_WAITS.0;
    loop {
        let opened = Instant::now();
        let end = match &socket {
            Some(socket) => run_datagrams(&core, socket).await,
            None => run_connection(&core).await,
        };
        let trouble = end.err().unwrap_or(WayTrouble::Ended);
        core.way.send_replace(None);
        tell(&core, trouble);
        wait = if opened.elapsed() > REOPEN_WAITS.1 { REOPEN_WAITS.0 } else { (wait * 2).min(REOPEN_WAITS.1) };
        tokio::select! {
            () = sleep(wait) => {}
            () = core.wanted.notified() => sleep(REOPEN_WAITS.0).await,
        }
    }
}

/// Says why there is no way. Who waits for one hears of tries that failed, and not of a way that ended: that is opened again.
fn tell(core: &Core, trouble: WayTrouble) {
    let wire = core.config.wire.name();
    let is_news = *core.trouble.borrow() != Some(trouble);
    match trouble {
        // Nothing that waiting mends, so that it is said aloud, once.
        WayTrouble::Certificate | WayTrouble::Tls if is_news => {
            tracing::warn!(wire, code = trouble.code(), "no way to the carrier");
        }
        _ => tracing::debug!(wire, code = trouble.code(), "no way to the carrier"),
    }
    core.trouble.send_if_modified(|told| {
        *told = Some(trouble);
        trouble != WayTrouble::Ended
    });
}

async fn resolve(config: &Config) -> Result<SocketAddr, WayTrouble> {
    let host = config.peer.host.trim_start_matches('[').trim_end_matches(']');
    let looking_up = tokio::net::lookup_host((host, config.peer.port));
    let mut addresses = timeout(config.timers.connect, looking_up).await?.map_err(|_| WayTrouble::UnknownHost)?;
    let is_v4 = config.local.is_ipv4();
    let any_family = config.local.ip().is_unspecified() && config.wire.is_reliable();
    addresses.find(|address| any_family || address.is_ipv4() == is_v4).ok_or(WayTrouble::UnknownHost)
}

/// Our address as the peer sees it, where no translator is between.
async fn seen_from(peer: SocketAddr, bound: SocketAddr) -> io::Result<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    // Connecting a datagram socket sends nothing: it asks the routing table.
    let probe = UdpSocket::bind((bound.ip(), 0)).await?;
    probe.connect(peer).await?;
    Ok(SocketAddr::new(probe.local_addr()?.ip(), bound.port()))
}

async fn run_datagrams(core: &Arc<Core>, socket: &Arc<UdpSocket>) -> Result<(), WayTrouble> {
    let peer = resolve(&core.config).await?;
    let local = seen_from(peer, socket.local_addr()?).await?;
    let connection = Connection::new(Kind::Udp(Arc::clone(socket)), local, peer);
    core.way.send_replace(Some(Arc::clone(&connection)));
    let mut keep_alive = ticks(core.config.timers.keep_alive);
    let mut buffer = vec![0; DATAGRAM_LEN_MAX];
    loop {
        let (len, source) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                // An ICMP error of an earlier datagram: it says nothing about the socket.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => continue,
                Err(error) => return Err(error.into()),
            },
            _ = keep_alive.tick() => {
                let _ = socket.send_to(b"\r\n\r\n", peer).await;
                continue;
            }
        };
        // Whoever is not the carrier has nothing to say to us.
        if !is_known(core, peer, source.ip()) {
            continue;
        }
        let bytes = &buffer[..len];
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match Message::parse(&Bytes::copy_from_slice(bytes)) {
            Ok(message) => {
                let origin = Origin { connection: Arc::clone(&connection), source };
                if message.body().len() > core.config.limits.body_len_max {
                    super::inbound::oversize(core, message, origin);
                } else {
                    super::inbound::take(core, Box::new(message), origin);
                }
            }
            Err(error) => tracing::debug!(code = error.code(), "datagram is no message"),
        }
    }
}

/// Whether an address is the next hop's, or one that the trunk's configuration names.
pub(super) fn is_known(core: &Core, peer: SocketAddr, source: IpAddr) -> bool {
    source.to_canonical() == peer.ip().to_canonical()
        || core.config.trunk().is_some_and(|trunk| trunk.trusted.contains(&source.to_canonical()))
}

async fn run_connection(core: &Arc<Core>) -> Result<(), WayTrouble> {
    let config = &core.config;
    let peer = resolve(config).await?;
    let stream = timeout(config.timers.connect, connect(config, peer)).await??;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let end = match &config.wire {
        Wire::Udp | Wire::Tcp => run_stream(core, stream, local, peer, true).await,
        Wire::Tls(trust) => {
            let name = ServerName::try_from(config.domain.as_str().trim_matches(['[', ']']).to_owned())
                .map_err(|_| WayTrouble::Certificate)?;
            let connector = TlsConnector::from(trust.client_config());
            let stream = timeout(config.timers.connect, connector.connect(name, stream)).await??;
            run_stream(core, stream, local, peer, true).await
        }
    };
    end.map_err(|error| {
        tracing::debug!(kind = ?error.kind(), "connection to the carrier ended");
        WayTrouble::Ended
    })
}

async fn connect(config: &Config, peer: SocketAddr) -> io::Result<TcpStream> {
    // A trunk that listens has its port for that; its own connections leave from any.
    if config.local.ip().is_unspecified() {
        return TcpStream::connect(peer).await;
    }
    let socket = if peer.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    let port = if config.trunk().is_some_and(|trunk| trunk.listens) { 0 } else { config.local.port() };
    if port != 0 {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(SocketAddr::new(config.local.ip(), port))?;
    socket.connect(peer).await
}

/// Takes connections from the core of a trunk.
pub(super) async fn listen(core: Arc<Core>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(core.config.limits.connections_max));
    // With this task, all connections end.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, mostly: taking a breath gives others the time to close theirs.
                sleep(REOPEN_WAITS.0).await;
                continue;
            }
        };
        let peer = core.way.borrow().as_ref().map(|way| way.peer);
        if !peer.is_some_and(|peer| is_known(&core, peer, source.ip())) {
            continue;
        }
        let core = Arc::clone(&core);
        connections.spawn(async move {
            let _place = place;
            if let Ok(local) = stream.local_addr() {
                let _ = stream.set_nodelay(true);
                let _ = run_stream(&core, stream, local, source, false).await;
            }
        });
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let period = period.max(Duration::from_millis(10));
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn run_stream<S>(
    core: &Arc<Core>,
    stream: S,
    local: SocketAddr,
    peer: SocketAddr,
    is_ours: bool,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (queue, queued) = mpsc::channel(WRITE_QUEUE_MAX);
    let connection = Connection::new(Kind::Stream(queue), local, peer);
    if is_ours {
        core.way.send_replace(Some(Arc::clone(&connection)));
    }
    let end = tokio::select! {
        end = read(core, reader, &connection) => end,
        end = write(core, writer, queued, &connection, is_ours) => end,
        () = connection.is_given_up.notified() => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if is_ours {
        core.way.send_replace(None);
    }
    core.clients.fail(connection.id);
    end
}

async fn read(core: &Arc<Core>, mut reader: impl AsyncRead + Unpin, connection: &Arc<Connection>) -> io::Result<()> {
    let mut decoder = Decoder::new(core.config.limits.body_len_max);
    let mut deadline = None;
    loop {
        let received = match deadline {
            Some(deadline) => timeout_at(deadline, reader.read_buf(decoder.buffer())).await?,
            None => reader.read_buf(decoder.buffer()).await,
        }?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        loop {
            let item = decoder.next().map_err(|error| {
                tracing::debug!(code = error.code(), "stream is no messages");
                io::Error::new(io::ErrorKind::InvalidData, error)
            })?;
            let origin = || Origin { connection: Arc::clone(connection), source: connection.peer };
            match item {
                Some(Item::Message(message)) => super::inbound::take(core, message, origin()),
                Some(Item::Oversize(message)) => super::inbound::oversize(core, *message, origin()),
                Some(Item::Ping) => connection.answer(connection.peer, Bytes::from_static(b"\r\n")),
                Some(Item::Pong) => connection.has_ponged.store(true, Ordering::Relaxed),
                None => break,
            }
            deadline = None;
        }
        if decoder.is_midway() {
            deadline.get_or_insert_with(|| Instant::now() + core.config.timers.stall);
        } else {
            deadline = None;
        }
    }
}

async fn write(
    core: &Arc<Core>,
    mut writer: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<Bytes>,
    connection: &Arc<Connection>,
    is_ours: bool,
) -> io::Result<()> {
    let mut keep_alive = ticks(core.config.timers.keep_alive);
    let mut gathered = BytesMut::with_capacity(WRITE_LEN_MAX);
    let mut answers_pings = false;
    loop {
        tokio::select! {
            first = queued.recv() => {
                let Some(first) = first else { return Ok(()) };
                gathered.extend_from_slice(&first);
                while gathered.len() < WRITE_LEN_MAX {
                    let Ok(next) = queued.try_recv() else { break };
                    gathered.extend_from_slice(&next);
                }
            }
            _ = keep_alive.tick(), if is_ours => {
                let has_ponged = connection.has_ponged.swap(false, Ordering::Relaxed);
                if answers_pings && !has_ponged && connection.has_pinged.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                answers_pings |= has_ponged;
                connection.has_pinged.store(true, Ordering::Relaxed);
                gathered.extend_from_slice(b"\r\n\r\n");
            }
        }
        timeout(core.config.timers.stall, async {
            writer.write_all(&gathered).await?;
            writer.flush().await
        })
        .await??;
        gathered.clear();
    }
}
