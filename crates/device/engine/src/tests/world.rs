//! Phones, a relay and a directory, without a network.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_credential::UnverifiedKeySet;
use rcseal_rcs::transport::CarrierMessage;
use rcseal_wire::api::retained::ServerKey;
use rcseal_wire::api::{BundlesResponse, DeviceBundle, DeviceUpload};
use rcseal_wire::content::Body;
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{
    AccountId, BlobId, ConversationId, Custody, DeliveryTokenHash, DeviceAddress, DeviceNumber, EnvelopeId, MailboxId,
    MessageId, Platform,
};

use super::number::broker::Broker;
use crate::account::NewAccount;
use crate::carrier::FetchFailure;
use crate::event::Event;
use crate::inbox::Disposition;
use crate::message::MessageView;
use crate::need::{Need, NeedKind};
use crate::outbox::Via;
use crate::retained::ServerKeyFault;
use crate::store::memory::MemoryStore;
use crate::{Engine, UnixMillis};

/// What a server would hold.
#[derive(Default)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) mailboxes: BTreeMap<MailboxId, VecDeque<(EnvelopeId, Vec<u8>)>>,
    pub(super) key_sets: BTreeMap<AccountId, Vec<u8>>,
    pub(super) devices: BTreeMap<DeviceAddress, DeviceUpload>,
    /// Every key set that the directory took, oldest first.
    pub(super) history: BTreeMap<AccountId, Vec<Vec<u8>>>,
    /// Sets in one answer; sixteen where nothing is said.
    pub(super) chain_len: Option<usize>,
    /// Delivery tokens that the server was told of.
    pub(super) tokens: BTreeMap<AccountId, Vec<DeliveryTokenHash>>,
    /// Resets that were called off.
    pub(super) vetoes: usize,
    /// One-time prekeys handed out.
    pub(super) handed_out: usize,
    /// What carriers were handed, in order: the outbox's number, by whom, and the messages.
    pub(super) carried: VecDeque<(u64, DeviceAddress, Vec<CarrierMessage>)>,
    /// Blobs, by their ids: the first is all ones, and so on.
    pub(super) blobs: BTreeMap<[u8; BlobId::LEN], Vec<u8>>,
    /// The server takes no blobs.
    pub(super) takes_no_blobs: bool,
    /// The server cannot be reached by whoever fetches.
    pub(super) serves_no_blobs: bool,
    /// A broker, where there is one.
    pub(super) broker: Option<Broker>,
    /// The key of the server that may read messages.
    pub(super) server_key: Option<ServerKey>,
}

/// One device.
pub(super) struct Phone {
    pub(super) store: MemoryStore,
    pub(super) rng: ChaCha20Rng,
    pub(super) mailbox: MailboxId,
    pub(super) address: DeviceAddress,
}

impl Phone {
    /// Runs the engine in one transaction.
    pub(super) fn with<T, E: std::fmt::Debug>(
        &mut self,
        now: u64,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Self { store, rng, .. } = self;
        store.run(|tx| operation(&mut Engine::new(tx, UnixMillis(now), rng)))
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self { now: 1_700_000_000_000, ..Self::default() }
    }

    /// The directory keeps what it took.
    pub(super) fn record(&mut self, key_set: &[u8]) {
        let account = UnverifiedKeySet::parse(key_set).unwrap().account();
        let history = self.history.entry(account).or_default();
        if history.last().map(Vec::as_slice) != Some(key_set) {
            history.push(key_set.to_vec());
        }
    }

    /// A registered account on a primary device.
    pub(super) fn phone(&mut self, seed: u64, name: &str) -> Phone {
        let mut store = MemoryStore::new();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (request, view) = store
            .run(|tx| {
                let mut engine = Engine::new(tx, UnixMillis(self.now), &mut rng);
                engine.create_account(&new_account(name))?;
                let request = engine.registration_request(None)?;
                engine.handle_registered()?;
                let view = engine.account_view()?.unwrap();
                Ok::<_, crate::account::AccountError>((request, view))
            })
            .unwrap();
        self.record(&request.key_set.0);
        self.key_sets.insert(view.address.account, request.key_set.0);
        self.devices.insert(view.address, request.device);
        self.mailboxes.insert(view.mailbox, VecDeque::new());
        Phone { store, rng, mailbox: view.mailbox, address: view.address }
    }

    /// `from` takes `to`'s invitation in.
    pub(super) fn introduce(&mut self, from: &mut Phone, to: &mut Phone) -> ConversationId {
        let invitation = to.with(self.now, |engine| engine.invitation()).unwrap();
        from.with(self.now, |engine| {
            engine.add_contact(&invitation, "peer")?;
            engine.direct_conversation(invitation.account)
        })
        .unwrap()
    }

