//! Events: what the app is told, in order, and told again until it says it has heard.
//!
//! An event is written in the transaction that caused it, so a crash loses none. The app reads them with [`Engine::events`] and forgets
//! them with [`Engine::forget_events`]; the messages themselves stay.

use rcseal_credential::mapping::GroundsKind;
use rcseal_credential::{KeySetError, Succession};
use rcseal_wire::content::CaseId;
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber, EnvelopeId, MessageId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::capability::NumberKey;
use crate::case::CaseProgress;
use crate::contact::{KeySetRefusal, succession_from_number, succession_number};
use crate::context::{Engine, Sequence, UnixMillis};
use crate::inbox::Undecryptable;
use crate::number::{BrokerFinding, NumberState};
use crate::policy::DeliveryMode;
use crate::record::{Record, trailing_u64};
use crate::store::{BadRow, Order, StoreError, Table};

/// Something happened that the app may want to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message to show.
    MessageReceived {
        /// Where.
        conversation: ConversationId,
        /// Who wrote it.
        sender: AccountId,
        /// Which.
        message: MessageId,
    },
    /// A message's state, words or reactions changed.
    MessageChanged {
        /// Where.
        conversation: ConversationId,
        /// Who wrote it.
        sender: AccountId,
        /// Which.
        message: MessageId,
    },
    /// Somebody is writing, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Whether they still are.
        active: bool,
    },
    /// Somebody new can be written to.
    ContactAdded {
        /// Who.
        account: AccountId,
    },
    /// The devices of a contact, or of the own account, are others than before, or have other keys.
    DevicesChanged {
        /// Whose.
        account: AccountId,
    },
    /// A contact's account key changed: a verified contact no longer is. Or our own, by somebody who is not this device.
    AccountKeyChanged {
        /// Whose.
        account: AccountId,
        /// By whose leave.
        how: Succession,
    },
    /// The server offered a key set that is not believed. Nothing was changed by it. Told once for each reason until a set of the account
    /// is believed again, however often the server is asked meanwhile.
    KeySetRefused {
        /// Whose.
        account: AccountId,
        /// Why.
        reason: KeySetReason,
    },
    /// It is time to compare safety numbers with a contact: the conversation is a high-risk one, or a message went out although the account
    /// key had changed.
    VerificationSuggested {
        /// With whom.
        account: AccountId,
    },
    /// Somebody asked the server to reset this account. Any of its devices can veto.
    ResetPending {
        /// When it takes effect otherwise.
        effective_at: UnixMillis,
    },
    /// The reset was called off.
    ResetCalledOff,
    /// The server refused a change of this account's key set for good, and it is dropped: a device that was to be removed may still be
    /// there, or the account key the old one.
    ChangeRefused,
    /// An envelope could not be decrypted. It is kept.
    Undecryptable {
        /// Which.
        envelope: EnvelopeId,
        /// Why.
        reason: Undecryptable,
    },
    /// This device is no longer in its account's key set.
    DeviceRemoved,
    /// A message did not reach a device, which has other keys by now, or is gone. It is sent to the keys of now only after
    /// [`Engine::approve_resend`].
    ResendHeld {
        /// Where.
        conversation: ConversationId,
        /// Which: a message of this account.
        message: MessageId,
        /// The device it was sent to.
        device: DeviceAddress,
    },
    /// A conversation goes in a mode that others can read from now on, in the direction of who said so.
    ConversationDowngraded {
        /// Which.
        conversation: ConversationId,
        /// Who decided it: this account, or the other side.
        by: AccountId,
        /// The mode.
        mode: DeliveryMode,
    },
    /// It is end to end again.
    ConversationRestored {
        /// Which.
        conversation: ConversationId,
        /// Who decided it.
        by: AccountId,
    },
    /// A readable message came from a phone number. It is in the number's thread.
    PlainReceived {
        /// The thread.
        number: NumberKey,
        /// The message's place in it.
        order: u64,
    },
    /// The state of a readable message changed.
    PlainChanged {
        /// The thread.
        number: NumberKey,
        /// The message's place in it.
        order: u64,
    },
    /// The carrier's receipt says that the far end has a message and could not decrypt it. A hint, which anybody on the way can make: the
    /// same envelope goes by the relay.
    CarrierUnread {
        /// Where.
        conversation: ConversationId,
        /// Which: a message of this account.
        message: MessageId,
        /// The device it was handed over for.
        device: DeviceAddress,
    },
    /// The server to whose key readable messages may be sealed has another key, or none that can be used. It is in the journal.
    ServerKeyChanged {
        /// Whether there is one that messages are sealed to.
        is_usable: bool,
    },
    /// The server says that somebody wrote a message that it can read, and they never announced that they write so. It is listed apart.
    RetainedUnannounced {
        /// Who, as the server says.
        account: AccountId,
        /// Which.
        message: MessageId,
    },
    /// One of this account's numbers has come further, or is not its own any more.
    NumberChanged {
        /// Which.
        number: NumberKey,
        /// How far it has come.
        state: NumberState,
    },
    /// Another account has shown that it receives at one of this account's numbers, and gets it unless this one objects.
    NumberContested {
        /// Which.
        number: NumberKey,
        /// Until when it can.
        until: UnixMillis,
    },
    /// The mapping of one of this account's numbers ends soon, and has to be renewed.
    NumberExpiring {
        /// Which.
        number: NumberKey,
        /// When it ends.
        at: UnixMillis,
    },
    /// The store is an older copy of itself: what this account has signed for the number since may not be here. The broker is asked.
    NumberStateBehind {
        /// Which.
        number: NumberKey,
    },
    /// A number has another account than before. The contact that had it has lost it, and what the user agreed to for it.
    NumberRebound {
        /// Which.
        number: NumberKey,
        /// Who had it.
        from: AccountId,
        /// Who has it.
        to: AccountId,
        /// On what grounds; none where the mappings between were not seen.
        grounds: Option<GroundsKind>,
    },
    /// The broker did what an honest one does not do. What proves it is kept.
    BrokerFound {
        /// Of which number.
        number: Option<NumberKey>,
        /// Whose that is, as far as is known.
        account: Option<AccountId>,
        /// What.
        finding: BrokerFinding,
    },
    /// A case has come further, on either side.
    CaseChanged {
        /// Where it goes on.
        conversation: ConversationId,
        /// The other side.
        account: AccountId,
        /// Which.
        case: CaseId,
        /// How far it has come.
        progress: CaseProgress,
    },
    /// Another account came with the token of a case that has been opened. It was refused.
    CaseReplayed {
        /// Which.
        case: CaseId,
        /// Who came.
        account: AccountId,
    },
}

