//! What a carrier delivers: frames, receipts, readable messages, and what is none of these.
//!
//! A message of a carrier is believed in nothing but what it carries. Frames are looked for in the whole of it, whatever its headers say, and
//! before anything else; the sender's number counts for bounds and for receipts, and for nothing else about an envelope, which says by
//! itself who made it. What is readable never comes near a conversation: it goes to the threads of [`crate::plain`].
//!
//! Everything that the answer stands for is in the store when this returns `Ok`; the shell answers after the commit.

use rcseal_rcs::chat::{self, Content, Unwrapped, Wrapper};
use rcseal_rcs::frame::{self, Blob, Damage, Found, Kind, Part};
use rcseal_rcs::transport::Sender;
use rcseal_wire::id::EnvelopeId;

use super::parts::Kept;
use super::reply::{Ask, Told};
use crate::account::AccountError;
use crate::context::{Arrival, Engine, Reference};
use crate::inbox::Disposition;

/// What the far end is to be told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierAnswer {
    /// It is durable here (200).
    Accepted,
    /// It is of a kind that is not known here (415).
    UnsupportedMedia,
    /// It is too large (413).
    TooLarge,
    /// Not now (503).
    TryLater,
    /// It is damaged (400).
    Malformed,
}

/// What became of a message that a carrier delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierDisposition {
    /// It completed an envelope.
    Envelope(Disposition),
    /// It held parts of a frame, which is not whole yet.
    PartKept {
        /// Parts that are here.
        have: u16,
        /// Parts it has.
        of: u16,
    },
    /// Everything in it was here before.
    Repeated,
    /// It was a receipt of the carrier's kind.
    Receipt {
        /// Whether it names something that this device handed to that number. Otherwise nothing came of it.
        is_ours: bool,
    },
    /// It was a readable message. It is in a thread.
    Readable,
    /// It was a readable message from nobody, and is not kept.
    ReadableRefused,
    /// It was a readable message of more words than are kept.
    ReadableTooLong,
    /// It had been a frame.
    Damaged(Damage),
    /// There is no room for one more frame that is not whole, or for more words of a number.
    Full,
    /// It is known, and nothing is done about it, as with "is writing".
    Ignored,
    /// It is of a kind that is not known here.
    Unsupported,
    /// It cannot be read at all.
    Malformed,
}

impl CarrierDisposition {
    /// What the far end is to be told.
    #[must_use]
    pub const fn answer(&self) -> CarrierAnswer {
        match self {
            Self::Envelope(_)
            | Self::PartKept { .. }
            | Self::Repeated
            | Self::Receipt { .. }
            | Self::Readable
            | Self::Ignored => CarrierAnswer::Accepted,
            Self::Damaged(Damage::UnknownVersion { .. } | Damage::UnknownKind { .. })
            | Self::Unsupported
            | Self::ReadableRefused => CarrierAnswer::UnsupportedMedia,
            Self::Damaged(Damage::TooLarge { .. }) | Self::ReadableTooLong => CarrierAnswer::TooLarge,
            Self::Damaged(_) | Self::Malformed => CarrierAnswer::Malformed,
            Self::Full => CarrierAnswer::TryLater,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Envelope(Disposition::Consumed) => "consumed",
            Self::Envelope(Disposition::Duplicate) => "duplicate",
            Self::Envelope(Disposition::Parked) => "parked",
            Self::Envelope(Disposition::Undecryptable(reason)) => reason.code(),
            Self::PartKept { .. } => "part_kept",
            Self::Repeated => "repeated",
            Self::Receipt { is_ours: true } => "receipt",
            Self::Receipt { is_ours: false } => "receipt_foreign",
            Self::Readable => "readable",
            Self::ReadableRefused => "readable_refused",
            Self::ReadableTooLong => "readable_too_long",
            Self::Damaged(damage) => damage.code(),
            Self::Full => "carrier_full",
            Self::Ignored => "ignored",
            Self::Unsupported => "unsupported",
            Self::Malformed => "malformed",
        }
    }
}

