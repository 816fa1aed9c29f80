//! Permits: what a hand-over to a carrier takes beside the bytes.
//!
//! A [`Permit`] stands for one stored decision, for one message to one recipient in one mode. It is made inside this crate only, out of
//! the stored row; it has no public field and no copy, and the hand-over consumes it. Its type says whether the decision was end to end,
//! and [`Permitted`] joins it to bytes of that kind only: [`Ciphertext`] needs a `Permit<EndToEnd>`, [`Plaintext`] a
//! `Permit<Readable>`. Readable bytes under an end-to-end decision are a type error:
//!
//! ```compile_fail,E0308
//! use rcseal_engine::policy::{EndToEnd, Permit, Permitted, Plaintext};
//!
//! fn leak(permit: Permit<EndToEnd>, text: Plaintext) {
//!     let _ = Permitted::new(permit, text);
//! }
//! ```
//!
//! The same with the permit that belongs to it compiles, so the above fails for that one reason:
//!
//! ```
//! use rcseal_engine::policy::{Permit, Permitted, Plaintext, Readable};
//!
//! fn hand_over(permit: Permit<Readable>, text: Plaintext) -> bool {
//!     Permitted::new(permit, text).is_ok()
//! }
//! ```
//!
//! Frames under a permit for readable words are a type error as well, whatever mode those go in:
//!
//! ```compile_fail,E0308
//! use rcseal_engine::policy::{Permit, Permitted, Readable, Ciphertext};
//!
//! fn swap(permit: Permit<Readable>, frames: Ciphertext) {
//!     let _ = Permitted::new(permit, frames);
//! }
//! ```
//!
//! and so is an SMS under a permit that is end to end:
//!
//! ```compile_fail,E0308
//! use rcseal_engine::policy::{EndToEnd, Permit, Permitted, ShortMessage};
//!
//! fn text(permit: Permit<EndToEnd>, words: ShortMessage) {
//!     let _ = Permitted::new(permit, words);
//! }
//! ```
//!
//! Nobody outside makes a permit, or makes two of one:
//!
//! ```compile_fail,E0451
//! use rcseal_engine::policy::{Decision, DeliveryMode, Permit, Readable, Recipient};
//! use rcseal_wire::id::MessageId;
//!
//! fn forge(message: MessageId, recipient: Recipient) -> Permit<Readable> {
//!     Permit { decision: 1, message, recipient, mode: DeliveryMode::Sms, class: std::marker::PhantomData }
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use rcseal_engine::policy::{EndToEnd, Permit};
//!
//! fn twice(permit: Permit<EndToEnd>) -> (Permit<EndToEnd>, Permit<EndToEnd>) {
//!     (permit.clone(), permit)
//! }
//! ```
//!
//! Nor does anybody outside wrap readable bytes as ciphertext:
//!
//! ```compile_fail,E0624
//! use rcseal_engine::policy::{Ciphertext, Recipient};
//! use rcseal_wire::id::MessageId;
//!
//! fn disguise(message: MessageId, recipient: Recipient) {
//!     let _ = Ciphertext::new(message, recipient, Vec::new());
//! }
//! ```

use std::fmt;
use std::marker::PhantomData;

use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage};
use rcseal_wire::id::MessageId;

use super::decision::{Choice, Recipient};
use super::mode::DeliveryMode;
use super::record::StoredDecision;

/// The class of decisions after which nobody but the participants can read.
#[derive(Debug)]
pub enum EndToEnd {}

/// The class of decisions after which somebody else can.
#[derive(Debug)]
pub enum Readable {}

/// A class of decisions.
pub trait Class: private::Sealed {
    /// Whether a mode belongs to it.
    fn holds(mode: DeliveryMode) -> bool;
}

impl Class for EndToEnd {
    fn holds(mode: DeliveryMode) -> bool {
        mode.is_end_to_end()
    }
}