/// Why a key set is not believed, in what an app can tell its user. The kinds of [`KeySetRefusal`], those of one meaning together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySetReason {
    /// The bytes are no key set, or a signature or proof in it does not hold.
    Invalid,
    /// It is another account's, or nobody asked for it.
    OtherAccount,
    /// It is not the one that the invitation named.
    NotPinned,
    /// It is older than what is known.
    Rollback,
    /// Two sets claim one place.
    Fork,
    /// Sets between are missing.
    Gap,
    /// The account key changed, and nothing proves the right to that.
    Unproven,
    /// A recovery by a key that is not the account's recovery key.
    Recovery,
    /// What a key set may not change was changed: a device number, a recovery commitment.
    Changed,
    /// A reset before its time.
    ResetTooEarly,
}

impl KeySetReason {
    const ALL: [Self; 10] = [
        Self::Invalid,
        Self::OtherAccount,
        Self::NotPinned,
        Self::Rollback,
        Self::Fork,
        Self::Gap,
        Self::Unproven,
        Self::Recovery,
        Self::Changed,
        Self::ResetTooEarly,
    ];

    pub(crate) const fn of(refusal: &KeySetRefusal) -> Self {
        match refusal {
            KeySetRefusal::Format(_) => Self::Invalid,
            KeySetRefusal::OtherAccount | KeySetRefusal::Unknown => Self::OtherAccount,
            KeySetRefusal::NotPinned => Self::NotPinned,
            KeySetRefusal::OlderThanPinned => Self::Rollback,
            KeySetRefusal::ChainEmpty => Self::Gap,
            KeySetRefusal::ResetTooEarly { .. } => Self::ResetTooEarly,
            KeySetRefusal::OwnReset => Self::Unproven,
            KeySetRefusal::Invalid(error) => match error {
                KeySetError::AccountSignature
                | KeySetError::DeviceProof { .. }
                | KeySetError::IdentityProof { .. }
                | KeySetError::SignalV4Identity { .. }
                | KeySetError::NotFirst { .. } => Self::Invalid,
                KeySetError::WrongAccount { .. } => Self::OtherAccount,
                KeySetError::Rollback { .. } => Self::Rollback,
                KeySetError::Fork { .. } => Self::Fork,
                KeySetError::Gap { .. } | KeySetError::KeyChangeAcrossGap => Self::Gap,
                KeySetError::ProofMissing | KeySetError::ProofUnexpected | KeySetError::MigrationSignature => {
                    Self::Unproven
                }
                KeySetError::RecoveryKey | KeySetError::RecoverySignature => Self::Recovery,
                KeySetError::DeviceNumberReused { .. }
                | KeySetError::HighestDevice { .. }
                | KeySetError::RecoveryCommitmentChanged => Self::Changed,
            },
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::OtherAccount => "other_account",
            Self::NotPinned => "not_pinned",
            Self::Rollback => "rollback",
            Self::Fork => "fork",
            Self::Gap => "gap",
            Self::Unproven => "unproven",
            Self::Recovery => "recovery",
            Self::Changed => "changed",
            Self::ResetTooEarly => "reset_too_early",
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::Invalid => 1,
            Self::OtherAccount => 2,
            Self::NotPinned => 3,
            Self::Rollback => 4,
            Self::Fork => 5,
            Self::Gap => 6,
            Self::Unproven => 7,
            Self::Recovery => 8,
            Self::Changed => 9,
            Self::ResetTooEarly => 10,
        }
    }

