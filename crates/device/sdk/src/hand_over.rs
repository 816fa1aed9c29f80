//! For apps with an RCS stack of their own.
//!
//! There are two forms, and an account uses one at a time. *Pulled*: the app says what its stack carries (`use_app_stack`), asks for a
//! message's parts ([`SecureSession::encrypt`]), carries them, and tells what the stack made of them ([`SecureSession::report`]). *Pushed*:
//! the app lends its stack ([`RcsStack`], `attach_host_stack`), and the background run hands it what goes by the carrier. In both of them
//! what the stack received goes to `decrypt`, and the stack answers its network only after that.
//!
//! Parts are ciphertext inside whole CPIM messages: the app adds and removes the layer outside of them and nothing else. A message that
//! would go another way is an error; what nobody confirms goes by the relay when the patience ends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rcseal_carrier::host::{CPIM, HostCallbacks, HostConfig, HostStack};
use rcseal_carrier::transport::{CarrierCapabilities, Inbound, Transport};
use rcseal_client::client::CarrierOptions;
use rcseal_engine::carrier::CarrierAnswer;
use rcseal_engine::policy::{RoutePreference, Subject};
use rcseal_rcs::imdn;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage, SendFailure, Taken, TransportProfile};
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use tokio::sync::Semaphore;

use crate::argument::{parse, parse_some};
use crate::client::RcsealClient;
use crate::conversation::{OutgoingMessage, body};
use crate::error::RcsealError;
use crate::inner::Inner;

/// The longest body that is taken in: the largest that one MSRP session carries, with its wrapper.
const BODY_LEN_MAX: usize = 1 << 20;
/// Calls of the app's stack at once: as many as the host's transport makes.
const CALLS_MAX: usize = 16;

/// What an app's stack is.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct HostStackConfig {
    /// The number that it is registered with, as `+` and digits.
    pub number: String,
    /// Whether bodies arrive byte for byte. Otherwise they are text.
    pub is_binary_safe: bool,
    /// The longest body of one message, without the CPIM layer.
    pub body_len_max: u32,
    /// How many messages one envelope may be cut into.
    pub parts_max: u16,
    /// How long a message may stay unconfirmed before it goes by the relay. A minute where it is absent.
    #[cfg_attr(feature = "node", serde(default))]
    #[uniffi(default = None)]
    pub patience_ms: Option<u64>,
}

/// What a stack made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum StackOutcome {
    /// The far end answered (2xx but 202).
    Taken,
    /// Somebody on the way keeps it for later (202).
    Stored,
    /// The far end does not know the media type (415, 488).
    UnsupportedMedia,
    /// Nobody is reachable there (404, 410, 480, 604).
    NotFound,
    /// Too large for somebody on the way (413, 513).
    TooLarge,
    /// Refused otherwise.
    Refused,
    /// The carrier is busy (503, 486, 600).
    Busy,
    /// Nothing came back in time: it may have arrived.
    NoAnswer,
    /// No connection to the carrier.
    Unreachable,
}

/// What the stack is to answer its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum StackAnswer {
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

/// What became of something that the stack received.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct DecryptOutcome {
    /// What the stack is to answer its network.
    pub answer: StackAnswer,
    /// A stable code: `consumed` where a message was decrypted (listeners are told of it), `part_kept` where more parts are to come,
    /// `duplicate` or `repeated` for what was here before, and the reason otherwise.
    pub code: String,
}

/// One message of the carrier.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct PayloadPart {
    /// To whom, as `+` and digits.
    pub number: String,
    /// The body's media type.
    pub content_type: String,
    /// The body's encoding, where it has one.
    pub content_encoding: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A message for the app's stack.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct EncryptedPayload {
    /// The message.
    pub message_id: String,
    /// To whom, as `+` and digits.
    pub number: String,
    /// What to carry, in this order.
    pub parts: Vec<PayloadPart>,
}

