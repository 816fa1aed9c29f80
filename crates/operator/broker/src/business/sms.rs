//! One-time codes by the SMS gateway.

use std::sync::Arc;

use async_trait::async_trait;
use rand::Rng as _;
use rcseal_carrier::sms::{SenderId, SmsGateway, SmsId, SmsMessage, SmsText};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;

use crate::code::{Code, CodeNotSent, CodeSender};

/// A code that comes later than this is of no use: it has expired by then.
const VALIDITY_SECONDS: u32 = 600;

/// Sends codes by a gateway.
pub(crate) struct SmsCodes {
    gateway: Arc<dyn SmsGateway>,
    sender: SenderId,
}

impl SmsCodes {
    pub(crate) fn new(gateway: Arc<dyn SmsGateway>, sender: SenderId) -> Self {
        Self { gateway, sender }
    }
}

#[async_trait]
impl CodeSender for SmsCodes {
    async fn send(&self, to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent> {
        let text = SmsText::parse(code.text()).map_err(|error| CodeNotSent { code: error.code() })?;
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        let message = SmsMessage {
            to: to.clone(),
            from: self.sender.clone(),
            text,
            id: SmsId(id),
            validity_seconds: Some(VALIDITY_SECONDS),
            wants_report: false,
        };
        match self.gateway.submit(message).await {
            // Without an answer it may have left: whoever asks for another one waits their turn as after any.
            Ok(_) | Err(SendFailure::NoAnswer) => Ok(()),
            Err(failure) => Err(CodeNotSent { code: failure.code() }),
        }
    }
}