impl Engine<'_> {
    /// A carrier delivered a message, with the media type, encoding and body that it arrived with.
    ///
    /// # Errors
    /// Those of the store; then the transaction must be rolled back and the far end told to come later.
    pub fn handle_carrier_message(
        &mut self,
        from: &Sender,
        content_type: &str,
        content_encoding: Option<&str>,
        body: &[u8],
    ) -> Result<CarrierDisposition, AccountError> {
        self.account()?;
        let unwrapped = chat::unwrap(content_type, content_encoding, body);
        let mut found = frame::find_in(Some(content_type), content_encoding, body);
        if found.is_nothing()
            && let Ok(Unwrapped { content: Content::Body { content_type, body }, .. }) = &unwrapped
        {
            // What a transfer encoding hid.
            found = frame::find_in(Some(content_type), None, body);
        }
        if !found.is_nothing() {
            return self.take_frames(from, found, unwrapped.as_ref().ok());
        }
        let Ok(unwrapped) = unwrapped else { return Ok(CarrierDisposition::Malformed) };
        match &unwrapped.content {
            Content::Receipt(notification) => self.take_notification(from, notification),
            Content::Composing(_) => Ok(CarrierDisposition::Ignored),
            Content::Body { content_type, body } => {
                let disposition = self.receive_plain(from, unwrapped.id.as_ref(), content_type, body)?;
                if let (CarrierDisposition::Readable, Some(ask)) = (disposition, Ask::of(&unwrapped)) {
                    self.owe_receipt(from, &ask, Told::Delivered)?;
                }
                Ok(disposition)
            }
        }
    }

    /// Takes the parts of one body in. Damage beside a sound part is counted and otherwise of no account: the part is what was sent.
    fn take_frames(
        &mut self,
        from: &Sender,
        found: Found<'_>,
        unwrapped: Option<&Unwrapped>,
    ) -> Result<CarrierDisposition, AccountError> {
        let mut outcome = None;
        for damage in &found.damage {
            self.count_mutation(damage.code())?;
            outcome = Some(CarrierDisposition::Damaged(*damage));
        }
        if let Some(part) = found.parts.first() {
            self.count_changes(part, unwrapped)?;
        }
        let ask = unwrapped.and_then(Ask::of);
        for part in found.parts {
            let next = self.take_part_of_frame(from, part, ask.clone())?;
            // One that completed an envelope says the most of the body.
            let is_envelope = matches!(outcome, Some(CarrierDisposition::Envelope(_)));
            if !is_envelope || matches!(next, CarrierDisposition::Envelope(_)) {
                outcome = Some(next);
            }
        }
        Ok(outcome.unwrap_or(CarrierDisposition::Unsupported))
    }

    fn take_part_of_frame(
        &mut self,
        from: &Sender,
        part: Part<'_>,
        ask: Option<Ask>,
    ) -> Result<CarrierDisposition, AccountError> {
        let (blob, ask) = match self.keep_part(from, part, ask)? {
            Kept::Waiting { have, of } => return Ok(CarrierDisposition::PartKept { have, of }),
            Kept::Repeated => return Ok(CarrierDisposition::Repeated),
            Kept::Full => return Ok(CarrierDisposition::Full),
            Kept::Damaged(damage) => {
                self.count_mutation(damage.code())?;
                return Ok(CarrierDisposition::Damaged(damage));
            }
            Kept::Whole(blob, ask) => (blob, ask),
        };
        // Both kinds hold an envelope, and what is in it says whether it is a reference. The kind is there for readers that know none.
        match blob.kind {
            Kind::Envelope | Kind::BlobReference => self.take_envelope_of_carrier(from, &blob, ask.as_ref()),
        }
    }

    fn take_envelope_of_carrier(
        &mut self,
        from: &Sender,
        blob: &Blob<'_>,
        ask: Option<&Ask>,
    ) -> Result<CarrierDisposition, AccountError> {
        let is_by_broker = self.is_on_broker()?;
        let before = std::mem::replace(&mut self.arrival, Arrival::by_carrier(is_by_broker));
        let disposition = self.handle_envelope(EnvelopeId::from_bytes(*blob.id.as_bytes()), &blob.bytes);
        let arrival = std::mem::replace(&mut self.arrival, before);
        let disposition = disposition?;
        let told = match disposition {
            // Whoever is blocked sees what somebody who is offline would show.
            _ if arrival.is_blocked => None,
            Disposition::Consumed => match arrival.reference {
                None => Some(Told::Delivered),
                // What it names is not here. When it is, the device says so in its session.
                Some(Reference::Kept) => None,
                // The sender need not wait for its patience to end.
                Some(Reference::Refused) => Some(Told::FailedToDecrypt),
            },
            Disposition::Undecryptable(_) => Some(Told::FailedToDecrypt),
            // The first copy was answered. What is parked may be anybody's.
            Disposition::Duplicate | Disposition::Parked => None,
        };
        if let (Some(ask), Some(told)) = (ask, told) {
            self.owe_receipt(from, ask, told)?;
        }
        Ok(CarrierDisposition::Envelope(disposition))
    }

    /// Counts what was done to a message that held a sound part.
    fn count_changes(&mut self, part: &Part<'_>, unwrapped: Option<&Unwrapped>) -> Result<(), AccountError> {
        let Some(unwrapped) = unwrapped else { return Ok(self.count_mutation("wrapper_encoding")?) };
        match unwrapped.wrapper {
            Wrapper::Intact => {}
            Wrapper::Displaced { .. } => self.count_mutation("wrapper_displaced")?,
            Wrapper::Broken => self.count_mutation("wrapper_broken")?,
            Wrapper::Absent => self.count_mutation("wrapper_absent")?,
        }
        let Content::Body { content_type, body } = &unwrapped.content else { return Ok(()) };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let expected = if body == part.as_bytes() {
            frame::MEDIA_TYPE
        } else if body.trim_ascii() == part.to_text().as_bytes() {
            "text/plain"
        } else {
            return Ok(self.count_mutation("body_surrounded")?);
        };
        if !media_type.eq_ignore_ascii_case(expected) {
            self.count_mutation("type_rewritten")?;
        }
        Ok(())
    }
}
