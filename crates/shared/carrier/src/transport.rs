//! The one seam between carriers and those who send through them.

use async_trait::async_trait;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessage, SendFailure, Sender, Taken, TransportProfile};

/// A way into a carrier.
#[async_trait]
pub trait Transport: Send + Sync {
    /// What it can do.
    fn profile(&self) -> TransportProfile;

    /// Hands a message to the carrier and waits for its answer.
    ///
    /// # Errors
    /// [`SendFailure`]: what the carrier said, or that it said nothing. None of them shows that the message was not delivered.
    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure>;

    /// Asks what the far end can do.
    ///
    /// # Errors
    /// [`SendFailure`]; a carrier that does not answer has said nothing about the peer.
    async fn capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure>;

    /// The next thing that came in. `None` once the transport has closed for good.
    async fn receive(&self) -> Option<Inbound>;
}

/// What the far end said of itself in an answer to OPTIONS: its feature tags as they stood there. Unauthenticated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarrierCapabilities {
    /// Contact parameters of each contact that answered, `name` or `name="value"`.
    pub contacts: Vec<Vec<String>>,
}

/// Something that came in. It counts as taken by us only once it was [answered](Inbound::answer) with [`Answer::Accepted`], which is for after
/// it is durable.
pub struct Inbound {
    /// Who sends, as the carrier says or as the message claims.
    pub from: Sender,
    /// Which of our numbers it is for, as the carrier says. `None` from a transport that has one number only.
    pub to: Option<PhoneNumber>,
    /// What names this very request at the carrier, where something does: a repetition after a refusal may have another.
    pub reference: Option<String>,
    /// The media type as it arrived.
    pub content_type: String,
    /// The content encoding as it arrived, if any.
    pub content_encoding: Option<String>,
    /// The body as it arrived.
    pub body: Vec<u8>,
    answer: Box<dyn FnOnce(Answer) + Send>,
}

/// What the far end is told of something that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is durable here (200).
    Accepted,
    /// We do not know its media type (415).
    UnsupportedMedia,
    /// It is too large (413).
    TooLarge,
    /// Not now; it should be sent again (503).
    TryLater,
    /// It cannot be understood (400).
    Malformed,
    /// Nobody has this number here (404).
    NotFound,
}

impl Answer {
    /// The status of SIP, and of MSRP, that says so.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Accepted => 200,
            Self::UnsupportedMedia => 415,
            Self::TooLarge => 413,
            Self::TryLater => 503,
            Self::Malformed => 400,
            Self::NotFound => 404,
        }
    }
}

impl Inbound {
    /// Something that came in, and how to answer it. Dropped without an answer, it is answered with [`Answer::TryLater`].
    #[must_use]
    pub fn new(
        from: Sender,
        content_type: String,
        content_encoding: Option<String>,
        body: Vec<u8>,
        answer: impl FnOnce(Answer) + Send + 'static,
    ) -> Self {
        Self { from, to: None, reference: None, content_type, content_encoding, body, answer: Box::new(answer) }
    }

    /// Says which of our numbers it is for, and what names the request.
    #[must_use]
    pub fn addressed(mut self, to: Option<PhoneNumber>, reference: Option<String>) -> Self {
        self.to = to;
        self.reference = reference;
        self
    }

    /// Answers it.
    pub fn answer(mut self, answer: Answer) {
        let reply = std::mem::replace(&mut self.answer, Box::new(|_| {}));
        reply(answer);
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let reply = std::mem::replace(&mut self.answer, Box::new(|_| {}));
        reply(Answer::TryLater);
    }
}

impl std::fmt::Debug for Inbound {
    /// Without the body: it may be readable.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("from", &self.from)
            .field("content_type", &self.content_type)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
