//! What became of each message, and what that says.

use rcseal_engine::policy::{Choice, ConsentState, DeliveryMode, Reader, StoredDecision};

use crate::carrier::SimCarrier;

/// Who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The near phone.
    Out,
    /// The far phone.
    Back,
}

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrived, by this end-to-end way, as was decided.
    Delivered(DeliveryMode),
    /// It arrived, end to end, by another way than was decided; why, by its code.
    FellBack(&'static str),
    /// It was not sent, for the reason with this code.
    Refused(&'static str),
    /// It arrived in a mode that others can read, by the user's leave. Whether the words are as they were written.
    Readable {
        /// Nothing protects them from being changed.
        is_intact: bool,
    },
    /// It did not arrive, and the sender's app says that it may not have.
    Unconfirmed(&'static str),
    /// A carrier said of a readable message that it was delivered, and lied. Nothing end to end contradicts it.
    Believed,
    /// The sender's app says that it failed.
    Failed(&'static str),
    /// It did not arrive, and nobody knows; what its sender has it for.
    Lost(&'static str),
}

impl Fate {
    /// The word for it in a table.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Delivered(mode) => mode.as_str().to_owned(),
            Self::FellBack(code) => format!("fell_back:{code}"),
            Self::Refused(code) => format!("refused:{code}"),
            Self::Readable { is_intact: true } => "readable".to_owned(),
            Self::Readable { is_intact: false } => "readable_changed".to_owned(),
            Self::Unconfirmed(state) => format!("unconfirmed:{state}"),
            Self::Believed => "believed".to_owned(),
            Self::Failed(code) => format!("failed:{code}"),
            Self::Lost(_) => "lost".to_owned(),
        }
    }
}

/// One message, when all was over.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whose it was.
    pub direction: Direction,
    /// Its length in bytes.
    pub len: usize,
    /// Words that stand in it and nowhere else.
    pub mark: String,
    /// What became of it.
    pub fate: Fate,
    /// The stored decision, where there is one; a phone without a client of ours decides nothing.
    pub decision: Option<StoredDecision>,
    /// Whether the carrier could read it.
    pub carrier_could_read: bool,
    /// Whether the relay could, from all that it has on disk.
    pub relay_could_read: bool,
    /// Whether the relay's operator could, with the key in its hardware module.
    pub server_could_read: bool,
    /// Whether the broker could, from all that it has on disk.
    pub broker_could_read: bool,
    /// Whether its sender has a journal entry of a downgrade for it.
    pub has_downgrade_entry: bool,
    /// How often it stands in the recipient's conversation or thread.
    pub shown: usize,
    /// Whether it was sent by a phone without a client of ours, whose messages anybody on the way can read.
    pub is_foreign: bool,
}

impl Told {
    /// A message of a client of ours without a decision, so far, that a carrier had a chance to read.
    #[must_use]
    pub fn new(direction: Direction, (mark, text): (&str, &str), fate: Fate, carrier: &SimCarrier) -> Self {
        Self {
            direction,
            len: text.len(),
            mark: mark.to_owned(),
            fate,
            decision: None,
            carrier_could_read: carrier.could_read(mark.as_bytes()),
            relay_could_read: false,
            server_could_read: false,
            broker_could_read: false,
            has_downgrade_entry: false,
            shown: 0,
            is_foreign: false,
        }
    }

    /// Who could read it, beside those who were meant to.
    #[must_use]
    pub fn unnamed_readers(&self) -> Vec<&'static str> {
        let named =
            self.decision.as_ref().and_then(|stored| stored.decision.mode()).map_or(&[][..], DeliveryMode::readers);
        let mut unnamed = Vec::new();
        if self.carrier_could_read && !named.contains(&Reader::Carriers) && !self.is_foreign {
            unnamed.push("carrier");
        }
        if self.server_could_read && !named.contains(&Reader::ServerOperator) {
            unnamed.push("server operator");
        }
        // What a server may read is sealed on its disk, and read with the key in its module.
        if self.relay_could_read {
            unnamed.push("relay");
        }
        // A broker passes readable words on and keeps none of them.
        if self.broker_could_read {
            unnamed.push("broker");
        }
        unnamed
    }

    /// Who could read it, beside the participants, whether named or not.
    #[must_use]
    pub fn readers(&self) -> &'static str {
        match (self.carrier_could_read, self.relay_could_read, self.server_could_read) {
            (false, false, false) => "participants",
            (true, false, false) => "carrier",
            (false, false, true) => "server operator",
            (false, true, _) => "relay",
            (true, ..) => "carrier and relay",
        }
    }

    /// Whether it went in a mode that others can read without a decision that says so, a consent, or an entry in the journal.
    #[must_use]
    pub fn is_silent_downgrade(&self) -> bool {
        if self.is_foreign {
            return false;
        }
        let others_could_read = self.carrier_could_read || self.server_could_read;
        let Some(stored) = &self.decision else { return others_could_read };
        let went_readable = others_could_read || matches!(self.fate, Fate::Readable { .. });
        let is_allowed = matches!(stored.decision.choice, Choice::Send(mode) if !mode.is_end_to_end())
            && matches!(stored.decision.consent, ConsentState::Given(_))
            && self.has_downgrade_entry;
        went_readable && !is_allowed
    }

    /// Whether it was refused and nobody said why.
    #[must_use]
    pub fn is_refused_without_reason(&self) -> bool {
        matches!(&self.fate, Fate::Refused(code) if code.is_empty())
    }
}

/// One cell, when all was over.
#[derive(Debug, Clone)]
pub struct CellOutcome {
    /// Its messages.
    pub messages: Vec<Told>,
    /// What is wrong beside messages: a carrier's own words in a conversation, a message of nobody.
    pub wrongs: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}