impl Class for Readable {
    fn holds(mode: DeliveryMode) -> bool {
        !mode.is_end_to_end()
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::EndToEnd {}
    impl Sealed for super::Readable {}
    impl Sealed for super::Ciphertext {}
    impl Sealed for super::Plaintext {}
    impl Sealed for super::ShortMessage {}
    impl Sealed for super::ServerSealed {}
}

/// The leave of one stored decision to hand one message to a carrier, once.
pub struct Permit<C: Class> {
    decision: u64,
    message: MessageId,
    recipient: Recipient,
    mode: DeliveryMode,
    class: PhantomData<C>,
}

impl<C: Class> Permit<C> {
    /// The permit of a stored decision; `None` where it refused, where it was of the other class, or where it was for somebody else.
    pub(crate) fn of(stored: &StoredDecision, message: MessageId, recipient: Recipient) -> Option<Self> {
        let Choice::Send(mode) = stored.decision.choice else { return None };
        let is_bound = stored.message == Some(message) && stored.recipient == recipient;
        (stored.decision.number != 0 && is_bound && C::holds(mode)).then_some(Self {
            decision: stored.decision.number,
            message,
            recipient,
            mode,
            class: PhantomData,
        })
    }

    /// The mode that was decided.
    #[must_use]
    pub const fn mode(&self) -> DeliveryMode {
        self.mode
    }

    /// The decision's number.
    #[must_use]
    pub const fn decision(&self) -> u64 {
        self.decision
    }
}

impl<C: Class> fmt::Debug for Permit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("decision", &self.decision).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// Something that is handed to a carrier under a permit of its class.
pub trait Cleared: private::Sealed {
    /// The class of the permit it needs.
    type Class: Class;

    /// Which message it is.
    fn message(&self) -> MessageId;

    /// To whom.
    fn recipient(&self) -> Recipient;

    /// Whether a hand-over to a carrier is what the mode stands for.
    fn is_for(mode: DeliveryMode) -> bool;

    /// What whoever it is handed to gets.
    type Released;

    /// That.
    fn into_released(self) -> Self::Released;
}

/// A sealed envelope in frames, for a carrier.
pub struct Ciphertext {
    message: MessageId,
    recipient: Recipient,
    frames: Vec<CarrierMessage>,
}

impl Ciphertext {
    /// Frames of a sealed envelope; `None` where one of them is no frame.
    pub(crate) fn new(message: MessageId, recipient: Recipient, frames: Vec<CarrierMessage>) -> Option<Self> {
        let is_framed = frames.iter().all(|frame| matches!(frame.carriage, Carriage::Framed { .. }));
        is_framed.then_some(Self { message, recipient, frames })
    }
}

impl Cleared for Ciphertext {
    type Class = EndToEnd;

    fn message(&self) -> MessageId {
        self.message
    }

    fn recipient(&self) -> Recipient {
        self.recipient
    }

    fn is_for(mode: DeliveryMode) -> bool {
        matches!(mode, DeliveryMode::Native | DeliveryMode::Brokered)
    }

    type Released = Vec<CarrierMessage>;

    fn into_released(self) -> Vec<CarrierMessage> {
        self.frames
    }
}

/// A message in plain words, for a carrier.
pub struct Plaintext {
    message: MessageId,
    recipient: Recipient,
    words: CarrierMessage,
}

impl Plaintext {
    pub(crate) const fn new(message: MessageId, recipient: Recipient, words: CarrierMessage) -> Self {
        Self { message, recipient, words }
    }
}

impl Cleared for Plaintext {
    type Class = Readable;

    fn message(&self) -> MessageId {
        self.message
    }

    fn recipient(&self) -> Recipient {
        self.recipient
    }

    fn is_for(mode: DeliveryMode) -> bool {
        mode == DeliveryMode::CarrierReadable
    }

    type Released = Vec<CarrierMessage>;

