//! Two stores whose accounts have written to each other, made by the engine over the clients' own stores: no server is needed for what
//! comes after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rcseal_client::store::Store;
use rcseal_engine::account::{AccountError, NewAccount};
use rcseal_engine::carrier::CarrierSetup;
use rcseal_engine::need::Need;
use rcseal_engine::outbox::Via;
use rcseal_engine::{Engine, UnixMillis};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::TransportProfile;
use rcseal_wire::api::{BundlesResponse, DeviceBundle, DeviceUpload};
use rcseal_wire::content::Body;
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{AccountId, ConversationId, Custody, DeviceAddress, EnvelopeId, MailboxId, Platform};

use super::{open_ready, vault};

/// Where nobody listens.
pub(crate) const NOWHERE: &str = "https://127.0.0.1:9";

/// One side.
pub(crate) struct Party {
    pub(crate) folder: PathBuf,
    pub(crate) vault: PathBuf,
    pub(crate) address: DeviceAddress,
}

struct Phone {
    store: Store,
    address: DeviceAddress,
    mailbox: MailboxId,
    key_set: Vec<u8>,
    upload: DeviceUpload,
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

impl Phone {
    fn with<T, E: std::fmt::Debug + Into<AccountError>>(
        &self,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
    ) -> T {
        self.store
            .run(|tx| operation(&mut Engine::new(tx, now(), &mut rand::rng())).map_err(Into::<AccountError>::into))
            .unwrap()
    }

    fn bundle(&mut self) -> DeviceBundle {
        let kem = self.upload.one_time_kem.pop().unwrap();
        DeviceBundle {
            device: self.address.device,
            mailbox: self.upload.mailbox,
            signed: self.upload.signed.clone().unwrap(),
            kem_last_resort: false,
            kem,
            one_time: self.upload.one_time.pop(),
        }
    }
}

fn make(folder: &Path, name: &str, origin: &str) -> (Phone, PathBuf, PathBuf) {
    let (folder, vault_folder) = (folder.join(name), folder.join(format!("{name}-vault")));
    let store = open_ready(&folder, &vault(&vault_folder, "pass"));
    let new = NewAccount {
        origin: origin.parse().unwrap(),
        platform: Platform::Android,
        custody: Custody::User,
        display_name: name.to_owned(),
    };
    let (request, view) = store
        .run(|tx| {
            let mut rng = rand::rng();
            let mut engine = Engine::new(tx, now(), &mut rng);
            engine.create_account(&new)?;
            let request = engine.registration_request(None)?;
            engine.handle_registered()?;
            let view = engine.account_view()?.unwrap();
            Ok::<_, AccountError>((request, view))
        })
        .unwrap();
    let (address, mailbox) = (view.address, view.mailbox);
    (Phone { store, address, mailbox, key_set: request.key_set.0, upload: request.device }, folder, vault_folder)
}

/// Carries out what two engines ask for until nothing moves.
fn settle(phones: &mut [Phone; 2]) {
    let mut mailboxes: BTreeMap<MailboxId, Vec<(EnvelopeId, Vec<u8>)>> = BTreeMap::new();
    for _ in 0..20 {
        let mut is_busy = false;
        for at in 0..2 {
            phones[at].with(|engine| engine.flush_receipts());
            for need in phones[at].with(|engine| engine.poll_needs()) {
                is_busy = true;
                let other = &mut phones[1 - at];
                match need {
                    Need::FetchKeySet { account, .. } => {
                        assert_eq!(account, other.address.account);
                        let key_set = other.key_set.clone();
                        phones[at].with(|engine| engine.handle_key_set(account, &key_set));
                    }
                    Need::FetchBundles { account, .. } => {
                        let bundles = BundlesResponse { bundles: vec![other.bundle()] };
                        assert!(phones[at].with(|engine| engine.handle_bundles(account, &bundles)).is_empty());
                    }
                    other => panic!("nobody answers {other:?}"),
                }
            }
            for outgoing in phones[at].with(|engine| engine.poll_outbox(64)) {
                is_busy = true;
                let Via::Relay { submit, .. } = outgoing.via else { panic!("there is no carrier yet") };
                mailboxes.entry(submit.mailbox).or_default().push((submit.id, submit.envelope.to_vec()));
                phones[at].with(|engine| engine.handle_submitted(outgoing.number, SubmitStatus::Stored));
            }
            for (id, bytes) in mailboxes.remove(&phones[at].mailbox).unwrap_or_default() {
                is_busy = true;
                phones[at].with(|engine| engine.handle_envelope(id, &bytes));
            }
        }
        if !is_busy {
            return;
        }
    }
    panic!("the phones never come to rest");
}

fn say(phone: &Phone, to: AccountId, words: &str) -> ConversationId {
    phone
        .store
        .run(|tx| {
            let mut rng = rand::rng();
            let mut engine = Engine::new(tx, now(), &mut rng);
            let conversation = engine.direct_conversation(to)?;
            engine.send(conversation, Body::Text(words.to_owned()), None)?;
            Ok::<_, rcseal_client::ClientError>(conversation)
        })
        .unwrap()
}

/// Two parties at this server who have written to each other.
fn introduce(folder: &Path, origin: &str) -> ([Phone; 2], [Party; 2], ConversationId) {
    let (ada, ada_folder, ada_vault) = make(folder, "ada", origin);
    let (bob, bob_folder, bob_vault) = make(folder, "bob", origin);
    let (ada_address, bob_address) = (ada.address, bob.address);
    let mut phones = [ada, bob];
    let invitation = phones[1].with(|engine| engine.invitation());
    phones[0]
        .store
        .run(|tx| {
            let mut rng = rand::rng();
            Engine::new(tx, now(), &mut rng).add_contact(&invitation, "Bob").map_err(rcseal_client::ClientError::from)
        })
        .unwrap();
    let conversation = say(&phones[0], bob_address.account, "hello");
    settle(&mut phones);
    say(&phones[1], ada_address.account, "hello yourself");
    settle(&mut phones);
    let parties = [
        Party { folder: ada_folder, vault: ada_vault, address: ada_address },
        Party { folder: bob_folder, vault: bob_vault, address: bob_address },
    ];
    (phones, parties, conversation)
}

/// Two parties who have written to each other.
pub(crate) fn introduced(folder: &Path) -> ([Party; 2], ConversationId) {
    let (_, parties, conversation) = introduce(folder, NOWHERE);
    (parties, conversation)
}

/// Two parties at this server who have written to each other, and who know of each other's devices on a carrier.
pub(crate) fn acquainted(
    folder: &Path,
    origin: &str,
    carriers: [(PhoneNumber, TransportProfile); 2],
) -> (Party, Party, ConversationId) {
    let (mut phones, [ada, bob], conversation) = introduce(folder, origin);
    for (phone, (number, profile)) in phones.iter().zip(carriers) {
        phone.with(|engine| engine.set_carrier(Some(CarrierSetup::new(number, profile))));
    }
    settle(&mut phones);
    (ada, bob, conversation)
}