    /// `from` takes `to`'s invitation in, and each writes to the other.
    pub(super) fn acquaint(&mut self, from: &mut Phone, to: &mut Phone) -> ConversationId {
        let conversation = self.introduce(from, to);
        self.send(from, conversation, text("one"));
        self.settle(&mut [from, to]);
        self.send(to, conversation, text("two"));
        self.settle(&mut [from, to]);
        conversation
    }

    pub(super) fn send(&mut self, phone: &mut Phone, conversation: ConversationId, body: Body) -> MessageId {
        phone.with(self.now, |engine| engine.send(conversation, body, None)).unwrap()
    }

    pub(super) fn bundle(&mut self, device: DeviceAddress) -> Option<DeviceBundle> {
        let upload = self.devices.get_mut(&device)?;
        let one_time = upload.one_time.pop();
        let one_time_kem = upload.one_time_kem.pop();
        self.handed_out += usize::from(one_time.is_some());
        Some(DeviceBundle {
            device: device.device,
            mailbox: upload.mailbox,
            signed: upload.signed.clone()?,
            kem_last_resort: one_time_kem.is_none(),
            kem: match one_time_kem {
                Some(kem) => kem,
                None => upload.last_resort.clone()?,
            },
            one_time,
        })
    }

    /// Does what the phone's engine asks for, and hands its envelopes to the relay. Answers whether there was anything.
    pub(super) fn serve(&mut self, phone: &mut Phone) -> bool {
        phone.with(self.now, |engine| engine.flush_receipts()).unwrap();
        let mut busy = phone.with(self.now, |engine| engine.poll_schedule()).unwrap() > 0;
        for need in phone.with(self.now, |engine| engine.poll_needs()).unwrap() {
            busy = true;
            match need {
                Need::FetchKeySet { account, .. } => match self.key_sets.get(&account) {
                    Some(bytes) => drop(phone.with(self.now, |engine| engine.handle_key_set(account, bytes)).unwrap()),
                    None => {
                        phone.with(self.now, |engine| engine.handle_need_failed(NeedKind::KeySet, account)).unwrap();
                    }
                },
                Need::FetchBundles { account, devices, .. } => {
                    let bundles = devices
                        .into_iter()
                        .filter_map(|device| self.bundle(DeviceAddress { account, device }))
                        .collect();
                    let refused = phone
                        .with(self.now, |engine| engine.handle_bundles(account, &BundlesResponse { bundles }))
                        .unwrap();
                    assert!(refused.is_empty(), "{refused:?}");
                }
                Need::FetchKeySets { account, from, .. } => {
                    let chain: Vec<Vec<u8>> = self
                        .history
                        .get(&account)
                        .into_iter()
                        .flatten()
                        .filter(|bytes| UnverifiedKeySet::parse(bytes).unwrap().counter() >= from)
                        .take(self.chain_len.unwrap_or(16))
                        .cloned()
                        .collect();
                    phone.with(self.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
                }
                Need::SetDeliveryTokens { hashes, .. } => {
                    self.tokens.insert(phone.address.account, hashes.clone());
                    phone.with(self.now, |engine| engine.handle_delivery_tokens(&hashes)).unwrap();
                }
                Need::VetoReset => {
                    self.vetoes += 1;
                    phone.with(self.now, |engine| engine.handle_reset_vetoed()).unwrap();
                }
                // A server that has none.
                Need::FetchServerKey => match self.server_key.clone() {
                    Some(key) => {
                        phone.with(self.now, |engine| engine.handle_server_key(key)).unwrap();
                    }
                    None => {
                        phone.with(self.now, |engine| engine.handle_server_key_fault(ServerKeyFault::Gone)).unwrap();
                    }
                },
                Need::LookUpNumber { number, .. } => {
                    let answer = self.broker.as_ref().unwrap().answer(&number, phone.address.account);
                    phone.with(self.now, |engine| engine.handle_lookup(&number, &answer, None)).unwrap();
                }
                Need::ViewNumber { number, .. } => {
                    let view = self.broker.as_ref().unwrap().view(&number, phone.address.account);
                    phone.with(self.now, |engine| engine.handle_number_view(&number, &view)).unwrap();
                }
                // A carrier that answers nothing.
                Need::QueryCapabilities { number } => {
                    phone.with(self.now, |engine| engine.handle_carrier_capabilities_failed(&number)).unwrap();
                }
                Need::FetchEnvelope(fetch) if self.serves_no_blobs => {
                    let failure = FetchFailure::Unavailable;
                    phone.with(self.now, |engine| engine.handle_fetch_failed(fetch.id, failure)).unwrap();
                }
                Need::FetchEnvelope(fetch) => match self.blobs.get(fetch.blob.as_bytes()) {
                    Some(bytes) => drop(phone.with(self.now, |engine| engine.handle_fetched(fetch.id, bytes)).unwrap()),
                    None => {
                        let failure = FetchFailure::Gone;
                        phone.with(self.now, |engine| engine.handle_fetch_failed(fetch.id, failure)).unwrap();
                    }
                },
                Need::PublishKeySet { key_set } => {
                    self.record(&key_set);
                    self.key_sets.insert(phone.address.account, key_set);
                    phone.with(self.now, |engine| engine.handle_published()).unwrap();
                }
            }
        }
        loop {
            let outgoing = phone.with(self.now, |engine| engine.poll_outbox(16)).unwrap();
            if outgoing.is_empty() {
                return busy;
            }
            busy = true;
            for item in outgoing {
                let submit = match item.via {
                    Via::Relay { submit, .. } => submit,
                    Via::Carrier(handover) => {
                        self.carried.push_back((item.number, phone.address, handover.release()));
                        continue;
                    }
                    Via::Deposit(deposit) => {
                        let kept = (!self.takes_no_blobs).then(|| self.keep(deposit.bytes));
                        let told = phone.with(self.now, |engine| match kept {
                            Some(id) => engine.handle_deposited(item.number, id),
                            None => engine.handle_deposit_failed(item.number),
                        });
                        told.unwrap();
                        continue;
                    }
                };
                let queue = self.mailboxes.get_mut(&submit.mailbox).unwrap();
                let status = if queue.iter().any(|(id, _)| *id == submit.id) {
                    SubmitStatus::Duplicate
                } else {
                    SubmitStatus::Stored
                };
                if status == SubmitStatus::Stored {
                    queue.push_back((submit.id, submit.envelope.to_vec()));
                }
                phone.with(self.now, |engine| engine.handle_submitted(item.number, status)).unwrap();
            }
        }
    }

    /// The server keeps a blob.
    pub(super) fn keep(&mut self, bytes: Vec<u8>) -> BlobId {
        let id = [u8::try_from(self.blobs.len() + 1).unwrap(); BlobId::LEN];
        self.blobs.insert(id, bytes);
        BlobId::from_bytes(id)
    }

    /// Delivers everything in the phone's mailbox.
    pub(super) fn deliver(&mut self, phone: &mut Phone) -> Vec<Disposition> {
        let mut dispositions = Vec::new();
        while let Some((id, bytes)) = self.mailboxes.get_mut(&phone.mailbox).unwrap().pop_front() {
            dispositions.push(phone.with(self.now, |engine| engine.handle_envelope(id, &bytes)).unwrap());
        }
        dispositions
    }

    /// Takes the envelopes that wait in a mailbox out of it.
    pub(super) fn intercept(&mut self, phone: &Phone) -> Vec<(EnvelopeId, Vec<u8>)> {
        self.mailboxes.get_mut(&phone.mailbox).unwrap().drain(..).collect()
    }

    /// Serves and delivers until nothing moves.
    pub(super) fn settle(&mut self, phones: &mut [&mut Phone]) {
        for _ in 0..50 {
            let mut busy = false;
            for phone in phones.iter_mut() {
                busy |= self.serve(phone);
                busy |= !self.deliver(phone).is_empty();
            }
            if !busy {
                return;
            }
        }
        panic!("the phones never come to rest");
    }
}

pub(super) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        origin: "https://relay.example".parse().unwrap(),
        platform: Platform::Android,
        custody: Custody::User,
        display_name: name.to_owned(),
    }
}

/// The messages of a conversation, oldest first.
pub(super) fn messages(phone: &mut Phone, conversation: ConversationId) -> Vec<MessageView> {
    let mut messages = phone.with(0, |engine| engine.messages(conversation, None, 1000)).unwrap();
    messages.reverse();
    messages
}

/// The texts of a conversation, oldest first.
pub(super) fn texts(phone: &mut Phone, conversation: ConversationId) -> Vec<String> {
    messages(phone, conversation)
        .iter()
        .filter_map(|message| match message.content.as_ref()?.body() {
            Body::Text(text) => Some(text.clone()),
            _ => None,
        })
        .collect()
}

/// What the app would be told, in order; and it has heard.
pub(super) fn events(phone: &mut Phone) -> Vec<Event> {
    phone
        .with(0, |engine| {
            let events = engine.events(0, 10_000)?;
            if let Some(last) = events.last() {
                engine.forget_events(last.number)?;
            }
            Ok::<_, crate::store::StoreError>(events.into_iter().map(|event| event.event).collect())
        })
        .unwrap()
}

pub(super) fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

pub(super) const SECOND_DEVICE: u8 = 2;

pub(super) fn second_device() -> DeviceNumber {
    DeviceNumber::new(SECOND_DEVICE).unwrap()
}
