//! Short messages, by a gateway.
//!
//! What goes this way is readable by the gateway and by every network behind it. Nothing here decides that: a caller hands over words that a
//! policy has let go, a code that is meant to be read, or a link without content. This module never makes them more readable, never sends
//! twice what it has no answer for, and says of each message what the gateway said.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | a message, who it is from, what came back, what came in |
//! | [`arrived`] | something that came in and is answered once it is durable |
//! | [`gateway`] | the seam: a gateway, whichever protocol it speaks |
//! | [`way`] | the phone's side of it: a way for words by a number of the user's own |
//! | [`encoding`] | alphabets, and how a text is cut into segments |
//! | [`smpp`] | a gateway by SMPP 3.4 |
//! | [`http_gateway`] | a gateway by HTTP, in the shape of Jasmin's |
//!
//! MMS is not spoken. Its interface to operators (MM7) is served by few of them, and a picture goes by a CPaaS that takes a media URL and makes
//! an MMS or an RCS message of it, or as a link in a short message.

pub mod arrived;
pub mod encoding;
pub mod gateway;
pub mod http_gateway;
pub mod message;
pub mod smpp;
pub mod way;

pub use self::arrived::Arrived;
pub use self::gateway::SmsGateway;
pub use self::message::{
    GatewayId, InboundSms, ReportState, SenderId, SenderIdError, SenderName, ShortCode, SmsId, SmsMessage, SmsReport,
    SmsSubmitted, SmsText, SmsTextError,
};
pub use self::way::{SmsTaken, SmsWay, SmsWayReport};