/// The app's stack failed to answer.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum StackError {
    /// The app says so, or threw.
    #[error("the stack failed")]
    Failed {
        /// What, for developers. Not passed on.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for StackError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// An RCS stack of the app's. It is called on threads of ours, up to 16 at once, and may block until its network has answered, for 40
/// seconds at most.
#[uniffi::export(foreign)]
pub trait RcsStack: Send + Sync {
    /// Sends one message of the carrier and answers what the network said.
    fn send_encrypted_payload(&self, part: PayloadPart) -> Result<StackOutcome, StackError>;
}

/// The end-to-end session with a contact, for messages that the app carries.
#[derive(uniffi::Object)]
pub struct SecureSession {
    inner: Arc<Inner>,
    id: ConversationId,
    contact: AccountId,
}

#[uniffi::export]
impl RcsealClient {
    /// The user gives a contact a number, or takes it back. Nothing goes to a contact by a carrier before that.
    pub async fn set_contact_number(&self, contact_id: String, number: Option<String>) -> Result<(), RcsealError> {
        let contact: AccountId = parse("contact_id", &contact_id)?;
        let number: Option<PhoneNumber> = parse_some("number", number.as_deref())?;
        self.call(move |client| async move { Ok(client.set_contact_number(contact, number).await?) }).await
    }

    /// The app has a stack of its own, and asks for what it carries. Contacts are told of the number, end to end.
    pub async fn use_app_stack(&self, config: HostStackConfig) -> Result<(), RcsealError> {
        let (options, profile) = config.parse()?;
        self.call(move |client| async move { Ok(client.use_app_stack(options, profile).await?) }).await
    }

    /// The app lends its stack: what goes by the carrier is handed to it while the client is connected. To be called after each `open`.
    pub async fn attach_host_stack(
        &self,
        config: HostStackConfig,
        stack: Arc<dyn RcsStack>,
    ) -> Result<(), RcsealError> {
        let (options, profile) = config.parse()?;
        let lent = Lent { stack, turns: Arc::new(Semaphore::new(CALLS_MAX)) };
        let host = HostStack::new(HostConfig::new(options.number.clone(), profile), Arc::new(lent));
        self.call(move |client| async move { Ok(client.attach_transport(options, Arc::new(NoWords(host))).await?) })
            .await
    }

    /// The app's stack is gone for good: contacts are told that nothing comes here by a carrier any more.
    pub async fn leave_carrier(&self) -> Result<(), RcsealError> {
        self.call(|client| async move { Ok(client.leave_carrier().await?) }).await
    }

    /// The session with a contact. Its messages go by the carrier from now on where they can. The keys are those of the conversation: a
    /// contact that was never heard is written to by `Conversation.send` first.
    pub async fn get_or_create_session(&self, contact_id: String) -> Result<Arc<SecureSession>, RcsealError> {
        let contact: AccountId = parse("contact_id", &contact_id)?;
        let inner = self.inner();
        self.call(move |client| async move {
            let id = client.direct_conversation(contact).await?;
            client.set_route_preference(Some(Subject::Conversation(id)), Some(RoutePreference::Native)).await?;
            Ok(Arc::new(SecureSession { inner, id, contact }))
        })
        .await
    }

    /// Takes in what the app's stack received. It is durable when this returns; after an error the network is to be told "later" (503).
    /// `is_asserted` says that the network vouches for the number.
    pub async fn decrypt(
        &self,
        from_number: Option<String>,
        is_asserted: bool,
        content_type: String,
        content_encoding: Option<String>,
        body: Vec<u8>,
    ) -> Result<DecryptOutcome, RcsealError> {
        let from: Option<PhoneNumber> = parse_some("from_number", from_number.as_deref())?;
        if body.len() > BODY_LEN_MAX {
            return Ok(DecryptOutcome { answer: StackAnswer::TooLarge, code: "body_too_large".to_owned() });
        }
        self.call(move |client| async move {
            let taken = client.take_in(from, is_asserted, content_type, content_encoding, body).await?;
            Ok(DecryptOutcome { answer: taken.answer().into(), code: taken.code().to_owned() })
        })
        .await
    }
}

#[uniffi::export]
impl SecureSession {
    /// The contact's id.
    pub fn contact_id(&self) -> Result<String, RcsealError> {
        Ok(self.contact.to_string())
    }

    /// Sends a message and answers what the stack is to carry. It is in the conversation, as every message that was sent. An error
    /// `hand_over_...` says that it does not go by the carrier, and nothing was sent. Files go by `Conversation.send`.
    pub async fn encrypt(&self, message: OutgoingMessage) -> Result<EncryptedPayload, RcsealError> {
        let id = self.id;
        let (body, reply_to) = body(message)?;
        self.inner
            .call(move |client| async move {
                let handed = client.hand_over(id, body, reply_to).await?;
                let parts: Vec<_> = handed.parts.into_iter().map(|part| payload_part(&part.to, part.body)).collect();
                let number = parts.first().map(|part| part.number.clone()).unwrap_or_default();
                Ok(EncryptedPayload { message_id: handed.message.to_string(), number, parts })
            })
            .await
    }

    /// What the stack made of a message: the worst of its parts. Refused, it goes by the relay at once.
    pub async fn report(&self, message_id: String, outcome: StackOutcome) -> Result<(), RcsealError> {
        let id = self.id;
        let message: MessageId = parse("message_id", &message_id)?;
        self.inner
            .call(move |client| async move { Ok(client.hand_over_result(id, message, outcome.into()).await?) })
            .await
    }
}

fn payload_part(to: &PhoneNumber, body: Vec<u8>) -> PayloadPart {
    PayloadPart { number: to.as_str().to_owned(), content_type: CPIM.to_owned(), content_encoding: None, body }
}

/// A host's stack that takes frames, and receipts that hold no content. Words do not leave by it, whatever the user has agreed to: an app
/// that implements `send_encrypted_payload` is promised that.
struct NoWords(Arc<HostStack>);

#[async_trait]
impl Transport for NoWords {
    fn profile(&self) -> TransportProfile {
        self.0.profile()
    }

    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure> {
        match &message.carriage {
            Carriage::Verbatim { content_type, .. } if content_type != imdn::CONTENT_TYPE => Err(SendFailure::Unfit),
            Carriage::Verbatim { .. } | Carriage::Framed { .. } => self.0.send(message).await,
        }
    }

    async fn capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        self.0.capabilities(of).await
    }

    async fn receive(&self) -> Option<Inbound> {
        self.0.receive().await
    }
}