    /// Its place in a set of reasons: their numbers stay below 64.
    pub(crate) const fn bit(self) -> u64 {
        1 << self.number()
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }
}

/// An event with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Ascending; what [`Engine::forget_events`] takes.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct EventRecord {
    kind: u8,
    first: [u8; 16],
    account: [u8; 16],
    second: [u8; 16],
    value: u32,
}

impl Record for EventRecord {
    const VERSION: u8 = 1;
}

impl EventRecord {
    fn of(event: Event) -> Self {
        let none = [0; 16];
        let (kind, first, account, second, value) = match event {
            Event::MessageReceived { conversation, sender, message } => {
                (1, *conversation.as_bytes(), *sender.as_bytes(), *message.as_bytes(), 0)
            }
            Event::MessageChanged { conversation, sender, message } => {
                (2, *conversation.as_bytes(), *sender.as_bytes(), *message.as_bytes(), 0)
            }
            Event::Typing { conversation, account, active } => {
                (3, *conversation.as_bytes(), *account.as_bytes(), none, u32::from(active))
            }
            Event::ContactAdded { account } => (4, none, *account.as_bytes(), none, 0),
            Event::DevicesChanged { account } => (5, none, *account.as_bytes(), none, 0),
            Event::AccountKeyChanged { account, how } => {
                (6, none, *account.as_bytes(), none, u32::from(succession_number(how)))
            }
            Event::KeySetRefused { account, reason } => (7, none, *account.as_bytes(), none, reason.number()),
            Event::Undecryptable { envelope, reason } => (8, *envelope.as_bytes(), none, none, reason.number()),
            Event::DeviceRemoved => (9, none, none, none, 0),
            Event::VerificationSuggested { account } => (20, none, *account.as_bytes(), none, 0),
            Event::ResetPending { effective_at } => (21, u128::from(effective_at.0).to_be_bytes(), none, none, 0),
            Event::ResetCalledOff => (22, none, none, none, 0),
            Event::ChangeRefused => (23, none, none, none, 0),
            Event::ConversationDowngraded { conversation, by, mode } => {
                (40, *conversation.as_bytes(), *by.as_bytes(), none, u32::from(mode.code()))
            }
            Event::ConversationRestored { conversation, by } => (41, *conversation.as_bytes(), *by.as_bytes(), none, 0),
            Event::PlainReceived { number, order } => {
                (42, *number.as_bytes(), none, u128::from(order).to_be_bytes(), 0)
            }
            Event::PlainChanged { number, order } => (43, *number.as_bytes(), none, u128::from(order).to_be_bytes(), 0),
            Event::CarrierUnread { conversation, message, device } => (
                50,
                *conversation.as_bytes(),
                *device.account.as_bytes(),
                *message.as_bytes(),
                u32::from(device.device.get()),
            ),
            Event::ServerKeyChanged { is_usable } => (60, none, none, none, u32::from(is_usable)),
            Event::RetainedUnannounced { account, message } => (61, none, *account.as_bytes(), *message.as_bytes(), 0),
            Event::NumberChanged { number, state } => (80, *number.as_bytes(), none, none, u32::from(state.code())),
            Event::NumberContested { number, until } => {
                (81, *number.as_bytes(), none, u128::from(until.0).to_be_bytes(), 0)
            }
            Event::NumberExpiring { number, at } => (82, *number.as_bytes(), none, u128::from(at.0).to_be_bytes(), 0),
            Event::NumberStateBehind { number } => (83, *number.as_bytes(), none, none, 0),
            Event::NumberRebound { number, from, to, grounds } => (
                84,
                *number.as_bytes(),
                *from.as_bytes(),
                *to.as_bytes(),
                grounds.map_or(0, |grounds| u32::from(grounds.code())),
            ),
            Event::BrokerFound { number, account, finding } => (
                85,
                number.map_or(none, |number| *number.as_bytes()),
                account.map_or(none, |account| *account.as_bytes()),
                none,
                u32::from(finding.number()),
            ),
            Event::CaseChanged { conversation, account, case, progress } => {
                (86, *conversation.as_bytes(), *account.as_bytes(), *case.as_bytes(), u32::from(progress.code()))
            }
            Event::CaseReplayed { case, account } => (87, none, *account.as_bytes(), *case.as_bytes(), 0),
            Event::ResendHeld { conversation, message, device } => (
                10,
                *conversation.as_bytes(),
                *device.account.as_bytes(),
                *message.as_bytes(),
                u32::from(device.device.get()),
            ),
        };
        Self { kind, first, account, second, value }
    }

