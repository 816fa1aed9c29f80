//! The place of the sparse post-quantum ratchet.
//!
//! Every message's keys take a 32-byte key from it as HKDF salt, every message has room for its data (field 5), every
//! record has a versioned slot for its state, and the handshake's `pq_auth_key` waits in that slot to seed it. Until it
//! is built there is one state, [`PqRatchet::Off`]: the salt is 32 zero bytes and field 5 is refused. The handshake is
//! post-quantum all the same; what is missing is healing against a quantum attacker who stole a session's state.

use rcseal_crypto::Secret;

/// Version byte of [`PqRatchet::Off`] in a record.
const OFF: u8 = 0;

/// State of the post-quantum ratchet.
#[derive(Debug)]
pub(crate) enum PqRatchet {
    /// Not running. Keeps what seeds it.
    Off { auth_key: Secret<32> },
}

/// The post-quantum part of a message does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PqRefusal;

/// What one message takes from the ratchet.
pub(crate) struct PqStep {
    /// Salt of the message's keys.
    pub(crate) key: Secret<32>,
    /// What the message carries in field 5.
    pub(crate) field: Option<Vec<u8>>,
    /// The state after the message.
    pub(crate) next: PqRatchet,
}

impl PqRatchet {
    /// Length of [`PqRatchet::encode`]: version, key.
    pub(crate) const LEN: usize = 1 + 32;

    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Off { auth_key } => Self::Off { auth_key: auth_key.duplicate() },
        }
    }

    /// For a message we send.
    pub(crate) fn send(&self) -> PqStep {
        match self {
            Self::Off { .. } => PqStep { key: Secret::from_bytes([0; 32]), field: None, next: self.duplicate() },
        }
    }

    /// For a message we received, whose field 5 is `field`.
    pub(crate) fn receive(&self, field: Option<&[u8]>) -> Result<PqStep, PqRefusal> {
        match (self, field) {
            (Self::Off { .. }, None) => Ok(self.send()),
            (Self::Off { .. }, Some(_)) => Err(PqRefusal),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Off { auth_key } => {
                out.push(OFF);
                out.extend_from_slice(auth_key.expose());
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (version, body) = bytes.split_first()?;
        match *version {
            OFF => Secret::from_slice(body).map(|auth_key| Self::Off { auth_key }),
            _ => None,
        }
    }
}