/// An app's stack behind the seam of carriers.
struct Lent {
    stack: Arc<dyn RcsStack>,
    /// Held until the app's code has returned: one that hangs costs these threads and no more.
    turns: Arc<Semaphore>,
}

#[async_trait]
impl HostCallbacks for Lent {
    async fn send_cpim(&self, to: &PhoneNumber, cpim: Vec<u8>) -> Result<Taken, SendFailure> {
        let (stack, part) = (Arc::clone(&self.stack), payload_part(to, cpim));
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| SendFailure::Unreachable)?;
        let call = move || {
            let _turn = turn;
            stack.send_encrypted_payload(part)
        };
        match tokio::task::spawn_blocking(call).await {
            Ok(Ok(outcome)) => outcome.into(),
            // It may have been sent before the app threw. What it threw may hold anything.
            Ok(Err(StackError::Failed { .. })) | Err(_) => {
                tracing::warn!(event = "stack_failed");
                Err(SendFailure::NoAnswer)
            }
        }
    }

    /// Such a stack is not asked: contacts say inside their sessions what they read.
    async fn query_capabilities(&self, _of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        Err(SendFailure::NoAnswer)
    }
}

impl HostStackConfig {
    fn parse(&self) -> Result<(CarrierOptions, TransportProfile), RcsealError> {
        let number: PhoneNumber = parse("number", &self.number)?;
        let body_len_max = usize::try_from(self.body_len_max).unwrap_or(usize::MAX);
        if self.parts_max == 0 || body_len_max == 0 || body_len_max > BODY_LEN_MAX {
            return Err(RcsealError::argument("config"));
        }
        let mut options = CarrierOptions::new(number);
        if let Some(patience) = self.patience_ms {
            options.patience = Duration::from_millis(patience);
        }
        let profile = TransportProfile {
            is_binary_safe: self.is_binary_safe,
            body_len_max,
            parts_max: self.parts_max,
            carries_headers: true,
            has_receipts: true,
        };
        Ok((options, profile))
    }
}

impl From<StackOutcome> for Result<Taken, SendFailure> {
    fn from(outcome: StackOutcome) -> Self {
        /// What a refusal without a status is taken for: forbidden.
        const REFUSED: u16 = 403;
        match outcome {
            StackOutcome::Taken => Ok(Taken::Answered),
            StackOutcome::Stored => Ok(Taken::Stored),
            StackOutcome::UnsupportedMedia => Err(SendFailure::UnsupportedMedia),
            StackOutcome::NotFound => Err(SendFailure::NotFound),
            StackOutcome::TooLarge => Err(SendFailure::TooLarge),
            StackOutcome::Refused => Err(SendFailure::Refused { status: REFUSED }),
            StackOutcome::Busy => Err(SendFailure::Busy { retry_after: None }),
            StackOutcome::NoAnswer => Err(SendFailure::NoAnswer),
            StackOutcome::Unreachable => Err(SendFailure::Unreachable),
        }
    }
}

impl From<CarrierAnswer> for StackAnswer {
    fn from(answer: CarrierAnswer) -> Self {
        match answer {
            CarrierAnswer::Accepted => Self::Accepted,
            CarrierAnswer::UnsupportedMedia => Self::UnsupportedMedia,
            CarrierAnswer::TooLarge => Self::TooLarge,
            CarrierAnswer::TryLater => Self::TryLater,
            CarrierAnswer::Malformed => Self::Malformed,
        }
    }
}

impl std::fmt::Debug for SecureSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecureSession")
    }
}
