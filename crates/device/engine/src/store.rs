//! The engine's view of its store: ordered tables of bytes, and one transaction at a time.
//!
//! The engine owns the meaning of keys and values (versioned records, one module each); the shell owns the disk. Every operation of the
//! engine runs inside exactly one transaction, which the shell commits when the operation returned `Ok` and rolls back otherwise.
//! Nothing leaves the device before the commit, so a crash at any point leaves the state before or the state after, never between.
//!
//! Keys are compared byte by byte. Counts in keys are big-endian, so that they sort as numbers.

use std::fmt;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// One row: this device, its keys, its account. Holds secrets.
    Account = 1,
    /// Prekey secrets by kind and id.
    Prekey = 2,
    /// Signed key sets, the newest known of each account.
    KeySet = 3,
    /// Contacts by account.
    Contact = 4,
    /// Sessions by peer device and local number. Holds secrets.
    Session = 5,
    /// The session to send on, by peer device.
    ActiveSession = 6,
    /// Skipped message keys by session, ratchet key and counter. Holds secrets.
    Skipped = 7,
    /// The same rows by session and ordinal, for eviction.
    SkippedOrdinal = 8,
    /// Which session a recognition tag belongs to.
    Tag = 9,
    /// Base keys of accepted first messages, against their replay.
    BaseKey = 10,
    /// Mailboxes of peer devices.
    Route = 11,
    /// Conversations by id.
    Conversation = 12,
    /// Messages by conversation and order.
    Message = 13,
    /// Where a message is, by conversation, sender and message id.
    MessageIndex = 14,
    /// What became of a message at each device.
    Delivery = 15,
    /// Reactions by conversation, message and who reacted.
    Reaction = 16,
    /// Envelopes to submit, in order.
    Outbox = 17,
    /// Payloads that wait for a prekey bundle, by peer device and order.
    Pending = 18,
    /// Which message an envelope carried, by envelope id.
    Sent = 19,
    /// Receipts that wait to be sent together.
    ReceiptDue = 20,
    /// Envelopes that wait for their sender's key set.
    Parked = 21,
    /// Envelopes that could not be decrypted.
    Quarantine = 22,
    /// What the shell is to fetch, by account.
    Need = 23,
    /// Events for the app, in order.
    Event = 24,
    /// Counters that give rows their order.
    Counter = 25,
    /// Edits, deletions and reactions that are here before their message, by conversation, message and author.
    EarlyChange = 26,
    /// Hashes of ciphertexts that were decrypted.
    Seen = 27,
    /// What is asked to be sent again, what was sent again and how often, and what waits for the user's decision.
    Resend = 28,
    /// When sessions turn: rekey intervals, what is due when, and where each peer device stands.
    Rekey = 29,
    /// What the user set for a conversation, by its id.
    ConversationSettings = 30,
    /// For which reasons key sets were refused that the app was told of, by account.
    RefusalTold = 31,
    /// Threads with phone numbers that have no account, by number.
    PlainThread = 40,
    /// What was written in them, by number and order. Readable by carriers.
    PlainMessage = 41,
    /// Which message of a thread a carrier's message id names, by number and id.
    PlainIndex = 42,
    /// Readable messages that a carrier is to be handed, in order.
    PlainOutbox = 43,
    /// What is known of peers' devices and numbers, and from where.
    Capability = 44,
    /// Accounts and numbers that are known to be capable of end-to-end encryption. Rows never expire.
    Latch = 45,
    /// What the user set for delivery: policies, route preferences, consents, acknowledgements, attestations.
    Policy = 46,
    /// Delivery decisions, in order.
    Decision = 47,
    /// Which decision a message went by, by message id.
    DecisionIndex = 48,
    /// Fallbacks, downgrades and refusals, in order. Rows are added, and never changed or deleted.
    Journal = 49,
    /// What this device and its peers take by way of a carrier, contacts' phone numbers, and what a carrier damaged.
    Carrier = 50,
    /// Where the envelopes of the outbox stand that go by a carrier, by their number, and by message and device.
    CarrierRoute = 51,
    /// What was handed to a carrier, by its id there.
    CarrierIssued = 52,
    /// Parts of frames that came by a carrier and are not whole yet, and which frames were.
    CarrierPart = 53,
    /// Receipts of the carrier's kind that wait to be sent.
    CarrierReply = 54,
    /// The key of the server that may read messages: the pinned one, and one that waits for the user's word.
    ServerKey = 70,
    /// Words to seal to that key and to submit, in order.
    RetainedOutbox = 71,
    /// How far what the server keeps was fetched, which peers announced that they write so, and what came of others.
    Retained = 72,
    /// What went and came by SMS and is named by an id; whether there is a way to send one.
    Sms = 74,
    /// This account's phone numbers at a broker, by number: how far each has come, what was signed and countersigned.
    NumberOwn = 61,
    /// The pinned broker, and the delivery token that it was given. Holds a secret.
    NumberBroker = 62,
    /// What the broker has shown of other people's numbers, by number: the mapping, its key set, and the leave to write. Holds secrets.
    NumberShown = 63,
    /// What contacts and this device have told each other of mappings, by account.
    NumberGossip = 64,
    /// What the broker was found to have done, in order, and what proves it.
    BrokerEvidence = 65,
    /// Cases that this account opened, by id, and which open ones were begun for a number.
    Case = 66,
    /// The cases of a conversation, on both sides.
    CaseOf = 67,
    /// What the shell keeps beside the engine's own, by name. May hold secrets.
    Shell = 60,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 58] = [
        Self::Account,
        Self::Prekey,
        Self::KeySet,
        Self::Contact,
        Self::Session,
        Self::ActiveSession,
        Self::Skipped,
        Self::SkippedOrdinal,
        Self::Tag,
        Self::BaseKey,
        Self::Route,
        Self::Conversation,
        Self::Message,
        Self::MessageIndex,
        Self::Delivery,
        Self::Reaction,
        Self::Outbox,
        Self::Pending,
        Self::Sent,
        Self::ReceiptDue,
        Self::Parked,
        Self::Quarantine,
        Self::Need,
        Self::Event,
        Self::Counter,
        Self::EarlyChange,
        Self::Seen,
        Self::Resend,
        Self::Rekey,
        Self::ConversationSettings,
        Self::RefusalTold,
        Self::PlainThread,
        Self::PlainMessage,
        Self::PlainIndex,
        Self::PlainOutbox,
        Self::Capability,
        Self::Latch,
        Self::Policy,
        Self::Decision,
        Self::DecisionIndex,
        Self::Journal,
        Self::Carrier,
        Self::CarrierRoute,
        Self::CarrierIssued,
        Self::CarrierPart,
        Self::CarrierReply,
        Self::ServerKey,
        Self::RetainedOutbox,
        Self::Retained,
        Self::Sms,
        Self::NumberOwn,
        Self::NumberBroker,
        Self::NumberShown,
        Self::NumberGossip,
        Self::BrokerEvidence,
        Self::Case,
        Self::CaseOf,
        Self::Shell,
    ];

    /// The number that stands for the table on disk. Never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name that stands for the table on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Prekey => "prekey",
            Self::KeySet => "key_set",
            Self::Contact => "contact",
            Self::Session => "session",
            Self::ActiveSession => "active_session",
            Self::Skipped => "skipped",
            Self::SkippedOrdinal => "skipped_ordinal",
            Self::Tag => "tag",
            Self::BaseKey => "base_key",
            Self::Route => "route",
            Self::Conversation => "conversation",
            Self::Message => "message",
            Self::MessageIndex => "message_index",
            Self::Delivery => "delivery",
            Self::Reaction => "reaction",
            Self::Outbox => "outbox",
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::ReceiptDue => "receipt_due",
            Self::Parked => "parked",
            Self::Quarantine => "quarantine",
            Self::Need => "need",
            Self::Event => "event",
            Self::Counter => "counter",
            Self::EarlyChange => "early_change",
            Self::ConversationSettings => "conversation_settings",
            Self::RefusalTold => "refusal_told",
            Self::PlainThread => "plain_thread",
            Self::PlainMessage => "plain_message",
            Self::PlainIndex => "plain_index",
            Self::PlainOutbox => "plain_outbox",
            Self::Capability => "capability",
            Self::Latch => "latch",
            Self::Policy => "policy",
            Self::Decision => "decision",
            Self::DecisionIndex => "decision_index",
            Self::Journal => "journal",
            Self::Carrier => "carrier",
            Self::CarrierRoute => "carrier_route",
            Self::CarrierIssued => "carrier_issued",
            Self::CarrierPart => "carrier_part",
            Self::CarrierReply => "carrier_reply",
            Self::ServerKey => "server_key",
            Self::RetainedOutbox => "retained_outbox",
            Self::Retained => "retained",
            Self::Sms => "sms",
            Self::NumberOwn => "number_own",
            Self::NumberBroker => "number_broker",
            Self::NumberShown => "number_shown",
            Self::NumberGossip => "number_gossip",
            Self::BrokerEvidence => "broker_evidence",
            Self::Case => "case_opened",
            Self::CaseOf => "case_of",
            Self::Shell => "shell",
            Self::Seen => "seen",
            Self::Resend => "resend",
            Self::Rekey => "rekey",
        }
    }
}

