//! For apps that carry frames themselves: what goes out is the answer to a call, and what came in is handed to another.
//!
//! A [`Transport`](rcseal_carrier::transport::Transport) is asked by [`Client::run`]; an app with an RCS stack of its own may rather ask.
//! It says once what its stack carries ([`Client::use_app_stack`]). Then [`Client::hand_over`] sends a message and answers its parts,
//! [`Client::hand_over_result`] tells what the stack made of them, and [`Client::take_in`] takes what the stack received. Parts are whole
//! CPIM messages, as SIP and MSRP carry them; the app adds and removes the outer layer and nothing else.
//!
//! All of it is ciphertext: a message that was decided to go another way is an error here, and goes by [`Client::send`].

use rcseal_engine::carrier::{CarrierDisposition, CarrierHandover, CarrierSetup};
use rcseal_rcs::chat;
use rcseal_rcs::number::{Domain, PhoneNumber};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{SendFailure, Sender, Taken, TransportProfile};
use rcseal_wire::content::Body;
use rcseal_wire::id::{ConversationId, MessageId};

use super::core::now;
use super::remote_config::RemoteKey;
use super::{CarrierOptions, Client, ClientError};

/// The media type of every part.
const CPIM: &str = rcseal_rcs::cpim::CONTENT_TYPE;
/// The domain that numbers are written with inside the message: nobody's, since receivers go by the number that the network asserts.
const DOMAIN: &str = "carrier.invalid";

/// A message for an app's own stack.
#[derive(Debug)]
pub struct AppHandOver {
    /// The message.
    pub message: MessageId,
    /// What to carry, in this order.
    pub parts: Vec<AppPart>,
}

/// One message of the carrier.
pub struct AppPart {
    /// To whom.
    pub to: PhoneNumber,
    /// The body's media type.
    pub content_type: &'static str,
    /// The body: a whole CPIM message with a part of a frame in it.
    pub body: Vec<u8>,
}

/// Without the body.
impl std::fmt::Debug for AppPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppPart").field("to", &self.to).field("body_len", &self.body.len()).finish_non_exhaustive()
    }
}

impl Client {
    /// The app has a stack of its own, with this number and for bodies of this kind. A transport that is attached is taken away; peers are
    /// told of the number, where that is new. [`Client::leave_carrier`] ends it.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account.
    pub async fn use_app_stack(&self, options: CarrierOptions, profile: TransportProfile) -> Result<(), ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoCarrier).await?;
        self.detach_transport();
        let setup = CarrierSetup {
            number: options.number,
            kind: options.kind,
            // Nobody would hand the app the receipts that are due.
            profile: TransportProfile { has_receipts: false, ..profile },
            patience_ms: u64::try_from(options.patience.as_millis()).unwrap_or(u64::MAX),
        };
        self.core.change(move |engine| engine.set_carrier(Some(setup))).await
    }

    /// Sends a content and answers what the app's stack is to carry. What it does not carry goes by the relay when the patience ends.
    ///
    /// # Errors
    /// [`ClientError::HandOver`] where the message does not go by a carrier, [`ClientError::Send`] where it does not go at all; nothing was
    /// sent then.
    pub async fn hand_over(
        &self,
        conversation: ConversationId,
        body: Body,
        reply_to: Option<MessageId>,
    ) -> Result<AppHandOver, ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoCarrier).await?;
        let handed = self.core.change(move |engine| engine.hand_over(conversation, body, reply_to)).await;
        let handed = self.noting_refusal(handed).await?;
        let domain: Domain = DOMAIN.parse().expect("a host name");
        let at = Timestamp::from_millis(now().0);
        let frames = handed.envelopes.into_iter().flat_map(CarrierHandover::release);
        let parts = frames.map(|frame| AppPart {
            body: chat::wrap(&frame, &handed.from, &domain, at).expect("frames have no headers that could be unsound"),
            to: frame.to,
            content_type: CPIM,
        });
        Ok(AppHandOver { message: handed.message, parts: parts.collect() })
    }

    /// What the app's stack made of a message that was handed over: the worst of its parts. What was refused goes by the relay at once;
    /// what was taken waits for the other device's own receipt.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn hand_over_result(
        &self,
        conversation: ConversationId,
        message: MessageId,
        outcome: Result<Taken, SendFailure>,
    ) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.handle_hand_over_outcome(conversation, message, &outcome)).await
    }

    /// Takes in what the app's stack received, whatever it is. It is durable here when this returns, and only then may the stack answer its
    /// network ([`CarrierDisposition::answer`]). `is_asserted` says that the network vouches for the number.
    ///
    /// # Errors
    /// Those of the store; the network is to be told "later" then.
    pub async fn take_in(
        &self,
        from: Option<PhoneNumber>,
        is_asserted: bool,
        content_type: String,
        encoding: Option<String>,
        body: Vec<u8>,
    ) -> Result<CarrierDisposition, ClientError> {
        let from = match from {
            Some(number) if is_asserted => Sender::Asserted(number),
            Some(number) => Sender::Claimed(number),
            None => Sender::Anonymous,
        };
        self.core
            .change(move |engine| {
                let disposition = engine.handle_carrier_message(&from, &content_type, encoding.as_deref(), &body)?;
                engine.flush_receipts()?;
                Ok::<_, ClientError>(disposition)
            })
            .await
    }
}
