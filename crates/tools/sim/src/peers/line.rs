//! Our own SIP at a carrier: a registered user agent, and frames by way of it.
//!
//! What is measured here lies between two ends of ours, so both speak through the same types as the product: `rcs::chat` wraps, `rcs::frame`
//! cuts and finds, `carrier::sip` sends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use rand::Rng;
use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::sip::{
    Access, Config, PagerMessage, Peer, Registration, StartError, Timers, Trunk, UserAgent, Wire,
};
use rcseal_carrier::sip_transport::SipTransportError;
use rcseal_carrier::tls::{TlsSetupError, TrustAnchors, TrustError};
use rcseal_carrier::transport::{Answer, Inbound};
use rcseal_rcs::chat;
use rcseal_rcs::frame::{Assembly, AssemblyLimits, Damage, FrameId, Kind, Progress, find_in, split};
use rcseal_rcs::number::{Domain, PhoneNumber};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken, TransportProfile,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::kamailio::{DOMAIN, Kamailio, User};

/// How a user agent speaks to its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection with TLS.
    Tls,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The user agent did not start.
    #[error("the user agent did not start")]
    Start(#[from] StartError),
    /// The transport did not start.
    #[error("the transport did not start")]
    Transport(#[from] SipTransportError),
    /// The carrier's authority cannot be read.
    #[error("the carrier's authority cannot be read")]
    Trust(#[from] TrustError),
    /// No certificate of our own could be made.
    #[error("no certificate of our own could be made")]
    Certificate(#[from] TlsSetupError),
    /// The carrier's authority cannot be opened.
    #[error("the carrier's authority cannot be opened")]
    Authority(#[from] std::io::Error),
    /// The carrier did not register us.
    #[error("the carrier did not register us")]
    Register(#[source] SendFailure),
}

impl LineError {
    /// The stable code: what the carrier said, where it said something.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Start(error) => error.code(),
            Self::Transport(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::Authority(_) => "line_authority",
            Self::Register(failure) => failure.code(),
        }
    }
}

/// Shorter than RFC 3261's, since everything is on one machine and what never answers should not take a test half a minute.
#[must_use]
pub fn timers() -> Timers {
    Timers { answer: Duration::from_secs(4), ..Timers::default() }
}

/// A message as pager mode carries it: what is left of 1,300 bytes beside some 650 of headers and 300 of the wrapper.
#[must_use]
pub const fn pager_profile(is_binary_safe: bool) -> TransportProfile {
    TransportProfile { is_binary_safe, body_len_max: 200, parts_max: 64, carries_headers: true, has_receipts: true }
}

/// The number of a user.
///
/// # Panics
/// If the test's own numbers are none.
#[must_use]
pub fn number_of(user: &User) -> PhoneNumber {
    PhoneNumber::from_str(&user.number).expect("test users have numbers that are possible by the plan")
}

/// The carrier's domain.
#[must_use]
pub fn domain() -> Domain {
    Domain::from_str(DOMAIN).expect("a constant that is a host name")
}

/// The configuration of a user agent at a carrier.
///
/// # Errors
/// [`LineError`].
pub fn config(carrier: &Kamailio, user: &User, over: Over, access: Access) -> Result<Config, LineError> {
    let wire = match over {
        Over::Udp => Wire::Udp,
        Over::Tcp => Wire::Tcp,
        Over::Tls => Wire::Tls(TrustAnchors::from_pem(&std::fs::read(carrier.authority())?)?),
    };
    let address = if over == Over::Tls { carrier.tls_address() } else { carrier.address() };
    let peer = Peer { host: address.ip().to_string(), port: address.port() };
    let mut config = Config::new(number_of(user), domain(), peer, wire, access);
    config.local = SocketAddr::from(([127, 0, 0, 1], 0));
    config.feature_tags = vec!["+g.rcseal.frame=\"1\"".to_owned()];
    config.timers = timers();
    Ok(config)
}

/// The same with another next hop.
#[must_use]
pub fn by_way_of(hop: SocketAddr, config: Config) -> Config {
    Config { peer: Peer { host: hop.ip().to_string(), port: hop.port() }, ..config }
}

/// A subscriber's access.
#[must_use]
pub fn subscriber(user: &User) -> Access {
    Access::Register(Some(Credentials::Password {
        user: user.number.clone(),
        password: Password::new(user.password.clone()),
    }))
}

/// A user agent of ours at a carrier.
#[derive(Debug)]
pub struct Line {
    agent: UserAgent,
}

/// What came out of bodies that came in.
#[derive(Debug, Default)]
pub struct Got {
    /// Blobs that became whole.
    pub blobs: Vec<Vec<u8>>,
    /// Parts of a blob that was whole before.
    pub repeated: usize,
    /// Codes of what was wrong.
    pub damage: BTreeSet<&'static str>,
    /// Messages.
    pub messages: usize,
    /// Messages with no sound part in them.
    pub damaged_messages: usize,
    /// Media types that they came with.
    pub content_types: BTreeSet<String>,
}

impl Got {
    /// Adds what came later.
    pub fn merge(&mut self, later: Self) {
        self.blobs.extend(later.blobs);
        self.repeated += later.repeated;
        self.damage.extend(later.damage);
        self.messages += later.messages;
        self.damaged_messages += later.damaged_messages;
        self.content_types.extend(later.content_types);
    }
}

impl Line {
    /// Starts a user agent and registers it.
    ///
    /// # Errors
    /// [`LineError`].
    pub async fn open(carrier: &Kamailio, user: &User, over: Over) -> Result<Self, LineError> {
        let agent = UserAgent::start(config(carrier, user, over, subscriber(user))?).await?;
        agent.register().await.map_err(LineError::Register)?;
        Ok(Self { agent })
    }

    /// Starts a user agent that reaches its carrier by way of somebody. It is registered as soon as that lets it.
    ///
    /// # Errors
    /// [`LineError`].
    pub async fn open_by(carrier: &Kamailio, user: &User, over: Over, by: SocketAddr) -> Result<Self, LineError> {
        let agent = UserAgent::start(by_way_of(by, config(carrier, user, over, subscriber(user))?)).await?;
        // It goes on trying by itself.
        let _ = agent.register().await;
        Ok(Self { agent })
    }

    /// Whether the carrier has this user agent, after waiting for it.
    pub async fn is_registered_within(&self, limit: Duration) -> bool {
        let limit = Instant::now() + limit;
        while !matches!(self.agent.registration(), Registration::Until(_)) {
            if Instant::now() >= limit {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Starts a user agent that has no credentials, over UDP. It can send where the carrier does not ask who sends.
    ///
    /// # Errors
    /// [`LineError`].
    pub async fn unregistered(carrier: &Kamailio, user: &User) -> Result<Self, LineError> {
        Ok(Self { agent: UserAgent::start(config(carrier, user, Over::Udp, Access::Unregistered(None))?).await? })
    }

    /// Starts a user agent of an application server at its port of the trunk, over UDP.
    ///
    /// # Errors
    /// [`LineError`].
    pub async fn trunk(carrier: &Kamailio, user: &User, port: u16, trunk: Trunk) -> Result<Self, LineError> {
        let mut config = config(carrier, user, Over::Udp, Access::Trunk(trunk))?;
        config.local = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { agent: UserAgent::start(config).await? })
    }

    /// The user agent.
    #[must_use]
    pub const fn agent(&self) -> &UserAgent {
        &self.agent
    }

    /// Sends one carriage in pager mode, wrapped.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn send(&self, to: &PhoneNumber, carriage: Carriage) -> Result<Taken, SendFailure> {
        let message = CarrierMessage {
            to: to.clone(),
            id: CarrierMessageId::from_random(random()),
            receipts: ReceiptRequest { delivered: true, failed: true, displayed: false },
            carriage,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let body = chat::wrap(&message, self.agent.own(), &domain(), now).map_err(|_| SendFailure::Unfit)?;
        let message = PagerMessage {
            to: to.clone(),
            content_type: "message/cpim".to_owned(),
            body: body.into(),
            conversation: Some(random()),
        };
        self.agent.message(message).await
    }

    /// Cuts a blob to pager size and sends its parts, one after another.
    ///
    /// # Errors
    /// The first [`SendFailure`].
    pub async fn send_blob(&self, to: &PhoneNumber, blob: &[u8], is_binary: bool) -> Result<Taken, SendFailure> {
        let profile = pager_profile(is_binary);
        let parts =
            split(Kind::Envelope, FrameId::from_bytes(random()), blob, &profile).map_err(|_| SendFailure::Unfit)?;
        let mut taken = Taken::Answered;
        for part in parts {
            if self.send(to, part.carriage(&profile)).await? == Taken::Stored {
                taken = Taken::Stored;
            }
        }
        Ok(taken)
    }

    /// The next message, accepted.
    pub async fn next(&self, until: Instant) -> Option<(String, Option<String>, Vec<u8>)> {
        let inbound: Inbound = timeout_at(until, self.agent.receive()).await.ok()??;
        let parts = (inbound.content_type.clone(), inbound.content_encoding.clone(), inbound.body.clone());
        inbound.answer(Answer::Accepted);
        Some(parts)
    }

    /// Takes messages in until nothing has come for `silence`, or `limit` is over.
    pub async fn take_blob(&self, silence: Duration, limit: Duration) -> Got {
        let limit = Instant::now() + limit;
        let mut assembly = Assembly::new(AssemblyLimits::default());
        let mut got = Got::default();
        while let Some((content_type, encoding, body)) = self.next(limit.min(Instant::now() + silence)).await {
            got.messages += 1;
            let found = find_in(Some(&content_type), encoding.as_deref(), &body);
            got.content_types.insert(content_type);
            got.damage.extend(found.damage.iter().map(Damage::code));
            got.damaged_messages += usize::from(found.parts.is_empty());
            for part in found.parts {
                match assembly.add(part, 0) {
                    Ok(Progress::Complete(blob)) => got.blobs.push(blob.bytes.into_owned()),
                    Ok(Progress::Waiting { .. } | Progress::Duplicate) => {}
                    Err(Damage::Replay { .. }) => got.repeated += 1,
                    Err(damage) => {
                        got.damage.insert(damage.code());
                    }
                }
            }
        }
        got
    }
}

/// Random bytes for ids.
#[must_use]
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A blob that holds what breaks where bytes are taken for text: every byte value, line ends of both kinds, and empty lines.
#[must_use]
pub fn awkward_blob(len: usize) -> Vec<u8> {
    let mut blob = vec![0; len];
    rand::rng().fill_bytes(&mut blob);
    let mut all: Vec<u8> = (0..=255).collect();
    all.extend_from_slice(b"\r\n\r\n\n\n\0bcdBCD\r\n--\r\n-------abc$\r\n");
    for (to, from) in blob.iter_mut().zip(all) {
        *to = from;
    }
    blob
}