/// Which end a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One open transaction.
pub trait Tx {
    /// Reads one value.
    ///
    /// # Errors
    /// Those of the disk.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes one value, replacing what was there.
    ///
    /// # Errors
    /// Those of the disk.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes one value; nothing happens when there is none.
    ///
    /// # Errors
    /// Those of the disk.
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// Removes every key with `start <= key < end`.
    ///
    /// # Errors
    /// Those of the disk.
    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError>;

    /// Reads up to `limit` rows with `start <= key < end`.
    ///
    /// # Errors
    /// Those of the disk.
    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError>;
}

/// What a failed store call means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another process holds the store; try again.
    Busy,
    /// The disk is full.
    Full,
    /// The file is damaged, or not what it should be.
    Corrupt,
    /// The key does not open it.
    Locked,
    /// Anything else of the disk.
    Io,
}

/// A store call failed. The transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {kind:?}")]
pub struct StoreError {
    /// What it means.
    pub kind: StoreErrorKind,
    /// What the disk said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// With what the disk said.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// Without.
    #[must_use]
    pub const fn of(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Busy => "store_busy",
            StoreErrorKind::Full => "store_full",
            StoreErrorKind::Corrupt => "store_corrupt",
            StoreErrorKind::Locked => "store_locked",
            StoreErrorKind::Io => "store_io",
        }
    }
}

/// A row that the engine itself wrote and can no longer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadRow(pub(crate) Table);

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of table {} cannot be read", self.0.name())
    }
}

impl std::error::Error for BadRow {}

impl BadRow {
    pub(crate) fn error(table: Table) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, Self(table))
    }
}

/// The first key after every key that begins with `prefix`: the end of a scan over them.
///
/// A prefix of 0xff bytes has none of the same length; the result then is longer than any key in use.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0xff; 128]
}

#[cfg(any(test, feature = "memory-store"))]
pub mod memory;
