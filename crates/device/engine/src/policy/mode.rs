//! Delivery modes, and who can read what goes by each.

/// How a message goes. What counts is who can read it on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryMode {
    /// Ciphertext handed to a carrier, which carries it from phone to phone.
    Native,
    /// Ciphertext over a relay, which does not learn who sends.
    Relayed,
    /// Ciphertext that a broker passes between a carrier and an app.
    Brokered,
    /// Encrypted on its way, and readable by the operator of a server.
    ServerEncrypted,
    /// Plain text as an RCS message: readable by every carrier on the way.
    CarrierReadable,
    /// Plain text as an SMS: readable by every carrier on the way, and by whoever listens between them.
    Sms,
}

impl DeliveryMode {
    /// Every mode; those that others can read come last, the fewest readers first.
    pub const ALL: [Self; 6] =
        [Self::Native, Self::Relayed, Self::Brokered, Self::ServerEncrypted, Self::CarrierReadable, Self::Sms];
    /// The modes in which somebody beside the participants can read, the fewest readers first.
    pub const READABLE: [Self; 3] = [Self::ServerEncrypted, Self::CarrierReadable, Self::Sms];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Relayed => "relayed",
            Self::Brokered => "brokered",
            Self::ServerEncrypted => "server_encrypted",
            Self::CarrierReadable => "carrier_readable",
            Self::Sms => "sms",
        }
    }

    /// Whether nobody but the participants' devices can read.
    #[must_use]
    pub const fn is_end_to_end(self) -> bool {
        match self {
            Self::Native | Self::Relayed | Self::Brokered => true,
            Self::ServerEncrypted | Self::CarrierReadable | Self::Sms => false,
        }
    }

    /// Whether ciphertext goes by a carrier, through a broker or not.
    #[must_use]
    pub const fn is_by_carrier(self) -> bool {
        match self {
            Self::Native | Self::Brokered => true,
            Self::Relayed | Self::ServerEncrypted | Self::CarrierReadable | Self::Sms => false,
        }
    }

    /// Who can read what goes in this mode.
    #[must_use]
    pub const fn readers(self) -> &'static [Reader] {
        match self {
            Self::Native | Self::Relayed | Self::Brokered => &[Reader::Participants],
            Self::ServerEncrypted => &[Reader::Participants, Reader::ServerOperator],
            Self::CarrierReadable => &[Reader::Participants, Reader::Carriers],
            Self::Sms => &[Reader::Participants, Reader::Carriers, Reader::RadioAndRoaming],
        }
    }

    /// The number that stands for the mode in rows and on the wire. Never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Native => 1,
            Self::Relayed => 2,
            Self::Brokered => 3,
            Self::ServerEncrypted => 4,
            Self::CarrierReadable => 5,
            Self::Sms => 6,
        }
    }

    /// The mode of a number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Native),
            2 => Some(Self::Relayed),
            3 => Some(Self::Brokered),
            4 => Some(Self::ServerEncrypted),
            5 => Some(Self::CarrierReadable),
            6 => Some(Self::Sms),
            _ => None,
        }
    }
}

/// Somebody who can read a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// The devices of the people in the conversation.
    Participants,
    /// Whoever runs the server that encrypts.
    ServerOperator,
    /// The carriers of both sides, and every network between them.
    Carriers,
    /// Whoever listens to a radio cell, or answers for a roaming number.
    RadioAndRoaming,
}

impl Reader {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::ServerOperator => "server_operator",
            Self::Carriers => "carriers",
            Self::RadioAndRoaming => "radio_and_roaming",
        }
    }
}

/// What becomes of a message that cannot go end to end. In ascending order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FallbackPolicy {
    /// It may go in a mode that others can read, where the user has agreed to that.
    Downgrade,
    /// It is refused, and the user is asked to find out by another way what the recipient can do.
    Verify,
    /// It is refused.
    Block,
}

impl FallbackPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Downgrade, Self::Verify, Self::Block];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downgrade => "downgrade",
            Self::Verify => "verify",
            Self::Block => "block",
        }
    }

    /// The policy of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Downgrade => 1,
            Self::Verify => 2,
            Self::Block => 3,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Downgrade),
            2 => Some(Self::Verify),
            3 => Some(Self::Block),
            _ => None,
        }
    }
}

/// Which of two end-to-end ways is taken where both are there. None is more readable than the other; they differ in who learns that a
/// message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RoutePreference {
    /// The relay: it does not learn the sender.
    #[default]
    Relayed,
    /// The carrier: no relay is needed, and the carrier learns both numbers. Where either side is there through a broker, the broker
    /// learns them too, and the mode is *brokered*.
    Native,
}

impl RoutePreference {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.mode().as_str()
    }

    /// The preference of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Relayed, Self::Native].into_iter().find(|preference| preference.as_str() == name)
    }

    /// The mode that is preferred.
    #[must_use]
    pub const fn mode(self) -> DeliveryMode {
        match self {
            Self::Relayed => DeliveryMode::Relayed,
            Self::Native => DeliveryMode::Native,
        }
    }

    pub(crate) const fn number(self) -> u8 {
        self.mode().code()
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match DeliveryMode::from_code(number) {
            Some(DeliveryMode::Relayed) => Some(Self::Relayed),
            Some(DeliveryMode::Native) => Some(Self::Native),
            _ => None,
        }
    }
}
