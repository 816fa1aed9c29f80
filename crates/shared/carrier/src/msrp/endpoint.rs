//! Our end of every session: the listener, and how sessions are opened.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rand::Rng;
use rcseal_rcs::msrp::{Frame, Method, Path, Start, Uri};
use rcseal_rcs::sdp::Fingerprint;
use rcseal_rcs::transport::CarrierMessageId;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::error::OpenError;
use super::relay;
use super::session::{Session, seed};
use super::stream::Connection;
use super::{Inlet, MsrpConfig, Protection};
use crate::reach::Place;
use crate::tls::fingerprint_of;

/// Connections that name one session and were not judged yet: the right one, and some of somebody else's.
const CANDIDATES_MAX: usize = 4;

/// Frames that may arrive before the answer to our first request.
const EARLY_MAX: usize = 16;

/// Who connects (`a=setup`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We do.
    Active,
    /// The peer does.
    Passive,
}

/// What the peer's session description says.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `a=path`: the peer, behind its relays if it has any.
    pub path: Path,
    /// `a=fingerprint`.
    pub fingerprint: Option<Fingerprint>,
    /// The address of the description's connection and media lines, where both ends know `a=msrp-cema` (RFC 6714): something on the way
    /// stands in for the peer there.
    pub connect_to: Option<(String, u16)>,
}

/// A connection that named a session.
struct Candidate {
    connection: Connection,
    fingerprint: Option<Fingerprint>,
    first: Frame,
}

struct Inner {
    config: MsrpConfig,
    address: SocketAddr,
    server_tls: Option<Arc<ServerConfig>>,
    waiting: Mutex<HashMap<String, mpsc::Sender<Candidate>>>,
    places: Arc<Semaphore>,
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Candidate>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our end of every session.
pub struct Endpoint {
    inner: Arc<Inner>,
    acceptor: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// A session of which the peer does not know yet. Dropped, it is forgotten.
pub struct Local {
    /// What our session description says in `a=path`.
    pub path: Path,
    own: Uri,
    relay: Option<(Connection, Path)>,
    candidates: mpsc::Receiver<Candidate>,
    place: Option<OwnedSemaphorePermit>,
    /// Where the peer's description may lead us from.
    within: Place,
    inner: Weak<Inner>,
}

impl Local {
    /// Says by way of whom the peer is known. Its description leads to the public internet, and further in only as far as that one is: by
    /// way of a carrier in the public internet, nobody has us connect to this machine or to the network that we are in.
    pub fn known_by(&mut self, carrier: IpAddr) {
        self.within = Place::of(carrier);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let (Some(inner), Some(session)) = (self.inner.upgrade(), self.own.session()) {
            inner.waiting().remove(session);
        }
    }
}

impl Endpoint {
    /// Listens.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn start(config: MsrpConfig) -> Result<Self, OpenError> {
        let listener = TcpListener::bind(config.listen).await.map_err(OpenError::Listen)?;
        let address = listener.local_addr().map_err(OpenError::Listen)?;
        let server_tls = match &config.protection {
            Protection::Plain => None,
            Protection::Tls(certificate) => Some(certificate.server_config()?),
        };
        let inner = Arc::new(Inner {
            address,
            server_tls,
            waiting: Mutex::default(),
            places: Arc::new(Semaphore::new(config.limits.sessions_max)),
            config,
        });
        let acceptor = tokio::spawn(accept(Arc::clone(&inner), listener));
        Ok(Self { inner, acceptor })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Sessions at once.
    #[must_use]
    pub fn sessions_max(&self) -> usize {
        self.inner.config.limits.sessions_max
    }

    /// The largest message that is taken.
    #[must_use]
    pub fn message_len_max(&self) -> usize {
        self.inner.config.limits.message_len_max
    }

    /// The fingerprint for our session descriptions; `None` without TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.inner.config.protection {
            Protection::Plain => None,
            Protection::Tls(certificate) => Some(certificate.fingerprint()),
        }
    }

