//! Words on their way to the server.
//!
//! A row is written with the message. When it is polled the decision is made again, and where it still stands the words are sealed to the
//! pinned key, once: the server takes a submission by its id, so the very same bytes may be submitted as often as it takes, and it keeps one.
//! What the server refuses by name is the message's end, and the name is its reason; nothing is sent another way for it.

use rcseal_crypto::hpke_p256;
use rcseal_wire::api::retained::{RETAINED_INFO, RetainedHeader, RetainedSubmit};
use rcseal_wire::id::{AccountId, ConversationId, MessageId, RetainedId, ServerKeyId};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsByteVecU8, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::AccountError;
use crate::context::{Engine, Sequence, UnixMillis};
use crate::event::Event;
use crate::message::{FailureReason, MessageKey, MessageState};
use crate::pages::Pages;
use crate::policy::{
    ContentKind, DeliveryMode, Entry, EntryKind, Permitted, PolicyError, Readable, Reason, Recipient, ServerSealed,
    Subject,
};
use crate::record::{Record, text, trailing_u64};
use crate::store::{BadRow, StoreError, Table};

use super::key::ServerKeyFault;

/// How long the shell has to answer for a submission that it polled: longer than any request waits.
const ANSWER_MS: u64 = 5 * 60 * 1000;
/// How long words are tried to be submitted: a day. Later they say something else than they did.
const QUEUED_MS_MAX: u64 = 24 * 3600 * 1000;
/// Between two looks at words that wait for the server's key.
const KEY_MS: u64 = 2_000;
/// How long words wait behind what goes end to end to the same account: longer than fetching keys takes, and shorter than people wait.
const BEHIND_MS_MAX: u64 = 60_000;
/// Between two looks at whether that has gone.
const BEHIND_MS: u64 = 200;
/// Rows read at once.
const PAGE: usize = 64;

/// Sealed words for the server.
pub struct Submission {
    /// By whose leave the recipient's account is written to.
    pub delivery_token: DeliveryToken,
    /// What is submitted. The server takes one under its id, the message's own.
    pub request: RetainedSubmit,
}

/// Without the token.
impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Words to submit to the account's server.
#[derive(Debug)]
pub struct RetainedOutgoing {
    /// Its place in the outbox; what [`Engine::may_retained_leave`] and [`Engine::handle_retained_outcome`] take.
    pub number: u64,
    /// The server: the account's own.
    pub origin: Origin,
    /// The submission, with the permit that lets it go.
    pub submission: Permitted<ServerSealed>,
}

/// Why a server did not take a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainedFailure {
    /// It did not answer, or cannot now. The same is submitted again.
    Unavailable,
    /// The key does not exist any more, or is not the server's.
    KeyGone,
    /// The key is kept in another region than this account's.
    RegionMismatch,
    /// It has no such class of retention.
    RetentionUnknown,
    /// It does not take it: the recipient's token is not valid any more, or the account may not.
    Refused,
    /// It finds the submission malformed or too large.
    Rejected,
}

impl RetainedFailure {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::KeyGone => "server_key_destroyed",
            Self::RegionMismatch => "region_mismatch",
            Self::RetentionUnknown => "retention_unknown",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct OutRecord {
    conversation: [u8; 16],
    order: u64,
    message: [u8; 16],
    to: [u8; 16],
    attempts: u32,
    due_at_ms: u64,
    queued_at_ms: u64,
    words: TlsByteVecU32,
    key_id: [u8; 16],
    /// Empty for the server's own choice.
    class: TlsByteVecU8,
    /// Empty until the words are sealed.
    sealed: TlsByteVecU32,
}

impl Record for OutRecord {
    const VERSION: u8 = 1;
}

impl OutRecord {
    const fn message_key(&self) -> MessageKey {
        MessageKey { conversation: ConversationId::from_bytes(self.conversation), order: self.order }
    }

    const fn subject(&self) -> Subject {
        Subject::Conversation(ConversationId::from_bytes(self.conversation))
    }
}

impl Engine<'_> {
    /// Queues words that a decision allows the account's server to read.
    pub(crate) fn queue_retained(
        &mut self,
        to: AccountId,
        message: MessageKey,
        id: MessageId,
        words: &str,
    ) -> Result<(), StoreError> {
        let record = OutRecord {
            conversation: *message.conversation.as_bytes(),
            order: message.order,
            message: *id.as_bytes(),
            to: *to.as_bytes(),
            attempts: 0,
            due_at_ms: self.now.0,
            queued_at_ms: self.now.0,
            words: words.as_bytes().into(),
            key_id: [0; 16],
            class: Vec::new().into(),
            sealed: Vec::new().into(),
        };
        let number = self.next(Sequence::Retained)?;
        self.tx.put(Table::RetainedOutbox, &number.to_be_bytes(), &record.to_row())
    }