    fn event(&self) -> Result<Event, StoreError> {
        let account = AccountId::from_bytes(self.account);
        let conversation = ConversationId::from_bytes(self.first);
        let message = MessageId::from_bytes(self.second);
        Ok(match self.kind {
            1 => Event::MessageReceived { conversation, sender: account, message },
            2 => Event::MessageChanged { conversation, sender: account, message },
            3 => Event::Typing { conversation, account, active: self.value == 1 },
            4 => Event::ContactAdded { account },
            5 => Event::DevicesChanged { account },
            6 => Event::AccountKeyChanged {
                account,
                how: u8::try_from(self.value)
                    .ok()
                    .and_then(succession_from_number)
                    .ok_or_else(|| BadRow::error(Table::Event))?,
            },
            7 => Event::KeySetRefused {
                account,
                reason: KeySetReason::from_number(self.value).ok_or_else(|| BadRow::error(Table::Event))?,
            },
            8 => Event::Undecryptable {
                envelope: EnvelopeId::from_bytes(self.first),
                reason: Undecryptable::from_number(self.value).ok_or_else(|| BadRow::error(Table::Event))?,
            },
            9 => Event::DeviceRemoved,
            20 => Event::VerificationSuggested { account },
            21 => Event::ResetPending {
                effective_at: UnixMillis(
                    u64::try_from(u128::from_be_bytes(self.first)).map_err(|_| BadRow::error(Table::Event))?,
                ),
            },
            22 => Event::ResetCalledOff,
            23 => Event::ChangeRefused,
            40 => Event::ConversationDowngraded {
                conversation,
                by: account,
                mode: u8::try_from(self.value)
                    .ok()
                    .and_then(DeliveryMode::from_code)
                    .ok_or_else(|| BadRow::error(Table::Event))?,
            },
            41 => Event::ConversationRestored { conversation, by: account },
            42 | 43 => {
                let bad = || BadRow::error(Table::Event);
                let number = NumberKey::from_bytes(self.first).ok_or_else(bad)?;
                let order = u64::try_from(u128::from_be_bytes(self.second)).map_err(|_| bad())?;
                match self.kind {
                    42 => Event::PlainReceived { number, order },
                    _ => Event::PlainChanged { number, order },
                }
            }
            60 => Event::ServerKeyChanged { is_usable: self.value == 1 },
            61 => Event::RetainedUnannounced { account, message },
            80..=87 => self.number_or_case()?,
            10 | 50 => {
                let bad = || BadRow::error(Table::Event);
                let device = u8::try_from(self.value).map_err(|_| bad())?;
                let device = DeviceNumber::new(device).map_err(|_| bad())?;
                let device = DeviceAddress { account, device };
                match self.kind {
                    10 => Event::ResendHeld { conversation, message, device },
                    _ => Event::CarrierUnread { conversation, message, device },
                }
            }
            _ => return Err(BadRow::error(Table::Event)),
        })
    }
}

