//! Opening the device that a profile holds, and finding contacts by what people call them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rcseal_client::client::{Client, ClientError, Config};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_engine::account::{AccountError, AccountState, AccountView};
use rcseal_engine::contact::ContactView;
use rcseal_wire::id::AccountId;
use rcseal_wire::origin::Origin;

use crate::error::CliError;
use crate::profile::Profile;
use crate::safe_text;

/// Opens the client of a profile that a device lives in.
///
/// # Errors
/// [`CliError::NoProfile`], or what keeps the store from opening.
pub async fn open(profile: &Profile) -> Result<Client, CliError> {
    open_with(profile, profile.authority()?).await
}

/// Opens the client of a profile, or makes a new one there.
///
/// # Errors
/// What keeps the store from opening.
pub async fn open_with(profile: &Profile, trust: TrustAnchors) -> Result<Client, CliError> {
    let config = Config { folder: profile.store(), trust, timeouts: Timeouts::default() };
    let client = Client::open(config, Arc::new(profile.vault()?)).await?;
    if client.was_rolled_back() {
        crate::output::Output::new(false)
            .note("note: the store is an old copy; its sessions were given up and begin anew with the next messages");
    }
    Ok(client)
}

/// Opens the client of a profile that is to become a device of an account at `server`, under the authority in `ca`. A profile in which
/// that was `begun` before, and not finished, is opened again.
///
/// The authority of a device that has its account already stays what it is: a command that is refused must not decide whom that device
/// trusts from then on.
///
/// # Errors
/// [`AccountError::Exists`], [`CliError::OtherServer`] when a registration elsewhere has begun, or what keeps the store from opening.
pub async fn begin(
    profile: &Profile,
    server: &Origin,
    ca: &Path,
    begun: AccountState,
) -> Result<(Client, Option<AccountView>), CliError> {
    let authority = profile.read_authority(ca)?;
    let client = open_with(profile, authority.trust.clone()).await?;
    let account = client.account().await?;
    if let Some(account) = &account {
        if !(account.is_primary && account.state == begun) {
            return Err(ClientError::from(AccountError::Exists).into());
        }
        if account.origin != *server {
            return Err(CliError::OtherServer { origin: account.origin.clone() });
        }
    }
    profile.adopt_authority(&authority)?;
    Ok((client, account))
}

/// This device's account.
///
/// # Errors
/// [`AccountError::NoAccount`].
pub async fn account(client: &Client) -> Result<AccountView, CliError> {
    Ok(client.account().await?.ok_or(ClientError::Account(AccountError::NoAccount))?)
}

/// Finds a contact by account id, by the name the user gave it, or by the name it gives itself if that is the only one.
///
/// # Errors
/// [`CliError::UnknownContact`] or [`CliError::AmbiguousContact`].
pub async fn contact(client: &Client, wanted: &str) -> Result<ContactView, CliError> {
    let contacts = client.contacts().await?;
    if let Ok(account) = wanted.parse::<AccountId>()
        && let Some(contact) = contacts.iter().find(|contact| contact.account == account)
    {
        return Ok(contact.clone());
    }
    let named = |name: fn(&ContactView) -> &str| -> Vec<&ContactView> {
        contacts.iter().filter(|contact| name(contact) == wanted).collect()
    };
    // What a contact calls itself never outweighs what the user calls another one.
    let mut found = named(|contact| &contact.name);
    if found.is_empty() {
        found = named(|contact| if contact.name.is_empty() { &contact.display_name } else { "" });
    }
    match found.as_slice() {
        [contact] if !wanted.is_empty() => Ok((*contact).clone()),
        [] | [_] => Err(CliError::UnknownContact { name: wanted.to_owned() }),
        several => Err(CliError::AmbiguousContact { name: wanted.to_owned(), count: several.len() }),
    }
}

/// What to call accounts in print.
#[derive(Debug, Default)]
pub struct Names {
    own: Option<AccountId>,
    names: HashMap<AccountId, String>,
}

impl Names {
    /// Reads the contacts.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(client: &Client) -> Result<Self, CliError> {
        let own = client.account().await?.map(|account| account.address.account);
        let names = client.contacts().await?.into_iter().map(|contact| (contact.account, name_of(&contact))).collect();
        Ok(Self { own, names })
    }

    /// What to call an account.
    #[must_use]
    pub fn of(&self, account: AccountId) -> String {
        if self.own == Some(account) {
            return "you".to_owned();
        }
        self.names.get(&account).cloned().unwrap_or_else(|| short(account))
    }

    /// The same as an owner.
    #[must_use]
    pub fn whose(&self, account: AccountId) -> String {
        if self.own == Some(account) { "your".to_owned() } else { format!("{}'s", self.of(account)) }
    }
}

/// What to call a contact: the user's name for it; else its own claim, marked as one; else the beginning of its id.
#[must_use]
pub fn name_of(contact: &ContactView) -> String {
    match (contact.name.as_str(), contact.display_name.as_str()) {
        ("", "") => short(contact.account),
        ("", claimed) => format!("~{}", safe_text::one_line(claimed)),
        (name, _) => safe_text::one_line(name),
    }
}

fn short(account: AccountId) -> String {
    account.to_string().chars().take(8).collect()
}