    /// Makes an address for a new session, at our relay if we have one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn prepare(&self) -> Result<Local, OpenError> {
        self.prepare_at(None).await
    }

    /// The same, for an endpoint that listens on every address of the machine: `here` is the one that the peer shall be told. The peer may lead
    /// us as far in as that address lies, unless [`Local::known_by`] says otherwise.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn prepare_at(&self, here: Option<IpAddr>) -> Result<Local, OpenError> {
        let inner = &self.inner;
        let place = Arc::clone(&inner.places).try_acquire_owned().map_err(|_| OpenError::TooManySessions)?;
        let address = if inner.address.ip().is_unspecified() { here } else { Some(inner.address.ip()) };
        let host = match (&inner.config.advertised_host, address) {
            (Some(host), _) => host.clone(),
            (None, Some(IpAddr::V4(address))) => address.to_string(),
            (None, Some(IpAddr::V6(address))) => format!("[{address}]"),
            (None, None) => return Err(OpenError::Address),
        };
        let session = random_text();
        let own = Uri::new(inner.server_tls.is_some(), &host, inner.address.port(), &session)
            .map_err(|_| OpenError::Address)?;
        let (sender, candidates) = mpsc::channel(CANDIDATES_MAX);
        let is_tls = inner.server_tls.is_some();
        let relay = match &inner.config.relay {
            None => None,
            Some(access) if is_tls && !access.uri.is_secure() => return Err(OpenError::Mismatch),
            Some(access) => Some(relay::authenticate(access, &own, inner.config.limits.connect).await?),
        };
        let path = match &relay {
            None => Path::of(own.clone()),
            Some((_, use_path)) if is_tls && !is_secure(use_path) => return Err(OpenError::Mismatch),
            Some((_, use_path)) => {
                let uris = use_path.uris().iter().cloned().chain([own.clone()]).collect();
                Path::new(uris).map_err(|_| OpenError::Protocol)?
            }
        };
        inner.waiting().insert(session, sender);
        let within = address.map_or(Place::Public, Place::of);
        Ok(Local { path, own, relay, candidates, place: Some(place), within, inner: Arc::downgrade(inner) })
    }

    /// Opens the session that both descriptions speak of.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        &self,
        mut local: Local,
        remote: Remote,
        role: Role,
        inlet: Arc<dyn Inlet>,
    ) -> Result<Session, OpenError> {
        self.check_fits(&remote)?;
        let limits = self.inner.config.limits;
        let place = local.place.take().ok_or(OpenError::TooManySessions)?;
        let from = Path::of(local.own.clone());
        let (to, connection) = match local.relay.take() {
            Some((connection, use_path)) => {
                // Ours first, from us outwards; then the peer's.
                let uris = use_path.uris().iter().rev().chain(remote.path.uris()).cloned().collect();
                (Path::new(uris).map_err(|_| OpenError::Mismatch)?, Some(connection))
            }
            None => (remote.path.clone(), None),
        };
        let (connection, early) = match (role, connection) {
            (Role::Passive, Some(connection)) => (connection, VecDeque::new()),
            (Role::Active, Some(connection)) => bind(connection, &to, &from, &limits).await?,
            (Role::Active, None) => {
                let connection = self.connect(&remote, local.within).await?;
                bind(connection, &to, &from, &limits).await?
            }
            (Role::Passive, None) => {
                let candidate = self.await_peer(&mut local, &remote).await?;
                (candidate.connection, VecDeque::from([candidate.first]))
            }
        };
        Ok(Session::start(connection, early, to, from, limits, inlet, place))
    }

    fn check_fits(&self, remote: &Remote) -> Result<(), OpenError> {
        let is_direct = remote.path.uris().len() == 1;
        let fits = match &self.inner.config.protection {
            Protection::Plain => !remote.path.first().is_secure(),
            Protection::Tls(_) => is_secure(&remote.path) && (!is_direct || remote.fingerprint.is_some()),
        };
        if fits { Ok(()) } else { Err(OpenError::Mismatch) }
    }

    async fn connect(&self, remote: &Remote, within: Place) -> Result<Connection, OpenError> {
        let config = &self.inner.config;
        let next = remote.path.first();
        let tls = match (&config.protection, remote.path.uris().len(), remote.fingerprint) {
            (Protection::Plain, _, _) => None,
            (Protection::Tls(certificate), 1, Some(fingerprint)) => Some(certificate.client_config(fingerprint)?),
            (Protection::Tls(_), 1, None) => return Err(OpenError::Mismatch),
            // The peer's relay: its name is what can be checked.
            (Protection::Tls(_), _, _) => Some(config.trust.client_config()),
        };
        let port = next.port().unwrap_or(Uri::PORT_DEFAULT);
        let (host, port) =
            remote.connect_to.as_ref().map_or((next.host(), port), |(host, port)| (host.as_str(), *port));
        Connection::open(host, port, tls, config.limits.connect, Some(within)).await
    }

    /// Waits for the connection that names our session and shows the peer's certificate.
    async fn await_peer(&self, local: &mut Local, remote: &Remote) -> Result<Candidate, OpenError> {
        let ends = Instant::now() + self.inner.config.limits.connect;
        let mut failure = OpenError::Timeout;
        while let Ok(Some(candidate)) = timeout_at(ends, local.candidates.recv()).await {
            if self.inner.server_tls.is_some() && candidate.fingerprint != remote.fingerprint {
                // Somebody else: dropped, and the peer may still come.
                failure = OpenError::WrongFingerprint;
                continue;
            }
            return Ok(candidate);
        }
        Err(failure)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

/// Whether no hop of a path is reached in clear.
fn is_secure(path: &Path) -> bool {
    path.uris().iter().all(Uri::is_secure)
}

/// Says on a new connection which session it is for, and waits for the answer.
async fn bind(
    mut connection: Connection,
    to: &Path,
    from: &Path,
    limits: &super::MsrpLimits,
) -> Result<(Connection, VecDeque<Frame>), OpenError> {
    let message_id = CarrierMessageId::parse(&random_text()).ok_or(OpenError::Protocol)?;
    let request = Frame::bind(seed(), to.clone(), from.clone(), &message_id);
    connection.write(&request, limits.connect).await?;
    let mut early = VecDeque::new();
    loop {
        let frame = connection.read(limits.connect).await?;
        match frame.start() {
            Start::Response(200) if frame.transaction() == request.transaction() => return Ok((connection, early)),
            Start::Response(status) if frame.transaction() == request.transaction() => {
                return Err(OpenError::Refused { status: *status });
            }
            // What the peer sends as soon as it knows us may overtake its answer.
            Start::Request(_) if early.len() < EARLY_MAX => early.push_back(frame),
            Start::Request(_) | Start::Response(_) => return Err(OpenError::Protocol),
        }
    }
}

/// 128 random bits as text: the session's id is all that a stranger would need on a connection without TLS.
fn random_text() -> String {
    let mut random = [0; 16];
    rand::rng().fill_bytes(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn accept(inner: Arc<Inner>, listener: TcpListener) {
    let mut unbound: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of descriptors, most likely: waiting is all that helps.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        // Beyond the limit, whoever has not said what they want for longest is hung up on. A peer says so at once, so that strangers who keep
        // silent do not keep it out.
        unbound.retain(|greeting| !greeting.is_finished());
        while unbound.len() >= inner.config.limits.unbound_max.max(1) {
            let Some(oldest) = unbound.pop_front() else { break };
            oldest.abort();
        }
        let inner = Arc::clone(&inner);
        unbound.push_back(tokio::spawn(async move {
            let limit = inner.config.limits.connect;
            let _ = timeout(limit, greet(&inner, tcp)).await;
        }));
    }
}

/// Finds out which session a connection is for.
async fn greet(inner: &Inner, tcp: TcpStream) -> Option<()> {
    let limit = inner.config.limits.connect;
    tcp.set_nodelay(true).ok()?;
    let (mut connection, fingerprint) = match &inner.server_tls {
        None => (Connection::new(Box::new(tcp)), None),
        Some(config) => {
            let tls = TlsAcceptor::from(Arc::clone(config)).accept(tcp).await.ok()?;
            let fingerprint = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).map(fingerprint_of);
            (Connection::new(Box::new(tls)), fingerprint)
        }
    };
    let first = connection.read(limit).await.ok()?;
    let sender = first.to().last().session().and_then(|session| inner.waiting().get(session).cloned());
    match sender {
        Some(sender) if first.is_request(&Method::Send) => {
            sender.try_send(Candidate { connection, fingerprint, first }).ok()
        }
        _ => {
            let response = first.response(481)?;
            connection.write(&response, limit).await.ok()
        }
    }
}
