//! Linking a device: how a second device of the account comes to be, without any account key moving.
//!
//! The new device shows a [`LinkRequest`] (QR code): an ephemeral key and a secret. Whoever scans it, the primary device, meets it at the
//! server's rendezvous. Keys for both directions come from the X25519 result of both ephemerals with the shown secret as salt, so that the
//! server, which never saw the screen, can neither read nor take a part; and since the secret is symmetric, neither can a quantum computer.
//!
//! 1. primary → new: its ephemeral key, and sealed a [`LinkOffer`];
//! 2. new → primary: sealed, the new device's entry with its proofs of possession;
//! 3. primary → new: sealed, a [`LinkWelcome`] with the key set that names it. Sent after the directory took that key set.
//!
//! `docs/protocol/linking.md` has the formats.

use std::sync::atomic::{AtomicBool, Ordering};

use rand_core::CryptoRng;
use rcseal_credential::{DeviceEntry, KeySetBuilder, KeySetError, ParseError, UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::aead;
use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::secret::Secret;
use rcseal_crypto::x25519;
use rcseal_wire::api::DeviceUpload;
use rcseal_wire::content::{Body, Content};
use rcseal_wire::id::{Custody, DeviceAddress, DeviceNumber, LinkId, Platform};
use rcseal_wire::link::{LinkOffer, LinkRequest, LinkWelcome};
use rcseal_wire::origin::Origin;
use zeroize::Zeroizing;

use crate::account::{Account, AccountError, NewAccount};
use crate::context::Engine;
use crate::need::NeedKind;
use crate::store::{StoreError, Table};

const INFO: &[u8] = b"rcseal/link/v1";
const NONCE_FIRST: [u8; 12] = [0; 12];
const NONCE_SECOND: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Why linking failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// This device's account is not ready, or the store failed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A message of the other device cannot be opened or parsed: damaged, or not from who saw the code.
    #[error("the other device's message is damaged or not from the device that saw the code")]
    Message,
    /// An ephemeral key is not a proper one.
    #[error("the other device's ephemeral key is not valid")]
    Key(#[from] x25519::KeyError),
    /// The new device's entry is malformed.
    #[error("the new device's entry is malformed")]
    Entry(#[from] ParseError),
    /// A key set or the new device's proofs do not verify.
    #[error("a key set or a proof does not verify")]
    KeySet(#[from] KeySetError),
    /// The new device claims another number than it was offered.
    #[error("the new device claims another number than it was offered")]
    Number,
    /// The key set does not name this device with its own keys.
    #[error("the key set does not name this device with its own keys")]
    NotNamed,
    /// The rendezvous is on another server than the account.
    #[error("the device to link is on another server")]
    OtherServer,
    /// The steps came out of order.
    #[error("the steps of linking came out of order")]
    Order,
}

impl LinkFailure {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Account(error) => error.code(),
            Self::Message => "link_message",
            Self::Key(_) => "link_key",
            Self::Entry(error) => error.code(),
            Self::KeySet(error) => error.code(),
            Self::Number => "link_number",
            Self::NotNamed => "link_not_named",
            Self::OtherServer => "link_other_server",
            Self::Order => "link_order",
        }
    }
}

impl From<StoreError> for LinkFailure {
    fn from(error: StoreError) -> Self {
        Self::Account(error.into())
    }
}

/// Keys of one rendezvous.
struct LinkKeys {
    to_new: Secret<32>,
    to_primary: Secret<32>,
}

impl LinkKeys {
    fn derive(
        link: LinkId,
        shared: &Secret<32>,
        secret: &Secret<32>,
        new: &x25519::PublicKey,
        primary: &x25519::PublicKey,
    ) -> Self {
        let derive = |direction: u8| {
            hkdf_sha256(
                secret.expose(),
                shared.expose(),
                &[INFO, link.as_bytes(), new.as_bytes(), primary.as_bytes(), &[direction]],
            )
        };
        Self { to_new: derive(1), to_primary: derive(2) }
    }
}

/// A device that is being linked: from the shown code to its account.
pub struct LinkingDevice {
    origin: Origin,
    link: LinkId,
    ephemeral: x25519::SecretKey,
    secret: Secret<32>,
    platform: Platform,
    custody: Custody,
    offered: Option<Offered>,
}

struct Offered {
    keys: LinkKeys,
    account: Account,
    key_set: VerifiedKeySet,
}

impl LinkingDevice {
    /// Begins at a rendezvous that the server has made.
    pub fn begin(origin: Origin, link: LinkId, platform: Platform, custody: Custody, rng: &mut dyn CryptoRng) -> Self {
        Self {
            origin,
            link,
            ephemeral: x25519::SecretKey::generate(rng),
            secret: Secret::generate(rng),
            platform,
            custody,
            offered: None,
        }
    }

    /// What to show.
    #[must_use]
    pub fn request(&self) -> LinkRequest {
        LinkRequest {
            origin: self.origin.clone(),
            link: self.link,
            ephemeral: *self.ephemeral.public_key().as_bytes(),
            secret: self.secret.duplicate(),
        }
    }

    /// Takes the first message and answers the second: this device's entry, with its proofs.
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub fn handle_offer(&mut self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, LinkFailure> {
        // A second entry would be sealed under the same key and nonce as the first.
        if self.offered.is_some() {
            return Err(LinkFailure::Order);
        }
        let (primary, sealed) = message.split_first_chunk::<32>().ok_or(LinkFailure::Message)?;
        let primary = x25519::PublicKey::from_bytes(primary)?;
        let shared = self.ephemeral.diffie_hellman(&primary)?;
        let keys = LinkKeys::derive(self.link, &shared, &self.secret, &self.ephemeral.public_key(), &primary);
        let offer = aead::open(&keys.to_new, &NONCE_FIRST, INFO, sealed).map_err(|_| LinkFailure::Message)?;
        let offer = LinkOffer::parse(&offer).map_err(|_| LinkFailure::Message)?;
        let key_set = UnverifiedKeySet::parse(&offer.key_set)?.verify()?;
        if key_set.account() != offer.account {
            return Err(LinkFailure::Message);
        }
        let address = DeviceAddress { account: offer.account, device: offer.device };
        let new = NewAccount {
            origin: self.origin.clone(),
            platform: self.platform,
            custody: self.custody,
            display_name: offer.display_name,
        };
        // The delivery token comes with the welcome.
        let account = Account::draw(&new, address, rcseal_wire::token::DeliveryToken::from_bytes([0; 32]), None, rng);
        let entry = account.entry(self.platform, self.custody, rng).map_err(AccountError::from)?;
        let reply = aead::seal(&keys.to_primary, &NONCE_FIRST, INFO, &entry.to_bytes());
        self.offered = Some(Offered { keys, account, key_set });
        Ok(reply)
    }
}

/// The primary device's side, waiting for the new device's entry.
pub struct LinkApproval {
    keys: LinkKeys,
    device: DeviceNumber,
    /// A welcome has been sealed: another one would be under the same key and nonce.
    is_used: AtomicBool,
}

/// The primary device's side, done: the key set is signed.
pub struct LinkApproved {
    /// The new device's number.
    pub device: DeviceNumber,
    /// The third message. To be sent after [`Engine::handle_published`].
    pub welcome: Vec<u8>,
}

impl Engine<'_> {
    /// On the primary device: answers a scanned code with the first message.
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub fn link_offer(&mut self, request: &LinkRequest) -> Result<(LinkApproval, Vec<u8>), LinkFailure> {
        let account = self.account()?;
        account.is_ours()?;
        if account.signer.is_none() {
            return Err(AccountError::NotPrimary.into());
        }
        if request.origin != account.origin {
            return Err(LinkFailure::OtherServer);
        }
        let key_set = self.own_key_set(&account)?;
        let device = key_set.next_device_number().ok_or(AccountError::NoNumbersLeft)?;
        let new = x25519::PublicKey::from_bytes(&request.ephemeral)?;
        let ephemeral = x25519::SecretKey::generate(self.rng);
        let shared = ephemeral.diffie_hellman(&new)?;
        let keys = LinkKeys::derive(request.link, &shared, &request.secret, &new, &ephemeral.public_key());
        let offer = LinkOffer {
            account: account.address.account,
            device,
            key_set: key_set.as_bytes().to_vec(),
            display_name: account.display_name,
        };
        let sealed = aead::seal(&keys.to_new, &NONCE_FIRST, INFO, &offer.to_bytes());
        let message = [&ephemeral.public_key().as_bytes()[..], &sealed].concat();
        Ok((LinkApproval { keys, device, is_used: AtomicBool::new(false) }, message))
    }

    /// On the primary device: checks the new device's entry and signs the key set that names it. The shell publishes it next.
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub fn link_approve(&mut self, approval: &LinkApproval, reply: &[u8]) -> Result<LinkApproved, LinkFailure> {
        if approval.is_used.load(Ordering::Relaxed) {
            return Err(LinkFailure::Order);
        }
        let account = self.account()?;
        let entry =
            aead::open(&approval.keys.to_primary, &NONCE_FIRST, INFO, reply).map_err(|_| LinkFailure::Message)?;
        let entry = DeviceEntry::parse(&entry)?;
        if entry.number() != approval.device {
            return Err(LinkFailure::Number);
        }
        entry.verify(account.address.account)?;
        let key_set = self.own_key_set(&account)?;
        let builder = KeySetBuilder::successor(&key_set).add_device(entry).map_err(AccountError::from)?;
        let signed = self.sign_key_set(account, builder)?;
        let contacts = Content::new(Body::ContactSync(self.contact_entries()?), None);
        let welcome = LinkWelcome {
            key_set: signed,
            delivery_token: self.account()?.delivery_token,
            contacts: contacts.as_bytes().to_vec(),
        };
        approval.is_used.store(true, Ordering::Relaxed);
        let sealed = aead::seal(&approval.keys.to_new, &NONCE_SECOND, INFO, &Zeroizing::new(welcome.to_bytes()));
        Ok(LinkApproved { device: approval.device, welcome: sealed })
    }

    /// On the new device: takes the third message, and has an account.
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub fn link_complete(&mut self, linking: LinkingDevice, message: &[u8]) -> Result<(), LinkFailure> {
        let Some(Offered { keys, mut account, key_set: offered }) = linking.offered else {
            return Err(LinkFailure::Order);
        };
        if !matches!(self.account(), Err(AccountError::NoAccount)) {
            return Err(AccountError::Exists.into());
        }
        let welcome = aead::open(&keys.to_new, &NONCE_SECOND, INFO, message).map_err(|_| LinkFailure::Message)?;
        let welcome = LinkWelcome::parse(&welcome).map_err(|_| LinkFailure::Message)?;
        let key_set = UnverifiedKeySet::parse(&welcome.key_set)?.verify()?;
        offered.check_newer(&key_set)?;
        let named = key_set.device(account.address.device).ok_or(LinkFailure::NotNamed)?;
        if named.auth_key() != &account.device_auth.verifying_key() {
            return Err(LinkFailure::NotNamed);
        }
        account.delivery_token = welcome.delivery_token;
        self.put_key_set(&key_set)?;
        self.draw_first_prekeys(&mut account)?;
        self.put_account(&account)?;
        let contacts = Content::parse(welcome.contacts).map_err(|_| LinkFailure::Message)?;
        if let Body::ContactSync(entries) = contacts.into_body() {
            self.take_contact_entries(entries)?;
        }
        Ok(())
    }

    /// What the directory should have of this device: for a linked device's first upload.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn own_device_upload(&mut self) -> Result<DeviceUpload, AccountError> {
        let account = self.account()?;
        self.device_upload(&account)
    }

    /// On the primary device: takes a device out of the account. The shell publishes the key set next.
    ///
    /// # Errors
    /// [`AccountError::NotPrimary`], [`AccountError::PrimaryStays`], or what the builder finds wrong.
    pub fn remove_device(&mut self, device: DeviceNumber) -> Result<(), AccountError> {
        let account = self.account()?;
        if account.signer.is_none() {
            return Err(AccountError::NotPrimary);
        }
        if device == account.address.device {
            return Err(AccountError::PrimaryStays);
        }
        let builder = KeySetBuilder::successor(&self.own_key_set(&account)?).remove_device(device)?;
        self.sign_key_set(account, builder)?;
        Ok(())
    }

    /// Signs a successor, to be published. One change at a time: the server's compare-and-swap decides, and a second change would have to
    /// follow the first.
    fn sign_key_set(&mut self, account: Account, builder: KeySetBuilder) -> Result<Vec<u8>, AccountError> {
        let signed = builder.sign(account.signer_for_change()?)?;
        self.put_unpublished(account, &signed)?;
        Ok(signed.as_bytes().to_vec())
    }

    /// The key set that is signed and waits for the directory, for a shell that will not wait for the next poll.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn unpublished_key_set(&mut self) -> Result<Option<Vec<u8>>, AccountError> {
        Ok(self.account()?.unpublished.take())
    }

    /// The directory took the key set that was to be published: it is the account's now, and contacts hear of it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_published(&mut self) -> Result<(), AccountError> {
        let mut account = self.account()?;
        self.need_met(NeedKind::Publish, account.address.account)?;
        // A recovery or a reset is in force: the server shows its set as the account's.
        if account.is_ours().is_err() {
            return self.complete_takeover();
        }
        let Some(bytes) = account.unpublished.take() else { return Ok(()) };
        let known = self.own_key_set(&account)?;
        let key_set =
            UnverifiedKeySet::parse(&bytes).map_err(|_| crate::store::BadRow::error(Table::Account))?.verify()?;
        let succession = known.check_successor(&key_set)?;
        self.put_key_set(&key_set)?;
        self.forget_removed_devices(&known, &key_set)?;
        self.put_account(&account)?;
        self.adopt_own_key_set(&key_set, succession)?;
        let account = self.account()?;
        if known.devices() != key_set.devices() {
            self.emit(crate::event::Event::DevicesChanged { account: account.address.account })?;
        }
        self.announce_key_set(&account).map_err(crate::send::as_account_error)
    }

    /// The directory refused the key set for good: another one is there, it says. Ours is dropped, and the app is told: a device that
    /// the user wanted removed may still be there. An account key that it would have brought stays
    /// until the account's key set is here: the other one may be ours, of an answer that was lost.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_publish_refused(&mut self) -> Result<(), AccountError> {
        let mut account = self.account()?;
        if account.unpublished.take().is_some() {
            self.emit(crate::event::Event::ChangeRefused)?;
        }
        self.put_account(&account)?;
        self.need_met(NeedKind::Publish, account.address.account)?;
        self.need_key_set(account.address.account)?;
        Ok(())
    }
}
