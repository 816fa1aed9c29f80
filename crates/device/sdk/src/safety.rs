//! Safety numbers: what two people compare.

use std::sync::Arc;

use rcseal_client::Client;
use rcseal_wire::id::AccountId;

use crate::error::RcsealError;
use crate::inner::Inner;

/// The safety number with a contact, as it was when it was asked for.
#[derive(uniffi::Object)]
pub struct SafetyNumber {
    inner: Arc<Inner>,
    account: AccountId,
    numeric: String,
    qr_payload: String,
}

impl SafetyNumber {
    pub(crate) async fn of(inner: Arc<Inner>, client: &Client, account: AccountId) -> Result<Arc<Self>, RcsealError> {
        let number = client.safety_number(account).await?;
        Ok(Arc::new(Self { inner, account, numeric: number.numeric(), qr_payload: number.qr_payload() }))
    }
}

#[uniffi::export]
impl SafetyNumber {
    /// Sixty digits in groups of five, the same on both sides.
    pub fn numeric(&self) -> Result<String, RcsealError> {
        Ok(self.numeric.clone())
    }

    /// What the QR code on this side holds, for the other side to scan.
    pub fn qr_payload(&self) -> Result<String, RcsealError> {
        Ok(self.qr_payload.clone())
    }

    /// The user has scanned the contact's code. The contact is verified when this succeeds; a code that is not the contact's is an error.
    pub async fn verify(&self, scan: String) -> Result<(), RcsealError> {
        let account = self.account;
        self.inner.call(move |client| async move { Ok(client.verify_scan(account, scan).await?) }).await
    }

    /// The user has compared these digits with the contact's, and they are the same.
    pub async fn verify_digits(&self, digits: String) -> Result<(), RcsealError> {
        let account = self.account;
        self.inner.call(move |client| async move { Ok(client.verify_digits(account, digits).await?) }).await
    }
}

impl std::fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SafetyNumber")
    }
}