    fn retained_row(&self, number: u64) -> Result<Option<OutRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::RetainedOutbox, &number.to_be_bytes())? else { return Ok(None) };
        OutRecord::from_row(Table::RetainedOutbox, &row).map(Some)
    }

    /// Up to `limit` messages to submit to the account's server now. The shell answers with [`Engine::handle_retained_outcome`]; one that it does
    /// not answer for comes again, as the very same bytes. Whether it may go is decided again here.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_retained_outbox(&mut self, limit: usize) -> Result<Vec<RetainedOutgoing>, AccountError> {
        let (mut due, mut pages) = (Vec::new(), Pages::new(Table::RetainedOutbox, &[], PAGE));
        while due.len() < limit
            && let Some(rows) = pages.next(self.tx)?
        {
            for (row_key, row) in rows {
                let record = OutRecord::from_row(Table::RetainedOutbox, &row)?;
                if due.len() < limit && record.due_at_ms <= self.now.0 {
                    due.extend(self.retained_outgoing(trailing_u64(Table::RetainedOutbox, &row_key)?, record)?);
                }
            }
        }
        Ok(due)
    }

    fn retained_outgoing(
        &mut self,
        number: u64,
        mut record: OutRecord,
    ) -> Result<Option<RetainedOutgoing>, AccountError> {
        if self.now.since(UnixMillis(record.queued_at_ms)) > QUEUED_MS_MAX {
            self.retained_leaves(number, &record, MessageState::Failed { reason: FailureReason::Expired })?;
            return Ok(None);
        }
        let id = MessageId::from_bytes(record.message);
        let Some(recipient) = self.clear_retained(&record)? else {
            self.retained_stays(number, &record, Reason::NoLongerAllowed, FailureReason::NotAllowed)?;
            return Ok(None);
        };
        let (Some(permit), Some(contact)) =
            (self.permit::<Readable>(id, recipient)?, self.known_contact(AccountId::from_bytes(record.to))?)
        else {
            self.retained_stays(number, &record, Reason::NoLongerAllowed, FailureReason::NotAllowed)?;
            return Ok(None);
        };
        // The other side is to hear of the mode before it sees a message in it.
        let is_first_in_line = !self.has_outgoing_to(AccountId::from_bytes(record.to))?;
        if !is_first_in_line && self.now.since(UnixMillis(record.queued_at_ms)) < BEHIND_MS_MAX {
            record.due_at_ms = self.now.plus(BEHIND_MS).0;
            self.tx.put(Table::RetainedOutbox, &number.to_be_bytes(), &record.to_row())?;
            return Ok(None);
        }
        if record.sealed.as_slice().is_empty() && !self.seal_to_server(number, &mut record)? {
            return Ok(None);
        }
        record.due_at_ms = self.now.plus(ANSWER_MS).0;
        self.tx.put(Table::RetainedOutbox, &number.to_be_bytes(), &record.to_row())?;
        let class = text(Table::RetainedOutbox, record.class.as_slice())?;
        let submission = Submission {
            delivery_token: contact.delivery_token,
            request: RetainedSubmit {
                id: RetainedId::from_bytes(record.message),
                to: AccountId::from_bytes(record.to),
                key_id: ServerKeyId::from_bytes(record.key_id),
                class: Some(class).filter(|class| !class.is_empty()),
                sealed: record.sealed.as_slice().to_vec().into(),
            },
        };
        let permitted = Permitted::new(permit, ServerSealed::new(id, recipient, submission)).ok();
        let origin = contact.origin;
        Ok(permitted.map(|submission| RetainedOutgoing { number, origin, submission }))
    }

    /// Seals words to the pinned key. Answers whether it did: a key whose time is over is asked for again first, and the words wait.
    fn seal_to_server(&mut self, number: u64, record: &mut OutRecord) -> Result<bool, AccountError> {
        let account = self.account()?;
        // The decision that the words may go says that there is a key.
        let (pinned, is_stale) = self.sealing_key()?.ok_or_else(|| BadRow::error(Table::ServerKey))?;
        if is_stale {
            self.need_server_key(account.address.account)?;
            record.due_at_ms = self.now.plus(KEY_MS).0;
            self.tx.put(Table::RetainedOutbox, &number.to_be_bytes(), &record.to_row())?;
            return Ok(false);
        }
        let key =
            hpke_p256::PublicKey::from_bytes(&pinned.key.public_key.0).map_err(|_| BadRow::error(Table::ServerKey))?;
        // A class that the server does not have any more is its to refuse, by name.
        let class = self.retention_class()?;
        let header = RetainedHeader {
            tenant: pinned.key.tenant.id,
            from: account.address,
            to: AccountId::from_bytes(record.to),
            id: RetainedId::from_bytes(record.message),
            key_id: pinned.key.key_id,
            class: class.as_deref().unwrap_or(&pinned.key.default_class),
        };
        let aad = header.associated_data();
        let sealed = hpke_p256::seal(self.rng, &key, RETAINED_INFO, &aad, record.words.as_slice());
        record.key_id = *pinned.key.key_id.as_bytes();
        record.class = class.unwrap_or_default().into_bytes().into();
        record.sealed = sealed.into();
        Ok(true)
    }

    /// Whether words that were polled may still leave. The shell asks right before it submits them: the user may have taken back meanwhile
    /// what lets them go. Where they may not, they are answered for, and stay.
    ///
    /// # Errors
    /// Those of the store.
    pub fn may_retained_leave(&mut self, number: u64) -> Result<bool, AccountError> {
        let Some(record) = self.retained_row(number)? else { return Ok(false) };
        if self.clear_retained(&record)?.is_some() {
            return Ok(true);
        }
        self.retained_stays(number, &record, Reason::NoLongerAllowed, FailureReason::NotAllowed)?;
        Ok(false)
    }

    /// To whom words go, where the decision that they were queued under would be made again now.
    fn clear_retained(&self, record: &OutRecord) -> Result<Option<Recipient>, AccountError> {
        let id = MessageId::from_bytes(record.message);
        let now = match self.decide_about(record.subject(), ContentKind::Words, Some(id)) {
            Ok(now) => now,
            Err(PolicyError::Store(error)) => return Err(error.into()),
            Err(PolicyError::Account(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let is_same = now.decision.mode() == Some(DeliveryMode::ServerEncrypted)
            && now.recipient.account.is_some_and(|account| *account.as_bytes() == record.to);
        Ok(is_same.then_some(now.recipient))
    }

    /// Words do not leave, by a name.
    fn retained_stays(
        &mut self,
        number: u64,
        record: &OutRecord,
        reason: Reason,
        failure: FailureReason,
    ) -> Result<(), StoreError> {
        self.append_to_journal(&Entry {
            kind: EntryKind::Refusal,
            subject: record.subject(),
            message: Some(MessageId::from_bytes(record.message)),
            wanted: DeliveryMode::ServerEncrypted,
            taken: None,
            reason,
            consent: None,
            decision: 0,
        })?;
        self.retained_leaves(number, record, MessageState::Failed { reason: failure })
    }

    /// When the outbox of words for the server has something due next; `None` when it is empty.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_retained_outbox_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let (mut next, mut pages) = (None::<UnixMillis>, Pages::new(Table::RetainedOutbox, &[], PAGE));
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let due = UnixMillis(OutRecord::from_row(Table::RetainedOutbox, row)?.due_at_ms);
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Ok(next)
    }

    /// What the server answered to a submission.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_retained_outcome(
        &mut self,
        number: u64,
        outcome: Result<(), RetainedFailure>,
    ) -> Result<(), StoreError> {
        let Some(mut record) = self.retained_row(number)? else { return Ok(()) };
        let (reason, failure) = match outcome {
            Ok(()) => return self.retained_leaves(number, &record, MessageState::Stored),
            Err(RetainedFailure::Unavailable) => {
                record.attempts = record.attempts.saturating_add(1);
                record.due_at_ms = self.retry_at(record.attempts).0;
                return self.tx.put(Table::RetainedOutbox, &number.to_be_bytes(), &record.to_row());
            }
            Err(RetainedFailure::KeyGone) => {
                self.fault_server_key(ServerKeyFault::Gone)?;
                (Reason::ServerKeyGone, FailureReason::ServerKeyGone)
            }
            Err(RetainedFailure::RegionMismatch) => {
                self.fault_server_key(ServerKeyFault::RegionMismatch)?;
                (Reason::RegionMismatch, FailureReason::RegionMismatch)
            }
            Err(RetainedFailure::RetentionUnknown) => (Reason::RetentionUnknown, FailureReason::RetentionUnknown),
            Err(RetainedFailure::Refused) => {
                return self.retained_leaves(number, &record, MessageState::Failed { reason: FailureReason::Refused });
            }
            Err(RetainedFailure::Rejected) => {
                return self.retained_leaves(number, &record, MessageState::Failed { reason: FailureReason::Rejected });
            }
        };
        self.retained_stays(number, &record, reason, failure)
    }

    /// A row leaves the outbox, and its message moves on. What a receipt said since is not taken back.
    fn retained_leaves(&mut self, number: u64, record: &OutRecord, state: MessageState) -> Result<(), StoreError> {
        self.tx.delete(Table::RetainedOutbox, &number.to_be_bytes())?;
        let Some(mut message) = self.message(record.message_key())? else { return Ok(()) };
        if message.state != MessageState::Queued {
            return Ok(());
        }
        message.state = state;
        self.put_message(&message)?;
        self.emit(Event::MessageChanged {
            conversation: message.key.conversation,
            sender: message.sender.account,
            message: message.id,
        })
    }
}