    fn into_released(self) -> Vec<CarrierMessage> {
        vec![self.words]
    }
}

/// Words for the short message service, as the shell hands them over.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsWords {
    /// To whom.
    pub to: PhoneNumber,
    /// What a report names. It does not leave this device.
    pub id: [u8; 16],
    /// What it says.
    pub text: String,
}

/// Without number and words.
impl fmt::Debug for SmsWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsWords").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

/// A message in plain words, for the short message service. It has a type of its own, so that words that were agreed to go to carriers as
/// RCS messages are not sent as an SMS, nor the other way round.
pub struct ShortMessage {
    message: MessageId,
    recipient: Recipient,
    words: SmsWords,
}

impl ShortMessage {
    pub(crate) const fn new(message: MessageId, recipient: Recipient, words: SmsWords) -> Self {
        Self { message, recipient, words }
    }
}

impl Cleared for ShortMessage {
    type Class = Readable;

    fn message(&self) -> MessageId {
        self.message
    }

    fn recipient(&self) -> Recipient {
        self.recipient
    }

    fn is_for(mode: DeliveryMode) -> bool {
        mode == DeliveryMode::Sms
    }

    type Released = SmsWords;

    fn into_released(self) -> SmsWords {
        self.words
    }
}

impl fmt::Debug for ShortMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortMessage").field("message", &self.message).finish_non_exhaustive()
    }
}

/// Without what it says.
impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintext").field("message", &self.message).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ciphertext")
            .field("message", &self.message)
            .field("frames", &self.frames.len())
            .finish_non_exhaustive()
    }
}

/// Words that are sealed to the key of a server, whose operator can read them.
pub struct ServerSealed {
    message: MessageId,
    recipient: Recipient,
    submission: crate::retained::Submission,
}

impl ServerSealed {
    pub(crate) const fn new(message: MessageId, recipient: Recipient, submission: crate::retained::Submission) -> Self {
        Self { message, recipient, submission }
    }
}

impl Cleared for ServerSealed {
    type Class = Readable;

    fn message(&self) -> MessageId {
        self.message
    }

    fn recipient(&self) -> Recipient {
        self.recipient
    }

    fn is_for(mode: DeliveryMode) -> bool {
        mode == DeliveryMode::ServerEncrypted
    }

    type Released = crate::retained::Submission;

    fn into_released(self) -> crate::retained::Submission {
        self.submission
    }
}

impl fmt::Debug for ServerSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSealed").field("message", &self.message).finish_non_exhaustive()
    }
}

/// The permit is another message's, another recipient's, or for another mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the permit is not for this")]
pub struct PermitMismatch;

impl PermitMismatch {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "permit_mismatch"
    }
}

/// Bytes with the permit that lets them go: the only thing that a hand-over to a carrier takes.
#[must_use = "a permit that is dropped lets nothing go"]
pub struct Permitted<T: Cleared> {
    permit: Permit<T::Class>,
    value: T,
}

impl<T: Cleared> Permitted<T> {
    /// Joins a permit to what it is for.
    ///
    /// # Errors
    /// [`PermitMismatch`].
    pub fn new(permit: Permit<T::Class>, value: T) -> Result<Self, PermitMismatch> {
        let is_same = permit.message == value.message() && permit.recipient == value.recipient();
        if is_same && T::is_for(permit.mode) { Ok(Self { permit, value }) } else { Err(PermitMismatch) }
    }

    /// The mode that was decided.
    #[must_use]
    pub const fn mode(&self) -> DeliveryMode {
        self.permit.mode()
    }

    /// The decision's number.
    #[must_use]
    pub const fn decision(&self) -> u64 {
        self.permit.decision()
    }

    /// Uses the permit up: what whoever it is handed to gets.
    #[must_use]
    pub fn release(self) -> T::Released {
        self.value.into_released()
    }
}

impl<T: Cleared> fmt::Debug for Permitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted").field("permit", &self.permit).finish_non_exhaustive()
    }
}
