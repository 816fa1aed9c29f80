//! From an offer to an answer, and from both to what is done.
//!
//! An answer is never weaker than the offer: an offer of TLS is answered with TLS or not at all, and an answer that falls back to TCP is
//! refused, as is TLS without a certificate to expect.

use super::{AcceptTypes, Description, Direction, Fingerprint, Setup};
use crate::msrp::Path;
use crate::number::Domain;
use crate::text::MediaType;

/// Why an offer is not answered, or an answer not taken. Towards the peer it is a 488.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The answer refuses the session (port zero).
    #[error("the session is refused")]
    Refused,
    /// One end wants TLS and the other does not.
    #[error("one end wants TLS and the other does not")]
    TlsMismatch,
    /// TLS, and no certificate to expect.
    #[error("TLS without a fingerprint")]
    NoFingerprint,
    /// Both would connect, or nobody.
    #[error("both ends would connect, or neither")]
    BadSetup,
    /// The other end does not take what is to be sent.
    #[error("the media type is not accepted")]
    TypeNotAccepted,
    /// Messages do not go the way that is needed.
    #[error("messages go one way only, and not this one")]
    BadDirection,
}

impl AnswerError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused => "sdp_refused",
            Self::TlsMismatch => "sdp_tls_mismatch",
            Self::NoFingerprint => "sdp_no_fingerprint",
            Self::BadSetup => "sdp_bad_setup",
            Self::TypeNotAccepted => "sdp_type_not_accepted",
            Self::BadDirection => "sdp_bad_direction",
        }
    }
}

/// What this end does once both descriptions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Open the connection.
    Connect,
    /// Wait for it.
    Listen,
}

/// What this end says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// A random id for the session.
    pub session_id: u64,
    /// Where it is.
    pub address: Domain,
    /// The port that it listens on, or 9 where it will only connect.
    pub port: u16,
    /// Whether the connection is over TLS.
    pub is_tls: bool,
    /// The certificate that it will show.
    pub fingerprint: Option<Fingerprint>,
    /// Its address, with a relay in front if it uses one.
    pub path: Path,
    /// Media types that it takes.
    pub accept_types: AcceptTypes,
    /// Media types that it takes inside `message/cpim`.
    pub accept_wrapped_types: AcceptTypes,
    /// The largest message that it takes.
    pub max_size: u64,
    /// Whether it can open connections, and whether it can take them.
    pub can_connect: bool,
    /// Whether it can take connections.
    pub can_listen: bool,
}

impl Local {
    /// What stands in the middle of every session of ours: wrapped messages, of any type inside.
    #[must_use]
    pub fn wrapped() -> (AcceptTypes, AcceptTypes) {
        let cpim = MediaType::parse(crate::cpim::CONTENT_TYPE).expect("a constant that is a media type");
        (AcceptTypes::of(vec![cpim]), AcceptTypes { any: true, types: Vec::new() })
    }

    fn describe(&self, setup: Setup) -> Description {
        Description {
            session: (self.session_id, 1),
            address: self.address.clone(),
            port: self.port,
            is_tls: self.is_tls,
            path: self.path.clone(),
            setup: Some(setup),
            has_cema: true,
            fingerprint: self.fingerprint.filter(|_| self.is_tls),
            accept_types: self.accept_types.clone(),
            accept_wrapped_types: self.accept_wrapped_types.clone(),
            max_size: Some(self.max_size),
            direction: Direction::SendRecv,
        }
    }

    /// The offer.
    ///
    /// # Errors
    /// [`AnswerError::BadSetup`] for an end that can neither connect nor listen, [`AnswerError::NoFingerprint`].
    pub fn offer(&self) -> Result<Description, AnswerError> {
        let setup = match (self.can_connect, self.can_listen) {
            (true, true) => Setup::ActPass,
            (true, false) => Setup::Active,
            (false, true) => Setup::Passive,
            (false, false) => return Err(AnswerError::BadSetup),
        };
        let offer = self.describe(setup);
        if offer.is_tls && offer.fingerprint.is_none() { Err(AnswerError::NoFingerprint) } else { Ok(offer) }
    }

    /// The answer to an offer, and what this end does then. Given the choice it connects: a phone behind an address translation can.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn answer(&self, offer: &Description) -> Result<(Description, Role), AnswerError> {
        if offer.port == 0 {
            return Err(AnswerError::Refused);
        }
        self.check(offer)?;
        let role = match offer.setup {
            // Without the attribute the offerer connects (RFC 4975, section 5.4).
            None | Some(Setup::Active) if self.can_listen => Role::Listen,
            Some(Setup::Passive | Setup::ActPass) if self.can_connect => Role::Connect,
            Some(Setup::ActPass) if self.can_listen => Role::Listen,
            _ => return Err(AnswerError::BadSetup),
        };
        let mut answer = self.describe(if role == Role::Connect { Setup::Active } else { Setup::Passive });
        answer.direction = match offer.direction {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            other => other,
        };
        Ok((answer, role))
    }

    /// What this end, which has made the offer, does upon the answer.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn conclude(&self, answer: &Description) -> Result<Role, AnswerError> {
        if answer.port == 0 {
            return Err(AnswerError::Refused);
        }
        self.check(answer)?;
        match answer.setup {
            Some(Setup::Active) if self.can_listen => Ok(Role::Listen),
            None | Some(Setup::Passive) if self.can_connect => Ok(Role::Connect),
            _ => Err(AnswerError::BadSetup),
        }
    }

    fn check(&self, other: &Description) -> Result<(), AnswerError> {
        if other.is_tls != self.is_tls {
            return Err(AnswerError::TlsMismatch);
        }
        if self.is_tls && (other.fingerprint.is_none() || self.fingerprint.is_none()) {
            return Err(AnswerError::NoFingerprint);
        }
        if other.direction == Direction::Inactive {
            return Err(AnswerError::BadDirection);
        }
        // Something of what we take, we also send: in every session of ours that is the wrapped message.
        let shares_a_type =
            self.accept_types.any || self.accept_types.types.iter().any(|media| other.accept_types.accepts(media));
        if shares_a_type { Ok(()) } else { Err(AnswerError::TypeNotAccepted) }
    }
}
