//! The port to a SIM (3GPP TS 33.102), and how a digest challenge carries what is asked of it (RFC 3310).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What a SIM answers to a network that it believes.
pub struct AkaAnswer {
    /// RES: 4 to 16 bytes.
    pub res: Zeroizing<Vec<u8>>,
    /// The cipher key.
    pub ck: Zeroizing<[u8; 16]>,
    /// The integrity key.
    pub ik: Zeroizing<[u8; 16]>,
}

impl fmt::Debug for AkaAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AkaAnswer")
    }
}

/// Why a SIM does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AkaFailure {
    /// The network's sequence number is not one that comes next; this tells it ours.
    #[error("the SIM and the network count differently")]
    Synchronisation {
        /// AUTS: the SIM's own count, sealed to the network.
        auts: [u8; 14],
    },
    /// The network did not prove that it knows the SIM's key.
    #[error("the network is not the SIM's")]
    NotAuthentic,
    /// There is no SIM, or it is locked.
    #[error("the SIM cannot be used")]
    Unavailable,
}

/// A SIM. It is called on the task that sends, and should answer within a few milliseconds or move its work elsewhere.
pub trait AkaProvider: Send + Sync {
    /// Runs the authentication of a challenge.
    ///
    /// # Errors
    /// [`AkaFailure`].
    fn answer(&self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<AkaAnswer, AkaFailure>;
}

/// What a nonce asks of a SIM: RAND and AUTN are its first 32 bytes, and what a server put behind them is its own.
pub(super) fn asked(nonce: &str) -> Option<([u8; 16], [u8; 16])> {
    let bytes = STANDARD.decode(nonce).ok()?;
    let rand = bytes.get(..16)?.try_into().ok()?;
    let autn = bytes.get(16..32)?.try_into().ok()?;
    Some((rand, autn))
}

/// AUTS as a header carries it.
pub(super) fn auts_text(auts: &[u8; 14]) -> String {
    STANDARD.encode(auts)
}
