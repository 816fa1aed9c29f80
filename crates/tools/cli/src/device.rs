//! Opening the device that a profile holds, and finding contacts by what people call them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rcseal_client::client::{Client, ClientError, Config};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_engine::account::{AccountError, AccountState, AccountView};
use rcseal_engine::capability::NumberKey;
use rcseal_engine::contact::ContactView;
use rcseal_engine::plain::{PlainError, ThreadView};
use rcseal_engine::policy::Subject;
use rcseal_rcs::number::PhoneNumber;
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
    let config = Config::new(profile.store(), trust, Timeouts::default());
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

/// Whom a user means: a contact, or whoever has a phone number.
#[derive(Debug)]
pub enum Whom {
    /// A contact.
    Contact(Box<ContactView>),
    /// A number that is no contact's here.
    Number {
        /// Which.
        number: PhoneNumber,
        /// What the user calls the thread with it; may be empty.
        name: String,
    },
}

impl Whom {
    /// What policies and decisions are about.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn subject(&self, client: &Client) -> Result<Subject, CliError> {
        Ok(match self {
            Self::Contact(contact) => Subject::Conversation(client.direct_conversation(contact.account).await?),
            Self::Number { number, .. } => Subject::Number(NumberKey::of(number)),
        })
    }

    /// What to call it in print.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Contact(contact) => name_of(contact),
            Self::Number { number, name } if name.is_empty() => number.as_str().to_owned(),
            Self::Number { number, name } => format!("{} ({})", safe_text::one_line(name), number.as_str()),
        }
    }

    /// What names it in a command that somebody may copy.
    #[must_use]
    pub fn argument(&self) -> String {
        match self {
            Self::Contact(contact) => argument_for(contact),
            Self::Number { number, .. } => number.as_str().to_owned(),
        }
    }
}

/// What names a contact in a command that somebody may copy: the user's own name for it, or its id. A name that it chose itself never stands
/// in a command.
#[must_use]
pub fn argument_for(contact: &ContactView) -> String {
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !contact.name.is_empty() && !contact.name.starts_with('-') && is_plain(&contact.name) {
        contact.name.clone()
    } else {
        contact.account.to_string()
    }
}

/// Finds a contact as [`contact`] does, or by the number that the user gave it; or else a thread by its name, or any number. A contact comes
/// first, so that what can go end to end is not meant for a thread by mistake.
///
/// # Errors
/// Those of [`contact`], [`CliError::AmbiguousContact`] for threads of one name.
pub async fn whom(client: &Client, wanted: &str) -> Result<Whom, CliError> {
    if let Some(number) = as_number(wanted) {
        for contact in client.contacts().await? {
            if client.contact_number(contact.account).await?.number.as_ref() == Some(&number) {
                return Ok(Whom::Contact(Box::new(contact)));
            }
        }
        let threads = client.threads().await?;
        let name = threads.into_iter().find(|thread| thread.number == number).map_or_else(String::new, |it| it.name);
        return Ok(Whom::Number { number, name });
    }
    match contact(client, wanted).await {
        Err(CliError::UnknownContact { .. }) => {
            let thread = thread_named(client, wanted).await?;
            Ok(Whom::Number { number: thread.number, name: thread.name })
        }
        found => found.map(|contact| Whom::Contact(Box::new(contact))),
    }
}

/// The number that an argument is, if it is one.
#[must_use]
pub fn as_number(wanted: &str) -> Option<PhoneNumber> {
    wanted.starts_with('+').then(|| wanted.parse().ok()).flatten()
}

/// The thread with a number.
///
/// # Errors
/// [`PlainError::UnknownThread`].
pub async fn thread(client: &Client, number: &PhoneNumber) -> Result<ThreadView, CliError> {
    let found = client.threads().await?.into_iter().find(|thread| thread.number == *number);
    found.ok_or_else(|| ClientError::Plain(PlainError::UnknownThread).into())
}

/// The thread of a name.
///
/// # Errors
/// [`CliError::UnknownContact`], [`CliError::AmbiguousContact`].
pub async fn thread_named(client: &Client, wanted: &str) -> Result<ThreadView, CliError> {
    let mut found: Vec<_> =
        client.threads().await?.into_iter().filter(|thread| !wanted.is_empty() && thread.name == wanted).collect();
    match (found.len(), found.pop()) {
        (1, Some(thread)) => Ok(thread),
        (0, _) | (_, None) => Err(CliError::UnknownContact { name: wanted.to_owned() }),
        (count, Some(_)) => Err(CliError::AmbiguousContact { name: wanted.to_owned(), count }),
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