impl EventRecord {
    fn number_or_case(&self) -> Result<Event, StoreError> {
        let bad = || BadRow::error(Table::Event);
        let (none, account) = ([0; 16], AccountId::from_bytes(self.account));
        let number = || NumberKey::from_bytes(self.first).ok_or_else(bad);
        let time = || u64::try_from(u128::from_be_bytes(self.second)).map(UnixMillis).map_err(|_| bad());
        let code = u8::try_from(self.value).map_err(|_| bad())?;
        let case = CaseId::from_bytes(self.second);
        Ok(match self.kind {
            80 => Event::NumberChanged { number: number()?, state: NumberState::from_code(code).ok_or_else(bad)? },
            81 => Event::NumberContested { number: number()?, until: time()? },
            82 => Event::NumberExpiring { number: number()?, at: time()? },
            83 => Event::NumberStateBehind { number: number()? },
            84 => Event::NumberRebound {
                number: number()?,
                from: account,
                to: AccountId::from_bytes(self.second),
                grounds: GroundsKind::from_code(code),
            },
            85 => Event::BrokerFound {
                number: if self.first == none { None } else { Some(number()?) },
                account: (self.account != none).then_some(account),
                finding: BrokerFinding::from_number(code).ok_or_else(bad)?,
            },
            86 => Event::CaseChanged {
                conversation: ConversationId::from_bytes(self.first),
                account,
                case,
                progress: CaseProgress::from_code(code).ok_or_else(bad)?,
            },
            87 => Event::CaseReplayed { case, account },
            _ => return Err(bad()),
        })
    }
}

impl Engine<'_> {
    pub(crate) fn emit(&mut self, event: Event) -> Result<(), StoreError> {
        let number = self.next(Sequence::Event)?;
        self.tx.put(Table::Event, &number.to_be_bytes(), &EventRecord::of(event).to_row())
    }

    /// Up to `limit` events after `after`, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<NumberedEvent>, StoreError> {
        let start = after.saturating_add(1).to_be_bytes();
        let rows = self.tx.scan(Table::Event, &start, &[0xff; 9], limit, Order::Ascending)?;
        rows.iter()
            .map(|(key, row)| {
                Ok(NumberedEvent {
                    number: trailing_u64(Table::Event, key)?,
                    event: EventRecord::from_row(Table::Event, row)?.event()?,
                })
            })
            .collect()
    }

    /// The app has heard every event up to and including `number`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn forget_events(&mut self, number: u64) -> Result<(), StoreError> {
        self.tx.delete_range(Table::Event, &[], &number.saturating_add(1).to_be_bytes())
    }
}
