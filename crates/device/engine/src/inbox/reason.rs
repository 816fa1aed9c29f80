//! Why an envelope could not be decrypted.

use rcseal_wire::envelope::EnvelopeError;

/// Why an envelope could not be decrypted. The numbers travel in receipts and acknowledgements; `docs/protocol/envelope.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undecryptable {
    /// The layout is not an envelope's, or the inside not a message's.
    Malformed,
    /// A later version: update the app.
    UnknownVersion,
    /// The seal does not open: damaged on the way, or meant for another device.
    SealBroken,
    /// The recognition tag names no session here.
    UnknownSession,
    /// The sender's device is not in its account's key set.
    UnknownDevice,
    /// The sender shows another key set than the one known at its counter.
    KeySetFork,
    /// The prekey that the first message used is gone.
    PrekeyGone,
    /// The handshake does not hold.
    Handshake,
    /// The message does not authenticate.
    Authentication,
    /// The message's counter is further ahead than the limit.
    TooFarAhead,
    /// The message belongs to another session.
    WrongSession,
    /// The payload cannot be parsed.
    Content,
    /// The sender does not take part in the conversation.
    NotParticipant,
    /// A first message that was accepted before, in a session that is gone.
    Replayed,
    /// The message claims to come from this very device.
    Reflected,
    /// Too many envelopes wait for key sets.
    TooManyParked,
    /// The key of the message was dropped before it came: too many others overtook it, or it is later than the post-quantum
    /// ratchet keeps keys.
    KeyGone,
    /// A broker's delivery for a number that is not this device's.
    NotEnrolled,
    /// A broker's delivery that opened, and for which there is no room.
    NoRoom,
}

impl Undecryptable {
    /// Whether somebody who knows neither a key nor a token of ours can make an envelope that fails so.
    pub(super) const fn may_be_anybodys(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::UnknownVersion
                | Self::SealBroken
                | Self::UnknownSession
                | Self::UnknownDevice
                | Self::NotEnrolled
                | Self::NoRoom
        )
    }

    const ALL: [Self; 19] = [
        Self::Malformed,
        Self::UnknownVersion,
        Self::SealBroken,
        Self::UnknownSession,
        Self::UnknownDevice,
        Self::KeySetFork,
        Self::PrekeyGone,
        Self::Handshake,
        Self::Authentication,
        Self::TooFarAhead,
        Self::WrongSession,
        Self::Content,
        Self::NotParticipant,
        Self::Replayed,
        Self::Reflected,
        Self::TooManyParked,
        Self::KeyGone,
        Self::NotEnrolled,
        Self::NoRoom,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Malformed => 1,
            Self::UnknownVersion => 2,
            Self::SealBroken => 3,
            Self::UnknownSession => 4,
            Self::UnknownDevice => 5,
            Self::KeySetFork => 6,
            Self::PrekeyGone => 7,
            Self::Handshake => 8,
            Self::Authentication => 9,
            Self::TooFarAhead => 10,
            Self::WrongSession => 11,
            Self::Content => 12,
            Self::NotParticipant => 13,
            Self::Replayed => 14,
            Self::Reflected => 15,
            Self::TooManyParked => 16,
            Self::KeyGone => 17,
            Self::NotEnrolled => 18,
            Self::NoRoom => 19,
        }
    }

    /// The reason behind a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown_version",
            Self::SealBroken => "seal_broken",
            Self::UnknownSession => "unknown_session",
            Self::UnknownDevice => "unknown_device",
            Self::KeySetFork => "key_set_fork",
            Self::PrekeyGone => "prekey_gone",
            Self::Handshake => "handshake",
            Self::Authentication => "authentication",
            Self::TooFarAhead => "too_far_ahead",
            Self::WrongSession => "wrong_session",
            Self::Content => "content",
            Self::NotParticipant => "not_participant",
            Self::Replayed => "replayed",
            Self::Reflected => "reflected",
            Self::TooManyParked => "too_many_parked",
            Self::KeyGone => "key_gone",
            Self::NotEnrolled => "not_enrolled",
            Self::NoRoom => "no_room",
        }
    }
}

impl From<EnvelopeError> for Undecryptable {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Truncated | EnvelopeError::TooLarge => Self::Malformed,
            EnvelopeError::UnknownVersion { .. } | EnvelopeError::UnknownKind { .. } => Self::UnknownVersion,
        }
    }
}
