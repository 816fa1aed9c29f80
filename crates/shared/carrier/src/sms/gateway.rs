//! The one seam between gateways and those who send through them.

use async_trait::async_trait;
use rcseal_rcs::transport::SendFailure;

use super::{Arrived, InboundSms, SmsMessage, SmsReport, SmsSubmitted};

/// A gateway into the networks of short messages.
#[async_trait]
pub trait SmsGateway: Send + Sync {
    /// Hands a message over and waits for the gateway's answer.
    ///
    /// # Errors
    /// [`SendFailure`]. Three of them differ in what a caller may do: after [`SendFailure::NoAnswer`] the message is *unconfirmed*, it may be on
    /// its way and is not to be sent again; [`SendFailure::Busy`] was refused and may be sent again later; [`SendFailure::Unreachable`] never left.
    async fn submit(&self, message: SmsMessage) -> Result<SmsSubmitted, SendFailure>;

    /// The next report. `None` once the gateway has been closed for good.
    async fn next_report(&self) -> Option<Arrived<SmsReport>>;

    /// The next message that came in. `None` once the gateway has been closed for good.
    async fn receive(&self) -> Option<Arrived<InboundSms>>;
}
