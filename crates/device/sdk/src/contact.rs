//! Contacts: invitations, names, blocking.

use std::sync::Arc;

use rcseal_engine::contact::{self, ContactView};
use rcseal_wire::id::AccountId;
use rcseal_wire::invitation::Invitation;

use crate::argument::parse;
use crate::client::RcsealClient;
use crate::error::RcsealError;
use crate::model::{Device, Padlock, Verification};
use crate::safety::SafetyNumber;

/// A contact.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Contact {
    /// The account's id.
    pub id: String,
    /// What the user calls it; may be empty.
    pub name: String,
    /// What it calls itself. A claim, and to be shown as one.
    pub display_name: String,
    /// Whether somebody compared safety numbers.
    pub verification: Verification,
    /// Its devices, once its keys are known.
    pub devices: Vec<Device>,
    /// Whether its keys are known. They are fetched in the background.
    pub has_keys: bool,
    /// Nothing is sent to it, and what comes from it is dropped.
    pub is_blocked: bool,
}

impl From<ContactView> for Contact {
    fn from(contact: ContactView) -> Self {
        Self {
            id: contact.account.to_string(),
            name: contact.name,
            display_name: contact.display_name,
            verification: contact.verification.into(),
            devices: contact.devices.into_iter().map(Device::from).collect(),
            has_keys: contact.key_set_counter.is_some(),
            is_blocked: contact.is_blocked,
        }
    }
}

impl std::fmt::Debug for Contact {
    /// Without id and names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact")
            .field("verification", &self.verification)
            .field("has_keys", &self.has_keys)
            .field("is_blocked", &self.is_blocked)
            .finish_non_exhaustive()
    }
}

/// The lock of a conversation, as far as a list shows it.
pub(crate) fn padlock(contact: Option<&ContactView>, is_readable: bool) -> Padlock {
    let Some(contact) = contact.filter(|contact| !contact.is_blocked) else { return Padlock::Closed };
    match contact.verification {
        _ if is_readable => Padlock::Readable,
        contact::Verification::Changed => Padlock::Changed,
        contact::Verification::Verified => Padlock::Verified,
        contact::Verification::Unverified => Padlock::EndToEnd,
    }
}

#[uniffi::export]
impl RcsealClient {
    /// An invitation to write to this account, as text or for a QR code. Whoever has it can write to the account.
    pub async fn invitation(&self) -> Result<String, RcsealError> {
        self.call(|client| async move { Ok(client.invite().await?.expose_text()) }).await
    }

    /// Takes an invitation in. The contact can be written to at once.
    pub async fn add_contact(&self, invitation: String, name: String) -> Result<Contact, RcsealError> {
        let invitation: Invitation = parse("invitation", &invitation)?;
        self.call(move |client| async move {
            let account = client.add_contact(invitation, name).await?;
            Ok(client.contact(account).await?.into())
        })
        .await
    }

    /// Every contact.
    pub async fn contacts(&self) -> Result<Vec<Contact>, RcsealError> {
        self.call(|client| async move { Ok(client.contacts().await?.into_iter().map(Contact::from).collect()) }).await
    }

    /// One contact.
    pub async fn contact(&self, contact_id: String) -> Result<Contact, RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        self.call(move |client| async move { Ok(client.contact(account).await?.into()) }).await
    }

    /// Gives a contact another name.
    pub async fn rename_contact(&self, contact_id: String, name: String) -> Result<(), RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        self.call(move |client| async move { Ok(client.rename_contact(account, name).await?) }).await
    }

    /// Blocks a contact, or ends that.
    pub async fn block_contact(&self, contact_id: String, is_blocked: bool) -> Result<(), RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        self.call(move |client| async move { Ok(client.block_contact(account, is_blocked).await?) }).await
    }

    /// Forgets a contact. The conversation stays.
    pub async fn remove_contact(&self, contact_id: String) -> Result<(), RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        self.call(move |client| async move { Ok(client.remove_contact(account).await?) }).await
    }

    /// Takes the new account key of a contact for genuine without comparing.
    pub async fn accept_change(&self, contact_id: String) -> Result<(), RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        self.call(move |client| async move { Ok(client.accept_change(account).await?) }).await
    }

    /// The safety number with a contact, once its keys are known.
    pub async fn safety_number(&self, contact_id: String) -> Result<Arc<SafetyNumber>, RcsealError> {
        let account: AccountId = parse("contact_id", &contact_id)?;
        let inner = self.inner();
        self.call(move |client| async move { SafetyNumber::of(inner, &client, account).await }).await
    }
}
