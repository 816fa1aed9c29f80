//! One device of ours and one of libsignal, and what they do to each other.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rcseal_signal::{Address, IdentityKey, Peer as PeerDevice, Profile};
use serde_json::{Value, json};

use crate::ours::{Ours, Refusal};
use crate::peer::{Peer, PeerRefusal, bytes};
use crate::wire::Sent;
use crate::{Failure, ensure};

/// What the two devices call each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// UUIDs: messages carry the addresses.
    Uuids,
    /// Anything else: libsignal sends no addresses.
    Others,
}

/// One of the two: who begins a session, or who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }

    /// Our role in a session that this side begins, for names of rows.
    pub(crate) fn our_role(self) -> &'static str {
        match self {
            Self::Ours => "initiator",
            Self::Theirs => "responder",
        }
    }

    /// Who reads what this side sends, for names of rows.
    pub(crate) fn reader(self) -> &'static str {
        match self {
            Self::Ours => "libsignal",
            Self::Theirs => "us",
        }
    }
}

/// Why a message was not read.
#[derive(Debug)]
pub(crate) enum Refused {
    ByUs(Refusal),
    ByThem(PeerRefusal),
}

impl Refused {
    /// Whether the reader says that it has read the message before.
    pub(crate) fn is_duplicate(&self) -> bool {
        match self {
            Self::ByUs(refusal) => refusal.code() == "duplicate_message",
            Self::ByThem(refusal) => refusal.name == "DuplicatedMessage",
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByUs(refusal) => refusal.fmt(f),
            Self::ByThem(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

pub(crate) struct World {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) ours: Ours,
    folder: PathBuf,
    peer: Peer,
    /// What libsignal calls us.
    our_name: Value,
    pub(crate) their_identity: Vec<u8>,
    pub(crate) their_account: [u8; 16],
    pub(crate) their_registration: u32,
}

impl World {
    pub(crate) fn new(folder: &Path, seed: u64, names: Names) -> Result<Self, Failure> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (our_account, their_account) = (uuid(&mut rng), uuid(&mut rng));
        let (our_name, their_name) = match names {
            Names::Uuids => (uuid_text(&our_account), uuid_text(&their_account)),
            Names::Others => ("ours.example".to_owned(), "theirs.example".to_owned()),
        };
        let mut peer = Peer::start(folder)?;
        let their_registration = 1 + rng.next_u32() % 16_380;
        let request = json!({"name": their_name, "device": 1, "registration": their_registration});
        let their_identity = bytes(&peer.ask("init", request)??["identity"])?;
        let identity = IdentityKey::from_encoded(Profile::SignalV4, &their_identity)?;
        let their = PeerDevice { address: Address::new(their_account, 1), identity };
        let ours = Ours::new(&mut rng, our_account, their, names == Names::Uuids);
        Ok(Self {
            rng,
            ours,
            folder: folder.to_owned(),
            peer,
            our_name: json!({"name": our_name, "device": 1}),
            their_identity,
            their_account,
            their_registration,
        })
    }

    /// Two devices and a session in which both have read something.
    pub(crate) fn established(folder: &Path, seed: u64) -> Result<Self, Failure> {
        let mut world = Self::new(folder, seed, Names::Uuids)?;
        world.begin(Side::Ours, true)?;
        world.pass_to_them(b"one")?;
        world.pass_to_us(b"two")?;
        world.pass_to_them(b"three")?;
        Ok(world)
    }

    /// A request about us to libsignal.
    pub(crate) fn ask(&mut self, op: &str, mut request: Value) -> Result<Result<Value, PeerRefusal>, Failure> {
        request["peer"] = self.our_name.clone();
        self.peer.ask(op, request)
    }

    /// Gives the initiator the other's bundle.
    pub(crate) fn begin(&mut self, initiator: Side, one_time: bool) -> Result<(), Failure> {
        match initiator {
            Side::Ours => {
                let bundle = self.ask("bundle", json!({"oneTime": one_time}))??;
                self.ours.begin(&mut self.rng, &bundle)
            }
            Side::Theirs => {
                let bundle = self.ours.bundle(&mut self.rng, one_time)?;
                self.ask("process", json!({"bundle": bundle}))??;
                Ok(())
            }
        }
    }

    pub(crate) fn ours_send(&mut self, text: &[u8]) -> Result<Sent, Failure> {
        self.ours.send(&mut self.rng, text)
    }

    pub(crate) fn theirs_send(&mut self, text: &[u8]) -> Result<Sent, Failure> {
        let answer = self.ask("encrypt", json!({"plaintext": hex::encode(text)}))??;
        Ok(Sent { prekey: answer["prekey"] == json!(true), bytes: bytes(&answer["message"])? })
    }

    pub(crate) fn ours_receive(&mut self, sent: &Sent) -> Result<Result<Vec<u8>, Refusal>, Failure> {
        self.ours.receive(&sent.bytes)
    }

    pub(crate) fn theirs_receive(&mut self, sent: &Sent) -> Result<Result<Vec<u8>, PeerRefusal>, Failure> {
        let request = json!({"prekey": sent.prekey, "message": hex::encode(&sent.bytes)});
        match self.ask("decrypt", request)? {
            Ok(answer) => Ok(Ok(bytes(&answer["plaintext"])?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    pub(crate) fn send(&mut self, from: Side, text: &[u8]) -> Result<Sent, Failure> {
        match from {
            Side::Ours => self.ours_send(text),
            Side::Theirs => self.theirs_send(text),
        }
    }

    /// Gives a message that `from` has sent to the other side.
    pub(crate) fn receive(&mut self, from: Side, sent: &Sent) -> Result<Result<Vec<u8>, Refused>, Failure> {
        Ok(match from {
            Side::Ours => self.theirs_receive(sent)?.map_err(Refused::ByThem),
            Side::Theirs => self.ours_receive(sent)?.map_err(Refused::ByUs),
        })
    }

    /// One message from us that must arrive.
    pub(crate) fn pass_to_them(&mut self, text: &[u8]) -> Result<Sent, Failure> {
        let sent = self.ours_send(text)?;
        let read = self.theirs_receive(&sent)??;
        ensure(read == text, "libsignal read another text")?;
        Ok(sent)
    }

    /// One message from them that must arrive.
    pub(crate) fn pass_to_us(&mut self, text: &[u8]) -> Result<Sent, Failure> {
        let sent = self.theirs_send(text)?;
        let read = self.ours_receive(&sent)??;
        ensure(read == text, "we read another text")?;
        Ok(sent)
    }

    /// A message from `from` that must arrive.
    pub(crate) fn pass(&mut self, from: Side, text: &[u8]) -> Result<Sent, Failure> {
        match from {
            Side::Ours => self.pass_to_them(text),
            Side::Theirs => self.pass_to_us(text),
        }
    }

    /// Ends libsignal's process and starts another one from what it had stored.
    pub(crate) fn restart_theirs(&mut self) -> Result<(), Failure> {
        let stores = self.ask("export", json!({}))??["stores"].clone();
        self.peer = Peer::start(&self.folder)?;
        self.ask("import", json!({"stores": stores}))??;
        Ok(())
    }

    /// The session with us as libsignal stores it.
    pub(crate) fn their_session(&mut self) -> Result<Value, Failure> {
        Ok(self.ask("session", json!({}))??["record"].clone())
    }
}

/// A random UUID of version 4.
fn uuid(rng: &mut ChaCha20Rng) -> [u8; 16] {
    let mut out = [0; 16];
    rng.fill_bytes(&mut out);
    out[6] = out[6] & 0x0F | 0x40;
    out[8] = out[8] & 0x3F | 0x80;
    out
}

pub(crate) fn uuid_text(bytes: &[u8; 16]) -> String {
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
